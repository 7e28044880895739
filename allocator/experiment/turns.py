"""What rows of limits use at every turn of the circle, from one look at the data for each kind of sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from allocator.experiment.arms import TURNS
from allocator.experiment.draw import Draw, Ints
from allocator.limits.rows import Row, Term
from allocator.problem import Problem

Array = NDArray[np.float64]
Key = tuple[str, tuple[tuple[str, frozenset[int]], ...], bytes]


class Turns:
    """What rows use, turn by turn.

    Parameters
    ----------
    problem
        Users and coupons.
    rows
        Of limits.
    draw
        The law of the draw.
    """

    def __init__(self, problem: Problem, rows: Sequence[Row], draw: Draw) -> None:
        self.problem, self.rows, self.draw = problem, rows, draw
        self.explored = self._by_row(self._explored)
        """(n_rows, TURNS) what exploring users use."""

    def sent(self, plan: NDArray[np.integer]) -> Array:
        """Return what is used in all, exploration included, for a plan, (n_rows, TURNS)."""
        user = np.flatnonzero(plan >= 0)
        coupon = np.asarray(plan)[user].astype(np.int64)
        planned = self._by_row(lambda term: self._planned(term, user, coupon))
        return self.risen(planned + self.explored)

    def risen(self, used: Array) -> Array:
        """Return usage with the standard deviations that must fit under the bounds of risky rows, too."""
        place = {row.label: r for r, row in enumerate(self.rows)}
        result = used
        for r, row in enumerate(self.rows):
            if row.risk is None:
                continue
            variance = np.maximum(used[place[row.risk.variance]], 0.0)
            for label in row.risk.shared:
                variance = variance + used[place[label]] ** 2
            result = result.copy() if result is used else result
            result[r] = used[r] + row.risk.times * np.sqrt(variance)
        return result

    def _by_row(self, of_term: Callable[[Term], Array]) -> Array:
        known: dict[Key, Array] = {}
        total = np.zeros((len(self.rows), TURNS))
        for r, row in enumerate(self.rows):
            for term in row.terms:
                key = (term.measure, tuple(sorted(term.users.items())), term.coupons.tobytes())
                if key not in known:
                    known[key] = of_term(term)
                total[r] += term.weight * known[key]
        return total

    def _planned(self, term: Term, user: Ints, coupon: Ints) -> Array:
        """Return what users of the plan's arm use: all but those whom chance takes."""
        inside = self._counts(term, user, coupon)
        user, coupon = user[inside], coupon[inside]
        by_slot = np.bincount(self.draw.slot[user], self._amounts(term.measure, user, coupon), TURNS)
        taken = self.draw.experiment.turns_held + self.draw.experiment.turns_exploring
        first = -np.arange(TURNS) % TURNS  # the slot that stands at 0
        sums = np.concatenate([[0.0], np.cumsum(np.concatenate([by_slot, by_slot[:taken]]))])
        return np.asarray(by_slot.sum() - (sums[first + taken] - sums[first]))

    def _explored(self, term: Term) -> Array:
        """Return what exploring users use: each goes through their coupons, a turn each."""
        total = np.zeros(TURNS)
        exploring = self.draw.experiment.turns_exploring
        if not exploring:
            return total
        user, coupon, step = self._pairs
        inside = self._counts(term, user, coupon)
        user, coupon, step = user[inside], coupon[inside], step[inside]
        amounts, slot = self._amounts(term.measure, user, coupon), self.draw.slot[user]
        first = (self.draw.experiment.turns_held - np.arange(TURNS)) % TURNS  # who begins to explore
        n_open = self.draw.n_open[user]
        for period in np.unique(n_open).tolist():
            of_period = n_open == period
            for k in range(period):
                these = of_period & (step == k)
                by_slot = np.bincount(slot[these], amounts[these], TURNS).astype(np.float64)
                total += _every(by_slot, period, k, exploring, first)
        return total

    @cached_property
    def _pairs(self) -> tuple[Ints, Ints, Ints]:
        """Return users and coupons of all pairs that exploration may send, and the step at which it does."""
        draw = self.draw
        user, coupon = np.nonzero(draw.open & (draw.slot >= 0)[:, None])
        step = (draw.rank[user, coupon] - draw.phase[user]) % draw.n_open[user]
        return user, coupon, step

    def _counts(self, term: Term, user: Ints, coupon: Ints) -> NDArray[np.bool_]:
        """Return which pairs a term counts."""
        inside = term.coupons[coupon]
        users: Mapping[str, frozenset[int]] = term.users
        for column, codes in users.items():
            grouping = self.problem.groups[column]
            counted = np.isin(np.arange(len(grouping.labels)), list(codes))
            inside = inside & counted[grouping.codes[user]]
        return np.asarray(inside)

    def _amounts(self, measure: str, user: Ints, coupon: Ints) -> Array:
        if measure == "count":
            return np.ones(len(user))
        return np.asarray(self.problem.measure(measure)[user, coupon], np.float64)


def _every(by_slot: Array, period: int, k: int, length: int, first: Ints) -> Array:
    """Return, for each first slot, the sum over every `period`-th slot from the `k`-th on within `length`."""
    if k >= length:
        return np.zeros(len(first))
    last = k + (length - 1 - k) // period * period
    wide = np.concatenate([np.zeros(period), by_slot, by_slot[:length]])
    wide = np.concatenate([wide, np.zeros(-len(wide) % period)])
    sums = wide.reshape(-1, period).cumsum(axis=0).ravel()
    return np.asarray(sums[first + last + period] - sums[first + k])
