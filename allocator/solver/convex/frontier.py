"""Totals in whole numbers: whether there is a plan worth so much, group by group.

Against the dual bound a plan loses what its choices lose at the prices, what its groups' values lie off from
where the utility has the prices' slopes, and unused rows. So for a total to be reached, each group can only
lose what the others leave, and few sets of changes lose as little. One of each group is looked for, so that
together they keep the rows that groups share; if there is none among all, no plan is worth that much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allocator.solver.convex.sets import ROUNDING, Changes, GroupSets, Listed
from allocator.solver.convex.sets_kernels import fitting_sets, join_curved, join_halves, least_loss
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.utility import Geometric, Smallest
from allocator.solver.interrupt import still_at_it

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_TOTALS = 60  # to decide
LISTED = 50_000  # sets of one group to choose from at once
NODES = 1_000_000  # of the search for sets that fit together, between two looks at the time
LOOKS = 8  # in the order of the lists
RESTARTS = 24  # in any other order
WIDER = 1.5  # of what is needed: how far sets are listed


Join = Callable[..., int]
"""Writes the sets of a group that lose at most so much, as `Losses.join` for some total."""


class Losses(Protocol):
    """What sets of changes lose if a plan is to be worth some total."""

    priced: bool
    """Whether what rows leave unused counts besides: for some utilities it is what is left over anyhow."""
    proves: bool
    """Whether a plan worth the total can lose no more than counted."""

    def wanted(self) -> Array:
        """Return values about which groups' values should lie, (n_groups,)."""
        ...

    def counted(self, allowed: float) -> float:
        """Return what a plan's sets may count as lost at most if it loses no more than allowed."""
        ...

    def least(self, group: int, sets: GroupSets, total: float) -> float:
        """Return what a group's sets lose at least."""
        ...

    def join(self, group: int, sets: GroupSets, total: float, most: float, places: Index, loss: Array) -> int:
        """Write places in both halves and losses of sets that lose at most so much; return how many.

        One more than there is room for if there are more.
        """
        ...


class LevelLosses:
    """For the smallest value: a total asks a value of each group, and what exceeds it is lost."""

    priced = False
    proves = True

    def __init__(self, utility: Smallest, dual: float) -> None:
        self.utility, self.dual = utility, dual

    def wanted(self) -> Array:
        """Return what is owed of the bound."""
        return self.utility.ideal(self.dual)

    def counted(self, allowed: float) -> float:
        """Return the same: losses are exact."""
        return allowed

    def least(self, group: int, sets: GroupSets, total: float) -> float:
        """Return what a group's sets lose at least if they reach what is owed of the total."""
        one, two = sets.halves
        wanted = self._asked(group, total)
        return float(least_loss(one.value, one.lost, two.value, two.least, sets.slope, wanted))

    def join(self, group: int, sets: GroupSets, total: float, most: float, places: Index, loss: Array) -> int:
        """Write the sets that reach what is owed and lose at most so much."""
        one, two = sets.halves
        wanted = self._asked(group, total)
        return int(
            join_halves(
                one.value, one.lost, two.value, two.lost, sets.slope, wanted, wanted, most, places[0],
                places[1], loss,
            )
        )  # fmt: skip

    def _asked(self, group: int, total: float) -> float:
        asked = float(self.utility.ideal(total)[group])
        return asked - ROUNDING * abs(asked)


class CurvedLosses:
    """For the geometric mean: a value loses what its logarithm lies below the slope's tangent."""

    priced = True

    def __init__(self, utility: Geometric, slopes: Array, total: float, *, proves: bool) -> None:
        self.proves = proves
        self.total, self.weight = total, utility.weights * total
        self.centre = self.weight / slopes

    def wanted(self) -> Array:
        """Return the values at which the slopes are the utility's own."""
        return self.centre

    def counted(self, allowed: float) -> float:
        """Return a little more: logarithms lose more than their exponential, to second order."""
        return allowed + 0.51 * allowed * allowed / self.total

    def least(self, group: int, sets: GroupSets, total: float) -> float:
        """Return what a group's sets lose at least: nothing is known."""
        return 0.0

    def join(self, group: int, sets: GroupSets, total: float, most: float, places: Index, loss: Array) -> int:
        """Write the sets that lose at most so much."""
        one, two = sets.halves
        return int(
            join_curved(
                one.value, one.lost, two.value, two.lost, float(self.weight[group]),
                float(self.centre[group]), most, places[0], places[1], loss,
            )
        )  # fmt: skip


