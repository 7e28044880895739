"""The forms in which a campaign's tables are written to be read again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.table_forms import SPELLINGS, Rows, Spelling, write_book, write_packed

Tables = Mapping[str, Rows]
Write = Callable[[Path, Tables], str]
"""Writes the tables into a folder; returns what campaign.toml must say of where they are."""


def typed(rows: Sequence[Sequence[str]]) -> list[list[Any]]:
    """Return a table of text with its numbers and dates as such."""
    return [list(rows[0]), *([_typed(cell) for cell in row] for row in rows[1:])]


def _typed(cell: str) -> Any:
    if cell == "":
        return None
    for read in (int, float, dt.date.fromisoformat):
        try:
            value: Any = read(cell)
        except ValueError:
            continue
        return value
    return cell


def frame(rows: Rows) -> pl.DataFrame:
    """Return a frame; columns of several types are text."""
    header, body = list(rows[0]), [list(row) for row in rows[1:]]
    width = max([len(header), *map(len, body)])
    names = [*map(str, header), *(f"column {i + 1}" for i in range(len(header), width))]
    cells = [[row[i] if i < len(row) else None for row in body] for i in range(width)]
    unique = [f"{name}_{i}" if name in names[:i] else name for i, name in enumerate(names)]
    return pl.DataFrame([_series(name, column) for name, column in zip(unique, cells, strict=True)])


def _series(name: str, cells: list[Any]) -> pl.Series:
    numbers = all(cell is None or isinstance(cell, int | float) for cell in cells)
    if numbers and any(isinstance(cell, float) for cell in cells):
        return pl.Series(name, [None if cell is None else float(cell) for cell in cells])
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if cell is None else str(cell) for cell in cells], pl.String)


def _text(spelling: Spelling, folder: Path, tables: Tables) -> str:
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_bytes(spelling.text(rows))
    return ""


def _packed(program: str, folder: Path, tables: Tables) -> str:
    for name, rows in tables.items():
        write_packed(folder, name, rows, program=program)
    return ""


def _excel(folder: Path, tables: Tables) -> str:
    for name, rows in tables.items():
        write_book(folder / f"{name}.xlsx", {name: rows})
    return ""


def _parquet(folder: Path, tables: Tables) -> str:
    for name, rows in tables.items():
        frame(rows).write_parquet(folder / f"{name}.parquet")
    return ""


def _arrow(folder: Path, tables: Tables) -> str:
    for name, rows in tables.items():
        frame(rows).write_ipc(folder / f"{name}.arrow")
    return ""


def _sqlite(folder: Path, tables: Tables) -> str:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "shop.sqlite")) as connection, connection:
        for name, rows in tables.items():
            table = frame(rows)
            columns = ", ".join(_quoted(column) for column in table.columns)
            connection.execute(f"CREATE TABLE {name} ({columns})")
            marks = ", ".join("?" * table.width)
            cells = [[str(c) if isinstance(c, dt.date) else c for c in row] for row in table.iter_rows()]
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", cells)
    return _in_database("shop.sqlite", tables)


def _duckdb(folder: Path, tables: Tables) -> str:
    import duckdb

    with duckdb.connect(str(folder / "shop.duckdb"), config={"threads": 1}) as connection:
        for name, rows in tables.items():
            connection.register("given", frame(rows).to_arrow())
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
            connection.unregister("given")
    return _in_database("shop.duckdb", tables)


def _quoted(name: str) -> str:
    return '"' + (name or " ").replace('"', '""').replace("\0", "") + '"'


def _in_database(file: str, tables: Tables) -> str:
    lines = [f'{name} = "{file}#{name}"' for name in tables]
    return "\n".join(["[tables]", *lines, ""])


FORMS: dict[str, Write] = {
    "plain CSV": partial(_text, Spelling()),
    **{name: partial(_text, spelling) for name, (spelling, _) in SPELLINGS.items()},
    "gzip": partial(_packed, "gzip"),
    "zstd": partial(_packed, "zstd"),
    "Excel": _excel,
    "Parquet": _parquet,
    "Arrow": _arrow,
    "SQLite": _sqlite,
    "DuckDB": _duckdb,
}
TEXT_FILES = ("plain CSV", "semicolons", "tabs", "bars", "UTF-16", "gzip", "zstd")
OF_TEXT = (*TEXT_FILES, "Excel", "Parquet", "Arrow", "SQLite", "DuckDB")
"""Forms that hold any cell as text, as it is."""
