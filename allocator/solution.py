"""What `solve` returns: assignments, prices, usage and the certificate."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        ``dual prices`` (recomputed by the certificate), ``branch and bound`` or ``concave dual``.
    prices
        Dual price by row label, in objective units per unit of the row.
    certificate
        The independent check.
    method, seconds, seed
        How it was solved.
    utility
        Value of a concave objective, where one was asked for; `bound` then bounds it.
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

    @property
    def gap(self) -> float:
        """Relative optimality gap: (bound - objective) / |bound|."""
        reached = self.objective if self.utility is None else self.utility
        return relative_gap(reached, self.bound)

    @property
    def usage(self) -> tuple[LimitUsage, ...]:
        """One row for each row of each limit."""
        stake = max(abs(self.objective), 1e-12)
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

        bound = self.bound if self.utility is None else None
        return certify(self.problem, self.limits, self.choice, self.prices, self.objective, bound)

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


class Pricer:
    """Decides for an unseen user from prices alone, in O(coupons x limits).

    Parameters
    ----------
    problem, limits, prices
        Of the plan.
    """

    def __init__(self, problem: Problem, limits: Sequence[LimitLike], prices: Mapping[str, float]) -> None:
        self.coupon_ids = problem.coupon_ids
        self._labels = {
            column: {label: code for code, label in enumerate(grouping.labels)}
            for column, grouping in problem.groups.items()
        }
        rows = [row for limit in limits for row in limit.rows(problem)]
        self._charges = [
            (term, prices.get(row.label, 0.0) * term.weight)
            for row in rows
            for term in row.terms
            if prices.get(row.label, 0.0) != 0.0
        ]
        self._excluded = [
            term
            for row in rows
            if row.label not in prices
            for term in row.terms
            if row.at_most == 0 and term.measure == "count"
        ]

    def reduced_values(
        self, value: ArrayLike, measures: Mapping[str, ArrayLike], groups: Mapping[str, str] | None = None
    ) -> NDArray[np.float64]:
        """Return value less prices paid for each coupon, (n_coupons,); -inf where not eligible.

        Parameters
        ----------
        value
            (n_coupons,) NaN where not eligible.
        measures
            Each (n_coupons,).
        groups
            The user's label in each group column.
        """
        groups = groups or {}
        worth = np.asarray(value, dtype=np.float64)
        reduced = worth.copy()
        amounts = {"value": worth, **{k: np.asarray(v, dtype=np.float64) for k, v in measures.items()}}
        for term, price in self._charges:
            if self._inside(term.users, groups):
                amount = 1.0 if term.measure == "count" else amounts[term.measure]
                reduced -= price * amount * term.coupons
        for term in self._excluded:
            if self._inside(term.users, groups):
                reduced[term.coupons] = -np.inf
        return np.where(np.isnan(worth), -np.inf, reduced)

    def decide(
        self, value: ArrayLike, measures: Mapping[str, ArrayLike], groups: Mapping[str, str] | None = None
    ) -> str | None:
        """Return the coupon with the greatest positive reduced value, or None."""
        reduced = self.reduced_values(value, measures, groups)
        best = int(np.argmax(reduced))
        return str(self.coupon_ids[best]) if reduced[best] > 0 else None

    def _inside(self, users: Mapping[str, frozenset[int]], groups: Mapping[str, str]) -> bool:
        return all(
            self._labels[column].get(groups.get(column, "")) in codes for column, codes in users.items()
        )


def relative_gap(objective: float, bound: float) -> float:
    """Return (bound - objective) / |bound|, 0 where both agree to rounding."""
    difference = bound - objective
    if difference <= 1e-12 * max(1.0, abs(bound)):
        return 0.0
    return difference / max(abs(bound), 1e-12)
