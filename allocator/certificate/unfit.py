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
MOST_ROUNDS = 5


class Unfit:
    """Finds the pairs that one of some rows rules out by itself, whatever all others get.

    Parameters
    ----------
    problem
        Whose pairs.
    rows
        Hard rows with a bound.
    exclusions
        Rows that exclude pairs outright.
    """

    def __init__(self, problem: Problem, rows: Sequence[Row], exclusions: Sequence[Row] = ()) -> None:
        self.problem = problem
        self.excluded = [term for row in exclusions for term in row.terms]
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
        self.rounds: list[Array] = []  # of leaving pairs out: the least that all users need of each side
        left_out = 0
        while self.sides and len(self.rounds) < MOST_ROUNDS:
            least, before = np.zeros(len(self.sides)), left_out
            left_out = 0
            for batch in problem.batches(self.names):
                for part in batch.parts(AT_ONCE):
                    value = self.without(part)
                    left_out += int(np.count_nonzero(np.isnan(value) & ~np.isnan(part.value)))
                    for k, (row, sign, _) in enumerate(self.sides):
                        least[k] += float(_least(sign * self._use(row, part, value), *problem.per_user).sum())
            if self.rounds and left_out == before:
                break
            self.rounds.append(least)

    def without(self, part: Batch) -> NDArray[np.floating]:
        """Return the values of a batch of consecutive users, NaN where a pair fits no plan."""
        value = part.value
        for term in self.excluded:
            inside = self._users(term, part.users)[:, None] & term.coupons
            value = np.where(inside, np.nan, value)
        for least in self.rounds:
            value = self._once(part, value, least)
        return value

    def _once(self, part: Batch, value: NDArray[np.floating], least: Array) -> NDArray[np.floating]:
        """Leave out what does not fit beside the least that all users need, of the pairs that are left."""
        fewest, most = self.problem.per_user
        left = value
        for (row, sign, bound), needed_by_all in zip(self.sides, least.tolist(), strict=True):
            use = sign * self._use(row, part, value)
            others = needed_by_all - _least(use, fewest, most)
            beside = _least(use, max(fewest - 1, 0), most - 1)  # what else the same user gets
            needed = use + (others + beside)[:, None]
            room = CLEARLY * np.maximum(np.abs(use), abs(bound) + abs(needed_by_all))
            unfit = needed > bound + room  # never for NaN
            if unfit.any():
                left = np.where(unfit, np.nan, left)
        return left

    def _use(self, row: Row, part: Batch, value: NDArray[np.floating]) -> Array:
        """Return what each pair uses of a row, NaN where it has no value."""
        use = np.where(np.isnan(value), np.nan, 0.0)
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
