"""Numbers and bars as text."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from allocator.wording import gap_text as gap_text
from allocator.wording import number as number
from allocator.wording import signed_number

BAR = 16


def percent(share: float) -> str:
    """Return a share as percent."""
    return f"{share:.1%}"


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


def plain_table(title: str, *columns: str) -> Table:
    """Return a table without frames; a column name that starts with > is aligned right."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), header_style="dim",
        title=title, title_justify="left", title_style="bold",
    )  # fmt: skip
    for name in columns:
        right = name.startswith(">")
        table.add_column(name.lstrip(">"), justify="right" if right else "left", overflow="fold")
    return table
