"""What people's own files were taken to be, with samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.format import number

if TYPE_CHECKING:
    from allocator.campaign.guess import CampaignGuess, FileGuess

MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MOST_OTHERS = 8
UNSURE = {"dates": '"day-first" or "month-first"', "decimal": '"." or ","'}


def guess_page(guess: CampaignGuess) -> RenderableType:
    """Return each file with its table and columns, what belongs together, and what was left out."""
    parts: list[RenderableType] = []
    for table, file in guess.files.items():
        parts += [_head(table, file), _columns(file), *_others(table, file), Text("")]
    for other in guess.others:
        why = (
            "it looks like no table of a campaign"
            if other.table is None
            else f"another file is {other.table}"
        )
        parts.append(Text(f"{other.name} is not used: {why}", style="yellow"))
    for own, join in guess.joins.items():
        for table, column in join.columns.items():
            share = f"{join.shares[table]:.0%} found"
            parts.append(Text(f"{own}: '{column}' of {guess.files[table].name} is '{join.key}' ({share})"))
    return Group(*parts, *(Text(f"Note: {note}", style="yellow") for note in guess.notes))


def _head(table: str, file: FileGuess) -> Text:
    facts = file.facts
    details = [f"{number(facts.rows)} rows"]
    if facts.delimiter is not None:
        details.append(MARKS.get(facts.delimiter, repr(facts.delimiter)))
    details += [f"perhaps {file.encoding}"] if file.encoding else []
    details += [f"{facts.skipped} lines above the header"] if facts.skipped else []
    details += [f"{key} {value}" for key, value in facts.keys.items()]
    what = f"{table}, {file.export.title}" if file.export else table
    return Text.assemble(
        (file.name, "bold"), " -> ", (what, "bold cyan"), (f"  ({', '.join(details)})", "dim")
    )


def _columns(file: FileGuess) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for name in ("column", "is", "such as", "why"):
        table.add_column(name, overflow="fold")
    for column in file.columns:
        unsure = column.meaning is None and bool(column.choices)
        style = "yellow" if unsure else ""
        words = "?" if unsure else column.words if column.meaning else ""
        why = f"{column.why}: {' or '.join(column.choices)}" if unsure else column.why
        samples = ", ".join(column.samples[:2])
        table.add_row(
            Text(column.column, style=style), Text(words, style=style), Text(samples, style="dim"), Text(why)
        )
    for key, sample in file.facts.unsure.items():
        table.add_row(
            Text(f"format {key}", style="yellow"), Text("?", style="yellow"), Text(sample), Text(UNSURE[key])
        )
    return table


def _others(table: str, file: FileGuess) -> list[RenderableType]:
    if not file.others:
        return []
    shown = ", ".join(file.others[:MOST_OTHERS])
    more = f" and {len(file.others) - MOST_OTHERS:,} more" if len(file.others) > MOST_OTHERS else ""
    what = "features" if table == "users" else "measures" if table == "scores" else "not used"
    return [Text(f"  {what}: {shown}{more}", style="dim")]
