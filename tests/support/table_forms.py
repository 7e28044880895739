"""One small campaign, its tables written in every form that people have them."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

Rows = Sequence[Sequence[Any]]
DAY, LATER = dt.date(2026, 1, 31), dt.date(2026, 12, 31)
TABLES: Mapping[str, Rows] = {
    "users": [
        ["user_id", "region", "spend", "orders"],
        ["u1", "north", 1234.5, 12],
        ["u2", "south", 0.25, 3],
        ["u3", "Süd-West, 東", 12345678.75, None],
        ["u4", "south", None, 1],
    ],
    "coupons": [
        ["coupon_id", "kind", "value", "min_spend", "code", "starts_at", "ends_at"],
        ["C1", "percent", 12.5, 1500, "TEN", DAY, LATER],
        ["C2", "amount", 5.25, None, "FIVE", dt.date(2026, 2, 1), LATER],
    ],
    "history": [
        ["user_id", "coupon_id", "sent_at", "propensity", "converted", "redeemed", "revenue", "discount"],
        ["u1", "C1", DAY, 0.5, 1, 1, 1240.5, 155.0],
        ["u2", None, dt.date(2026, 3, 4), 0.5, 0, 0, 0, 0],
        ["u3", "C2", dt.date(2026, 3, 4), 0.25, 1, 1, 80.25, 5.25],
    ],
    "scores": [
        ["user_id", "coupon_id", "value", "cost"],
        ["u1", "C1", 3.5, 1],
        ["u2", "C2", 1234.25, 2.5],
        ["u3", "C1", 6, 3],
        ["u4", "C2", 1, 0.125],
    ],
}
CAMPAIGN = """\
schema = 1
name = "forms"
currency = "EUR"
as_of = 2026-06-01

[[limits]]
kind = "budget"
label = "total"
at_most = 4

[copy]
writer = "template"
"""


@dataclass(frozen=True)
class Spelling:
    """How a program writes cells as text."""

    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    date: str = "%Y-%m-%d"
    currency: str = "{}"
    encoding: str = "utf-8"
    ends: str = "\n"
    before: str = ""
    after: str = ""

    def cell(self, value: Any, column: str) -> str:
        if value is None:
            return ""
        if isinstance(value, dt.date):
            return value.strftime(self.date)
        if isinstance(value, str):
            return value
        text = f"{value:,}".replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        return self.currency.format(text) if column in ("revenue", "discount", "min_spend") else text

    def text(self, rows: Rows) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator=self.ends)
        for i, row in enumerate(rows):
            writer.writerow(row if i == 0 else map(self.cell, row, rows[0]))
        return (self.before + out.getvalue() + self.after).encode(self.encoding)


SPELLINGS: Mapping[str, tuple[Spelling, str]] = {
    "semicolons": (Spelling(";"), "semicolons between cells"),
    "tabs": (Spelling("\t"), "tabs between cells"),
    "bars": (Spelling("|"), "upright bars between cells"),
    "byte order mark": (Spelling(encoding="utf-8-sig"), ""),
    "UTF-16": (Spelling("\t", encoding="utf-16"), "UTF-16"),
    "line ends of Windows": (Spelling(ends="\r\n"), ""),
    "line ends of old": (Spelling(ends="\r"), ""),
    "German": (Spelling(";", ",", ".", "%d.%m.%Y", "{} €", "utf-8-sig", "\r\n"), "decimal commas"),
    "French": (Spelling(";", ",", "\u202f", "%d/%m/%Y", "{}\u00a0€"), "day before month"),
    "Swiss": (Spelling(";", ".", "'", "%d.%m.%Y", "EUR {}"), "day before month"),
    "American": (Spelling(",", ".", ",", "%m/%d/%Y", "€{}"), "month before day"),
    "Japanese": (Spelling(",", ".", ",", "%Y/%m/%d"), ""),
    "named months": (Spelling(date="%d %b %Y"), ""),
    "title": (
        Spelling(before="Export of customers,,,\n,,,\n"),
        "header in line 3, below 'Export of customers'",
    ),
    "what Excel is told": (Spelling(";", before="sep=;\n"), ""),
    "blank rows at the end": (Spelling(after=",,,\n,,,\n\n\n"), ""),
}


def write_campaign(folder: Path, tables: Mapping[str, Rows] = TABLES, more: str = "") -> Path:
    """Write the campaign with plain CSV files."""
    folder.mkdir()
    (folder / "campaign.toml").write_text(CAMPAIGN + more, encoding="utf-8")
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_bytes(Spelling().text(rows))
    return folder


Writer = Callable[[Path, str, Rows], None]


def write_packed(folder: Path, name: str, rows: Rows, *, program: str) -> None:
    text = Spelling().text(rows)
    if program == "gzip":
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text))
        return
    (folder / f"{name}.csv.zst").write_bytes(zstd().compress(text))


def zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def write_book(path: Path, sheets: Mapping[str, Rows], hidden: Sequence[str] = (), top: int = 0) -> None:
    """Write a workbook: a pair is a value with its number format, or an error of a formula."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path)) as book:
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            if name in hidden:
                sheet.hide()
            for i, row in enumerate(rows, start=top):
                for j, cell in enumerate(row):
                    if isinstance(cell, dt.date):
                        sheet.write_datetime(i, j, cell, day)
                    elif isinstance(cell, tuple) and cell[0] == "error":
                        sheet.write_formula(i, j, "=NA()", None, cell[1])
                    elif isinstance(cell, tuple):
                        sheet.write_number(i, j, cell[1], book.add_format({"num_format": cell[0]}))
                    elif isinstance(cell, str):
                        sheet.write_string(i, j, cell)
                    elif cell is not None:
                        sheet.write(i, j, cell)


