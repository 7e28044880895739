"""Pairs that fit no plan: one alone uses more of a row than all other users can leave of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocator.limits.rows import Row, Term
from allocator.problem import Problem
from allocator.problem.batch import Batch

Array = NDArray[np.float64]
CLEARLY = 1e-6  # relative; a pair that is beyond a row by less may fit but for rounding
AT_ONCE = 65_536  # users looked at together


class Unfit:
    """Finds the pairs that one of some rows rules out by itself, whatever all others get.

    Parameters
    ----------
    problem
        Whose pairs.
    rows
        Hard rows with a bound.
    """

    def __init__(self, problem: Problem, rows: Sequence[Row]) -> None:
        self.problem = problem
        # A row from below is one from above with its signs changed.
        self.sides = [
            (row, sign, bound)
            for row in rows
            for sign, bound in ((1.0, row.at_most), (-1.0, -row.at_least))
            if math.isfinite(bound)
        ]
        self.names = [
            name
            for name in problem.measures
            if any(term.measure == name for row in rows for term in row.terms)
        ]
        self.least = [0.0] * len(self.sides)
        if self.sides:
            for batch in problem.batches(self.names):
                for part in batch.parts(AT_ONCE):
                    for k, (row, sign, _) in enumerate(self.sides):
                        use = sign * self._use(row, part)
                        self.least[k] += float(_least(use, *problem.per_user).sum())

    def without(self, part: Batch) -> NDArray[np.floating]:
        """Return the values of a batch of consecutive users, NaN where a pair fits no plan."""
        value = part.value
        fewest, most = self.problem.per_user
        for (row, sign, bound), least in zip(self.sides, self.least, strict=True):
            use = sign * self._use(row, part)
            others = least - _least(use, fewest, most)
            beside = _least(use, max(fewest - 1, 0), most - 1)  # what else the same user gets
            needed = use + (others + beside)[:, None]
            room = CLEARLY * np.maximum(np.abs(use), abs(bound) + abs(least))
            unfit = needed > bound + room  # never for NaN
            if unfit.any():
                value = np.where(unfit, np.nan, value)
        return value

    def _use(self, row: Row, part: Batch) -> Array:
        """Return what each pair uses of a row, NaN where the user may not get the coupon."""
        use = np.where(np.isnan(part.value), np.nan, 0.0)
        for term in row.terms:
            inside = np.flatnonzero(self._users(term, part.users))
            place = np.ix_(inside, np.flatnonzero(term.coupons))
            amount = 1.0 if term.measure == "count" else part.measure(term.measure)[place]
            use[place] += term.weight * np.nan_to_num(amount)
        return use

    def _users(self, term: Term, users: slice | NDArray[np.int64]) -> NDArray[np.bool_]:
        n = users.stop - users.start if isinstance(users, slice) else len(users)
        inside = np.ones(n, np.bool_)
        for column, codes in term.users.items():
            inside &= np.isin(self.problem.groups[column].codes[users], list(codes))
        return inside


def _least(use: Array, fewest: int, most: int) -> Array:
    """Return the least that each user can use, with at least `fewest` and at most `most` coupons, (n,)."""
    lowest = np.nan_to_num(np.sort(use, axis=1)[:, :most])  # NaN comes last
    forced, free = lowest[:, :fewest], lowest[:, fewest:]
    return np.asarray(forced.sum(axis=1) + np.minimum(free, 0.0).sum(axis=1))
