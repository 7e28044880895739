"""Options of a predictor, checked by name, type and range."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from allocator.errors import Finding, InputError

Range = tuple[float, float]


def check_options(
    options: Mapping[str, Any], defaults: Mapping[str, Any], ranges: Mapping[str, Range]
) -> dict[str, Any]:
    """Return `defaults` updated by `options`.

    Parameters
    ----------
    options
        As given in ``[predict.options]``.
    defaults
        The accepted names and their default values; an int stays an int.
    ranges
        Least and largest value of each.

    Raises
    ------
    InputError
        With every unknown name and every value of the wrong type or outside its range.
    """
    findings = []
    for name, value in options.items():
        column = f"predict.options.{name}"
        if name not in defaults:
            close = difflib.get_close_matches(name, defaults, n=1)
            hint = f"unknown option; did you mean '{close[0]}'?" if close else "unknown option"
            accepted = ", ".join(sorted(defaults))
            findings.append(
                Finding(
                    hint,
                    file="campaign.toml",
                    column=column,
                    found=repr(value),
                    expected=f"one of {accepted}",
                )
            )
            continue
        low, high = ranges[name]
        whole = isinstance(defaults[name], int)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            expected = f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}"
            findings.append(
                Finding(
                    "this value does not work",
                    file="campaign.toml",
                    column=column,
                    found=repr(value),
                    expected=expected,
                )
            )
    if findings:
        raise InputError(findings)
    return {name: type(default)(options.get(name, default)) for name, default in defaults.items()}
