"""What callers state in a limit or an objective, read into plain form where it is made.

Series and the like become mappings and lists once: what has labels goes by label, and what can be read only
once is read once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from allocator.errors import Finding, InputError
from allocator.problem.arrays import CONTAINERS, entries_of, shown

NO_NUMBERS = (str, bytes, bool, np.bool_, complex)
Findings = list[Finding]
Reader = Callable[[str, Any, Findings], Any]
"""Takes a field's name and what was given; returns it in plain form, and notes what is wrong."""


def read_fields(limit: Any, **readers: Reader) -> None:
    """Put the fields of a frozen dataclass into plain form; None stays where it is the default.

    Parameters
    ----------
    limit
        Its fields are read as their names ask.
    readers
        What reads a field of that name instead.

    Raises
    ------
    InputError
        With every field that is not of its kind.
    """
    findings: Findings = []
    for field in fields(limit):
        given = getattr(limit, field.name)
        read = readers.get(field.name, READERS.get(field.name))
        if read is not None and not (given is None and field.default is None):
            object.__setattr__(limit, field.name, read(field.name, given, findings))
    if findings:
        label = getattr(limit, "label", type(limit).__name__)
        where = f"limit '{label}'" if isinstance(label, str) else "a limit"
        raise InputError(
            [Finding(f"{where}: {f.message}", None, None, f.column, f.found, f.expected) for f in findings]
        )


def read_number(key: str, given: Any, findings: Findings) -> Any:
    """Return a number, as it came where Python counts with it; NaN for what is none."""
    number = math.nan
    try:
        if isinstance(given, NO_NUMBERS) or getattr(given, "ndim", None) or given is np.ma.masked:
            raise TypeError(given)
        number = float(given)
    except OverflowError:
        findings.append(Finding("this is too large a number", column=key, found=shown(given)))
    except (TypeError, ValueError):
        findings.append(Finding("this is no number", column=key, found=shown(given)))
    return given if isinstance(given, int | float) else number


def read_text(key: str, given: Any, findings: Findings) -> Any:
    """Return text."""
    if not isinstance(given, str):
        findings.append(Finding("this must be text", column=key, found=shown(given)))
        return ""
    return given


def read_users(key: str, given: Any, findings: Findings) -> Any:
    """Return labels by group column."""
    columns = _items(given)
    if columns is None or not all(isinstance(column, str) for column, _ in columns):
        message, expected = "this must name labels by column", "such as {'region': 'north'}"
        findings.append(Finding(message, column=key, found=shown(given), expected=expected))
        return {}
    return {column: _labels(f"{key}[{column}]", labels, findings) for column, labels in columns}


def read_coupons(key: str, given: Any, findings: Findings) -> Any:
    """Return coupon labels, or labels by coupon group column."""
    return read_users(key, given, findings) if isinstance(given, Mapping) else _labels(key, given, findings)


def read_by(key: str, given: Any, findings: Findings) -> Any:
    """Return a column, or several."""
    if isinstance(given, str):
        return given
    columns = entries_of(given)
    if columns is None or not all(isinstance(column, str) for column in columns):
        message = "this must be a group column, or a list of them"
        findings.append(Finding(message, column=key, found=shown(given)))
        return []
    return tuple(columns) if isinstance(given, tuple) else columns


def read_numbers(key: str, given: Any, findings: Findings) -> Any:
    """Return numbers by label."""
    entries = _items(given)
    if entries is None or not all(_is_label(label) for label, _ in entries):
        message, expected = "this must give a number for each label", "such as {'C1': 900}"
        findings.append(Finding(message, column=key, found=shown(given), expected=expected))
        return {}
    labels = [str(label) for label, _ in entries]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        findings.append(Finding("a label occurs twice", column=key, found=repr(twice[0])))
    return {str(label): read_number(f"{key}[{label}]", number, findings) for label, number in entries}


def read_number_or_numbers(key: str, given: Any, findings: Findings) -> Any:
    """Return a number, or numbers by label where it is no single one."""
    return read_number(key, given, findings) if _items(given) is None else read_numbers(key, given, findings)


def read_switch(key: str, given: Any, findings: Findings) -> Any:
    """Return True or False."""
    if not isinstance(given, bool | np.bool_):
        findings.append(Finding("this must be True or False", column=key, found=shown(given)))
    return bool(given is True or given is np.True_)


READERS: Mapping[str, Reader] = {
    **dict.fromkeys(("label", "measure", "variance", "cost", "channel", "rate"), read_text),
    **dict.fromkeys(("at_least", "at_most", "penalty", "confidence", "tolerance"), read_number),
    "coupon_error": read_number_or_numbers,
    "weights": read_numbers,
    "users": read_users,
    "coupons": read_coupons,
    "by": read_by,
    "per_head": read_switch,
}


def _items(given: Any) -> list[tuple[Any, Any]] | None:
    """Return what a mapping, or a series with an index, holds by label; None for anything else."""
    if isinstance(given, Mapping):
        return list(given.items())
    if hasattr(given, "items") and getattr(given, "ndim", 0) == 1:
        return list(given.items())
    return None


def _labels(place: str, given: Any, findings: Findings) -> Any:
    """Return a label, or a list of them."""
    if _is_label(given):
        return _plain(given)
    labels = entries_of(given)
    if labels is None or not all(map(_is_label, labels)):
        findings.append(Finding("this must be a label, or a list of them", column=place, found=shown(given)))
        return []
    return [_plain(label) for label in labels]


def _is_label(given: Any) -> bool:
    if isinstance(given, float | np.floating):
        return math.isfinite(given)
    return isinstance(given, str | int | np.integer | np.bool_) and not isinstance(given, CONTAINERS)


def _plain(label: Any) -> Any:
    """Return a label as text or as a whole number, which limits take alike."""
    return label if isinstance(label, str | int) else str(label)
