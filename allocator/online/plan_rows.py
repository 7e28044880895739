"""The rows of a solved plan, with what pacing needs to know of each."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from allocator.batch import Batch
from allocator.online.plan import PlanRow
from allocator.problem import Problem
from allocator.row_tables import named_terms
from allocator.rows import Row
from allocator.solution import Solution

Array = NDArray[np.float64]

SAMPLE = 4096  # users from whom rates and worths are estimated


def plan_rows(solution: Solution) -> tuple[PlanRow, ...]:
    """Return every row of a plan's limits, with its price and its size for pacing."""
    problem = solution.problem
    rows = [row for limit in solution.limits for row in limit.rows(problem)]
    used = {check.label: check.used for check in solution.certificate.rows}
    users = np.unique(np.linspace(0, problem.n_users - 1, min(SAMPLE, problem.n_users)).astype(np.int64))
    sample = problem.gather(users)
    given = _given(solution, users)
    result = []
    for row in rows:
        at_least, at_most = solution.relaxed.get(row.label, (row.at_least, row.at_most))
        rate, worth = _sizes(problem, sample, given, row)
        margin = 0.0
        if row.risk is not None and math.isfinite(at_most):
            margin = max(row.risk.times * row.risk.deviation(used), 0.0)
        result.append(
            PlanRow(
                label=row.label,
                terms=named_terms(problem, row),
                at_least=float(at_least),
                at_most=float(at_most),
                penalty=float(row.penalty),
                price=0.0 if row.is_exclusion else float(solution.prices.get(row.label, 0.0)),
                margin=float(margin),
                rate=max(rate, abs(used.get(row.label, 0.0)) / problem.n_users),
                worth=worth,
            )
        )
    return tuple(result)


def _given(solution: Solution, users: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which coupons the plan gives some users, (n, n_coupons)."""
    choice = solution.choice.reshape(solution.problem.n_users, -1)[users]
    given = np.zeros((len(users), solution.problem.n_coupons), np.bool_)
    user, slot = np.nonzero(choice >= 0)
    given[user, choice[user, slot]] = True
    return given


def _sizes(problem: Problem, sample: Batch, given: NDArray[np.bool_], row: Row) -> tuple[float, float]:
    """Return how much of a row a user moves under the plan, and the value that comes with a unit."""
    use = np.zeros(given.shape)
    users = sample.indices()
    for term in row.terms:
        inside = np.ones(len(users), np.bool_)
        for column, codes in term.users.items():
            inside &= np.isin(problem.groups[column].codes[users], list(codes))
        amount = 1.0 if term.measure == "count" else np.asarray(sample.measure(term.measure), np.float64)
        use += np.where(inside[:, None] & term.coupons, term.weight * amount, 0.0)
    size = np.abs(np.nan_to_num(use))
    rate = float(np.where(given, size, 0.0).sum() / len(users))
    for pairs in (given & (size > 0), ~np.isnan(sample.value) & (size > 0)):
        if total := float(size[pairs].sum()):
            return rate, float(np.abs(sample.value[pairs]).sum()) / total
    return rate, 0.0
