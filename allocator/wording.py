"""Numbers and lists as a person writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNKNOWN = "–"
NOTHING = 1e-9
"""A smaller number is what rounding leaves of zero."""
SHOWN = 5  # names of a list that are written out


def number(value: float | None) -> str:
    """Return a number as a person writes it; empty for an open bound."""
    if value is None or value in (float("inf"), float("-inf")):
        return ""
    if abs(value) < NOTHING:
        return "0"
    if abs(value) >= 1000 or value == round(value):
        return f"{value:,.0f}"
    if abs(value) >= 0.1:
        return f"{value:,.2f}"
    digits = 1 - math.floor(math.log10(abs(value)))  # two that are not zeros
    return f"{value:.{digits}f}".rstrip("0")


def listed(names: Sequence[str]) -> str:
    """Return names in quotes, the first few of many."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:SHOWN]) + more


def counted(n: int, what: str) -> str:
    """Return how many there are of something: ``1 row``, ``1,200 rows``."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def signed_number(value: float) -> str:
    """Return a difference with its sign; ``=`` where there is none beyond rounding."""
    return "=" if abs(value) < NOTHING else f"{'+' if value > 0 else '-'}{number(abs(value))}"


def gap_text(gap: float) -> str:
    """Return an optimality gap as percent, small ones without rounding to zero."""
    if gap == 0:
        return "0 %"
    return f"{100 * gap:.2f} %" if gap >= 1e-4 else f"{100 * gap:.1g} %"


def percentage(value: float, *, sign: bool = False, digits: int = 1) -> str:
    """Return a share as percent; a dash where it is unknown."""
    return format(value, f"{'+' if sign else ''}.{digits}%") if math.isfinite(value) else UNKNOWN


def figure(value: float, digits: int = 3) -> str:
    """Return a figure without unit; a dash where it is unknown."""
    return format(value, f",.{digits}f") if math.isfinite(value) else UNKNOWN


def percentage_within(value: float, low: float, high: float, *, sign: bool = True) -> str:
    """Return a share with the half width of its interval, as percent."""
    return percentage(value, sign=sign) + _within(percentage(0.5 * (high - low)))


def figure_within(value: float, low: float, high: float) -> str:
    """Return a figure with the half width of its interval."""
    return figure(value, 2) + _within(figure(0.5 * (high - low), 2))


def _within(half: str) -> str:
    return "" if half == UNKNOWN else f" ±{half}"
