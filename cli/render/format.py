"""Numbers and bars as text."""

from __future__ import annotations

from rich.text import Text

from allocator.wording import number as number
from allocator.wording import signed_number

BAR = 16


def percent(share: float) -> str:
    """Return a share as percent."""
    return f"{share:.1%}"


def gap_text(gap: float) -> str:
    """Return an optimality gap as percent, small ones without rounding to zero."""
    if gap == 0:
        return "0 %"
    return f"{100 * gap:.2f} %" if gap >= 1e-4 else f"{100 * gap:.1g} %"


def signed(value: float, style: str | None = None) -> Text:
    """Return a signed difference: green for more and red for less, unless more is neither good nor bad."""
    text = signed_number(value)
    if text == "=":
        return Text(text, style="dim")
    return Text(text, style=style or ("green" if value > 0 else "red"))


def bar(share: float, style: str = "cyan", width: int = BAR) -> Text:
    """Return a bar that is full at 1."""
    filled = round(max(0.0, min(share, 1.0)) * width)
    return Text("━" * filled, style=style) + Text("─" * (width - filled), style="dim")
