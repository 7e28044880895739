"""Options of a predictor, checked by name, type and range."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from allocator.errors import Finding, InputError

Range = tuple[float, float]

ANY_TEXT = ("any text",)
"""The accepted values of an option that is free text."""


def check_options(
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
    ranges: Mapping[str, Range],
    choices: Mapping[str, tuple[str, ...]] | None = None,
    others: Iterable[str] = (),
) -> dict[str, Any]:
    """Return `defaults` updated by `options`.

    Parameters
    ----------
    options
        As given in ``[predict.options]``.
    defaults
        The accepted names and their default values; an int stays an int.
    ranges
        Least and largest value of each that is a number.
    choices
        The accepted values of each that is a word.
    others
        Further names that are accepted elsewhere, for the message.

    Raises
    ------
    InputError
        With every unknown name and every value of the wrong type or outside its range.
    """
    findings = []
    for name, value in options.items():
        column = f"predict.options.{name}"
        if name not in defaults:
            findings.append(unknown_name(column, name, [*defaults, *others], "unknown option", repr(value)))
            continue
        works, expected = _judge(value, defaults[name], ranges.get(name), (choices or {}).get(name, ()))
        if not works:
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


def unknown_name(column: str, name: str, known: Iterable[str], hint: str, found: str) -> Finding:
    """Say that a name is unknown, which one may be meant, and which are accepted."""
    close = difflib.get_close_matches(name, list(known), n=1)
    message = f"{hint}; did you mean '{close[0]}'?" if close else hint
    accepted = f"one of {', '.join(sorted(known))}"
    return Finding(message, file="campaign.toml", column=column, found=found, expected=accepted)


def _judge(value: Any, default: Any, limits: Range | None, words: tuple[str, ...]) -> tuple[bool, str]:
    """Return whether a value is accepted, and what is."""
    if words is ANY_TEXT:
        return isinstance(value, str) and bool(value.strip()), "text"
    if limits is None:
        return isinstance(value, str) and value in words, "one of " + ", ".join(f'"{word}"' for word in words)
    low, high = limits
    whole = isinstance(default, int)
    number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    return (
        number and low <= value <= high,
        f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}",
    )
