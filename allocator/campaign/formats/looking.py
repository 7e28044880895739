"""Look at a file without knowing what it is: what was found of its form, column by column, or is unsure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from allocator.campaign.formats import dates
from allocator.campaign.formats.decoding import TextFile
from allocator.campaign.formats.delimited import first_lines, usual_delimiter
from allocator.campaign.formats.layout import find_layout
from allocator.campaign.formats.number_columns import NumberColumn
from allocator.campaign.formats.opening import open_table
from allocator.campaign.formats.settings import TableFormat
from allocator.campaign.formats.sources import Source, source_of_file

MOSTLY = 0.95  # of a column's cells are dates: then it holds dates
SAMPLES = 3


@dataclass(frozen=True)
class ColumnFacts:
    """What was found of a column.

    Parameters
    ----------
    name
        As the header has it.
    samples
        The first cells that differ and are not empty.
    filled, distinct
        How many cells are not empty, and how many different ones there are.
    holds
        ``number``, ``date`` or ``text``.
    decimal
        The decimal mark of its numbers, ``ambiguous`` where no cell says, None where none has a mark.
    dates
        The order of day and month, or ``iso``, or ``ambiguous``.
    currency
        A currency's sign that stands beside its numbers.
    percent
        Whether percent signs do.
    stored
        Types that the source itself knows of the cells; empty for text files.
    """

    name: str
    samples: tuple[str, ...]
    filled: int
    distinct: int
    holds: Literal["number", "date", "text"]
    decimal: Literal[".", ",", "ambiguous"] | None = None
    dates: Literal["day-first", "month-first", "iso", "ambiguous"] | None = None
    currency: str | None = None
    percent: bool = False
    stored: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FileFacts:
    """What was found of a file, or of a sheet of it.

    Parameters
    ----------
    source
        The file.
    kind
        ``text``, ``workbook``, ``parquet``, ``arrow``.
    rows
        Below the header.
    columns
        In the file's order.
    encoding, delimiter
        Of text.
    skipped
        Lines before the header, as ``skip_rows`` counts them.
    keys
        What ``[format]`` could state of it: only what is sure.
    unsure
        Keys of ``[format]`` that only a person can state, with the cell that may be read in two ways.
    """

    source: Source
    kind: str
    rows: int
    columns: tuple[ColumnFacts, ...]
    encoding: str | None = None
    delimiter: str | None = None
    skipped: int = 0
    keys: Mapping[str, object] = field(default_factory=dict)
    unsure: Mapping[str, str] = field(default_factory=dict)


def sheets_of(path: Path) -> list[str]:
    """Return the names of the sheets that a workbook shows; none for other files.

    Raises
    ------
    InputError
        If the workbook cannot be opened.
    """
    if source_of_file(path).kind != "workbook":
        return []
    from allocator.campaign.formats.workbook import open_workbook, shown_sheets

    with open_workbook(path, path.name) as book:
        return shown_sheets(book)


def look_at(path: Path, sheet: str | None = None, keys: TableFormat | None = None) -> FileFacts:
    """Return what can be found out about a file.

    Parameters
    ----------
    path
        The file.
    sheet
        Which sheet of a workbook; the only one unless given.
    keys
        What is known of it.

    Raises
    ------
    InputError
        If it cannot be opened at all.
    """
    keys = keys or TableFormat()
    found = source_of_file(path)
    source = Source("", found.kind, f"{path.name}#{sheet}" if sheet else path.name, path, part=sheet)
    raw = open_table(source, keys)
    cells = raw.frame.with_columns(pl.all().str.strip_chars().replace("", None))
    columns = tuple(
        _column(text, keys, raw.stored.get(text.name, frozenset())) for text in cells.iter_columns()
    )
    encoding, delimiter, skipped = None, None, 0
    if source.kind == "text":
        file = TextFile(path, path.name, keys.encoding)
        head = file.sample()
        encoding = file.encoding_of(head)
        layout = find_layout(first_lines(head, encoding), keys, path.name, usual_delimiter(path))
        delimiter, skipped = layout.delimiter, layout.before
    elif source.kind == "workbook":
        skipped = (raw.rows.row(-1) or 1) - 1
    sure, unsure = _keys(columns)
    return FileFacts(
        source, source.kind, cells.height, columns, encoding, delimiter, skipped, sure, unsure
    )  # fmt: skip


def _column(text: pl.Series, keys: TableFormat, stored: frozenset[str]) -> ColumnFacts:
    known = text.drop_nulls()
    distinct = known.unique(maintain_order=True)
    samples = tuple(distinct.head(SAMPLES).to_list())
    facts = (text.name, samples, len(known), len(distinct))
    if stored == {"date"} or (len(known) and _share_of_dates(known) >= MOSTLY):
        return ColumnFacts(*facts, "date", dates=_order(known, keys), stored=stored)
    number = NumberColumn(text, "feature", keys, None, stored)
    castable = len(known) > 0 and known.cast(pl.Float64, strict=False).null_count() == 0
    if not number.is_number:
        return ColumnFacts(*facts, "number" if castable else "text", stored=stored)
    unsure = number.mark is None and number.evidence.either is not None
    signs = number.signs["currency"].drop_nulls()
    return ColumnFacts(
        *facts,
        "number",
        "ambiguous" if unsure else number.mark,
        currency=signs[0] if len(signs) else None,
        percent=bool(number.signs["percent"].any()),
        stored=stored,
    )


def _share_of_dates(known: pl.Series) -> float:
    if known.str.contains(r"^\d{8}$").all():  # a day, or any number of eight digits
        return 0.0
    patterns = (dates.ISO, dates.YEAR_FIRST, dates.NUMERIC, dates.NAMED, dates.SHORT_YEAR)
    matched = pl.any_horizontal(pl.col("text").str.contains(pattern) for pattern in patterns)
    return known.to_frame("text").filter(matched).height / len(known)


def _order(known: pl.Series, keys: TableFormat) -> Literal["day-first", "month-first", "iso", "ambiguous"]:
    if keys.dates is not None:
        return keys.dates
    if dates.is_iso(known):
        return "iso"
    found = dates.evidence(known)
    if found.order is not None:
        return found.order
    return "iso" if found.numeric is None and found.short is None else "ambiguous"


def _keys(columns: tuple[ColumnFacts, ...]) -> tuple[dict[str, object], dict[str, str]]:
    """Return the keys of ``[format]`` that are sure, and a sample for each that only a person can state."""
    sure: dict[str, object] = {}
    unsure: dict[str, str] = {}
    for key, usual in (("decimal", "."), ("dates", "iso")):
        seen = {value for column in columns if (value := getattr(column, key)) not in (None, "ambiguous")}
        if key == "dates":
            seen -= {"iso"}
        doubtful = [column for column in columns if getattr(column, key) == "ambiguous"]
        if len(seen) == 1 and seen != {usual}:
            sure[key] = seen.pop()
        elif doubtful and len(seen) != 1:
            unsure[key] = f"{doubtful[0].samples[0]} in {doubtful[0].name}"
    return sure, unsure
