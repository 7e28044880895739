"""Parquet and Arrow -> a frame of text; types that are no cells of a table are named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from allocator.campaign.formats.raw import RawTable
from allocator.campaign.formats.sources import files_of
from allocator.errors import Finding, InputError

PART = 1 << 18  # rows of a part, and of a row group as polars writes it
EPOCH = dt.date(1970, 1, 1)
WHOLE = 2**53  # above it, numbers with a fraction no longer tell neighbouring whole numbers apart
FIRST_DAY, LAST_DAY = (dt.date.min - EPOCH).days, (dt.date.max - EPOCH).days
REFUSED = "the column holds {}, which is no cell of a table; convert or remove it"


def read_columnar(path: Path, name: str, kind: str) -> RawTable:
    """Read a Parquet or Arrow file as text.

    Parameters
    ----------
    path, name
        The file, and what findings call it.
    kind
        ``parquet`` or ``arrow``.

    Raises
    ------
    InputError
        If it is not such a file, or a column holds what is no cell of a table.
    """
    what = "a Parquet file" if kind == "parquet" else "an Arrow file"
    try:
        scan = scan_columnar(path, kind)
        if files_of(path):
            _schema_of(path, name)
        schema = scan.collect_schema()
        refuse_types(schema, name)
        frame = scan.select(text_of(column, dtype) for column, dtype in schema.items()).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "month_day_nano_interval" in detail:
            raise InputError(Finding(REFUSED.format("spans of time in one column"), name)) from error
        raise InputError(Finding(f"this is not {what}, or it is damaged: {detail}", name)) from error
    return RawTable(name, frame, stored_of(schema))


def columnar_parts(path: Path, name: str) -> Iterator[RawTable]:
    """Yield a Parquet file, or a folder of them, in parts; numbers with a fraction stay numbers.

    Parameters
    ----------
    path, name
        The file or folder, and what findings call it.

    Raises
    ------
    InputError
        If a file is not such a file, or its columns are not those of the first, or no cells of a table.
    """
    try:
        schema = _schema_of(path, name)
        columns = [
            pl.col(column) if dtype.is_float() else text_of(column, dtype) for column, dtype in schema.items()
        ]
        read, size = 0, _height(path)
        for file in files_of(path) or [path]:
            scan = scan_columnar(file, "parquet")
            for start in range(0, _height(file), PART):
                frame = scan.slice(start, PART).select(columns).collect()
                read += frame.height
                yield RawTable(name, frame, stored_of(schema), until=read / size)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(Finding("this is not a Parquet file, or it is damaged", name)) from error


def _height(path: Path) -> int:
    return int(scan_columnar(path, "parquet").select(pl.len()).collect().item())


def _schema_of(path: Path, name: str) -> pl.Schema:
    """Return the types of a Parquet file, or of the files of a folder, which must have the same.

    Raises
    ------
    InputError
        If they do not, or a type is no cell of a table.
    """
    schemas = {file: scan_columnar(file, "parquet").collect_schema() for file in files_of(path) or [path]}
    first, schema = next(iter(schemas.items()))
    findings = [
        Finding(
            f"this file of {name} has other columns than {first.name}, or of other types", other.name,
            found=", ".join(f"{column} ({dtype})" for column, dtype in found.items()),
            expected=", ".join(f"{column} ({dtype})" for column, dtype in schema.items()),
        )
        for other, found in schemas.items() if found != schema
    ]  # fmt: skip
    if findings:
        raise InputError(findings)
    refuse_types(schema, name)
    return schema


def scan_columnar(path: Path, kind: str) -> pl.LazyFrame:
    """Return a Parquet or Arrow file, not yet read; of Arrow, the file and the stream format.

    A folder of Parquet files is one table, its files one after another by their names.
    """
    if kind == "parquet":
        return pl.scan_parquet(files_of(path) or path, glob=False, hive_partitioning=False)
    with path.open("rb") as file:
        is_file = file.read(6) == b"ARROW1"
    return pl.scan_ipc(path) if is_file else pl.read_ipc_stream(path).lazy()


def refuse_types(schema: pl.Schema, name: str) -> None:
    """Raise InputError for each column whose type is no cell of a table."""
    findings = [
        Finding(REFUSED.format(words), name, column=column, found=str(dtype))
        for column, dtype in schema.items()
        if (words := _refused(dtype)) is not None
    ]
    if findings:
        raise InputError(findings)


def _refused(dtype: pl.DataType) -> str | None:
    if dtype == pl.Duration:
        return "spans of time"
    if dtype == pl.Binary:
        return "binary data"
    if dtype.is_nested():
        return "lists or records"
    known = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Time, pl.Categorical, pl.Enum, pl.Null)
    return None if dtype.is_numeric() or dtype in known else "values of a type that is not known"


def text_of(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as text: whole numbers without a fraction, times in ISO 8601 with their offset."""
    cells = pl.col(column)
    if dtype.is_float():
        whole = ((cells == cells.round()) & (cells.abs() < WHOLE) | cells.is_null()).all()
        return pl.when(whole).then(cells.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(
            cells.cast(pl.String)
        )  # fmt: skip
    if isinstance(dtype, pl.Datetime):
        written = "%Y-%m-%dT%H:%M:%S%.f" + ("%:z" if dtype.time_zone else "")
        unit = {"ms": 10**3, "us": 10**6, "ns": 10**9}[dtype.time_unit]
        return _in_calendar(cells, 86_400 * unit).dt.to_string(written).fill_null(_beyond(cells))
    if dtype == pl.Date:
        return _in_calendar(cells, 1).cast(pl.String).fill_null(_beyond(cells))
    if dtype.is_decimal():
        return without_zeros(cells.cast(pl.String))
    return cells.cast(pl.String)


def _in_calendar(cells: pl.Expr, unit: int) -> pl.Expr:
    """Return dates of the years 1 to 9999; null where Polars could not write one."""
    return pl.when(cells.to_physical().is_between(FIRST_DAY * unit, LAST_DAY * unit)).then(cells)


def _beyond(cells: pl.Expr) -> pl.Expr:
    """Return what is written in place of a date that no calendar has, for a finding to show."""
    return "beyond any calendar: " + cells.to_physical().cast(pl.String)


def without_zeros(number: pl.Expr) -> pl.Expr:
    """Return numbers that a source holds with a fixed number of digits without a fraction of zeros."""
    return number.str.replace(r"^(-?\d+)\.0+$", "$1")


def stored_of(schema: pl.Schema) -> dict[str, frozenset[str]]:
    """Return which types the source knows of the cells of each column."""
    return {
        column: frozenset({kind}) for column, dtype in schema.items() if (kind := _stored(dtype)) != "text"
    }


def _stored(dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.Date, pl.Datetime):
        return "date"
    return "flag" if dtype == pl.Boolean else "text"
