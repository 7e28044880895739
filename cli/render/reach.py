"""Who may be reached, and why the others may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.format import number, plain_table

Document = Mapping[str, Any]


def reach_page(reach: Document, *, reasons: bool = True) -> RenderableType:
    """Return whom a campaign may reach by channel, if asked why others not, and how its columns were read."""
    table = plain_table("Who may be reached", "", ">users", "")
    table.add_row("all", number(reach["users"]), "")
    if reach["held_out"]:
        table.add_row("held out", number(reach["held_out"]), "in a control group: they get nothing")
    for name, found in reach["channels"].items():
        said = f"of whom {number(found['eligible'])} may get something on it"
        what = "consent to" if reach["is_stated"] else "count as consenting to"
        table.add_row(Text(f"{what} {name}"), number(found["consent"]), said)
    table.add_row("without consent", number(reach["without_consent"]), "to any channel that is used")
    table.add_row(Text("eligible", style="bold"), Text(number(reach["eligible"]), style="bold"), "")
    parts: list[RenderableType] = [table]
    if reasons and reach["reasons"]:
        parts += [Text(""), _reasons(reach["reasons"])]
    if said_by := _said_by(reach):
        parts += [Text(""), Text("Read from the columns of users:", style="dim")]
        parts += [Text(f"  {line}", style="dim") for line in said_by]
    return Group(*parts)


def caution_lines(cautions: Iterable[str]) -> list[RenderableType]:
    """Return what a planner must know before anything is sent, a line each."""
    return [Text(f"Caution: {caution}.", style="bold yellow") for caution in cautions]


def _reasons(reasons: Mapping[str, int]) -> Table:
    table = plain_table("Not eligible", "reason", ">users")
    for reason, users in sorted(reasons.items(), key=lambda row: (-row[1], row[0])):
        table.add_row(Text(reason), number(users))
    return table


def _said_by(reach: Document) -> list[str]:
    """Return how each column was read, once."""
    lines = [line for found in reach["channels"].values() for line in found["said_by"]]
    return list(dict.fromkeys([*lines, *reach["held_out_by"]]))
