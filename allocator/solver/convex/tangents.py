"""Proportional fairness in whole numbers: linear problems in which tangents stand for logarithms.

Near the relaxation a logarithm is the least of a few tangents: a slope, and soft rows that add to it below
the points where tangents cross. So a linear problem with a few more rows bounds the objective from above, and
decomposition solves it in whole numbers; where its plan lies, the tangents are then drawn closer.

Duran and Grossmann 1986, "An outer-approximation algorithm for a class of mixed-integer nonlinear programs".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.limits import Limit
from allocator.solver.convex.standing import EnoughError, Listener, Standing
from allocator.solver.convex.utility import Geometric
from allocator.solver.decomposition import decompose
from allocator.solver.fair_groups import name_of

Array = NDArray[np.float64]

LOOSE = 0.05  # of the gap asked for: the most that the utility may lie below tangents next to each other
SPREAD = (0.0, 1.0, 4.0, 16.0)  # where tangents touch on both sides of the centre, in steps
FINER = 0.25  # of the gap asked for: that of each linear problem
ROUNDS = 6


@dataclass(frozen=True)
class _Tangents:
    """Tangents of one group's logarithm, by rising points where they touch.

    The least of them is ``constant + slope x value - the sum of extra x what value lacks to a corner``.
    """

    slope: float
    constant: float
    corners: Array
    extra: Array


def _tangents(weight: float, total: float, centre: float, points: Array) -> _Tangents:
    """Return the tangents of ``total x weight x log(value / centre)`` at some points."""
    slopes = total * weight / points
    corners = np.diff(np.log(points)) / np.diff(-1.0 / points)
    last = total * weight * (math.log(points[-1] / centre) - 1.0)
    return _Tangents(float(slopes[-1]), last, corners, -np.diff(slopes))


class TangentSearch:
    """Searches plans by decomposition of linear problems.

    Parameters
    ----------
    standing
        Prices and bound of the relaxation; is told of plans and bounds.
    utility
        The geometric mean.
    earned
        (n_groups,) the groups' values in the relaxation.
    """

    def __init__(self, standing: Standing, utility: Geometric, earned: Array) -> None:
        self.standing, self.task, self.utility = standing, standing.task, utility
        self.centre = earned
        self.step = math.sqrt(8.0 * LOOSE * max(self.task.run.gap, 1e-12))

    def first(self, until: float) -> None:
        """Find a plan, and exact prices."""
        self._solve(until)

    def run(self, until: float) -> None:
        """Search until the gap is reached, some `time.monotonic()`, or new tangents change nothing."""
        for _ in range(ROUNDS):
            before = self.standing.total, self.standing.bound
            if self.standing.done or self.standing.late(until):
                return
            self._solve(until)
            gained = self.standing.total - before[0], before[1] - self.standing.bound
            if max(gained) <= 0.1 * self.standing.enough:
                return

    def _points(self) -> list[Array]:
        """Return where each group's tangents touch: around the centre, and at the best plan's value."""
        steps = self.step * np.array(SPREAD)
        around = np.exp(np.concatenate([-steps[:0:-1], steps]))
        best = None if self.standing.best is None else self.standing.best.earned
        points = []
        for g, centre in enumerate(self.centre.tolist()):
            at = centre * around
            if best is not None and best[g] > 0 and np.abs(np.log(best[g] / at)).min() > 0.5 * self.step:
                at = np.sort(np.append(at, best[g]))
            points.append(at)
        return points

    def _solve(self, until: float) -> None:
        """Solve the linear problem of the tangents at hand, and learn from it."""
        task, standing = self.task, self.standing
        total = self.utility.equivalent(self.centre)
        tangents = [
            _tangents(float(weight), total, float(centre), points)
            for weight, centre, points in zip(self.utility.weights, self.centre, self._points(), strict=True)
        ]
        unit = max(1.0, *(each.slope for each in tangents))
        slopes = np.array([each.slope for each in tangents])
        rows = [
            Limit(
                label=f"value of {name_of(group)} above {k}",
                measure="value",
                users=group.users,
                at_least=float(corner),
                penalty=float(extra) / unit,
            )
            for group, each in zip(task.groups, tangents, strict=True)
            for k, (corner, extra) in enumerate(zip(each.corners, each.extra, strict=True))
        ]
        model = task.compiled(rows, slopes, unit)
        steeper = np.concatenate(
            [
                np.where(each.corners > centre, each.extra, 0.0)
                for each, centre in zip(tangents, self.centre, strict=True)
            ]
        )
        start = np.concatenate([standing.prices, -steeper]) / unit
        task.run.report("fair plan", 0, 0)
        listener = Listener(standing, lambda best, bound: standing.done)
        until = min(until, task.run.deadline)
        try:
            outcome = decompose(
                model, gap=FINER * task.run.gap, deadline=until, seed=task.run.seed, engines=task.run.engines,
                start=start, report=task.run.report, watch=listener,
            )  # fmt: skip
        except EnoughError:
            return
        if outcome.plan.choice is not None:
            standing.found(outcome.plan.choice)
        if outcome.plan.impossible:
            return
        of_rows = -unit * outcome.prices[task.n_limits :]
        each_group = np.repeat(np.arange(len(tangents)), [len(each.extra) for each in tangents])
        standing.priced(
            unit * outcome.prices[: task.n_limits], slopes + np.bincount(each_group, of_rows, len(tangents))
        )
        bound = unit * min(listener.bound, outcome.plan.bound) + sum(each.constant for each in tangents)
        if not task.soft:
            # The tangents bound the logarithm of the total, which the linear objective has to first order.
            standing.proven(total * math.exp(bound / total), "branch and bound")
        self.centre = self.utility.weights * standing.dual / standing.slopes
