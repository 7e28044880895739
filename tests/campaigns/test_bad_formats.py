"""Files that cannot be read, or not surely: each is named, with its line and a way out."""

import datetime as dt
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from support.campaign_folders import COUPONS, ROWS, USERS, Folder
from support.table_forms import frame_of, write_book, write_sqlite, zstd

Content = str | bytes | Callable[[Path], object]


def cut(write: Callable[[Path], object], share: float = 0.5) -> Callable[[Path], None]:
    def write_part(path: Path) -> None:
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return write_part


def book(path: Path) -> None:
    write_book(path, {"One": ROWS, "Two": ROWS})


def one_sheet(rows: Any) -> Callable[[Path], None]:
    return lambda path: write_book(path, {"One": rows})


def without_values(path: Path) -> None:
    """Write a workbook as programs do that work out no formula."""
    one_sheet([*ROWS[:2], ["u2", "south", ("error", "7")], ROWS[3]])(path)
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b"<v>7</v>", b"<v></v>")
    with zipfile.ZipFile(path, "w") as book:
        for name, data in parts.items():
            book.writestr(name, data)


FRAME = frame_of(ROWS)

BAD_FILES: dict[str, tuple[dict[str, Content], str, tuple[str, ...]]] = {
    "UTF-16 without its mark": (
        {"users.csv": USERS.encode("utf-16-le")},
        "",
        ("users.csv: this looks like UTF-16 without the mark", 'encoding = "utf-16-le"'),
    ),
    "half a character of UTF-16": (
        {"users.csv": USERS.encode("utf-16") + b"x"},
        "",
        ("users.csv:6", "utf-16"),
    ),
    "an encoding that nobody states": (
        {"users.csv": USERS.replace("south", "süd", 1).encode("latin-1")},
        "",
        ("users.csv:3: the file is not UTF-8", "\"windows-1252\" gives 'süd'", "state its encoding"),
    ),
    "an encoding that is not the stated one": (
        {"users.csv": USERS.replace("south", "süd", 1).encode("latin-1")},
        '[format.users]\nencoding = "gb18030"\n',
        ("accepted",),
    ),
    "a cut gzip": (
        {"users.csv.gz": cut(lambda path: path.write_bytes(gzip.compress(USERS.encode())), 0.9)},
        "",
        ("users.csv.gz: the file cannot be unpacked", "cut off or damaged"),
    ),
    "no gzip": ({"users.csv.gz": USERS}, "", ("users.csv.gz: the file cannot be unpacked",)),
    "a cut zstd": (
        {"users.csv.zst": cut(lambda path: path.write_bytes(zstd().compress(USERS.encode())), 0.9)},
        "",
        ("users.csv.zst: the file cannot be unpacked",),
    ),
    "no zstd": ({"users.csv.zst": USERS}, "", ("users.csv.zst: the file cannot be unpacked",)),
    "nothing packed": ({"users.csv.gz": gzip.compress(b"\n")}, "", ("users.csv.gz: the file is empty",)),
    "gzip that is called CSV": ({"users.csv": gzip.compress(USERS.encode())}, "", ("packed with gzip",)),
    "a workbook that is called CSV": ({"users.csv": book}, "", ("by its content", "an Excel workbook")),
    "a database that is called CSV": ({"users.csv": write_sqlite}, "", ("an SQLite database",)),
    "Parquet that is called CSV": ({"users.csv": FRAME.write_parquet}, "", ("a Parquet file", ".parquet")),
    "a page that is called CSV": ({"users.csv": "\n<!DOCTYPE html><html></html>"}, "", ("a page of HTML",)),
    "separators that change": (
        {"users.csv": USERS.replace("u2,south,45", "u2;south;45").replace("u4,south,60", "u4;south;60")},
        "",
        ("users.csv:3: the row has another number of cells", "separated by semicolons", "users.csv:5"),
    ),
    "separators that may be two": (
        {"users.csv": "user_id;a,b;c\nu1;2,n;3\nu2;3,n;4\n"},
        "",
        ("separated by commas or semicolons", 'delimiter = "," or delimiter = ";"'),
    ),
    "another separator than the stated": (
        {"users.csv": USERS},
        '[format.users]\ndelimiter = ";"\n',
        ('not separated by ";", which [format] states, but by commas',),
    ),
    "a title of several cells": (
        {"users.csv": "Export,2026\n" + USERS},
        "",
        ("users.csv:1: every row has another number of cells", "skip_rows = 1"),
    ),
    "a title as wide as the table": (
        {"users.csv": "Export,of,2026\n" + USERS},
        "",
        ("users.csv:1, user_id: required column is missing; row 2 holds this name", "skip_rows = 1"),
    ),
    "a header that is repeated": (
        {"users.csv": USERS + USERS.replace("u", "v").replace("vser", "user")},
        "",
        ("users.csv:6: this row repeats the header; remove it",),
    ),
    "a line of totals": (
        {"users.csv": USERS + "Total:,,164\n"},
        "",
        ("users.csv:6, user_id: this looks like a line of totals; remove it ['Total:']",),
    ),
    "a folder of parts": (
        {"users.parquet": lambda path: path.mkdir()},
        "",
        ("users.parquet: this is a folder; join its files",),
    ),
    "line ends of two kinds": (
        {"users.csv": "user_id,region,\rage\nu1,north,31\n"},
        "",
        ("users.csv:1: lines end in more than one way",),
    ),
    "formulas without a value": (
        {"users.xlsx": without_values},
        "",
        (
            "users.xlsx:3, column C: the cell holds an error",
            "a formula without a value; open and save the file",
        ),
    ),
    "money of another country in a workbook": (
        {
            "users.csv": USERS,
            "orders.xlsx": one_sheet(
                [["user_id", "at", "amount"], ["u1", "2026-01-01", ("[$€-407] #,##0.00", 5.5)]]
            ),
        },
        "",
        ("orders.xlsx:2, amount: this amount is in another currency than the campaign ['€ 5.5'] [USD]",),
    ),
    "long rows": (
        {"users.csv": USERS.replace("u2,south,45", "u2,south,45,7")},
        "",
        ("users.csv:3: the row has another number of cells than the header [4] [3]",),
    ),
    "short rows": (
        {"users.csv": USERS.replace("u3,north,28", "u3,north")},
        "",
        ("users.csv:4: the row has another number of cells than the header [2] [3]",),
    ),
    "a quote that is not closed": (
        {"users.csv": USERS.replace("u2,south", 'u2,"south')},
        "",
        ("users.csv:3: a quote that opens in this row is not closed",),
    ),
    "a quote that is not closed in a long file": (
        {"users.csv": USERS.replace("u2,south", 'u2,"south') + "u9,north,1\n" * 20_000},
        "",
        ("users.csv:3: this cannot be read as CSV from this line on",),
    ),
    "a zero byte": (
        {"users.csv": USERS.replace("u2", "u\x002")},
        "",
        ("users.csv:3, user_id", "control char"),
    ),
    "zero bytes in a workbook's place": (
        {"users.xlsx": b"\0" * 500},
        "",
        ("users.xlsx: this is not an Excel",),
    ),
    "a cut workbook": (
        {"users.xlsx": cut(book)},
        "",
        ("users.xlsx: this is not an Excel workbook, or it is dam",),
    ),
    "a protected workbook": (
        {"users.xlsx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600},
        "",
        ("an old or a protected Excel workbook",),
    ),
    "an old workbook": (
        {"users.xls": b"\xd0\xcf\x11\xe0"},
        "",
        ("users.xls: this kind of workbook is not read",),
    ),
    "an archive": (
        {"users.csv.zip": b"PK\x03\x04"},
        "",
        ("users.csv.zip: this kind of archive is not read",),
    ),
    "several sheets": (
        {"users.xlsx": book},
        "",
        ('several sheets; name one, as in [tables] users = "users.xlsx#One"', "'One', 'Two'"),
    ),
    "a sheet that is not there": (
        {"book.xlsx": book},
        '[tables]\nusers = "book.xlsx#Three"\n',
        ("book.xlsx#Three: the workbook has no such sheet ['Three'] [one of 'One', 'Two']",),
    ),
    "an empty sheet": ({"users.xlsx": one_sheet([])}, "", ("users.xlsx: the sheet is empty",)),
    "errors of formulas": (
        {
            "users.xlsx": one_sheet(
                [*ROWS[:2], ["u2", ("error", "#N/A"), 1], ["u3", "x", ("error", "#DIV/0!")]]
            )
        },
        "",
        ("users.xlsx:3, column B: the cell holds an error [#N/A]", "users.xlsx:4, column C", "#DIV/0!"),
    ),
    "a cell beside the table": (
        {"users.xlsx": one_sheet([*ROWS[:3], ["u3", "x", "1", "note"], ROWS[4]])},
        "",
        ("users.xlsx:4, column D: a cell stands where the header names no column ['note']",),
    ),
    "a number of more digits than Excel keeps": (
        {"users.xlsx": one_sheet([["user_id"], [1234567890123456], [2]])},
        "",
        ("users.xlsx:2, user_id: this label is stored as a number that lost digits",),
    ),
    "an id that became a date": (
        {"users.xlsx": one_sheet([["user_id", "x"], [dt.date(2026, 3, 10), 1], ["u2", 2]])},
        "",
        ("users.xlsx:2, user_id: a spreadsheet took this label for a date ['2026-03-10']",),
    ),
    "numbers that are half text": (
        {"users.xlsx": one_sheet([["user_id", "x"], ["u1", 1.5], ["u2", "2,5"]])},
        "",
        ("users.xlsx:3, x: the column holds numbers, and text that is a number with a decimal comma",),
    ),
    "cut Parquet": (
        {"users.parquet": cut(FRAME.write_parquet)},
        "",
        ("this is not a Parquet file, or it is dam",),
    ),
    "cut Arrow": (
        {"users.arrow": cut(FRAME.write_ipc)},
        "",
        ("this is not an Arrow file, or it is damaged",),
    ),
    "no Arrow": ({"users.feather": USERS}, "", ("this is not an Arrow file",)),
    "spans of time": (
        {"users.parquet": FRAME.with_columns(since=pl.duration(days=1)).write_parquet},
        "",
        ("users.parquet, since: the column holds spans of time", "Duration"),
    ),
    "lists, records and bytes": (
        {
            "users.parquet": FRAME.with_columns(
                a=pl.lit([1]), b=pl.struct("age"), c=pl.lit(b"x")
            ).write_parquet
        },
        "",
        ("users.parquet, a: ", "users.parquet, b: ", "users.parquet, c: the column holds binary data"),
    ),
    "ids that lost digits": (
        {"users.parquet": pl.DataFrame({"user_id": [1e17, 2.0]}).write_parquet},
        "",
        ("users.parquet:2, user_id: this label is stored as a number that lost digits",),
    ),
    "two files": (
        {"users.csv": USERS, "users.csv.gz": gzip.compress(USERS.encode())},
        "",
        ("users: more than one file could be this table", "users.csv, users.csv.gz"),
    ),
    "two spellings of a name": (
        {"users.csv": USERS, "Users.csv": USERS},
        "",
        ("more than one file could be this table", "Users.csv, users.csv"),
    ),
    "another name": ({"customers.csv": USERS}, "", ('[tables] users = "customers.csv"',)),
    "a file that is not there": (
        {"customers.csv": USERS},
        '[tables]\nusers = "custmers.csv"\n',
        ("campaign.toml, tables.users: there is no such file ['custmers.csv']", "customers.csv"),
    ),
    "a part of a file without parts": (
        {"a.csv": USERS},
        '[tables]\nusers = "a.csv#x"\n',
        ("tables.users: a file of this kind has no parts",),
    ),
    "a key that means nothing there": (
        {"users.parquet": FRAME.write_parquet},
        '[format.users]\ndelimiter = ";"\n',
        ("format.users.delimiter: users.parquet has none; remove this key",),
    ),
    "a key of a table that is not there": (
        {"users.csv": USERS},
        '[format.orders]\ndecimal = ","\n',
        ("format.orders: there is no such table",),
    ),
    "keys that cannot be": (
        {"users.csv": USERS},
        '[format]\ndelimiter = "ab"\nencoding = "rot13"\ndates = "dmy"\n[format.users]\ndecimal = ","\n'
        'thousands = ","\n[tables]\nuser = "x.csv"\n',
        ("format.delimiter", "format.encoding", "format.dates", "format.users", "tables.user"),
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_cannot_be_read_is_named(check: Callable[..., str], kind: str) -> None:
    files, more, words = BAD_FILES[kind]
    said = check(files, more)
    assert all(word in said for word in words), said


# Lines are those of an editor


def test_line_numbers_are_those_of_an_editor(check: Callable[..., str]) -> None:
    said = check(
        {"users.csv": 'user_id,note,holdout\nu1,"a\nb\nc",0\nu2,x,maybe\nu3,"p\nq",perhaps\nu4,,0\n'}
    )
    assert "users.csv:5, holdout" in said
    assert "users.csv:7, holdout" in said  # the cell itself, behind the line end


def test_lines_below_a_title_and_between_tables(check: Callable[..., str], tiny: Folder) -> None:
    history = 'user_id,coupon_id,sent_at,converted,"a\nname"\nu1,C9,2026-01-01,1,x\n'
    scores = 'Export\n"of\nscores"\nuser_id,coupon_id,value,cost\nu1,C1,3,1\nu1,C7,3,1\n'
    said = check({"history.csv": history.replace('"a\nname"', "a"), "scores.csv": scores}, drop=())
    assert "scores.csv:6, coupon_id" in said
    coupons = (
        COUPONS.replace("code", "description")
        .replace("TEN", '"of\nten"')
        .replace("2,amount,5", "2,percent,105")
    )
    said = check({"coupons.csv": coupons}, drop=())
    assert "coupons.csv:4, value: coupon 'C2' takes off more than 100 percent" in said
