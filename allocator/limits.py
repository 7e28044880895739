"""Limits: what must hold for a plan, each under its own label.

Every limit is *measure x where (user groups x coupons) x bounds*, stated as `allocator.rows.Row`
objects; a limit knows nothing of the solver.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Literal

from allocator.errors import Finding, InputError
from allocator.problem import Problem
from allocator.rows import (
    By,
    Coupons,
    LimitLike,
    Risk,
    Row,
    Term,
    Users,
    check_bounds,
    check_by,
    each_group,
    groups_of,
    row,
    select,
    term,
)

__all__ = [
    "Budget", "Capacity", "Exclude", "Floor", "Inventory", "Limit", "LimitLike", "Parity", "ReturnFloor",
    "Risk", "Row", "Share", "Term", "check_bounds", "each_group", "row", "select", "term",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The general limit: at least and at most so much of a measure, over some users and coupons.

    Parameters
    ----------
    label
        The name that every message, price and table uses.
    measure
        ``count``, ``value`` or a measure of the problem.
    users, coupons
        Where it counts; everywhere unless given.
    at_least, at_most
        Bounds, in units of the measure.
    penalty
        Makes the limit soft: objective units lost for each unit of violation.
    """

    label: str
    measure: str = "cost"
    users: Users | None = None
    coupons: Coupons | None = None
    at_least: float | None = None
    at_most: float | None = None
    penalty: float | None = None

    def __post_init__(self) -> None:
        check_bounds(self.label, self.at_least, self.at_most, self.penalty)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        return _within_bounds(problem, self)


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
        `allocator.risk.redemption_cost` makes it.
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
        if self.confidence is None:
            return _within_bounds(problem, self)
        spread = f"{self.label}[variance]"
        rows = [row(spread, [term(problem, self, self.variance)], None, None, None)]
        for coupon, error in self._errors(problem).items():
            part = select(problem, self.label, self.measure, self.users, [coupon], weight=error)
            rows.append(row(f"{self.label}[error of {coupon}]", [part], None, None, None))
        times = NormalDist().inv_cdf(self.confidence)
        risk = Risk(times, spread, tuple(row.label for row in rows[1:]))
        return [replace(_within_bounds(problem, self)[0], risk=risk), *rows]

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


