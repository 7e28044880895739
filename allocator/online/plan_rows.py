"""The rows of a solved plan, with what pacing needs to know of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.limits.row_tables import NamedTerm, named_terms
from allocator.limits.rows import Row
from allocator.problem import Problem
from allocator.problem.batch import Batch
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


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One row of a limit: the sum of `terms` within [`at_least`, `at_most`], and what a unit is worth.

    Parameters
    ----------
    label, terms, at_least, at_most, penalty
        As in `allocator.limits.rows.Row`; terms by label. A plan of least violation has the bounds
        that it keeps.
    price
        Dual price in objective units per unit of the row.
    margin
        What the plan keeps free below `at_most` because costs are random.
    rate
        How much of the row a user moves on average, up or down.
    worth
        Value that comes with one unit, on average over what could be given: the size of a price that
        would matter.
    """

    label: str
    terms: tuple[NamedTerm, ...]
    at_least: float = -math.inf
    at_most: float = math.inf
    penalty: float = math.inf
    price: float = 0.0
    margin: float = 0.0
    rate: float = 0.0
    worth: float = 0.0

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def is_open(self) -> bool:
        """Whether the row has no bounds: it only counts, such as the variance of a cost."""
        return math.isinf(self.at_least) and math.isinf(self.at_most)

    @property
    def is_exclusion(self) -> bool:
        """Whether the row says that some assignments never happen: a hard count of at most 0."""
        counts = all(term.measure == "count" and term.weight > 0 for term in self.terms)
        return counts and self.at_most == 0 and self.at_least <= 0 and math.isinf(self.penalty)

    @property
    def is_guaranteed(self) -> bool:
        """Whether a counter can keep the row below `at_most` for certain.

        So it is for a hard row whose every decision adds to it, or adds nothing. All others (floors,
        shares, parities, returns, soft limits) steer decisions by their prices alone.
        """
        grows = all(term.weight >= 0 and term.measure != "value" for term in self.terms)
        return grows and math.isfinite(self.at_most) and math.isinf(self.penalty)
