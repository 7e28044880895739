"""Contested users as classes, and the program that decides them.

Users whose choice no prices within a box can change are decided; the others are *contested*. Users
with equal rows form one class with a multiplicity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.problem.batch import Batch
from allocator.solver.highs import Answer, Program
from allocator.solver.master import Box
from allocator.solver.model import Model

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

SPAN = 1e6  # of a row's coefficients, as solvers see them, below its greatest of 1


@dataclass(frozen=True)
class Contested:
    """Contested users as classes, with their eligible pairs, or those that may be chosen within a price box.

    Parameters
    ----------
    model
        The model.
    batch, starts
        Users' rows sorted by class, and where each class starts, (n_classes + 1,).
    pair_class, pair_coupon
        The pairs, sorted by class, (n_pairs,).
    value
        What each pair earns of the objective.
    uses
        (n_rows, n_pairs) what each pair uses of each row.
    decided
        (n_rows,) usage of all decided users.
    """

    model: Model
    batch: Batch
    starts: Index
    pair_class: Index
    pair_coupon: Index
    value: Array
    uses: sp.csc_array
    decided: Array

    @property
    def users(self) -> Index:
        """Indices of the users in the problem, sorted by class, (n_users,)."""
        return self.batch.indices()

    @property
    def size(self) -> NDArray[np.int64]:
        """Number of users of each class."""
        return np.diff(self.starts)

    def within(self, prices: Array, width: Array) -> tuple[Contested, Index]:
        """Keep the pairs that prices in a box may choose; return also which those are.

        Parameters
        ----------
        prices, width
            Centre and half-width of the price box, (n_rows,) each.
        """
        reduced = self.value - np.asarray(self.uses.T @ prices)
        finite = np.where(np.isfinite(width), width, 0.0)
        spread = np.asarray(abs(self.uses).T @ finite)
        spread[np.asarray(abs(self.uses).T @ (~np.isfinite(width)).astype(float)) > 0] = np.inf
        keep = np.flatnonzero(
            _can_be_chosen(reduced, spread, self.pair_class, len(self.size), self.model.problem.per_user)
        )
        part = replace(
            self,
            pair_class=self.pair_class[keep],
            pair_coupon=self.pair_coupon[keep],
            value=self.value[keep],
            uses=sp.csc_array(self.uses[:, keep]),
        )
        return part, keep


def contest(
    model: Model,
    batch: Batch,
    decided: Array,
    kept: Callable[[Batch, Index, Flags], Flags] = lambda batch, starts, allowed: allowed,
) -> Contested:
    """Group contested users into classes, with every eligible pair.

    Parameters
    ----------
    batch
        Rows of the contested users.
    decided
        (n_rows,) usage of all other users.
    kept
        Says which eligible pairs, (n_classes, n_coupons), to keep, where not all: called with the users' rows
        sorted by class, and where each class starts.
    """
    batch, starts = _classes(model, batch)
    first = starts[:-1]
    cell = model.cell[batch.users][first]
    value = np.asarray(batch.value[first] * model.at(model.worth, cell), dtype=np.float64)
    row, coupon = np.nonzero(kept(batch, starts, ~np.isnan(value) & ~model.forbids(cell)))
    uses = model.coefficients(batch, first[row], coupon)
    return Contested(
        model=model,
        batch=batch,
        starts=starts,
        pair_class=row,
        pair_coupon=coupon,
        value=value[row, coupon],
        uses=uses,
        decided=decided,
    )


def _classes(model: Model, batch: Batch) -> tuple[Batch, Index]:
    """Sort users by class: equal cell, values (where they count) and measures."""
    # Without a row on values, only their worth counts: all users are alike where it is nothing.
    worth = model.at(model.worth, model.cell[batch.users])
    value = batch.value if model.limits_value else batch.value * worth
    columns = [value, *(batch.measure(name) for name in model.measures[2:])]
    cell = model.cell[batch.users][:, None].astype(np.float64)
    keys = np.hstack([cell, *columns])
    keys[np.isnan(keys)] = np.inf
    first, inverse = equal_rows(keys)
    rank = np.argsort(np.argsort(first))  # classes in the order of their first user
    order = np.argsort(rank[inverse], kind="stable")
    sizes = np.bincount(rank[inverse], minlength=len(first))
    return batch.take(order), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def equal_rows(keys: Array) -> tuple[Index, Index]:
    """Return the first of all equal rows of a matrix, and each row's place among those."""
    keys = np.ascontiguousarray(keys) + 0.0  # -0.0 and 0.0 are one number
    if keys.size == 0:
        return np.zeros(min(len(keys), 1), np.int64), np.zeros(len(keys), np.int64)
    bytes_ = keys.view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1]))).ravel()
    _, first, inverse = np.unique(bytes_, return_index=True, return_inverse=True)
    return first, inverse