@dataclass(frozen=True)
class Inventory:
    """At most so many users for each coupon: ``Inventory({"C1": 900})``. One price for each coupon."""

    at_most: Mapping[str, float]
    label: str = field(default="inventory", kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for coupon, stock in self.at_most.items():
            check_bounds(f"{self.label}[{coupon}]", None, stock, self.penalty)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        return [
            row(
                f"{self.label}[{coupon}]",
                [select(problem, self.label, "count", None, [coupon])],
                None,
                stock,
                self.penalty,
            )
            for coupon, stock in self.at_most.items()
        ]


@dataclass(frozen=True)
class Capacity:
    """At most so many messages, over all coupons or on one channel.

    A channel's messages are the measure ``messages_<channel>`` where the problem has it, as a
    campaign's has; else the assignments of the coupons whose ``channel`` group it is.
    """

    at_most: float
    label: str = field(default="capacity", kw_only=True)
    channel: str | None = field(default=None, kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(self.label, None, self.at_most, self.penalty)
        if self.channel is not None and self.coupons is not None:
            raise InputError(
                Finding(
                    f"limit '{self.label}' names a channel and coupons; name one of them", column="channel"
                )
            )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        measure, coupons = "count", self.coupons
        if self.channel is not None:
            measure = f"messages_{self.channel}"
            if measure not in problem.measures:
                measure, coupons = "count", {"channel": self.channel}
        part = select(problem, self.label, measure, self.users, coupons)
        return [row(self.label, [part], None, self.at_most, self.penalty)]


@dataclass(frozen=True)
class Floor:
    """At least so much of a measure, for some users or for each group of them.

    Parameters
    ----------
    at_least
        The bound; with `per_head`, for each user of the group, so that 0.1 of ``count`` means that
        at least 10 % of the group's users get a coupon.
    by
        A group column: one row for each of its labels, labelled ``label[group]``; or several columns: one
        for each combination among the users, ``label[east, 18-24]``. A group without users has no row.
    """

    at_least: float
    label: str = field(default="floor", kw_only=True)
    measure: str = field(default="count", kw_only=True)
    by: By | None = field(default=None, kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    per_head: bool = field(default=False, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(self.label, self.at_least, None, self.penalty)
        check_by(self.label, self.by, self.users)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        result = []
        for group in groups_of(problem, self.label, self.by, self.users):
            users = {**(self.users or {}), **group.users}
            part = select(problem, self.label, self.measure, users, self.coupons)
            bound = self.at_least * (group.size if self.per_head else 1)
            result.append(row(group.label, [part], bound, None, self.penalty))
        return result


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a measure's total that falls to some users and coupons stays within bounds.

    ``Share(label="north", users={"region": "north"}, at_least=0.2)``: at least a fifth of the spend
    goes to the north. ``Share(label="regions", by="region", at_least=0.1)``: at least a tenth to each
    region; several columns make a row for each combination, as in `Floor`.
    """

    label: str
    measure: str = "cost"
    by: By | None = None
    users: Users | None = None
    coupons: Coupons | None = None
    at_least: float | None = None
    at_most: float | None = None
    penalty: float | None = None

    def __post_init__(self) -> None:
        check_bounds(self.label, self.at_least, self.at_most, self.penalty)
        check_by(self.label, self.by, self.users)
        if self.users is None and self.coupons is None and self.by is None:
            message = f"share '{self.label}' must name users or coupons, or columns to group by"
            raise InputError(Finding(message, column="users"))
        for bound in (self.at_least, self.at_most):
            if bound is not None and not 0 <= bound <= 1:
                raise InputError(
                    Finding(f"share '{self.label}' must lie between 0 and 1", found=f"{bound:g}")
                )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: part - share x total has a sign."""
        sides = [s for s in (("at_least", self.at_least), ("at_most", self.at_most)) if s[1] is not None]
        result = []
        for group in groups_of(problem, self.label, self.by, self.users):
            users = {**(self.users or {}), **group.users}
            part = select(problem, self.label, self.measure, users, self.coupons)
            for side, share in sides:
                total = select(problem, self.label, self.measure, None, None, weight=-float(share or 0.0))
                label = group.label if len(sides) == 1 else f"{group.label}[{side}]"
                least, most = (0.0, None) if side == "at_least" else (None, 0.0)
                result.append(row(label, [part, total], least, most, self.penalty))
        return result


@dataclass(frozen=True)
class Parity:
    """No group fares much better or worse than all users together.

    Parameters
    ----------
    by
        The group column, or several: then each combination of labels among the users is a group.
    tolerance
        Largest absolute difference between a group's rate and the rate of all users.
    rate
        ``assigned``: share of users who get a coupon (coupons a head where `per_user` allows more
        than one). ``benefit``: value a head, in objective units.
    """

    by: By
    tolerance: float
    label: str = field(default="parity", kw_only=True)
    rate: Literal["assigned", "benefit"] = field(default="assigned", kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(self.label, None, self.tolerance, self.penalty)
        check_by(self.label, self.by)
        if self.tolerance < 0:
            raise InputError(
                Finding(f"parity '{self.label}' needs a tolerance of at least 0", column="tolerance")
            )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem; rows are in users, so that a price is a price per user."""
        measure = "count" if self.rate == "assigned" else "value"
        result = []
        for group in groups_of(problem, self.label, self.by):
            part = select(problem, self.label, measure, group.users, None)
            total = select(problem, self.label, measure, None, None, weight=-group.size / problem.n_users)
            room = self.tolerance * group.size
            result.append(row(group.label, [part, total], -room, room, self.penalty))
        return result


@dataclass(frozen=True)
class ReturnFloor:
    """Value is at least `at_least` times cost, over some users and coupons."""

    at_least: float
    label: str = field(default="return floor", kw_only=True)
    cost: str = field(default="cost", kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(self.label, self.at_least, None, self.penalty)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: value - at_least x cost >= 0."""
        earned = select(problem, self.label, "value", self.users, self.coupons)
        spent = select(problem, self.label, self.cost, self.users, self.coupons, weight=-self.at_least)
        return [row(self.label, [earned, spent], 0.0, None, self.penalty)]


@dataclass(frozen=True, kw_only=True)
class Exclude:
    """These users never get these coupons."""

    label: str = "exclude"
    users: Users | None = None
    coupons: Coupons | None = None

    def __post_init__(self) -> None:
        if self.users is None and self.coupons is None:
            raise InputError(Finding(f"exclusion '{self.label}' must name users or coupons", column="users"))

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: the count is at most 0."""
        return [row(self.label, [term(problem, self, "count")], None, 0.0, None)]


def _within_bounds(problem: Problem, limit: Limit | Budget) -> list[Row]:
    """State that a measure over the limit's own users and coupons keeps its bounds."""
    part = term(problem, limit, limit.measure)
    return [row(limit.label, [part], limit.at_least, limit.at_most, limit.penalty)]
