"""Groups of users by the labels of one or more columns: a row of a limit for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from allocator.errors import Finding, InputError
from allocator.limits.scope import Users, match_labels, unknown_column
from allocator.problem import Problem

By = str | Sequence[str]
"""A group column, or several: then each combination of labels that some user has is a group."""


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
    has is no group. A user with a set of labels is in the group of each.

    Raises
    ------
    InputError
        If the problem has no such column or label.
    """
    columns = columns_of(by)
    findings: list[Finding] = []
    wanted = match_labels(problem.groups, users or {}, f"limit '{label}': users", findings)
    findings += [
        unknown_column(f"limit '{label}': by", column, problem.groups)
        for column in columns
        if column not in problem.groups
    ]
    if findings:
        raise InputError(findings)
    found = problem.combinations((*columns, *wanted))
    inside = np.ones(len(found.codes), dtype=np.bool_)
    for k, codes in enumerate(wanted.values(), start=len(columns)):
        inside &= np.isin(found.codes[:, k], list(codes))
    if not columns:
        return [Group(label, {}, int(found.sizes[inside].sum()))]
    size: dict[tuple[str, ...], int] = {}
    for codes, n in zip(found.codes[inside].tolist(), found.sizes[inside].tolist(), strict=True):
        own = [problem.groups[c].names_of(code) for c, code in zip(columns, codes, strict=False)]
        for names in product(*own):  # one, unless a column holds sets of labels
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
        raise InputError(findings)
