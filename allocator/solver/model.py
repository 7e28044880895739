"""The rows of all limits, compiled to tables over (measure, cell, coupon).

A *cell* is a combination of the group columns that some limit uses. Every limit's usage is then a
dot product with one small table, and prices of all limits collapse into one such table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.errors import Finding, InfeasibleError, InputError
from allocator.limits.rows import LimitLike, Row, Term
from allocator.problem import Problem
from allocator.problem.batch import BLOCK, Batch

Array = NDArray[np.float64]
ROUNDING = 1e-12  # relative error that a float64 sum over all users may carry
COUNT, VALUE = 0, 1  # the built-in measures come first in every table


@dataclass(frozen=True)
class Model:
    """A problem with its rows in table form.

    Parameters
    ----------
    problem
        The problem.
    labels
        (n_rows,) labels of the priced rows.
    weights
        (n_rows, n_measures * n_cells * n_coupons) sparse weights.
    at_least, at_most, penalty
        (n_rows,) bounds and penalties of violation (infinite: hard).
    measures
        Names in table order: ``count``, ``value``, then those that some row uses.
    cell
        (n_users,) int32 cell of each user.
    n_cells
        Number of cells.
    forbidden
        (n_cells, n_coupons) where an exclusion rules out an assignment.
    worth
        (n_cells, n_coupons) what a unit of value counts in the objective: 1 unless a concave
        objective weighs groups, or 0 to ask only whether the rows can hold.
    """

    problem: Problem
    labels: tuple[str, ...]
    weights: sp.csr_array
    at_least: Array
    at_most: Array
    penalty: Array
    measures: tuple[str, ...]
    cell: NDArray[np.int32]
    n_cells: int
    forbidden: NDArray[np.bool_]
    worth: Array

    @property
    def n_rows(self) -> int:
        """Number of priced rows."""
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a table: (n_measures, n_cells, n_coupons)."""
        return len(self.measures), self.n_cells, self.problem.n_coupons

    def usage(self, table: Array) -> Array:
        """Return each row's usage from an aggregate table."""
        return np.asarray(self.weights @ table.ravel())

    def earned(self, table: Array) -> float:
        """Return the objective of an aggregate table, before penalties."""
        return float(np.sum(self.worth * table[VALUE]))

    def price_table(self, prices: Array) -> Array:
        """Collapse one price a row into a table; excluded assignments cost infinity.

        The price of ``value`` also takes away what a unit of value is not worth.
        """
        table = np.asarray(self.weights.T @ prices).reshape(self.shape)
        table[VALUE] += 1.0 - self.worth
        table[COUNT][self.forbidden] = np.inf
        return table

    def bound_cost(self, prices: Array) -> float:
        """Return the part of the dual value that the bounds contribute: sum of price x bound."""
        upper = np.where(prices > 0, prices * np.where(np.isfinite(self.at_most), self.at_most, 0.0), 0.0)
        lower = np.where(prices < 0, prices * np.where(np.isfinite(self.at_least), self.at_least, 0.0), 0.0)
        return float(np.sum(upper + lower))

    def price_range(self) -> tuple[Array, Array]:
        """Return the least and greatest price each row can have: its sign, and a soft row's penalty."""
        lowest = np.where(np.isfinite(self.at_least), -self.penalty, 0.0)
        highest = np.where(np.isfinite(self.at_most), self.penalty, 0.0)
        return lowest, highest

    @property
    def limits_value(self) -> bool:
        """Whether some row counts value, so that values matter beside the objective."""
        _, n_cells, n_coupons = self.shape
        index = self.weights.indices
        return bool(((index >= VALUE * n_cells * n_coupons) & (index < 2 * n_cells * n_coupons)).any())

    def touched(self) -> sp.csr_array:
        """Return (n_rows, n_cells) with an entry where users of a cell may use a row."""
        _, n_cells, n_coupons = self.shape
        weights = self.weights.tocoo()
        cell = weights.col // n_coupons % n_cells
        return sp.csr_array((np.ones(weights.nnz), (weights.row, cell)), shape=(self.n_rows, n_cells))

    def with_rows(self, rows: NDArray[np.bool_]) -> Model:
        """Return the model with some of its rows only."""
        return replace(
            self,
            labels=tuple(label for label, kept in zip(self.labels, rows, strict=True) if kept),
            weights=self.weights[np.flatnonzero(rows)],
            at_least=self.at_least[rows],
            at_most=self.at_most[rows],
            penalty=self.penalty[rows],
        )

    def violation(self, usage: Array) -> Array:
        """Return by how much each row is violated, in its own unit."""
        return np.maximum(np.maximum(self.at_least - usage, usage - self.at_most), 0.0)

    def tolerance(self, gross: Array) -> Array:
        """Return the rounding error that a row's usage may carry; `gross` is the sum of its parts' sizes."""
        bounds = np.maximum(np.abs(_finite(self.at_least)), np.abs(_finite(self.at_most)))
        return ROUNDING * np.maximum(bounds, gross)

    def gather(self, users: NDArray[np.int64]) -> Batch:
        """Return some users' raw rows, with the measures that the rows use: one pass over the data."""
        return self.problem.gather(users, self.measures[2:])

    def coefficients(
        self, batch: Batch, places: NDArray[np.int64], coupons: NDArray[np.int64]
    ) -> sp.csc_array:
        """Return (n_rows, n_pairs): how much each pair of a user of a batch and a coupon uses of each row.

        Parameters
        ----------
        batch
            Users' rows, in memory.
        places, coupons
            (n_pairs,) each: the user's place in the batch, and the coupon.
        """
        _, n_cells, n_coupons = self.shape
        cell = self.cell[batch.users][places].astype(np.int64)
        place = cell * n_coupons + coupons
        columns = self.weights.tocsc()
        total = columns[:, COUNT * n_cells * n_coupons + place]
        for k, name in enumerate(self.measures[1:], start=1):
            amount = np.asarray(batch.measure(name)[places, coupons], dtype=np.float64)
            total = total + columns[:, k * n_cells * n_coupons + place] @ sp.diags_array(amount)
        return sp.csc_array(total)


