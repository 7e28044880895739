"""The groups that a fair objective is fair between, and what each weighs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.limits.groups import Group, columns_of, groups_of
from allocator.limits.objectives import Fairness, MaxMin
from allocator.problem import LabelSets, Problem

Array = NDArray[np.float64]


def fair_groups(problem: Problem, objective: Fairness) -> tuple[list[Group], Array]:
    """Return the groups of an objective, and the weight of each, (n_groups,).

    Raises
    ------
    InputError
        If there is no such group column, or not one weight above 0 for each group.
    """
    columns = columns_of(objective.by)
    wrong = [column for column in columns if column not in problem.groups]
    if wrong or not columns:
        message = f"{title_of(objective)}: unknown group column"
        found, expected = repr(wrong[0] if wrong else objective.by), "one of " + ", ".join(problem.groups)
        raise InputError(Finding(message, column="by", found=found, expected=expected))
    if sets := [column for column in columns if isinstance(problem.groups[column], LabelSets)]:
        message = f"{title_of(objective)} needs groups that share no user, and a user may have several here"
        raise InputError(Finding(message, column="by", found=repr(sets[0])))
    groups = groups_of(problem, title_of(objective), objective.by)
    return groups, _weights(groups, objective)


def name_of(group: Group) -> str:
    """Return a group's labels, as weights name them."""
    return ", ".join(group.users.values())


def title_of(objective: Fairness) -> str:
    """Return what messages call an objective."""
    return "max-min fairness" if isinstance(objective, MaxMin) else "proportional fairness"


def _weights(groups: Sequence[Group], objective: Fairness) -> Array:
    names = [name_of(group) for group in groups]
    if objective.weights is None:
        even = isinstance(objective, MaxMin)
        return np.array([1.0 if even else group.size for group in groups], dtype=np.float64)
    given = objective.weights
    if set(given) != set(names) or not all(0 < weight < math.inf for weight in given.values()):
        message = f"{title_of(objective)} needs one weight above 0 for each group"
        raise InputError(
            Finding(message, column="weights", found=str(dict(given)), expected="; ".join(names))
        )
    return np.array([given[name] for name in names], dtype=np.float64)
