"""Limits: what must hold for a plan, each under its own label.

Every limit is *measure x where (user groups x coupons) x bounds*. A limit knows nothing of the
solver: it states itself as `Row` objects, which the solver and the certificate read independently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.problem import BUILT_IN_MEASURES, Problem

Users = Mapping[str, str | Sequence[str]]
"""Which users: for each group column the label or labels; all columns must match."""
Coupons = Sequence[str] | Mapping[str, str | Sequence[str]]
"""Which coupons: coupon labels, or for each coupon group column the label or labels."""


@dataclass(frozen=True)
class Term:
    """`weight` x `measure` of the assignments of `users` x `coupons`.

    `users` maps group columns to label codes (empty: all users); `coupons` is (n_coupons,) bool.
    """

    measure: str
    weight: float
    users: Mapping[str, frozenset[int]]
    coupons: NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """The sum of `terms` stays within [`at_least`, `at_most`].

    A finite `penalty` makes the row soft: objective units lost for each unit of violation.
    """

    label: str
    terms: tuple[Term, ...]
    at_least: float
    at_most: float
    penalty: float = math.inf


@runtime_checkable
class LimitLike(Protocol):
    """What the solver asks of a limit; a plugin's class need not inherit from `Limit`."""

    @property
    def label(self) -> str:
        """The name that every message, price and table uses."""
        ...

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        ...


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
        return [
            row(self.label, [term(problem, self, self.measure)], self.at_least, self.at_most, self.penalty)
        ]


