"""What a checked campaign holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.reach import caution_lines, reach_page


def campaign_table(facts: Mapping[str, Any]) -> RenderableType:
    """Return the campaign's size, who may be reached, and what to know of it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(style="bold")
    for name, value in facts.items():
        if name not in ("reach", "notes"):
            table.add_row(
                name.replace("_", " "), Text(f"{value:,}" if isinstance(value, int) else str(value))
            )
    notes = [Text(f"Note: {note}", style="yellow") for note in facts["notes"]]
    cautions = caution_lines(facts["reach"]["cautions"])
    return Group(table, Text(""), reach_page(facts["reach"]), Text(""), *cautions, *notes)