def _can_be_chosen(
    reduced: Array, spread: Array, row: Index, n_classes: int, per_user: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return the pairs that some prices in the box choose (safe: never drops one that could be)."""
    fewest, most = per_user
    upper = reduced + spread
    # The most-th greatest lower bound of each class: what a pair must be able to beat.
    lower = reduced - spread
    order = np.lexsort((-lower, row))
    place = np.arange(len(row)) - np.searchsorted(row[order], row[order], side="left")
    threshold = np.full(n_classes, -np.inf)
    at = order[place == most - 1]
    threshold[row[at]] = lower[at]
    keep = upper >= threshold[row]
    if fewest == 0:
        keep &= upper >= 0
    return keep


def assign(contested: Contested, count: Array | Index, choice: NDArray[np.int16]) -> None:
    """Write whole numbers of each class's pairs as choices of its users.

    Coupons are dealt out in turn, so that no user gets one twice and counts differ by at most one.
    """
    count = np.round(count).astype(np.int64)
    dealt = np.repeat(contested.pair_coupon, count)
    of_class = np.repeat(contested.pair_class, count)
    turn = np.arange(len(dealt)) - np.searchsorted(of_class, of_class)
    size = contested.size[of_class]
    users = contested.users
    choice[users] = -1
    choice[users[contested.starts[of_class] + turn % size], turn // size] = dealt


def count_choices(contested: Contested, choice: NDArray[np.int16]) -> Index:
    """Return how many of each class's users chose each pair, (n_pairs,)."""
    n_coupons = contested.model.problem.n_coupons
    chosen = choice[contested.users]
    place, slot = np.nonzero(chosen >= 0)
    of_class = np.repeat(np.arange(len(contested.size)), contested.size)[place]
    keys = contested.pair_class * n_coupons + contested.pair_coupon
    pair = np.searchsorted(keys, of_class * n_coupons + chosen[place, slot])
    return np.bincount(pair, minlength=len(keys)).astype(np.int64)


def state_program(
    contested: Contested,
    box: Box,
    classes: NDArray[np.bool_] | None = None,
    tighten: tuple[Array, Array] | None = None,
) -> Program:
    """State the program: pairs, then a violation column for each finite side of the box.

    `tighten` is by how much the lower and the upper bounds move inwards, against rounding.
    """
    model = contested.model
    fewest, most = model.problem.per_user
    size = contested.size.astype(np.float64)
    n_pairs = len(contested.value)
    active = np.ones(len(size), np.bool_) if classes is None else classes
    number = np.cumsum(active) - 1
    members = sp.csc_array(
        (np.ones(n_pairs), (number[contested.pair_class], np.arange(n_pairs))),
        shape=(int(active.sum()), n_pairs),
    )
    over = np.flatnonzero(np.isfinite(box.highest) & np.isfinite(model.at_most))
    under = np.flatnonzero(np.isfinite(box.lowest) & np.isfinite(model.at_least))
    # A box side with the other sign is a revenue: usage short of the bound earns it.
    over = np.union1d(over, np.flatnonzero(np.isfinite(box.highest) & (box.highest < 0)))
    under = np.union1d(under, np.flatnonzero(np.isfinite(box.lowest) & (box.lowest > 0)))
    scale = row_scale(contested.uses)
    violations = sp.hstack(
        [_picks(over, -1.0 / scale[over], model.n_rows), _picks(under, 1.0 / scale[under], model.n_rows)]
    )
    rows = sp.vstack(
        [
            sp.hstack([contested.uses, violations]),
            sp.hstack([members, sp.csc_array((members.shape[0], violations.shape[1]))]),
        ]
    )
    scale_of = np.concatenate([scale, np.ones(members.shape[0])])
    least, most_of = _tightened(model, tighten)
    lower = np.concatenate([(least - contested.decided) * scale, fewest * size[active]])
    upper = np.concatenate([(most_of - contested.decided) * scale, most * size[active]])
    n_violations = violations.shape[1]
    violation_costs = np.concatenate([-box.highest[over] / scale[over], box.lowest[under] / scale[under]])
    return Program(
        value=np.concatenate([contested.value, violation_costs]),
        rows=sp.csc_array(sp.diags_array(scale_of) @ rows),
        row_lower=lower,
        row_upper=upper,
        column_lower=np.zeros(n_pairs + n_violations),
        column_upper=np.concatenate([size[contested.pair_class], np.full(n_violations, np.inf)]),
        integer=None if classes is None else np.arange(n_pairs + n_violations) < n_pairs,
        unit=_unit(contested.value) or _unit(violation_costs) or 1.0,
    )


def row_prices(contested: Contested, answer: Answer) -> Array:
    """Return the linear program's price of each row, in objective units per unit of the row."""
    return answer.prices[: contested.model.n_rows] * row_scale(contested.uses)


def row_scale(uses: sp.csc_array) -> Array:
    """Return factors that bring each row's greatest coefficient to 1, but leave none so small that a
    solver would take it for nothing, (n_rows,).
    """
    size = sp.csr_array(abs(uses))
    greatest = size.max(axis=1).toarray().ravel() if size.nnz else np.zeros(size.shape[0])
    size.data = np.divide(1.0, size.data, out=np.zeros_like(size.data), where=size.data > 0)
    inverse = size.max(axis=1).toarray().ravel() if size.nnz else np.zeros(size.shape[0])
    smallest = np.divide(1.0, inverse, out=np.zeros_like(inverse), where=inverse > 0)
    return 1.0 / np.where(greatest > 0, np.minimum(greatest, SPAN * smallest), 1.0)


def _tightened(model: Model, tighten: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """Return the rows' bounds moved inwards; an equality stays one."""
    if tighten is None:
        return model.at_least, model.at_most
    least, most = model.at_least + tighten[0], model.at_most - tighten[1]
    crossed = least > most
    return np.where(crossed, model.at_least, least), np.where(crossed, model.at_most, most)


def _unit(value: Array) -> float:
    """Return a power of two near the greatest value, so that scaling by it loses no digit; 0 for none."""
    greatest = float(np.max(np.abs(value), initial=0.0))
    return float(2.0 ** np.round(np.log2(greatest))) if greatest > 0 else 0.0


def _picks(rows: Index, amount: Array, n_rows: int) -> sp.csc_array:
    return sp.csc_array((amount, (rows, np.arange(len(rows)))), shape=(n_rows, len(rows)))
