"""The relaxation of a fair objective: prices, slopes of the groups' values, and what the groups share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from allocator.errors import NoPlanError
from allocator.solver.contested import Contested, contest
from allocator.solver.convex.bundle import Bundle, Request
from allocator.solver.convex.program import solve_linear
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.task import Task
from allocator.solver.convex.utility import Utility

Array = NDArray[np.float64]

WHOLE = 30_000  # pairs up to which one linear program takes them all
CLOSE = 1e-6  # share of the value at stake at which prices of all users are good enough
TOUCHES = 15  # times that the linear program is solved, each with more tangents
LEAST = 1e-6  # of a group's ideal share: where a logarithm is touched if the group has nothing


@dataclass(frozen=True)
class Relaxed:
    """The relaxation's solution: the groups' values, (n_groups,), and what soft limits cost."""

    earned: Array
    lost: float


@dataclass(frozen=True)
class Fair:
    """A utility as a piece of the master: its slopes are prices of rows of groups' values, but for sign."""

    rows: NDArray[np.int64]
    utility: Utility

    def support(self, prices: Array) -> float:
        """Return 0 where no values are worth more together than the slopes say, else infinity."""
        _, factor = self.utility.fit(-prices)
        return 0.0 if (prices <= 0).all() and factor <= 1 + 1e-9 else math.inf

    def stated(self, prices: cp.Expression, near: Array) -> tuple[cp.Expression, list[cp.Constraint]]:
        """Return the same for CVXPY."""
        return cp.Constant(0.0), self.utility.stated(-prices, -near)

    def repaired(self, prices: Array) -> Array:
        """Return prices whose slopes are just steep enough."""
        return -self.utility.fit(-prices)[0]


def everyone(task: Task) -> Contested:
    """Return all users as classes with all their pairs."""
    nothing = np.zeros(task.model.n_rows)
    contested = contest(task.model, task.model.gather(np.arange(task.fitting.n_users)), nothing)
    return contested.within(nothing, np.full(task.model.n_rows, np.inf))[0]


def touch(task: Task, earned: Array) -> Array:
    """Return values at which tangents say something, also where a group has nothing."""
    ideal = task.utility.ideal(float(np.maximum(earned, 0.0).sum()))
    return np.maximum(earned, LEAST * ideal)


def relax(standing: Standing) -> Relaxed:
    """Bound the objective, and solve its relaxation.

    Raises
    ------
    NoPlanError
        If even in parts no assignment meets the limits, or time is over.
    """
    if standing.task.fitting.n_pairs <= WHOLE:
        return _by_program(standing)
    return _by_bundle(standing)


def _by_program(standing: Standing) -> Relaxed:
    """Solve linear programs over all pairs, each with the utility's tangents at the one before."""
    task, contested = standing.task, everyone(standing.task)
    near = task.utility.ideal(_most(task))
    touched: list[Array] = []
    lost = 0.0
    for turn in range(TOUCHES):
        task.run.report("fair relaxation", turn + 1, 0)
        answer = solve_linear(task, contested, task.utility.extension(near, touched), task.run.deadline)
        if answer is None:
            break
        standing.priced(answer.prices, answer.slopes)
        touched.append(touch(task, answer.earned))
        near, lost = touched[-1], answer.counted - answer.total
        if answer.counted - task.utility.equivalent(answer.earned) <= 0.1 * standing.enough:
            break
    if not touched:
        raise NoPlanError
    return Relaxed(near, max(lost, 0.0) if task.soft else 0.0)


def _by_bundle(standing: Standing) -> Relaxed:
    """Minimise the dual function over all users."""
    task = standing.task
    rows = np.arange(task.n_limits, task.model.n_rows)
    bundle = Bundle(task.engine, report=lambda k: task.run.report("convex prices", k, 0))
    start = np.zeros(task.model.n_rows)
    start[rows] = -1.0
    found = bundle.minimise(Request([Fair(rows, task.utility)], CLOSE, task.run.deadline), start, step=0.3)
    standing.priced(found.prices[: task.n_limits], -found.prices[rows])
    soft = np.isfinite(task.model.penalty)
    lost = float(task.model.penalty[soft] @ task.model.violation(found.usage)[soft])
    return Relaxed(touch(task, found.usage[rows]), lost)


def _most(task: Task) -> float:
    """Return what all users' best choices are worth."""
    start = np.zeros(task.model.n_rows)
    start[task.n_limits :] = -1.0
    return task.engine.price(start).reduced or 1.0
