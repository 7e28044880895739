"""What limits are made of: rows over (measure x users x coupons), and the pieces that state them.

The solver and the certificate read rows independently of each other; a plugin's limit makes them
with the same pieces as the built-in ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.problem import BUILT_IN_MEASURES, Grouping, Problem

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


def _match(
    groups: Mapping[str, Grouping], wanted: Users, where: str, findings: list[Finding]
) -> dict[str, frozenset[int]]:
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


def _unknown_column(where: str, column: str, groups: Mapping[str, Grouping]) -> Finding:
    expected = "one of " + ", ".join(groups) if groups else "a group column, and the problem has none"
    return Finding(f"{where}: unknown column", found=repr(column), expected=expected)


def _fail(findings: list[Finding]) -> NoReturn:
    raise InputError(findings)
