"""Who is sent what, as the files that a tool imports: one for each wave and channel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from allocator.errors import Finding
from allocator.export.keys import Keys
from allocator.export.tool import FIELDS, OF_CHANNEL, PARTS, REASON, SUPPRESSED_RUN, KeyKind, Tool
from allocator.files import FORMULA
from allocator.wording import counted


@dataclass(frozen=True)
class Batch:
    """A file to import: its name without ending, what it is of, its rows, and the user of each."""

    name: str
    channel: str
    wave: str | None
    frame: pl.DataFrame
    users: pl.Series


def batches(sent: pl.DataFrame, keys: Keys, kind: KeyKind, tool: Tool) -> Iterator[Batch]:
    """Yield the files of a plan.

    Parameters
    ----------
    sent
        A row each coupon of a user: ``user``, ``channel``, ``wave`` where there are waves, and `FIELDS`.
    keys, kind
        Users' keys, and which one the tool knows them by.
    tool
        The tool.
    """
    waves = sent["wave"].unique().sort().to_list() if "wave" in sent.columns else [None]
    for wave in waves:
        of_wave = sent if wave is None else sent.filter(pl.col("wave") == wave)
        for channel in OF_CHANNEL:
            rows = of_wave.filter(pl.col("channel") == channel)
            if rows.is_empty():
                continue
            parts = [] if wave is None else [re.sub(r"\W+", "-", str(wave)).strip("-") or "wave"]
            frame = with_keys(_fields(rows, tool, channel), keys, kind, tool, channel)
            name = "-".join([*parts, channel])
            yield Batch(name, channel, wave, frame.drop("user"), frame["user"])


def suppression(left_out: pl.DataFrame, run: str, keys: Keys, kind: KeyKind, tool: Tool) -> pl.DataFrame:
    """Return who is to be sent nothing, and why; users without a key are not there.

    Parameters
    ----------
    left_out
        ``user`` and ``reason`` of those who get nothing.
    run
        The run.
    keys, kind, tool
        As for `batches`.
    """
    rows = left_out.select("user", pl.lit(run).alias(SUPPRESSED_RUN), pl.col("reason").alias(REASON))
    frame = with_keys(rows, keys, kind, tool, None).drop("user")
    return frame.filter(pl.col(tool.keys[kind]).is_not_null())


def _fields(rows: pl.DataFrame, tool: Tool, channel: str) -> pl.DataFrame:
    """Return the columns beside the key: a row each coupon, or each user with columns for each coupon."""
    kept = [name for name in FIELDS if name not in PARTS or name in OF_CHANNEL[channel]]
    names = [name for name in kept if name in rows.columns]
    if tool.one_row_each:
        return rows.select("user", "channel", *names)
    rows = rows.select("user", *names, place=pl.int_range(pl.len()).over("user"))
    frame = rows.select(pl.col("user").unique(maintain_order=True))
    for _, one in rows.group_by("place", maintain_order=True):
        place = int(one["place"][0]) + 1
        one = one.drop("place").rename({name: tool.header(channel, name, place) for name in names})
        frame = frame.join(one, on="user", how="left", maintain_order="left")
    return frame


def with_keys(rows: pl.DataFrame, keys: Keys, kind: KeyKind, tool: Tool, channel: str | None) -> pl.DataFrame:
    """Put the key of users, and an address where the tool wants one on a channel, before their rows."""
    headers = {tool.keys[kind]: kind}
    if channel is not None and channel in tool.beside:
        beside, header = tool.beside[channel]
        headers[header] = beside
    if tool.one_row_each:  # there is room for all
        headers |= {header: each for each, header in tool.keys.items() if each in keys.columns}
    own = [pl.col(of).alias(header) for header, of in headers.items()]
    if not tool.phone_sign:
        own = [
            each.str.strip_prefix("+") if headers[each.meta.output_name()] == "phone" else each
            for each in own
        ]
    frame = rows.join(keys.frame.select("user", *own), on="user", how="left", maintain_order="left")
    return frame.select("user", *headers, pl.exclude("user", *headers))


def runnable_cells(batch: Batch) -> list[Finding]:
    """Return a finding for cells that a spreadsheet would run as a formula, by column.

    A tool takes what is imported as it is: an apostrophe that keeps a spreadsheet from it would be sent to
    customers, or make another key.
    """
    findings = []
    for cells in batch.frame.iter_columns():
        if cells.dtype != pl.String:
            continue
        runs = cells.str.contains(f"^{FORMULA}") & cells.cast(pl.Float64, strict=False).is_null()
        rows = runs.arg_true().to_list()
        if rows:
            message = (
                f"a spreadsheet would run {counted(len(rows), 'cell')} of this column as a formula, and an "
                "apostrophe before it would be sent along; change it, or say --as-is"
            )
            findings.append(
                Finding(message, f"{batch.name}.csv", column=cells.name, found=repr(cells[rows[0]])[:100])
            )
    return findings


def too_long(batch: Batch, tool: Tool) -> list[str]:
    """Return the columns with a text that the tool would cut."""
    if tool.cell_bytes is None:
        return []
    texts = batch.frame.select(pl.selectors.string())
    return [cells.name for cells in texts.iter_columns() if (cells.str.len_bytes() > tool.cell_bytes).any()]
