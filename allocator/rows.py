"""What limits are made of: rows over (measure x users x coupons), and the pieces that state them.

The solver and the certificate read rows independently of each other; a plugin's limit makes them
with the same pieces as the built-in ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.labels import Grouping
from allocator.problem import BUILT_IN_MEASURES, Problem

Label = str | int
Users = Mapping[str, Label | Sequence[Label]]
"""Which users: for each group column the label or labels; all columns must match."""
Coupons = Sequence[Label] | Mapping[str, Label | Sequence[Label]]
"""Which coupons: coupon labels, or for each coupon group column the label or labels."""
By = str | Sequence[str]
"""A group column, or several: then each combination of labels that some user has is a group."""


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
class Risk:
    """What makes a row's usage random, as labels of rows without bounds that count it.

    Parameters
    ----------
    times
        How many standard deviations of the usage must fit under the row's bound, too.
    variance
        The row that counts the variance of what is independent between users.
    shared
        Rows that count one standard deviation each of what all users share; independent of each other.
    """

    times: float
    variance: str
    shared: tuple[str, ...] = ()

    def deviation(self, used: Mapping[str, float]) -> float:
        """Return the standard deviation of the usage, from what the rows count."""
        return math.sqrt(max(used[self.variance], 0.0) + sum(used[label] ** 2 for label in self.shared))


@dataclass(frozen=True)
class Row:
    """The sum of `terms` stays within [`at_least`, `at_most`].

    A finite `penalty` makes the row soft: objective units lost for each unit of violation. With `risk`,
    the sum is an expectation, and so many standard deviations more must stay within `at_most`.
    """

    label: str
    terms: tuple[Term, ...]
    at_least: float
    at_most: float
    penalty: float = math.inf
    risk: Risk | None = None

    @property
    def is_open(self) -> bool:
        """Whether the row has no bounds: it only counts, and its price bounds nothing."""
        return math.isinf(self.at_least) and math.isinf(self.at_most)

    @property
    def is_exclusion(self) -> bool:
        """Whether the row says that some assignments never happen: a hard count of at most 0.

        Such a row has no price; its assignments are forbidden.
        """
        counts = all(term.measure == "count" and term.weight > 0 for term in self.terms)
        return counts and self.at_most == 0 and self.at_least <= 0 and math.isinf(self.penalty)


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


def is_risky(problem: Problem, limits: Iterable[LimitLike]) -> bool:
    """Return whether the usage of some limit's row is random."""
    return any(row.risk is not None for limit in limits for row in limit.rows(problem))


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


class Group(NamedTuple):
    """The users who share labels in the columns of `by`: the row's label, who they are, how many."""

    label: str
    users: dict[str, str]
    size: int


def columns_of(by: By | None) -> tuple[str, ...]:
    """Return the columns that `by` names."""
    if by is None:
        return ()
    return (by,) if isinstance(by, str) else tuple(by)


def each_group(problem: Problem, label: str, by: By | None) -> list[tuple[str, dict[str, str]]]:
    """Return (row label, users) for each group of `by`, or one row over everyone."""
    return [(group.label, group.users) for group in groups_of(problem, label, by)]


def groups_of(problem: Problem, label: str, by: By | None, users: Users | None = None) -> list[Group]:
    """Return the groups of `by` among some users, sorted by label; without `by`, one of them all.

    Labels are ``label[east]``, or ``label[east, 18-24]`` for several columns. A combination that no user
    has is no group.

    Raises
    ------
    InputError
        If the problem has no such column or label.
    """
    columns = columns_of(by)
    findings: list[Finding] = []
    wanted = _match(problem.groups, users or {}, f"limit '{label}': users", findings)
    findings += [
        _unknown_column(f"limit '{label}': by", column, problem.groups)
        for column in columns
        if column not in problem.groups
    ]
    if findings:
        _fail(findings)
    found = problem.combinations((*columns, *wanted))
    inside = np.ones(len(found.codes), dtype=np.bool_)
    for k, codes in enumerate(wanted.values(), start=len(columns)):
        inside &= np.isin(found.codes[:, k], list(codes))
    if not columns:
        return [Group(label, {}, int(found.sizes[inside].sum()))]
    size: dict[tuple[str, ...], int] = {}
    for codes, n in zip(found.codes[inside].tolist(), found.sizes[inside].tolist(), strict=True):
        names = tuple(problem.groups[c].labels[code] for c, code in zip(columns, codes, strict=False))
        size[names] = size.get(names, 0) + n
    return [
        Group(f"{label}[{', '.join(names)}]", dict(zip(columns, names, strict=True)), n)
        for names, n in size.items()
    ]


def check_by(label: str, by: By | None, users: Users | None = None) -> None:
    """Raise InputError if `by` names no column, one twice, or one that `users` names too."""
    columns = columns_of(by)
    findings = []
    if by is not None and not columns:
        findings.append(Finding(f"limit '{label}': by names no column", column="by", found=repr(by)))
    for column in sorted({column for column in columns if columns.count(column) > 1}):
        findings.append(Finding(f"limit '{label}' names '{column}' twice", column="by", found=repr(by)))
    for column in sorted(set(columns) & set(users or {})):
        findings.append(Finding(f"limit '{label}' names '{column}' in both by and users", column="by"))
    if findings:
        _fail(findings)


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
    names = [str(name) for name in ([coupons] if isinstance(coupons, str | int) else coupons)]
    known = set(problem.coupon_ids.tolist())
    for name in names:
        if name not in known:
            findings.append(Finding(f"limit '{label}': unknown coupon", column="coupons", found=repr(name)))
    return np.isin(problem.coupon_ids, names)


def _match(
    groups: Mapping[str, Grouping], wanted: Users, where: str, findings: list[Finding]
) -> dict[str, frozenset[int]]:
    result = {}
    for column, labels in wanted.items():
        if column not in groups:
            findings.append(_unknown_column(where, column, groups))
            continue
        known = {label: code for code, label in enumerate(groups[column].labels)}
        labels = [str(label) for label in ([labels] if isinstance(labels, str | int) else labels)]
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


def _unknown_column(where: str, column: str, groups: Mapping[str, Grouping]) -> Finding:
    expected = "one of " + ", ".join(groups) if groups else "a group column, and the problem has none"
    return Finding(f"{where}: unknown column", found=repr(column), expected=expected)


def _fail(findings: list[Finding]) -> NoReturn:
    raise InputError(findings)
