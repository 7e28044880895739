"""Rows that callers give column by column: read alike, or refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.problem.alignment import Axis, Names
from allocator.problem.arrays import array_of, numbers_of

P = ParamSpec("P")
R = TypeVar("R")

YES_OR_NO = ("treated", "follows")
LABELS = ("user",)


def by_row(function: Callable[P, R]) -> Callable[P, R]:
    """Let the positional parameters of a function be columns of the same rows, as NumPy arrays.

    Series whose labels differ, columns of different lengths, and what is no number raise InputError; None
    stays None.
    """
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]

    @wraps(function)
    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        given = dict(zip(names, args, strict=False)) | {k: v for k, v in kwargs.items() if k in names}
        others: dict[str, Any] = {name: value for name, value in kwargs.items() if name not in names}
        return function(**_read(given), **others)  # type: ignore[call-arg]

    return read


def _read(given: dict[str, Any]) -> dict[str, Any]:
    findings: list[Finding] = []
    rows, columns = Axis("rows", "rows"), dict[str, Any]()
    for name, column in given.items():
        rows.check(Names.of_index(column), name, findings)
        columns[name] = None if column is None else _column(name, column, findings)
    shapes = {name: column.shape for name, column in columns.items() if column is not None}
    if not findings and (len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values())):
        found = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
        findings.append(Finding("there must be a number for each row", column=", ".join(shapes), found=found))
    if findings:
        raise InputError(findings)
    return columns


def _column(name: str, given: Any, findings: list[Finding]) -> NDArray[Any]:
    if name in LABELS:
        labels = array_of(given, name, findings)
        return np.empty(0) if labels is None else labels
    if isinstance(given, np.ndarray) and given.dtype == np.bool_:
        return given
    numbers = numbers_of(given, None, name, findings, "these are no numbers")
    if not np.isfinite(numbers).all():
        findings.append(Finding("a number is missing or infinite", column=name))
    elif name in YES_OR_NO:
        if not np.isin(numbers, (0, 1)).all():
            findings.append(Finding("must be True or False in every row", column=name))
        return numbers.astype(np.bool_)
    return numbers
