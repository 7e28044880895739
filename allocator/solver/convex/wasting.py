"""What is left once the smallest value is as great as it can be: the sum of values, with that held."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.certificate import certify
from allocator.limits import Limit
from allocator.limits.rows import LimitLike, Row
from allocator.problem import Problem
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.task import Judged, Task
from allocator.solver.convex.utility import Smallest
from allocator.solver.decomposition import decompose
from allocator.solver.fair_groups import name_of
from allocator.solver.model import compile_model

Array = NDArray[np.float64]

LEAST_SECONDS = 5.0  # that this may take; as long as all before it, if that is more
ROUNDING = 1e-12  # relative


@dataclass(frozen=True)
class _NoFurther:
    """A limit whose soft rows are violated no further than in a plan: each becomes hard there.

    A row that the plan violates still costs its penalty.
    """

    limit: LimitLike
    violation: Mapping[str, float]

    @property
    def label(self) -> str:
        return self.limit.label

    def rows(self, problem: Problem) -> list[Row]:
        return [row for stated in self.limit.rows(problem) for row in self._kept(stated)]

    def _kept(self, row: Row) -> list[Row]:
        if math.isinf(row.penalty):
            return [row]
        over = self.violation[row.label]
        if over == 0:
            return [replace(row, penalty=math.inf)]
        wall = replace(
            row, label=f"{row.label} no further", penalty=math.inf,
            at_least=row.at_least - over, at_most=row.at_most + over,
        )  # fmt: skip
        return [row, wall]


def waste_nothing(standing: Standing, utility: Smallest) -> Array:
    """Take a plan of a greater sum of values whose smallest value is as great within the gap, if any is.

    Returns
    -------
    array
        (n_limits,) prices of the limits for the sum of values with the smallest value held; those of the
        fair objective itself where they are not known.
    """
    task, best = standing.task, standing.best
    assert best is not None
    held = min(best.total, standing.bound - standing.enough) if standing.done else best.total
    held -= ROUNDING * abs(held)
    smallest = (held + best.lost) * utility.share
    holds = [
        Limit(
            label=f"smallest value of {name_of(group)}",
            measure="value",
            users=group.users,
            at_least=smallest * float(owed),
        )
        for group, owed in zip(task.groups, utility.owed, strict=True)
    ]
    model = compile_model(task.fitting, [*_no_further(task, best), *holds])
    now = time.monotonic()
    until = min(task.run.deadline, now + max(LEAST_SECONDS, now - task.run.began))
    task.run.report("sum of values", 0, 0)
    outcome = decompose(
        model, gap=task.run.gap, deadline=until, seed=task.run.seed, engines=task.run.engines,
        report=task.run.report,
    )  # fmt: skip
    judged = None if outcome.plan.choice is None else task.judge(outcome.plan.choice)
    if judged is None or judged.total < held:
        return standing.prices
    if judged.objective > best.objective:
        standing.best = judged
    named = dict(zip(model.labels, outcome.prices.tolist(), strict=True))
    lowest, highest = task.model.price_range()
    prices = np.array([named[label] for label in task.model.labels[: task.n_limits]])
    return np.asarray(np.clip(prices, lowest[: task.n_limits], highest[: task.n_limits]))


def _no_further(task: Task, plan: Judged) -> list[LimitLike]:
    if not task.soft:
        return list(task.limits)
    checked = certify(task.problem, task.limits, plan.choice, {})
    violation = {row.label: row.violation for row in checked.rows}
    return [_NoFurther(limit, violation) for limit in task.limits]
