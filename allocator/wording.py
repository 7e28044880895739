"""Numbers as a person writes them."""

from __future__ import annotations


def number(value: float | None) -> str:
    """Return a number as a person writes it; empty for an open bound."""
    if value is None or value in (float("inf"), float("-inf")):
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 1000 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:,.2g}"


def signed_number(value: float) -> str:
    """Return a difference with its sign; ``=`` where there is none beyond rounding."""
    return "=" if abs(value) < 5e-13 else f"{'+' if value > 0 else '-'}{number(abs(value))}"
