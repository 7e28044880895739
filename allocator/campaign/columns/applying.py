"""What is known of a file's columns -> a frame of text under the table's own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from allocator.campaign.columns.exports import other_values
from allocator.campaign.columns.matching import Match
from allocator.campaign.columns.meanings import Meaning
from allocator.campaign.columns.names import key_of
from allocator.campaign.formats import FIRST_ROW
from allocator.errors import Finding

SHOWN = 4
NO_AMOUNT = r"^0*\.?0*$"


@dataclass(frozen=True)
class Applied:
    """A frame under the table's own names.

    Parameters
    ----------
    frame
        As text; columns that are not known keep their names.
    rows
        Positions in the file of the rows that were kept; None if all were.
    cents
        Columns whose amounts are in cents.
    findings, notes
        What is wrong with it, and what was left out.
    """

    frame: pl.DataFrame
    rows: pl.Series | None
    cents: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def apply(match: Match, raw: pl.DataFrame, file: str) -> Applied:
    """Rename, translate and choose; see `Meaning` for what a column may say of its cells.

    Parameters
    ----------
    match
        What the columns are.
    raw
        The file as text; null where empty.
    file
        What findings and notes call it.
    """
    kept, notes = _rows(match, raw, file)
    rows = None if kept.all() else kept.arg_true()
    raw = raw if rows is None else raw.filter(kept)
    findings = [] if raw.height else [Finding("no row is left of those that it has", file)]
    cells = {name: _translated(raw[name], meaning) for name, meaning in match.meanings.items()}
    usual = other_values().get(match.table, {})
    columns = {
        own: _usual(cells.get(name, raw[name]), usual.get(own, {})).alias(own)
        for own, name in match.names.items()
    }
    findings += _offers(columns, file)
    used = {*match.names.values(), *match.ignored}
    for name in raw.columns:
        if name not in used:
            columns[name] = cells.get(name, raw[name])
    cents = tuple(own for own, name in match.names.items() if match.unit_of(name) == "cents")
    return Applied(pl.DataFrame(list(columns.values())), rows, cents, tuple(findings), tuple(notes))


def in_whole_units(frame: pl.DataFrame, cents: tuple[str, ...]) -> pl.DataFrame:
    """Return a typed frame whose amounts in cents are in the currency's unit; percentages stay."""
    for name in cents:
        name = "value" if name == "amount_off" else name
        whole = pl.col(name) / 100
        if name == "value" and "kind" in frame.columns:
            whole = pl.when(pl.col("kind") == "percent").then(pl.col(name)).otherwise(whole)
        frame = frame.with_columns(whole.alias(name)) if name in frame.columns else frame
    return frame


def _translated(column: pl.Series, meaning: Meaning) -> pl.Series:
    """Replace cells by what they mean; take the sign off amounts that are written as negative."""
    if meaning.sign == "minus":
        column = column.str.strip_prefix("-").str.strip_prefix("−")
    if not meaning.values:
        return column
    wanted = {key_of(text): value or None for text, value in meaning.values.items() if text}
    known = {text: wanted[key_of(text)] for text in column.unique().drop_nulls() if key_of(text) in wanted}
    column = column.replace(known) if known else column
    return column.fill_null(meaning.values[""]) if meaning.values.get("") else column


def _usual(column: pl.Series, known: Mapping[str, str]) -> pl.Series:
    """Replace what tools write for a value that the column knows by that value."""
    cells = column.unique().drop_nulls() if known else ()
    found = {text: known[key_of(text)] for text in cells if key_of(text) in known}
    return column.replace(found) if found else column


def _rows(match: Match, raw: pl.DataFrame, file: str) -> tuple[pl.Series, list[str]]:
    """Return which rows are read, and sentences on the others."""
    kept, notes = pl.repeat(True, raw.height, dtype=pl.Boolean, eager=True), []
    for name, meaning in match.meanings.items():
        if meaning.blank == "skip":
            blank = kept & raw[name].is_null()
            kept &= ~blank
            if n := blank.sum():
                notes.append(f"{file}: {n:,} rows without '{name}' are not read")
        if meaning.only:
            wanted = set(map(key_of, meaning.only))
            texts = raw[name].unique().drop_nulls().to_list()
            fits = raw[name].is_in([text for text in texts if key_of(text) in wanted]).fill_null(False)
            others = raw[name].filter(kept & ~fits)
            kept &= fits
            if len(others):
                known = ", ".join(meaning.only)
                notes.append(
                    f"{file}: {len(others):,} rows are not read, as '{name}' is none of {known}: "
                    f"{_counted(others)}"
                )
    return kept, notes


def _counted(cells: pl.Series) -> str:
    counts = sorted(
        cells.fill_null("").alias("text").value_counts().iter_rows(), key=lambda row: (-row[1], row[0])
    )
    shown = [f"{repr(text) if text else 'empty cells'} ({count:,})" for text, count in counts[:SHOWN]]
    return ", ".join([*shown, "..."] if len(counts) > SHOWN else shown)


def _offers(columns: dict[str, pl.Series], file: str) -> Iterator[Finding]:
    """Make kind and value of columns for percentages and amounts, where there are such instead."""
    parts = {kind: columns.pop(f"{kind}_off") for kind in ("percent", "amount") if f"{kind}_off" in columns}
    if not parts:
        return
    filled = {kind: _filled(part) for kind, part in parts.items()}
    for i in _doubly(filled):
        found = f"{filled['percent'][i]} and {filled['amount'][i]}"
        yield Finding(
            "a coupon takes off a percentage or an amount; empty one",
            file,
            i + FIRST_ROW,
            "percent_off",
            found,
        )
    size = len(next(iter(parts.values())))
    kind = pl.Series("kind", [None] * size, dtype=pl.String)
    value = pl.Series("value", [None] * size, dtype=pl.String)
    for name, part in filled.items():
        kind = pl.select(pl.when(part.is_not_null()).then(pl.lit(name)).otherwise(kind)).to_series()
        value = pl.select(pl.coalesce(part, value)).to_series()
    columns.setdefault("kind", kind.alias("kind"))
    columns.setdefault("value", value.alias("value"))


def _filled(part: pl.Series) -> pl.Series:
    """Return a part of an offer; 0 is none."""
    return pl.select(pl.when(~part.str.contains(NO_AMOUNT)).then(part)).to_series()


def _doubly(filled: dict[str, pl.Series]) -> pl.Series:
    """Return the rows in which every part is filled, where there are several."""
    if len(filled) < 2:
        return pl.Series([], dtype=pl.UInt32)
    return (
        pl.DataFrame(list(filled.values()))
        .select(pl.all_horizontal(pl.all().is_not_null()))
        .to_series()
        .arg_true()
    )
