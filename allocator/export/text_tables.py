"""Tables of results as text, whatever form they come in."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from allocator.campaign.tables import read_text_frame
from allocator.errors import Finding, InputError


def read_text_table(path: Path) -> pl.DataFrame:
    """Return a table of a file with every cell as text; empty ones are null.

    Raises
    ------
    InputError
        If the file cannot be read as a table.
    """
    if path.suffix.casefold() != ".avro":
        return read_text_frame(path)
    try:
        frame = pl.read_avro(path)
        return frame.select(pl.selectors.exclude(pl.selectors.nested() | pl.selectors.binary())).cast(pl.String)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(Finding(f"this Avro file cannot be read: {error}", str(path))) from error


def column_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column by its name in any case; nulls if it is not there."""
    found = [each for each in frame.columns if each.casefold() == name.casefold()]
    return frame[found[0]] if found else pl.Series(name, [None] * frame.height, dtype=pl.String)


def require_columns(frame: pl.DataFrame, names: tuple[str, ...], path: Path) -> None:
    """Raise InputError unless all of these columns are there, in any case."""
    there = {each.casefold() for each in frame.columns}
    missing = [name for name in names if name.casefold() not in there]
    if missing:
        raise InputError(
            [Finding("this column is missing", str(path), 1, name, ", ".join(frame.columns)[:200]) for name in missing]
        )


def bad_cells(path: Path, column: str, cells: pl.Series, bad: pl.Series, expected: str, most: int = 5) -> None:
    """Raise InputError that names the first cells of a column that are bad."""
    rows = bad.fill_null(False).arg_true()
    if not len(rows):
        return
    findings = [
        Finding("this cell cannot be read", str(path), int(row) + 2, column, repr(cells[row]), expected)
        for row in rows[:most]
    ]
    if len(rows) > most:
        findings.append(Finding(f"and {len(rows) - most:,} more like these", str(path), column=column))
    raise InputError(findings)
