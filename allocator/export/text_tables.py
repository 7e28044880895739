"""Tables of results as text, whatever form they come in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from allocator.campaign.formats import FIRST_ROW, RawTable, open_table, source_of_file
from allocator.errors import Finding, InputError

MOST_FINDINGS = 5


def read_text_table(path: Path) -> RawTable:
    """Read a file as a table of text; empty cells are null.

    Raises
    ------
    InputError
        If it cannot be read as a table.
    """
    if path.suffix.casefold() == ".avro":
        return _read_avro(path)
    raw = open_table(source_of_file(path, path.stem))
    return replace(raw, frame=raw.frame.with_columns(pl.all().str.strip_chars().replace("", None)))


def _read_avro(path: Path) -> RawTable:
    try:
        frame = pl.read_avro(path)
        flat = [name for name, dtype in frame.schema.items() if not dtype.is_nested() and dtype != pl.Binary]
        return RawTable(path.name, frame.select(pl.col(flat).cast(pl.String)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(Finding(f"this Avro file cannot be read: {error}", str(path))) from error


def column_of(table: RawTable, name: str) -> pl.Series:
    """Return a column by its name in any case; nulls if it is not there."""
    frame = table.frame
    found = [each for each in frame.columns if each.casefold() == name.casefold()]
    return frame[found[0]] if found else pl.Series(name, [None] * frame.height, dtype=pl.String)


def require_columns(table: RawTable, *names: str) -> None:
    """Raise InputError unless all of these columns are there, in any case."""
    there = {each.casefold() for each in table.frame.columns}
    missing = [name for name in names if name.casefold() not in there]
    if missing:
        columns = ", ".join(table.frame.columns)[:200]
        raise InputError(
            [Finding("this column is missing", table.name, column=name, found=columns) for name in missing]
        )


def require_cells(table: RawTable, column: str, good: pl.Series, expected: str) -> None:
    """Raise InputError that names the first cells of a column that are not good."""
    rows = (~good.fill_null(False)).arg_true().to_list()
    if not rows:
        return
    cells = column_of(table, column)
    findings = [
        Finding("this cell cannot be read", row=row + FIRST_ROW, column=column, found=repr(cells[row]),
                expected=expected)
        for row in rows[:MOST_FINDINGS]
    ]  # fmt: skip
    if len(rows) > MOST_FINDINGS:
        findings.append(Finding(f"and {len(rows) - MOST_FINDINGS:,} more like these", column=column))
    raise InputError(table.place.of_all(findings))