class Frontier:
    """Decides totals at and below the bound.

    Parameters
    ----------
    standing
        Prices, bound and best plan; is told of plans and bounds.
    losses
        What the utility makes of sets.
    """

    def __init__(self, standing: Standing, losses: Losses) -> None:
        self.standing, self.losses = standing, losses
        self.task, self.dual = standing.task, standing.dual
        self.changes = Changes(standing, losses.wanted())
        reach = self.changes.first_reach()
        self.groups = [self.changes.sets(g, reach) for g in range(len(self.task.groups))]

    def run(self, until: float) -> None:
        """Refute totals down from the bound until there is a plan, then between the two, while time lasts."""
        standing = self.standing
        refuted, given_up = standing.bound, -np.inf  # the least total without a plan; the greatest left open
        total, step, reached = standing.bound, 0.25 * standing.enough, False
        for turn in range(MOST_TOTALS):
            if standing.done or standing.late(until):
                return
            self.task.run.report("fair plan", turn + 1, MOST_TOTALS)
            verdict = self.decide(total, until)
            if verdict is None:
                given_up = max(given_up, total)
            elif verdict:
                reached = True
            else:
                refuted = min(refuted, total)
                standing.proven(total, "branch and bound")
            low = max(standing.total, given_up)
            if refuted - low <= 0.25 * standing.enough:
                return
            step = 2.0 * step if verdict is False else 0.25 * (refuted - low)
            total = (
                0.5 * (low + refuted)
                if reached or verdict is None
                else max(refuted - step, 0.5 * (low + refuted))
            )

    def decide(self, total: float, until: float) -> bool | None:
        """Say whether there is a plan worth a total; None if that stays open."""
        allowed = self.losses.counted(self.dual - total + ROUNDING * abs(self.dual))
        needed = self._needed(total, allowed)
        for g, each in enumerate(self.groups):
            if each.reach < needed[g] and not each.full:
                self.groups[g] = self.changes.sets(g, WIDER * needed[g])
        needed = self._needed(total, allowed)
        if needed.min() < 0:
            return False
        join = partial(self.losses.join, total=total)
        return self._choose(
            [self._listed(g, join, most) for g, most in enumerate(needed.tolist())], allowed, until
        )

    def _choose(self, listed: list[Listed], allowed: float, until: float) -> bool | None:
        """Look for a plan of one listed set of each group; None if there may be another."""
        complete = all(each.complete for each in listed) and self.losses.proves
        if not all(len(each.losses) for each in listed):
            return False if complete else None
        order = sorted(range(len(listed)), key=lambda g: len(listed[g].losses))
        fitting = _Fitting(self.changes, [listed[g] for g in order], allowed, priced=self.losses.priced)
        chosen, sure = fitting.choose(until)
        if chosen is None:
            return False if complete and sure else None
        return self.changes.plan(
            [(self.groups[g], listed[g].places[:, k]) for g, k in zip(order, chosen.tolist(), strict=True)]
        )

    def _needed(self, total: float, allowed: float) -> Array:
        """Return the most that each group may lose while the others lose least."""
        least = np.array(
            [min(self.losses.least(g, sets, total), sets.reach) for g, sets in enumerate(self.groups)]
        )
        return np.asarray(allowed - (least.sum() - least))

    def _listed(self, group: int, join: Join, most: float) -> Listed:
        """Return a group's sets that lose at most so much, or those that lose least of them."""
        sets = self.groups[group]
        places, loss = np.empty((2, LISTED), np.int64), np.empty(LISTED)
        allowed, n = most, LISTED + 1
        while n > LISTED:
            n = join(group, sets, most=allowed, places=places, loss=loss)
            allowed *= 0.5 if n > LISTED else 1.0
        order = np.argsort(loss[:n], kind="stable")
        chosen = np.ascontiguousarray(places[:, order])
        return Listed(chosen, loss[order], sets.uses(chosen), allowed == most and sets.reach >= most)


