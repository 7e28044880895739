"""What a checked campaign holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def campaign_table(facts: Mapping[str, Any]) -> RenderableType:
    """Return the campaign's size, and what was left out while reading."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(style="bold")
    for name, value in facts.items():
        if name != "notes":
            table.add_row(
                name.replace("_", " "), Text(f"{value:,}" if isinstance(value, int) else str(value))
            )
    return Group(table, *(Text(f"Note: {note}", style="yellow") for note in facts["notes"]))
