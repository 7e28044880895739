"""Cells of text -> typed values: numbers, flags, and the words for none."""

from __future__ import annotations

import re

import polars as pl

TRUE = ("1", "true", "yes", "y", "t")
FALSE = ("0", "false", "no", "n", "f")
MISSING = ("na", "n/a", "null", "none")
UNLIMITED = ("unlimited", "no limit", "infinite", "∞")
MOST_COUNT = 2**53
"""From here on, whole numbers are not exact; exports write such numbers where there is no limit."""
MOST_AMOUNT = 1e15
"""No amount of money of a campaign; beyond it, cents are lost."""

EXPECTED = {
    "text": "text",
    "number": "a number",
    "integer": f"a whole number below {MOST_COUNT:,}",
    "flag": "1 or 0 (true or false, yes or no)",
}


def cast_number(text: pl.Series) -> pl.Series:
    """Cast text to finite numbers; what cannot be cast (NaN and infinity included) becomes null."""
    number = text if text.dtype.is_float() else text.cast(pl.Float64, strict=False)
    finite = number.is_finite()
    return number if finite.all() else where(number, finite)


def cast_integer(text: pl.Series) -> pl.Series:
    """Cast text to whole numbers that are exact; others become null."""
    number = text.cast(pl.Float64, strict=False)
    return where(number, (number == number.round()) & (number.abs() < MOST_COUNT)).cast(pl.Int64)


def cast_flag(text: pl.Series) -> pl.Series:
    """Cast text to true and false; other words become null."""
    true = _is_one_of(text, TRUE)
    return where(true, true | _is_one_of(text, FALSE)).alias(text.name)


def without(text: pl.Series, words: tuple[str, ...]) -> pl.Series:
    """Make cells that hold one of some words null, in any case."""
    found = _is_one_of(text, words)
    return where(text, ~found) if found.any() else text


def _is_one_of(text: pl.Series, words: tuple[str, ...]) -> pl.Series:
    return text.str.contains(f"(?i)^(?:{'|'.join(map(re.escape, words))})$")


def where(value: pl.Series, keep: pl.Series) -> pl.Series:
    """Return `value` where `keep` is true, else null."""
    return pl.select(pl.when(keep).then(value)).to_series().alias(value.name)
