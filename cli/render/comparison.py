"""Scenarios side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.format import gap_text, number, signed


def comparison_page(rows: Sequence[Mapping[str, Any]], currency: str) -> RenderableType:
    """Return the table of scenarios, and a sentence for each."""
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
        title=f"Scenarios ({currency})",
        title_justify="left",
        title_style="bold",
    )
    for name, justify in (
        ("scenario", "left"), ("value", "right"), ("±", "right"), ("spend", "right"), ("±", "right"),
        ("return", "right"), ("users", "right"), ("±", "right"), ("moved", "right"), ("gap", "right"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        if row["error"]:
            table.add_row(Text(row["name"]), Text("no plan", style="bold red"))
            continue
        change = row.get("difference")
        difference = [signed(change[name]) if change else Text("") for name in ("value", "spend", "assigned")]
        table.add_row(
            Text(row["name"], style="" if change else "bold"),
            number(row["value"]), difference[0], number(row["spend"]), difference[1],
            "" if row["return"] is None else f"{row['return']:.2f}",
            number(row["assigned"]), difference[2], number(row["moved"]), gap_text(row["gap"]),
        )  # fmt: skip
    return Group(table, Text(""), *(_verdict(row, rows[0]) for row in rows[1:]))


def _verdict(row: Mapping[str, Any], base: Mapping[str, Any]) -> Text:
    name = Text(f"{row['name']}: ", style="bold")
    if row["error"]:
        return name + Text(row["error"])
    change = row["difference"]["value"]
    share = change / abs(base["value"]) if base["value"] else 0.0
    word = "earns" if change >= 0 else "loses"
    text = f"{word} {number(abs(change))} ({abs(share):.1%}) against the base plan; "
    text += f"{row['moved']:,} users get another coupon or none."
    if abs(change) < 1e-9 * max(1.0, abs(base["value"])):
        text = "earns the same as the base plan."
    held = [limit["label"] for limit in row["limits"] if limit["binding"]]
    if held:
        shown = ", ".join(f"'{label}'" for label in held[:3]) + (
            f" and {len(held) - 3} more" if len(held) > 3 else ""
        )
        text += f" Held back by {shown}."
    return name + Text(text)
