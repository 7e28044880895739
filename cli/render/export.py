"""What was written for a tool, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.format import number


def export_page(document: Mapping[str, Any]) -> RenderableType:
    """Return the files, by what people are known, and what is worth a word."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (("file", "left"), ("wave", "left"), ("channel", "left"), ("people", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for file in document["files"]:
        table.add_row(file["file"], file["wave"] or "", file["channel"], f"{file['rows']:,}")
    table.add_row("suppression.csv", "", "", f"{document['suppressed']:,}", style="dim")
    known = f"People are known by {document['key']}, from column {document['column']}; run {document['run']}."
    return Group(table, Text(known), *_notes(document["notes"]))


def outcomes_page(document: Mapping[str, Any]) -> RenderableType:
    """Return how many rows there are and what they tell."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(style="bold", justify="right")
    for name, value in document.items():
        if name != "notes":
            shown = "not told" if value is None else value if isinstance(value, str) else number(value)
            table.add_row(name.replace("_", " "), shown)
    return Group(table, *_notes(document["notes"]))


def _notes(notes: Sequence[str]) -> list[Text]:
    return [Text(f"Note: {note}", style="yellow") for note in notes]
