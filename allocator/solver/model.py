"""The rows of all limits, compiled to tables over (measure, place, coupon).

A *cell* is a combination of the group columns that some limit uses. Every limit's usage is then a
dot product with one small table, and prices of all limits collapse into one such table. Where columns
have too many combinations, tables go by several *sets* of columns, those that some limit names together:
a user has a place in each set, and what the user pays is the sum over its places.
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
MOST_CELLS = 2_000  # combinations of columns up to which tables go by all columns together
MANY_ROWS = 60  # from which on they go by sets of columns, too: fewer entries then differ in what rows count
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
        (n_rows, n_measures * n_places * n_coupons) sparse weights.
    at_least, at_most, penalty
        (n_rows,) bounds and penalties of violation (infinite: hard).
    measures
        Names in table order: ``count``, ``value``, then those that some row uses.
    cell
        (n_users,) int32 cell of each user.
    places
        (n_cells, n_sets) int32 where the users of a cell stand in the tables, once in each set of columns.
        The first set comes first among all places.
    sizes
        (n_sets,) number of places of each set.
    forbidden
        (n_places, n_coupons) where an exclusion rules out an assignment.
    worth
        (n_places, n_coupons) what a unit of value counts in the objective, summed over a user's places: 1
        unless a concave objective weighs groups, or 0 to ask only whether the rows can hold.
    """

    problem: Problem
    labels: tuple[str, ...]
    weights: sp.csr_array
    at_least: Array
    at_most: Array
    penalty: Array
    measures: tuple[str, ...]
    cell: NDArray[np.int32]
    places: NDArray[np.int32]
    sizes: tuple[int, ...]
    forbidden: NDArray[np.bool_]
    worth: Array

    @property
    def n_rows(self) -> int:
        """Number of priced rows."""
        return len(self.labels)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a table: (n_measures, n_places, n_coupons)."""
        return len(self.measures), sum(self.sizes), self.problem.n_coupons

    def at(self, table: Array, cells: NDArray[np.integer]) -> Array:
        """Return what a table, (..., n_places, n_coupons), holds for users of cells, (..., n, n_coupons)."""
        found = table[..., self.places[cells, 0], :]
        for places in self.places[cells].T[1:]:
            found = found + table[..., places, :]
        return np.asarray(found)

    def worth_of(self, cells: NDArray[np.integer], coupons: NDArray[np.integer]) -> Array:
        """Return what a unit of value of each pair counts, by the user's cell and the coupon, (n_pairs,)."""
        return np.asarray(self.worth[self.places[cells], coupons[:, None]].sum(axis=1))

    def forbids(self, cells: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return which coupons are excluded for users of some cells, (n, n_coupons)."""
        found = self.forbidden[self.places[cells, 0]]
        for places in self.places[cells].T[1:]:
            found = found | self.forbidden[places]
        return np.asarray(found)

    def by_place(self, table: Array) -> Array:
        """Return a table by cell, (n_measures, n_cells, n_coupons), summed up by place."""
        if len(self.sizes) == 1:
            return table
        found = np.zeros(self.shape)
        for places in self.places.T:
            for k in range(len(found)):
                np.add.at(found[k], places, table[k])
        return found

    def total(self, table: Array) -> float:
        """Return the sum of one measure's table, (n_places, n_coupons), over all users."""
        return float(table[: self.sizes[0]].sum())

    def without_values(self) -> Model:
        """Return the model with every value at nothing: whether the rows can hold is all that is asked."""
        return replace(self, worth=np.zeros_like(self.worth))

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
        table[VALUE] -= self.worth
        table[VALUE, : self.sizes[0]] += 1.0
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
        _, n_places, n_coupons = self.shape
        index = self.weights.indices
        return bool(((index >= VALUE * n_places * n_coupons) & (index < 2 * n_places * n_coupons)).any())

    def touched(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return in which cells users may use any of some rows, (n_cells,)."""
        _, n_places, n_coupons = self.shape
        touched = np.zeros(n_places, np.bool_)
        touched[self.weights[rows].indices // n_coupons % n_places] = True
        return np.asarray(touched[self.places].any(axis=1))

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
        _, n_places, n_coupons = self.shape
        cell = self.cell[batch.users][places]
        columns = self.weights.tocsc()
        rows, pairs, amounts = [], [], []
        for k, name in enumerate(self.measures):
            amount = np.ones(len(places)) if k == COUNT else batch.measure(name)[places, coupons]
            for place in self.places[cell].T.astype(np.int64):
                at = (k * n_places + place) * n_coupons + coupons
                start, size = columns.indptr[at], np.diff(columns.indptr)[at]
                pair = np.repeat(np.arange(len(places)), size)
                entry = np.arange(len(pair)) - np.repeat(np.cumsum(size) - size - start, size)
                rows.append(columns.indices[entry])
                pairs.append(pair)
                amounts.append(columns.data[entry] * np.asarray(amount, dtype=np.float64)[pair])
        entries = np.concatenate(amounts), (np.concatenate(rows), np.concatenate(pairs))
        return sp.csc_array(entries, shape=(self.n_rows, len(places)))  # what meets in one place adds up


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
    sets = _Sets(problem, rows)
    forbidden = np.zeros((sum(sets.sizes), problem.n_coupons), dtype=np.bool_)
    priced = []
    for row in rows:
        if row.is_exclusion and not price_exclusions:
            for term in row.terms:
                forbidden[sets.of(term)] |= term.coupons
        else:
            priced.append(row)
    used = {term.measure for row in priced for term in row.terms}
    measures = ("count", "value", *(name for name in problem.measures if name in used))
    worth = np.zeros((sum(sets.sizes), problem.n_coupons))
    worth[: sets.sizes[0]] = 1.0
    model = Model(
        problem=problem,
        labels=tuple(row.label for row in priced),
        weights=_weights(priced, measures, sets, problem.n_coupons),
        at_least=np.array([row.whole_bounds[0] for row in priced], dtype=np.float64),
        at_most=np.array([row.whole_bounds[1] for row in priced], dtype=np.float64),
        penalty=np.array([row.penalty for row in priced], dtype=np.float64),
        measures=measures,
        cell=sets.cell,
        places=sets.places,
        sizes=tuple(sets.sizes),
        forbidden=forbidden,
        worth=worth,
    )
    _check_enough_left(model, rows)
    return model


class _Sets:
    """Sets of group columns that tables go by, and where each cell's users stand in each of them.

    Parameters
    ----------
    problem, rows
        Whose terms name the columns.
    """

    def __init__(self, problem: Problem, rows: Sequence[Row]) -> None:
        self.columns = sorted({column for row in rows for term in row.terms for column in term.users})
        cells = problem.combinations(self.columns)
        self.cell = cells.of_users()
        named = sorted({_named(term) for row in rows for term in row.terms} | {()}, key=lambda n: (len(n), n))
        few = len(cells.codes) <= MOST_CELLS or len(named) <= 2
        together = (few and len(rows) < MANY_ROWS) or len(named) == 1
        self._sets = [tuple(self.columns)] if together else named
        self._codes: list[NDArray[np.int64]] = []  # of each set, the label codes of its places
        self.sizes: list[int] = []
        places = []
        for columns in self._sets:
            part = cells.codes[:, [self.columns.index(column) for column in columns]]
            codes, place = (
                (part, np.arange(len(part))) if together else np.unique(part, axis=0, return_inverse=True)
            )
            places.append(sum(self.sizes) + place.reshape(-1))
            self._codes.append(codes)
            self.sizes.append(len(codes))
        self.places = np.ascontiguousarray(np.stack(places, axis=1), dtype=np.int32)

    def of(self, term: Term) -> NDArray[np.int64]:
        """Return the places of a term's users: in one set alone, so that nobody counts twice."""
        k = 0 if len(self._sets) == 1 else self._sets.index(_named(term))
        inside = np.ones(self.sizes[k], dtype=np.bool_)
        for column, codes in term.users.items():
            inside &= np.isin(self._codes[k][:, self._sets[k].index(column)], list(codes))
        return sum(self.sizes[:k]) + np.flatnonzero(inside)


def _named(term: Term) -> tuple[str, ...]:
    return tuple(sorted(term.users))


def _check_enough_left(model: Model, rows: Sequence[Row]) -> None:
    """Raise InfeasibleError if exclusions leave a user fewer coupons than each must get."""
    fewest = model.problem.per_user[0]
    if fewest == 0 or not model.forbidden.any():
        return
    for batch in model.problem.batches(()):
        for part in batch.parts(BLOCK):
            left = (~np.isnan(part.value) & ~model.forbids(model.cell[part.users])).sum(axis=1)
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


def _weights(rows: Sequence[Row], measures: tuple[str, ...], sets: _Sets, n_coupons: int) -> sp.csr_array:
    n_places = sum(sets.sizes)
    entries: list[tuple[NDArray[np.int64], NDArray[np.int64], Array]] = []
    for r, row in enumerate(rows):
        for term in row.terms:
            start = measures.index(term.measure) * n_places * n_coupons
            at = start + (sets.of(term)[:, None] * n_coupons + np.flatnonzero(term.coupons)).ravel()
            entries.append((np.full(len(at), r), at, np.full(len(at), term.weight)))
    shape = (len(rows), len(measures) * n_places * n_coupons)
    if not entries:
        return sp.csr_array(shape)
    row_of, column, weight = (np.concatenate(part) for part in zip(*entries, strict=True))
    weights = sp.csr_array((weight, (row_of, column)), shape=shape)  # terms of one place add up
    weights.eliminate_zeros()
    return weights