@dataclass(frozen=True)
class Budget:
    """At most (and at least) so much of a measure in total: ``Budget(50_000, label="total")``."""

    at_most: float
    label: str = field(default="budget", kw_only=True)
    at_least: float | None = field(default=None, kw_only=True)
    measure: str = field(default="cost", kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

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

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        return [
            row(self.label, [term(problem, self, self.measure)], self.at_least, self.at_most, self.penalty)
        ]


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
    """At most so many messages, over all coupons or those of one channel."""

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
        coupons = self.coupons if self.channel is None else {"channel": self.channel}
        return [
            row(
                self.label,
                [select(problem, self.label, "count", self.users, coupons)],
                None,
                self.at_most,
                self.penalty,
            )
        ]


@dataclass(frozen=True)
class Floor:
    """At least so much of a measure, for some users or for each group of a column.

    Parameters
    ----------
    at_least
        The bound; with `per_head`, for each user of the group, so that 0.1 of ``count`` means that
        at least 10 % of the group's users get a coupon.
    by
        A group column: one row for each of its labels, labelled ``label[group]``.
    """

    at_least: float
    label: str = field(default="floor", kw_only=True)
    measure: str = field(default="count", kw_only=True)
    by: str | None = field(default=None, kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    per_head: bool = field(default=False, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(self.label, self.at_least, None, self.penalty)
        if self.by is not None and self.by in (self.users or {}):
            raise InputError(
                Finding(f"limit '{self.label}' names '{self.by}' in both by and users", column="by")
            )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        result = []
        for label, users in each_group(problem, self.label, self.by):
            part = select(problem, self.label, self.measure, {**(self.users or {}), **users}, self.coupons)
            bound = self.at_least * (count_users(problem, part.users) if self.per_head else 1)
            result.append(row(label, [part], bound, None, self.penalty))
        return result


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a measure's total that falls to some users and coupons stays within bounds.

    ``Share(label="north", users={"region": "north"}, at_least=0.2)``: at least a fifth of the spend
    goes to the north.
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
        if self.users is None and self.coupons is None:
            raise InputError(Finding(f"share '{self.label}' must name users or coupons", column="users"))
        for bound in (self.at_least, self.at_most):
            if bound is not None and not 0 <= bound <= 1:
                raise InputError(
                    Finding(f"share '{self.label}' must lie between 0 and 1", found=f"{bound:g}")
                )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: part - share x total has a sign."""
        part = term(problem, self, self.measure)
        sides = [s for s in (("at_least", self.at_least), ("at_most", self.at_most)) if s[1] is not None]
        result = []
        for side, share in sides:
            total = select(problem, self.label, self.measure, None, None, weight=-float(share or 0.0))
            label = self.label if len(sides) == 1 else f"{self.label}[{side}]"
            least, most = (0.0, None) if side == "at_least" else (None, 0.0)
            result.append(row(label, [part, total], least, most, self.penalty))
        return result


@dataclass(frozen=True)
class Parity:
    """No group of a column fares much better or worse than all users together.

    Parameters
    ----------
    by
        The group column.
    tolerance
        Largest absolute difference between a group's rate and the rate of all users.
    rate
        ``assigned``: share of users who get a coupon (coupons a head where `per_user` allows more
        than one). ``benefit``: value a head, in objective units.
    """

    by: str
    tolerance: float
    label: str = field(default="parity", kw_only=True)
    rate: Literal["assigned", "benefit"] = field(default="assigned", kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_bounds(self.label, None, self.tolerance, self.penalty)
        if self.tolerance < 0:
            raise InputError(
                Finding(f"parity '{self.label}' needs a tolerance of at least 0", column="tolerance")
            )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem; rows are in users, so that a price is a price per user."""
        measure = "count" if self.rate == "assigned" else "value"
        result = []
        for label, users in each_group(problem, self.label, self.by):
            part = select(problem, self.label, measure, users, None)
            size = count_users(problem, part.users)
            total = select(problem, self.label, measure, None, None, weight=-size / problem.n_users)
            room = self.tolerance * size
            result.append(row(label, [part, total], -room, room, self.penalty))
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


# The pieces that limits are made of; a plugin's limit may use them too.


class _Scoped(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def users(self) -> Users | None: ...
    @property
    def coupons(self) -> Coupons | None: ...


def term(problem: Problem, limit: _Scoped, measure: str) -> Term:
    """Return the measure over the limit's own users and coupons."""
    return select(problem, limit.label, measure, limit.users, limit.coupons)


def select(
    problem: Problem,
    label: str,
    measure: str,
    users: Users | None,
    coupons: Coupons | None,
    weight: float = 1.0,
) -> Term:
    """Return `weight` x `measure` over users x coupons.

    Raises
    ------
    InputError
        If the problem has no such measure, group column, group label or coupon.
    """
    findings: list[Finding] = []
    if measure not in problem.measures and measure not in BUILT_IN_MEASURES:
        known = ", ".join((*BUILT_IN_MEASURES, *problem.measures))
        findings.append(
            Finding(
                f"limit '{label}': unknown measure",
                column="measure",
                found=repr(measure),
                expected=f"one of {known}",
            )
        )
    codes = _match(problem.groups, users or {}, f"limit '{label}': users", findings)
    inside = _coupons(problem, coupons, label, findings)
    if findings:
        _fail(findings)
    return Term(measure, weight, codes, inside)


def row(
    label: str, terms: Sequence[Term], at_least: float | None, at_most: float | None, penalty: float | None
) -> Row:
    """Return a row with open bounds as infinities."""
    return Row(
        label,
        tuple(terms),
        -math.inf if at_least is None else float(at_least),
        math.inf if at_most is None else float(at_most),
        math.inf if penalty is None else float(penalty),
    )


def each_group(problem: Problem, label: str, by: str | None) -> list[tuple[str, dict[str, str]]]:
    """Return (row label, users) for each label of a column, or one row over everyone."""
    if by is None:
        return [(label, {})]
    if by not in problem.groups:
        _fail([_unknown_column(f"limit '{label}': by", by, problem.groups)])
    return [(f"{label}[{group}]", {by: group}) for group in problem.groups[by].labels]


def count_users(problem: Problem, users: Mapping[str, frozenset[int]]) -> int:
    """Return how many users a selection of label codes holds."""
    inside = np.ones(problem.n_users, dtype=np.bool_)
    for column, codes in users.items():
        inside &= np.isin(problem.groups[column].codes, list(codes))
    return int(inside.sum())


def check_bounds(label: str, at_least: float | None, at_most: float | None, penalty: float | None) -> None:
    """Raise InputError unless the bounds make sense."""
    findings = []
    for key, bound in (("at_least", at_least), ("at_most", at_most), ("penalty", penalty)):
        if bound is not None and not math.isfinite(bound):
            findings.append(
                Finding(f"limit '{label}': the bound must be a finite number", column=key, found=str(bound))
            )
    if not label.strip():
        findings.append(Finding("a limit needs a label", column="label"))
    if at_least is None and at_most is None:
        findings.append(Finding(f"limit '{label}' has neither at_least nor at_most", column="at_most"))
    if at_least is not None and at_most is not None and at_least > at_most:
        findings.append(
            Finding(
                f"limit '{label}': at_least is more than at_most",
                column="at_least",
                found=f"{at_least:g}",
                expected=f"at most {at_most:g}",
            )
        )
    if penalty is not None and penalty < 0:
        findings.append(
            Finding(f"limit '{label}': the penalty is negative", column="penalty", found=f"{penalty:g}")
        )
    if findings:
        _fail(findings)


def _coupons(
    problem: Problem, coupons: Coupons | None, label: str, findings: list[Finding]
) -> NDArray[np.bool_]:
    if coupons is None:
        return np.ones(problem.n_coupons, dtype=np.bool_)
    if isinstance(coupons, Mapping):
        inside = np.ones(problem.n_coupons, dtype=np.bool_)
        for column, codes in _match(
            problem.coupon_groups, coupons, f"limit '{label}': coupons", findings
        ).items():
            inside &= np.isin(problem.coupon_groups[column].codes, list(codes))
        return inside
    names = [coupons] if isinstance(coupons, str) else list(coupons)
    known = set(problem.coupon_ids.tolist())
    for name in names:
        if name not in known:
            findings.append(Finding(f"limit '{label}': unknown coupon", column="coupons", found=repr(name)))
    return np.isin(problem.coupon_ids, names)


def _match(groups: Mapping, wanted: Users, where: str, findings: list[Finding]) -> dict[str, frozenset[int]]:  # type: ignore[type-arg]
    result = {}
    for column, labels in wanted.items():
        if column not in groups:
            findings.append(_unknown_column(where, column, groups))
            continue
        known = {label: code for code, label in enumerate(groups[column].labels)}
        labels = [labels] if isinstance(labels, str) else list(labels)
        for label in labels:
            if label not in known:
                shown = ", ".join(list(known)[:12])
                findings.append(
                    Finding(
                        f"{where}: no '{column}' is called this",
                        column=column,
                        found=repr(label),
                        expected=f"one of {shown}",
                    )
                )
        result[column] = frozenset(known[label] for label in labels if label in known)
    return result


def _unknown_column(where: str, column: str, groups: Mapping) -> Finding:  # type: ignore[type-arg]
    expected = "one of " + ", ".join(groups) if groups else "a group column, and the problem has none"
    return Finding(f"{where}: unknown column", found=repr(column), expected=expected)


def _fail(findings: list[Finding]) -> NoReturn:
    raise InputError(findings)