def _finite(bound: Array) -> Array:
    return np.where(np.isfinite(bound), bound, 0.0)


def compile_model(problem: Problem, limits: Sequence[LimitLike], *, price_exclusions: bool = False) -> Model:
    """Compile limits for a problem.

    Parameters
    ----------
    problem, limits
        What to solve.
    price_exclusions
        Make exclusions rows like any other, which may be asked to give.

    Raises
    ------
    InputError
        If a limit names something that the problem does not have, or two rows share a label.
    """
    rows = state_rows(problem, limits)
    columns = sorted({column for row in rows for term in row.terms for column in term.users})
    cells = problem.combinations(columns)
    combinations, cell = cells.codes, cells.of_users()
    n_cells = len(combinations)
    forbidden = np.zeros((n_cells, problem.n_coupons), dtype=np.bool_)
    priced = []
    for row in rows:
        if row.is_exclusion and not price_exclusions:
            for term in row.terms:
                forbidden |= _cells_of(term, combinations, columns)[:, None] & term.coupons
        else:
            priced.append(row)
    _check_enough_left(problem, cell, forbidden, rows)
    used = {term.measure for row in priced for term in row.terms}
    measures = ("count", "value", *(name for name in problem.measures if name in used))
    return Model(
        problem=problem,
        labels=tuple(row.label for row in priced),
        weights=_weights(priced, measures, combinations, columns, problem.n_coupons),
        at_least=np.array([row.at_least for row in priced], dtype=np.float64),
        at_most=np.array([row.at_most for row in priced], dtype=np.float64),
        penalty=np.array([row.penalty for row in priced], dtype=np.float64),
        measures=measures,
        cell=cell,
        n_cells=n_cells,
        forbidden=forbidden,
        worth=np.ones((n_cells, problem.n_coupons)),
    )


def _check_enough_left(
    problem: Problem, cell: NDArray[np.int32], forbidden: NDArray[np.bool_], rows: Sequence[Row]
) -> None:
    """Raise InfeasibleError if exclusions leave a user fewer coupons than each must get."""
    fewest = problem.per_user[0]
    if fewest == 0 or not forbidden.any():
        return
    for batch in problem.batches(()):
        for part in batch.parts(BLOCK):
            left = (~np.isnan(part.value) & ~forbidden[cell[part.users]]).sum(axis=1)
            if (left < fewest).any():
                raise InfeasibleError([row.label for row in rows if row.is_exclusion])


def state_rows(problem: Problem, limits: Sequence[LimitLike]) -> list[Row]:
    """Return the rows of all limits; labels must differ."""
    rows = [row for limit in limits for row in limit.rows(problem)]
    labels = [row.label for row in rows]
    repeated = (
        sorted({label for label in labels if labels.count(label) > 1})
        if len(set(labels)) < len(labels)
        else []
    )
    if repeated:
        raise InputError(
            [
                Finding("two limits have this label; rename one", column="label", found=repr(r))
                for r in repeated
            ]
        )
    return rows


def _cells_of(term: Term, combinations: NDArray[np.int64], columns: list[str]) -> NDArray[np.bool_]:
    inside = np.ones(len(combinations), dtype=np.bool_)
    for column, codes in term.users.items():
        inside &= np.isin(combinations[:, columns.index(column)], list(codes))
    return inside


def _weights(
    rows: Sequence[Row],
    measures: tuple[str, ...],
    combinations: NDArray[np.int64],
    columns: list[str],
    n_coupons: int,
) -> sp.csr_array:
    size = len(combinations) * n_coupons
    index, pointer, data = [np.zeros(0, np.int64)], [0], [np.zeros(0)]
    for row in rows:
        dense = np.zeros((len(measures), size))
        for term in row.terms:
            inside = (_cells_of(term, combinations, columns)[:, None] & term.coupons).ravel()
            dense[measures.index(term.measure), inside] += term.weight
        place = np.flatnonzero(dense)
        index.append(place)
        data.append(dense.ravel()[place])
        pointer.append(pointer[-1] + len(place))
    shape = (len(rows), len(measures) * size)
    return sp.csr_array((np.concatenate(data), np.concatenate(index), np.array(pointer)), shape=shape)