def frame_of(rows: Rows) -> pl.DataFrame:
    """Return a frame whose columns have types."""
    columns = zip(rows[0], zip(*rows[1:], strict=True), strict=True)
    return pl.DataFrame([pl.Series(name, _of_one_type(cells)) for name, cells in columns])


def _of_one_type(cells: Sequence[Any]) -> list[Any]:
    if any(isinstance(cell, float) for cell in cells):
        return [None if cell is None else float(cell) for cell in cells]
    return list(cells)


def write_sqlite(path: Path, tables: Mapping[str, Rows] = TABLES) -> None:
    connection = sqlite3.connect(path)
    for name, rows in tables.items():
        connection.execute(f"CREATE TABLE {name} ({', '.join(rows[0])})")
        cells = [[str(cell) if isinstance(cell, dt.date) else cell for cell in row] for row in rows[1:]]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", cells)
    connection.commit()
    connection.close()


def write_duckdb(path: Path, tables: Mapping[str, Rows] = TABLES) -> None:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        for name, rows in tables.items():
            frame = frame_of(rows)
            columns = ", ".join(f"{column} {_sql_type(dtype)}" for column, dtype in frame.schema.items())
            connection.execute(f"CREATE TABLE {name} ({columns})")
            connection.executemany(
                f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.rows()
            )


def write_postgres(url: str, tables: Mapping[str, Rows] = TABLES) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        for name, rows in tables.items():
            frame = frame_of(rows)
            columns = ", ".join(f"{column} {_sql_type(dtype)}" for column, dtype in frame.schema.items())
            connection.execute(f"CREATE TABLE {name} ({columns})")
            for row in frame.rows():
                connection.execute(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * frame.width)})", row)


def _sql_type(dtype: pl.DataType) -> str:
    if dtype == pl.Date:
        return "date"
    return "numeric(14, 3)" if dtype.is_numeric() else "varchar"


def without(folder: Path) -> None:
    """Remove the CSV files."""
    for name in TABLES:
        (folder / f"{name}.csv").unlink()
