"""The greatest smallest value: a search over the level that every group must reach.

With all groups but one held at a level, the most that this one can be worth is a linear problem, which
decomposition solves and bounds in whole numbers. If it falls short of the level, no plan lifts every group to
it; if not, its plan does. The level is searched between the best plan and the least bound.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from allocator.limits import Limit
from allocator.solver.convex.standing import EnoughError, Listener, Standing
from allocator.solver.convex.utility import Smallest
from allocator.solver.decomposition import decompose
from allocator.solver.fair_groups import name_of
from allocator.solver.model import Model

Array = NDArray[np.float64]

FINER = 0.25  # of the gap asked for: that of each linear problem
FIRST_SECONDS, MORE_TIME = 2.0, 2.0  # that one level may take, and by how much more the next round may
LOWER = (1e-3, 1e-2, 0.1, 0.5)  # of the bound, below it: further levels to find a first plan at
STEEP = 4.0  # slopes that a unit of value costs which a group lacks
NEAR = 0.9  # of the gap asked for, below the bound: the first level


class LevelSearch:
    """Searches the greatest level by decomposition.

    Parameters
    ----------
    standing
        Prices and bound of the relaxation; is told of plans and bounds.
    utility
        The smallest value.
    lost
        What soft limits cost in the relaxation: levels must be so much above what a plan is to be worth.
    """

    def __init__(self, standing: Standing, utility: Smallest, lost: float) -> None:
        self.standing, self.task, self.utility, self.lost = standing, standing.task, utility, lost
        shares = standing.slopes * utility.owed
        free = int(np.argmax(shares))
        self.held = np.arange(len(shares)) != free
        self.penalty = 1.0 + STEEP * standing.slopes / standing.slopes[free]
        priced = self.held | self.task.soft
        prices = np.concatenate([standing.prices, -standing.slopes[priced]])
        self.start = prices * (
            utility.owed[free] * utility.share if self.task.soft else 1.0 / standing.slopes[free]
        )
        self.seconds = FIRST_SECONDS

    def first(self, until: float) -> None:
        """Find a plan, and exact prices: at levels ever lower."""
        standing = self.standing
        for below in (NEAR * self.task.run.gap, *LOWER):
            if standing.done or standing.late(until) or np.isfinite(standing.total):
                break
            self.seconds = max(FIRST_SECONDS, 0.5 * (until - time.monotonic()))
            self._decide(standing.bound - below * abs(standing.bound), until)
        self.seconds = FIRST_SECONDS

    def run(self, until: float) -> None:
        """Search until the gap is reached, some `time.monotonic()`, or nothing is left to learn."""
        standing = self.standing
        refuted, given_up = standing.bound, -np.inf  # the least level without a plan; the greatest left open
        level = standing.bound - NEAR * standing.enough
        while not standing.done and not standing.late(until) and np.isfinite(standing.total):
            verdict = self._decide(level, until)
            if verdict is None:
                given_up = max(given_up, level)
            elif not verdict:
                refuted = min(refuted, level)
            low = max(standing.total, given_up)
            if refuted - low <= 0.25 * standing.enough:
                if time.monotonic() + self.seconds > until:
                    return
                self.seconds *= MORE_TIME
                given_up = low = standing.total
            level = 0.5 * (low + refuted)

    def _decide(self, level: float, until: float) -> bool | None:
        """Say whether a plan is worth as much as a level, a total; None if that stays open."""
        task, standing, owed = self.task, self.standing, self.utility.owed
        (free,) = np.flatnonzero(~self.held)
        unit = float(owed.sum() / owed[free])
        smallest = (level + self.lost) * self.utility.share
        model = self._model(smallest, unit)
        task.run.report("smallest value", 0, 0)

        def served(best: float, bound: float) -> bool:
            return standing.done or best >= level or (not task.soft and bound * unit < level)

        listener = Listener(standing, served)
        try:
            outcome = decompose(
                model, gap=FINER * task.run.gap,
                deadline=min(until, task.run.deadline, time.monotonic() + self.seconds), seed=task.run.seed,
                engines=task.run.engines, start=self.start, report=task.run.report, watch=listener,
            )  # fmt: skip
            bound = listener.bound
            if outcome.plan.impossible:
                bound = -np.inf
            else:
                self._learn(outcome.prices, unit)
                bound = min(bound, outcome.plan.bound)
            if outcome.plan.choice is not None:
                standing.found(outcome.plan.choice)
        except EnoughError:
            bound = listener.bound
            if listener.at_hand.prices is not None:
                self._learn(listener.at_hand.prices, unit)
        if not task.soft:
            standing.proven(max(level, bound * unit), "branch and bound")
        if standing.total >= level:
            return True
        return False if not task.soft and bound * unit < level else None

    def _learn(self, prices: Array, unit: float) -> None:
        """Take over the prices of a linear problem: a start for the next, and a bound on the objective."""
        self.start = prices
        slopes = np.full(len(self.held), unit)
        slopes[self.held | self.task.soft] = -unit * prices[self.task.n_limits :]
        self.standing.priced(unit * prices[: self.task.n_limits], slopes)

    def _model(self, smallest: float, unit: float) -> Model:
        """Return the linear model in which one group earns, and the others have their smallest value.

        What they lack to it costs more than it could earn elsewhere, so that there is a plan early on. Where
        limits may be broken at a price, more than the smallest value would be bought for the one, too: then
        it loses what it lacks to that instead.
        """
        soft = self.task.soft
        holds = [
            Limit(
                label=f"smallest value of {name_of(group)}",
                measure="value",
                users=group.users,
                at_least=smallest * float(owed),
                penalty=float(penalty) if held else 1.0,
            )
            for group, owed, held, penalty in zip(
                self.task.groups, self.utility.owed, self.held, self.penalty, strict=True
            )
            if held or soft
        ]
        return self.task.compiled(holds, np.where(self.held | soft, 0.0, unit), unit)
