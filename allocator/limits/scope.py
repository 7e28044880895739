"""Where a limit counts: labels of users and coupons, as its author names them -> a term of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.limits.rows import Term
from allocator.problem import Problem
from allocator.problem.label_sets import LabelSets
from allocator.problem.labels import Grouping, composed
from allocator.problem.problem import BUILT_IN_MEASURES

Label = str | int

Users = Mapping[str, Label | Sequence[Label]]
"""Which users: for each group column the label or labels; all columns must match."""

Coupons = Sequence[Label] | Mapping[str, Label | Sequence[Label]]
"""Which coupons: coupon labels, or for each coupon group column the label or labels."""


class Scoped(Protocol):
    """What has a label, and names users and coupons."""

    @property
    def label(self) -> str:
        """Of the limit."""
        ...

    @property
    def users(self) -> Users | None:
        """Where it counts; everywhere if None."""
        ...

    @property
    def coupons(self) -> Coupons | None:
        """What it counts; every coupon if None."""
        ...


def term(problem: Problem, limit: Scoped, measure: str) -> Term:
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
    codes = match_labels(problem.groups, users or {}, f"limit '{label}': users", findings)
    inside = _coupons(problem, coupons, label, findings)
    if findings:
        raise InputError(findings)
    return Term(measure, weight, codes, inside, _set_labels(problem, users or {}))


def _set_labels(problem: Problem, users: Users) -> dict[str, tuple[str, ...]]:
    """Return the labels asked for of columns that hold sets of them."""
    return {
        column: labels_named(labels)
        for column, labels in users.items()
        if isinstance(problem.groups[column], LabelSets)
    }


def _coupons(
    problem: Problem, coupons: Coupons | None, label: str, findings: list[Finding]
) -> NDArray[np.bool_]:
    if coupons is None:
        return np.ones(problem.n_coupons, dtype=np.bool_)
    if isinstance(coupons, Mapping):
        inside = np.ones(problem.n_coupons, dtype=np.bool_)
        for column, codes in match_labels(
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


def match_labels(
    groups: Mapping[str, Grouping], wanted: Users, where: str, findings: list[Finding]
) -> dict[str, frozenset[int]]:
    """Return the codes of the labels wanted by column; what is not known becomes a finding."""
    result = {}
    for column, labels in wanted.items():
        if column not in groups:
            findings.append(unknown_column(where, column, groups))
            continue
        grouping, codes = groups[column], set[int]()
        for label in labels_named(labels):
            found = grouping.having(label)
            codes |= found
            if not found:
                shown = ", ".join(grouping.names[:12])
                findings.append(
                    Finding(
                        f"{where}: no '{column}' is called this",
                        column=column,
                        found=repr(label),
                        expected=f"one of {shown}",
                    )
                )
        result[column] = frozenset(codes)
    return result


def labels_named(labels: Label | Sequence[Label]) -> tuple[str, ...]:
    """Return one label, or several, as text, as groups have them."""
    return tuple(composed(str(label)) for label in ([labels] if isinstance(labels, str | int) else labels))


def unknown_column(where: str, column: str, groups: Mapping[str, Grouping]) -> Finding:
    """Return the finding about a column that is no group column."""
    expected = "one of " + ", ".join(groups) if groups else "a group column, and the problem has none"
    return Finding(f"{where}: unknown column", found=repr(column), expected=expected)