class _Fitting:
    """The choice of one listed set of each group, so that all rows hold and they lose no more than allowed.

    Parameters
    ----------
    changes
        The base plan and the rows.
    listed
        Sets of each group.
    allowed
        The most that they may lose together.
    priced
        Whether what rows leave unused counts.
    """

    def __init__(self, changes: Changes, listed: list[Listed], allowed: float, *, priced: bool) -> None:
        moved = np.any([each.uses.any(axis=0) for each in listed], axis=0)
        rules, used = changes.rules, changes.used
        low, high = changes.windows(allowed)
        rows = np.flatnonzero(moved | (used > high) | (used < low) | (priced & (rules.prices != 0)))
        self.allowed, self.losses = allowed, [each.losses for each in listed]
        self.uses = [np.ascontiguousarray(each.uses[:, rows]) for each in listed]
        self.rules, self.low, self.high, self.used = rules.part(rows), low[rows], high[rows], used[rows]
        self.prices: Array = self.rules.prices if priced else np.zeros(len(rows))
        self.rate: Array = changes.rate[rows] if priced else np.zeros(len(rows))
        self.generator = np.random.default_rng(changes.task.run.seed)

    def choose(self, until: float) -> tuple[Index | None, bool]:
        """Return the place of each group's set among those listed, or None; and whether that is sure."""
        if len(self.used) == 0:
            return np.zeros(len(self.losses), np.int64), True
        found, sure = self._search(until, LOOKS, in_order=True)
        for _ in range(RESTARTS):
            if found is not None or sure or time.monotonic() > until:
                break
            found, sure = self._search(until, 1, in_order=False)
        return found, sure

    def _search(self, until: float, looks: int, *, in_order: bool) -> tuple[Index | None, bool]:
        """Search depth-first, in the order of the lists or in any."""
        orders = [
            np.arange(len(loss)) if in_order else self.generator.permutation(len(loss))
            for loss in self.losses
        ]
        key = self._key()
        orders[-1] = np.argsort(self.uses[-1][:, key], kind="stable")
        losses = [loss[order] for loss, order in zip(self.losses, orders, strict=True)]
        uses = [use[order] for use, order in zip(self.uses, orders, strict=True)]
        least = np.append(np.cumsum([loss.min() for loss in losses[::-1]])[::-1], 0.0)
        starts = np.concatenate([[0], np.cumsum([len(loss) for loss in losses])]).astype(np.int64)
        own, every = np.concatenate(losses), np.concatenate(uses)
        worst = (
            self._from_on([use.min(axis=0) for use in uses]),
            self._from_on([use.max(axis=0) for use in uses]),
        )
        here, lost = np.append(starts[:-1], 0), np.zeros(len(starts))
        now = np.zeros((len(starts), len(self.used)))
        now[0], depth = self.used, 0
        while 0 <= depth < len(losses) and looks > 0 and time.monotonic() < until:
            still_at_it()
            depth = fitting_sets(
                starts, own, every, key, self.low, self.high, least, *worst, self.rules.low, self.rules.high,
                self.prices, self.rate, self.allowed, in_order, NODES, depth, here, lost, now,
            )  # fmt: skip
            looks -= 1
        if depth < len(losses):
            return None, depth < 0
        chosen = here[:-1] - 1 - starts[:-1]
        return np.array([order[k] for order, k in zip(orders, chosen, strict=True)]), True

    def _key(self) -> int:
        """Return the row whose window is narrowest beside what the last group's sets differ in."""
        with np.errstate(divide="ignore", invalid="ignore"):
            narrow = np.nan_to_num((self.high - self.low) / np.ptp(self.uses[-1], axis=0), nan=np.inf)
        return int(np.argmin(narrow))

    def _from_on(self, worst: list[Array]) -> Array:
        return np.append(np.cumsum(worst[::-1], axis=0)[::-1], np.zeros((1, len(self.used))), axis=0)
