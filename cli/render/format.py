"""Numbers and bars as text."""

from __future__ import annotations

from rich.text import Text

BAR = 16


def number(value: float | None) -> str:
    """Return a number as a person writes it; empty for an open bound."""
    if value is None or value in (float("inf"), float("-inf")):
        return ""
    if value == 0:
        return "0"
    if abs(value) >= 1000 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:,.2g}"


def percent(share: float) -> str:
    """Return a share as percent."""
    return f"{share:.1%}"


def gap_text(gap: float) -> str:
    """Return an optimality gap as percent, small ones without rounding to zero."""
    if gap == 0:
        return "0 %"
    return f"{100 * gap:.2f} %" if gap >= 1e-4 else f"{100 * gap:.1g} %"


def signed(value: float) -> Text:
    """Return a signed, coloured difference."""
    if value == 0 or abs(value) < 5e-13:
        return Text("=", style="dim")
    return Text(f"{'+' if value > 0 else '-'}{number(abs(value))}", style="green" if value > 0 else "red")


def bar(share: float, style: str = "cyan", width: int = BAR) -> Text:
    """Return a bar that is full at 1."""
    filled = round(max(0.0, min(share, 1.0)) * width)
    return Text("━" * filled, style=style) + Text("─" * (width - filled), style="dim")
