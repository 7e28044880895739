"""What `solve` returns: assignments, prices, usage and the certificate."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.pricer import Pricer
from allocator.problem import Problem
from allocator.rows import LimitLike

if TYPE_CHECKING:
    import polars as pl

    from allocator.solver.certificate import Certificate


class Status(enum.StrEnum):
    """How good the plan is."""

    OPTIMAL = "optimal"
    """The gap is at most the one asked for."""
    FEASIBLE = "feasible"
    """Every hard limit holds; time or method ended before the gap was reached."""


@dataclass(frozen=True)
class LimitUsage:
    """One row of a limit in the plan.

    Parameters
    ----------
    used, at_least, at_most
        In the limit's unit; an open bound is infinite.
    slack
        Distance to the nearer bound; negative if a soft limit is violated.
    price
        Dual price: objective units gained by one more unit of the bound that binds.
    binding
        Whether the limit holds the plan back (its price is not zero).
    """

    label: str
    used: float
    at_least: float
    at_most: float
    slack: float
    price: float
    binding: bool


@dataclass(frozen=True)
class Solution:
    """A plan with its proof.

    Parameters
    ----------
    problem, limits
        What was solved.
    status
        `Status.OPTIMAL` or `Status.FEASIBLE`.
    choice
        (n_users,) coupon index, -1 for none; (n_users, k) if `per_user` allows k > 1.
    objective
        Value of the plan less penalties of soft limits.
    bound
        No plan is worth more.
    bound_source
        ``dual prices`` (recomputed by the certificate) or ``branch and bound`` (as the solver states it).
    prices
        Dual price by row label, in objective units per unit of the row; an exclusion has none.
    certificate
        The independent check.
    method, seconds, seed
        How it was solved.
    utility, utility_bound
        Value and upper bound of a concave objective, where one was asked for: for proportional
        fairness the weighted geometric mean of the groups' values.
    """

    problem: Problem = field(repr=False)
    limits: tuple[LimitLike, ...] = field(repr=False)
    status: Status
    choice: NDArray[np.int64] = field(repr=False)
    objective: float
    bound: float
    bound_source: str
    prices: Mapping[str, float] = field(repr=False)
    certificate: Certificate = field(repr=False)
    method: str
    seconds: float
    seed: int
    utility: float | None = None
    utility_bound: float | None = None

    @property
    def gap(self) -> float:
        """Relative optimality gap, (bound - objective) / |bound|; of the utility where there is one."""
        if self.utility is not None and self.utility_bound is not None:
            return relative_gap(self.utility, self.utility_bound)
        return relative_gap(self.objective, self.bound)

    @property
    def usage(self) -> tuple[LimitUsage, ...]:
        """One row for each row of each limit."""
        stake = abs(self.objective)
        result = []
        for row in self.certificate.rows:
            price = self.prices.get(row.label, 0.0)
            slack = min(row.at_most - row.used, row.used - row.at_least)
            side = row.at_most if price > 0 else row.at_least
            worth = abs(price) * max(abs(side), 1.0) if np.isfinite(side) else 0.0
            result.append(
                LimitUsage(row.label, row.used, row.at_least, row.at_most, slack, price, worth > 1e-9 * stake)
            )
        return tuple(result)

    def verify(self) -> Certificate:
        """Check the plan again as it stands now, against the objective and bound stated."""
        from allocator.solver.certificate import certify

        return certify(self.problem, self.limits, self.choice, self.prices, self.objective, self.bound)

    def assignments(self) -> pl.DataFrame:
        """Return one row an assignment: ``user_id, coupon_id, value`` and every measure."""
        import polars as pl

        choice = self.choice.reshape(self.problem.n_users, -1)
        user, slot = np.nonzero(choice >= 0)
        coupon = choice[user, slot]
        columns = {
            "user_id": self.problem.user_ids[user],
            "coupon_id": self.problem.coupon_ids[coupon],
            "value": self.problem.value[user, coupon],
        }
        for name, measure in self.problem.measures.items():
            columns[name] = measure[user, coupon]
        return pl.DataFrame(columns)

    def pricer(self) -> Pricer:
        """Return what decides for a user that the plan has not seen."""
        return Pricer(self.problem, self.limits, self.prices)


def relative_gap(objective: float, bound: float) -> float:
    """Return (bound - objective) / the larger of both sizes, 0 where they agree to rounding."""
    size = max(abs(bound), abs(objective))
    difference = bound - objective
    return 0.0 if difference <= 1e-12 * size else difference / size
