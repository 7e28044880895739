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
WIDEN = 4.0  # levels refuted one after another lie ever farther apart
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
        prices = np.concatenate([standing.prices, -standing.slopes[self.held]])
        self.start = prices / standing.slopes[free]
        self.seconds = FIRST_SECONDS

    def first(self, until: float) -> None:
        """Find a plan, and exact prices: at levels ever lower."""
        step = self.standing.enough
        level = self.standing.bound - NEAR * step
        while not self.standing.done and not self.standing.late(until):
            self._decide(level, until)
            if np.isfinite(self.standing.total):
                return
            step *= 10.0 * WIDEN
            level = self.standing.bound - step

    def run(self, until: float) -> None:
        """Search until the gap is reached, some `time.monotonic()`, or nothing is left to learn."""
        standing = self.standing
        step = standing.enough
        level = standing.bound - NEAR * standing.enough
        first, last = np.inf, -np.inf  # levels that were given up
        reached = False
        while not standing.done and not standing.late(until):
            verdict = self._decide(level, until)
            if verdict is None:
                first, last = min(first, level), max(last, level)
            reached = reached or bool(verdict)
            low, high = standing.total, standing.bound
            if not reached and verdict is not None:
                step *= WIDEN
                level = max(high - step, 0.5 * (low + high)) if np.isfinite(low) else high - step
            else:
                first, last = max(first, low), min(last, high)
                below, above = (first - low, high - last) if first <= last else (high - low, 0.0)
                if max(below, above) <= 0.25 * standing.enough:
                    first, last = np.inf, -np.inf
                    self.seconds *= MORE_TIME
                    if time.monotonic() + self.seconds > until:
                        return
                    level = 0.5 * (low + high)
                    continue
                level = low + 0.5 * below if below >= above else last + 0.5 * above

    def _decide(self, level: float, until: float) -> bool | None:
        """Say whether a plan is worth as much as a level, a total; None if that stays open."""
        task, standing, owed = self.task, self.standing, self.utility.owed
        (free,) = np.flatnonzero(~self.held)
        unit = float(owed.sum() / owed[free])
        smallest = (level + self.lost) * self.utility.share
        model = self._model(smallest, unit)
        task.run.report("smallest value", 0, 0)

        def served(best: float, bound: float) -> bool:
            return standing.done or best >= level or (self.lost == 0 and bound * unit < level)

        listener = Listener(standing, served)
        try:
            outcome = decompose(
                model, gap=FINER * task.run.gap,
                deadline=min(until, task.run.deadline, time.monotonic() + self.seconds), seed=task.run.seed,
                engines=task.run.engines, start=self.start, report=task.run.report,
                watch=listener,
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
        if self.lost == 0:
            standing.proven(max(level, bound * unit), "branch and bound")
        if standing.total >= level:
            return True
        return False if self.lost == 0 and bound * unit < level else None

    def _learn(self, prices: Array, unit: float) -> None:
        """Take over the prices of a linear problem: a start for the next, and a bound on the objective."""
        self.start = prices
        slopes = np.full(len(self.held), unit)
        slopes[self.held] = -unit * prices[self.task.n_limits :]
        self.standing.priced(unit * prices[: self.task.n_limits], slopes)

    def _model(self, smallest: float, unit: float) -> Model:
        """Return the linear model in which one group earns, and the others have their smallest value."""
        holds = [
            Limit(
                label=f"smallest value of {name_of(group)}",
                measure="value",
                users=group.users,
                at_least=smallest * float(owed),
            )
            for group, owed, held in zip(self.task.groups, self.utility.owed, self.held, strict=True)
            if held
        ]
        return self.task.compiled(holds, np.where(self.held, 0.0, unit), unit)
