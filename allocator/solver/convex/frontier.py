"""Totals in whole numbers: whether there is a plan worth so much, group by group.

Against the dual bound a plan loses what its choices lose at the prices, what its groups' values lie off from
where the utility has the prices' slopes, and unused rows. So for a total to be reached, each group can only
lose what the others leave, and few sets of changes lose as little. One of each group is looked for, so that
together they keep the rows that groups share; if there is none among all, no plan is worth that much.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allocator.solver.convex.fitting import Fitting
from allocator.solver.convex.sets import ROUNDING, Changes, GroupSets, Listed
from allocator.solver.convex.sets_kernels import join_curved, join_halves, least_loss
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.utility import Geometric, Smallest

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_TOTALS = 60  # to decide
LISTED = 50_000  # sets of one group to choose from at once
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
    few
        Whether to list only sets that no other beats in value and in cost at the prices. That overlooks no
        total if one row has a price: without the rows that have none there is a plan of them, if of any.
    """

    def __init__(self, standing: Standing, losses: Losses, *, few: bool) -> None:
        self.standing, self.losses = standing, losses
        self.task, self.dual = standing.task, standing.dual
        self.changes = Changes(standing, losses.wanted(), few=few)
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
            if self.standing.late(until):
                return None
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
        complete = all(each.complete for each in listed) and self.losses.proves and self.changes.proves
        if not all(len(each.losses) for each in listed):
            return False if complete else None
        order = sorted(range(len(listed)), key=lambda g: len(listed[g].losses))
        in_order, priced = [listed[g] for g in order], self.losses.priced
        chosen, sure = Fitting(self.changes, in_order, allowed, priced=priced).choose(until)
        if chosen is None:
            if complete and sure and self.changes.dropped.any():
                rows = ~self.changes.dropped
                chosen, sure = Fitting(self.changes, in_order, allowed, priced=priced, rows=rows).choose(
                    until
                )
                return False if sure and chosen is None else None
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
