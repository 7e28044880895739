"""A budget: at most so much of a cost, for certain or with a stated confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_fields
from allocator.limits.rows import Risk, Row, check_bounds, row
from allocator.limits.scope import Coupons, Users, select, term
from allocator.problem import Problem


@dataclass(frozen=True)
class Budget:
    """At most (and at least) so much of a measure in total: ``Budget(50_000, label="total")``.

    Parameters
    ----------
    confidence
        Where costs are random: the probability with which what is spent stays within `at_most`, by the
        normal approximation (a chance constraint; Charnes and Cooper 1959, "Chance-constrained
        programming"). The expected spend plus so many standard deviations is then at most `at_most`.
    variance
        The measure that holds the variance of each pair's cost, independent between pairs; as
        `allocator.solution.risk.redemption_cost` makes it.
    coupon_error
        Relative standard error of each coupon's expected cost, for one coupon or all: users of a coupon
        share it, so that it does not average out. Such as the error of an estimated redemption rate.
    """

    at_most: float
    label: str = field(default="budget", kw_only=True)
    at_least: float | None = field(default=None, kw_only=True)
    measure: str = field(default="cost", kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)
    confidence: float | None = field(default=None, kw_only=True)
    variance: str = field(default="cost_variance", kw_only=True)
    coupon_error: float | Mapping[str, float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, None, self.at_most, None)
        if self.at_most <= 0:
            raise InputError(
                Finding(
                    f"budget '{self.label}' must be more than 0; remove the limit to spend freely",
                    column="at_most",
                    found=f"{self.at_most:g}",
                )
            )
        check_bounds(self.label, self.at_least, self.at_most, self.penalty)
        self._check_risk()

    def _check_risk(self) -> None:
        name = f"budget '{self.label}'"
        if self.confidence is None:
            if self.coupon_error is not None:
                raise InputError(Finding(f"{name} has a coupon_error but no confidence", column="confidence"))
            return
        findings = []
        if not 0.5 < self.confidence < 1:
            findings.append(
                Finding(
                    f"the confidence of {name} must lie between 0.5 and 1",
                    column="confidence",
                    found=f"{self.confidence:g}",
                )
            )
        for key in ("penalty", "at_least"):
            if getattr(self, key) is not None:
                message = f"{name} has a confidence and cannot have {key}, too; state a limit of its own"
                findings.append(Finding(message, column=key, found=f"{getattr(self, key):g}"))
        given = self.coupon_error
        for error in given.values() if isinstance(given, Mapping) else [0.0 if given is None else given]:
            if not (math.isfinite(error) and error >= 0):
                message = f"the coupon_error of {name} must be 0 or more"
                findings.append(Finding(message, column="coupon_error", found=f"{error:g}"))
        if findings:
            raise InputError(findings)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem; with a confidence, what makes the spend random has its own rows."""
        part = term(problem, self, self.measure)
        spend = row(self.label, [part], self.at_least, self.at_most, self.penalty)
        if self.confidence is None:
            return [spend]
        spread = f"{self.label}[variance]"
        rows = [row(spread, [term(problem, self, self.variance)], None, None, None)]
        for coupon, error in self._errors(problem).items():
            shared = select(problem, self.label, self.measure, self.users, [coupon], weight=error)
            rows.append(row(f"{self.label}[error of {coupon}]", [shared], None, None, None))
        times = NormalDist().inv_cdf(self.confidence)
        risk = Risk(times, spread, tuple(row.label for row in rows[1:]))
        return [replace(spend, risk=risk), *rows]

    def _errors(self, problem: Problem) -> dict[str, float]:
        """Return the error of each coupon that counts and has one."""
        given = self.coupon_error
        if given is None:
            return {}
        inside = problem.coupon_ids[term(problem, self, self.measure).coupons].tolist()
        if isinstance(given, Mapping):
            select(problem, self.label, self.measure, None, list(given))  # names unknown coupons
            return {coupon: float(given[coupon]) for coupon in inside if given.get(coupon, 0.0) > 0}
        return dict.fromkeys(inside, float(given)) if given > 0 else {}
