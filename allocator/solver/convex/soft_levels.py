"""The smallest value in whole numbers where limits may be broken at a price: levels, and totals below them.

What a plan is worth is then its level less penalties, so any level may be that of the best plan. Ranges of
levels are split as long as what groups lose at least within them allows a plan of the total asked for.
"""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from allocator.solver.convex.frontier import WIDER, Frontier, LevelLosses
from allocator.solver.convex.sets import ROUNDING, GroupSets
from allocator.solver.convex.sets_kernels import join_halves, least_between
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.utility import Smallest

Array = NDArray[np.float64]

AROUND = 0.1  # of the level in the relaxation: the first range on both sides
NARROW = 0.1  # of what a plan may lose: a range of levels, as totals, that is not split
MOST_RANGES = 100_000


class _RangeLosses(LevelLosses):
    """Within a range of levels, a group's value loses only what exceeds the range."""

    priced = True

    def least_in(self, group: int, sets: GroupSets, low: float, high: float) -> float:
        """Return what a group's sets lose at least."""
        one, two = sets.halves
        wanted, free = self._asked(group, low), self._asked(group, high)
        loss = least_between(one.value, one.lost, two.value, two.lost, two.least, sets.slope, wanted, free)
        return min(float(loss), sets.reach)

    def join_in(
        self, group: int, sets: GroupSets, low: float, high: float, most: float, places: Array, loss: Array
    ) -> int:
        """Write the sets that reach the range and lose at most so much."""
        one, two = sets.halves
        wanted, free = self._asked(group, low), self._asked(group, high)
        return int(
            join_halves(
                one.value, one.lost, two.value, two.lost, sets.slope, wanted, free, most, places[0],
                places[1], loss,
            )
        )  # fmt: skip


class SoftFrontier(Frontier):
    """Decides totals where limits may be broken at a price.

    Parameters
    ----------
    standing, few
        As in `Frontier`.
    utility
        The smallest value.
    lost
        Penalties in the relaxation.
    """

    def __init__(self, standing: Standing, utility: Smallest, lost: float, *, few: bool) -> None:
        self.level = standing.dual + lost
        self.ranges = _RangeLosses(utility, self.level)
        super().__init__(standing, self.ranges, few=few)

    def decide(self, total: float, until: float) -> bool | None:
        """Say whether there is a plan worth a total, about; None if that stays open."""
        allowed = self.dual - total + ROUNDING * abs(self.dual)
        width, turn, sure = AROUND * abs(self.level), 0, True
        ends = [-np.inf, self.level - width, self.level + width, np.inf]
        heap: list[tuple[float, int, float, float]] = []
        for between in pairwise(ends):
            turn = self._push(heap, turn, between, allowed, until)
        while heap and turn < MOST_RANGES and not self.standing.late(until):
            _, _, low, high = heapq.heappop(heap)
            if high - low > NARROW * allowed:
                middle = (
                    0.5 * (low + high) if np.isfinite(high - low) else 2.0 * (low if np.isinf(high) else high)
                )
                if not low < middle < high or abs(middle) > 1e6 * abs(self.level):
                    sure = False
                    continue
                turn = self._push(heap, turn, (low, middle), allowed, until)
                turn = self._push(heap, turn, (middle, high), allowed, until)
                continue
            verdict = self._at(low, high, allowed, until)
            if verdict and self.standing.total >= total - NARROW * allowed:
                return True
            sure &= verdict is False
        return False if sure and not heap else None

    def _push(
        self,
        heap: list[tuple[float, int, float, float]],
        turn: int,
        between: tuple[float, float],
        allowed: float,
        until: float,
    ) -> int:
        """Keep a range of levels if groups may lose little enough in it; return the next number."""
        low, high = between
        least = sum(self._least_in(low, high, allowed, until))
        if least <= allowed:
            heapq.heappush(heap, (least, turn, low, high))
        return turn + 1

    def _least_in(self, low: float, high: float, allowed: float, until: float) -> list[float]:
        """Return what each group loses at least in a range; lists more sets where too few are known."""
        least = [self.ranges.least_in(g, sets, low, high) for g, sets in enumerate(self.groups)]
        for g, sets in enumerate(self.groups):
            needed = allowed - (sum(least) - least[g])
            if sets.reach < needed and not sets.full and not self.standing.late(until):
                self.groups[g] = self.changes.sets(g, WIDER * needed)
                least[g] = self.ranges.least_in(g, self.groups[g], low, high)
        return least

    def _at(self, low: float, high: float, allowed: float, until: float) -> bool | None:
        """Look for a plan of a narrow range."""
        least = self._least_in(low, high, allowed, until)

        def join(group: int, sets: GroupSets, *, most: float, places: Array, loss: Array) -> int:
            return self.ranges.join_in(group, sets, low, high, most, places, loss)

        listed = [self._listed(g, join, allowed - (sum(least) - own)) for g, own in enumerate(least)]
        return self._choose(listed, allowed, until)
