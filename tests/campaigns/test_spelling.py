"""Numbers and dates as people write them: read where they are sure, asked for where they are not."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.campaign import read_campaign
from allocator.campaign.formats import Kind, Notation, TableFormat, look_at, respell, sheets_of
from support.campaign_folders import CAMPAIGN, ROWS, Folder
from support.table_forms import write_book

NUMBERS = {
    "two ways in one file": (
        ["1", "1,5", "2,5"],
        ("x.csv:3, n: numbers of this file are written in two ways",),
    ),
    "a thousand or a little more than one": (
        ["1.234", "2.345", "3"],
        ("x.csv:2, n: this may be 1234 or 1.234",),
    ),
    "the same with a comma": (["1", "1,234", "2,345"], ("x.csv:3, n: this may be 1234 or 1.234",)),
    "the same with a currency": (["$1,234", "$2,345", "$3"], ("x.csv:2, n: this may be 1234 or 1.234",)),
    "two ways of writing": (
        ["1,234.5", "2.345,5", "3"],
        ("x.csv:2, n: numbers are written in two ways", "x.csv:3"),
    ),
    "two currencies": (["$1.5", "€2.5", "3"], ("x.csv:2, n: there is more than one currency", "x.csv:3")),
    "percent and none": (["10%", "0.2", "5%"], ("x.csv:2, n: some numbers have a percent sign", "x.csv:3")),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_a_number_that_may_mean_two_things_is_asked_for(check: Callable[..., str], kind: str) -> None:
    cells, words = NUMBERS[kind]
    other = ",0.5" if "two ways in one" in kind else ",5"
    rows = "".join(f'u{i},"{cell}"{other}\n' for i, cell in enumerate([*cells, "7"], start=1))
    said = check({"users.csv": "user_id,n,m\n" + rows})
    assert all(word.replace("x.csv", "users.csv") in said for word in words), said


@pytest.mark.parametrize(("mark", "value"), [(".", 1.234), (",", 1234.0)])
def test_campaign_toml_says_which(tiny: Folder, mark: str, value: float) -> None:
    tiny.write(users='user_id,n\nu1,"1.234"\nu2,"2.345"\nu3,3\nu4,4\n')
    tiny.write(campaign=f'{CAMPAIGN}\n[format.users]\ndecimal = "{mark}"\n')
    assert read_campaign(tiny.path).users["n"].to_list()[0] == value


HEAD = "coupon_id,kind,value,min_spend,code,starts_at,ends_at\n"
COUPON_CELLS = {
    "percent of an amount": (
        "C1,amount,10%,,A,,\nC2,amount,5,,B,,",
        ("coupons.csv:2, value: a percent sign in an",),
    ),
    "an amount of percent": (
        "C1,percent,$10,,A,,\nC2,amount,5,,B,,",
        ("coupons.csv:2, value: an amount of money",),
    ),
    "percent with and without": (
        "C1,percent,10%,,A,,\nC2,percent,0.15,,B,,",
        ("value: some percentages have a",),
    ),
    "percent in an amount": (
        "C1,percent,10%,5%,A,,\nC2,amount,$5,,B,,",
        ("coupons.csv:2, min_spend: a percent",),
    ),
    "another currency": (
        "C1,percent,10,€50,A,,\nC2,amount,5,,B,,",
        ("min_spend: this amount is in another cur",),
    ),
    "another currency's offer": (
        "C1,amount,£5,,A,,\nC2,amount,5,,B,,",
        ("value: this amount is in another cur",),
    ),
    "two orders": (
        "C1,amount,1,,A,,31/12/2026\nC2,amount,5,,B,,12/31/2026",
        ("coupons.csv:2, ends_at: the day comes",),
    ),
    "no order": (
        "C1,amount,1,,A,,07/12/2026\nC2,amount,5,,B,,08/12/2026",
        ("no row says whether the day or the mo",),
    ),
    "short years": ("C1,amount,1,,A,,31/12/26\nC2,amount,5,,B,,31/12/26", ("the year has two digits",)),
    "two ways": (
        "C1,amount,1,,A,,31/12/2026\nC2,amount,5,,B,,2026-12-31",
        ("dates are written in two ways", ":3"),
    ),
    "no such day": (
        "C1,amount,1,,A,,31/02/2027\nC2,amount,5,,B,,30/01/2027",
        ("coupons.csv:2, ends_at: this value",),
    ),
    "no such hour": (
        'C1,amount,1,,A,,"Dec 31, 2026 13:00 PM"\nC2,amount,5,,B,,',
        ("coupons.csv:2, ends_at: this",),
    ),
}


@pytest.mark.parametrize("kind", COUPON_CELLS)
def test_a_cell_of_an_offer_that_cannot_be_meant_is_named(check: Callable[..., str], kind: str) -> None:
    rows, words = COUPON_CELLS[kind]
    said = check({"coupons.csv": HEAD + rows + "\n"}, drop=("coupons",))
    assert all(word in said for word in words), said


@pytest.mark.parametrize("order", ["day-first", "month-first"])
def test_campaign_toml_says_which_order(tiny: Folder, order: str) -> None:
    tiny.write(coupons=HEAD + "C1,amount,1,,A,07/12/2026,\nC2,amount,5,,B,,\n")
    tiny.write(campaign=f'{CAMPAIGN}\n[format]\ndates = "{order}"\n')
    day = dt.date(2026, 12, 7) if order == "day-first" else dt.date(2026, 7, 12)
    assert read_campaign(tiny.path).coupons["starts_at"].to_list() == [day, None]


def test_one_column_says_it_for_the_other(tiny: Folder) -> None:
    tiny.write(
        coupons=HEAD.replace(",", ";") + "C1;amount;1,5;1.500;A;07.12.2026;31.12.2026\nC2;amount;5;;B;;\n"
    )
    coupons = read_campaign(tiny.path).coupons
    assert coupons["starts_at"].to_list() == [dt.date(2026, 12, 7), None]
    assert coupons["min_spend"].to_list() == [1500.0, None]


def test_lists_of_numbers_are_labels_if_campaign_toml_says_that_no_number_is_written_so(tiny: Folder) -> None:
    tiny.write(users='user_id,lists,spend\nu1,"1,2",0.5\nu2,"3,4",1.5\nu3,"1,3",1\nu4,"2,1",2\n')
    tiny.write(campaign=f'{CAMPAIGN}\n[format.users]\ndecimal = "."\n')
    users = read_campaign(tiny.path).users
    assert users["lists"].to_list() == ["1,2", "3,4", "1,3", "2,1"]
    assert users["spend"].to_list() == [0.5, 1.5, 1.0, 2.0]


@pytest.mark.parametrize(("thousands", "value"), [("", 1.234), (".", 1234.0)])
def test_the_mark_between_thousands_says_which_is_the_decimal_mark(
    tiny: Folder, thousands: str, value: float
) -> None:
    tiny.write(users='user_id,n\nu1,"1.234"\nu2,"2.345"\nu3,3\nu4,4\n')
    tiny.write(campaign=f'{CAMPAIGN}\n[format.users]\nthousands = "{thousands}"\n')
    assert read_campaign(tiny.path).users["n"].to_list()[0] == value


def test_labels_that_look_a_little_like_numbers_stay_labels(tiny: Folder) -> None:
    labels = {
        "age": "18-24",
        "size": "5kg",
        "version": "1.2.3",
        "net": "192.168.100.2",
        "band": "65+",
        "code": "A1",
    }
    rows = "".join(f"u{i},{','.join(labels.values())}\n" for i in range(1, 5))
    users = read_campaign(tiny.write(users=f"user_id,{','.join(labels)}\n{rows}").path).users
    assert users.row(0, named=True) == users.row(0, named=True) | labels


# Whatever is written, it is read as it was meant or asked for

MARKS = [
    (".", ""),
    (".", ","),
    (".", " "),
    (".", "'"),
    (",", ""),
    (",", "."),
    (",", "\u202f"),
    (",", "\u00a0"),
]


@settings(max_examples=40, deadline=None)
@given(
    amounts=st.lists(st.decimals(-(10**9), 10**9, places=None, allow_nan=False), min_size=1, max_size=8),
    places=st.integers(0, 4),
    marks=st.sampled_from(MARKS),
    sign=st.sampled_from(["{}", "${}", "{} $", "USD {}"]),
    kind=st.sampled_from(["money", "feature"]),
)
def test_numbers_are_read_as_they_were_meant_or_asked_for(
    amounts: list[Decimal], places: int, marks: tuple[str, str], sign: str, kind: Kind
) -> None:
    decimal, thousands = marks
    meant = [round(amount, places) for amount in amounts]
    cells = []
    for amount in meant:
        text = f"{abs(amount):,.{places}f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
        cells.append(("-" if amount < 0 else "") + sign.format(text))
    column = pl.Series("n", cells)
    found = respell({"n": column}, {"n": kind}, Notation(currency="USD"))
    if found.findings:
        assert found.refused == {"n"}
        assert all("state the decimal mark" in finding.message for finding in found.findings)
        stated = TableFormat(decimal=decimal)  # type: ignore[arg-type]
        found = respell({"n": column}, {"n": kind}, Notation(stated, "USD"))
    read = found.cells.get("n", column).cast(pl.Float64)
    assert read.to_list() == pytest.approx([float(amount) for amount in meant], rel=1e-12)


ORDERS = {
    "day-first": ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%Y %H:%M", "%d.%m.%Y %I:%M %p"),
    "month-first": ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%Y %I:%M:%S %p"),
    "iso": ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d %b %Y", "%B %d, %Y", "%Y-%m-%d %H:%M", "%Y年%m月%d日"),
}


@settings(max_examples=40, deadline=None)
@given(
    moments=st.lists(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2040, 1, 1)), min_size=1, max_size=6),
    written=st.sampled_from([(order, form) for order, forms in ORDERS.items() for form in forms]),
)
def test_dates_are_read_as_they_were_meant_or_asked_for(
    moments: list[dt.datetime], written: tuple[str, str]
) -> None:
    order, form = written
    column = pl.Series("at", [moment.strftime(form) for moment in moments])
    found = respell({"at": column}, {"at": "date"}, Notation())
    if found.findings:
        assert order != "iso"
        assert all("no row says" in finding.message for finding in found.findings)
        stated = TableFormat(dates=order)  # type: ignore[arg-type]
        found = respell({"at": column}, {"at": "date"}, Notation(stated))
    read = [dt.datetime.fromisoformat(cell) for cell in found.cells.get("at", column)]
    assert read == [dt.datetime.strptime(cell, form) for cell in column]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=6))
def test_any_text_is_read_or_left(cells: list[str]) -> None:
    column = pl.Series("x", cells)
    for kind in ("number", "money", "share", "feature", "date"):
        found = respell({"x": column}, {"x": kind}, Notation(currency="USD"))  # type: ignore[dict-item]
        assert found.findings or len(found.cells.get("x", column)) == len(cells)


def test_look_at_says_what_is_sure_and_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = "kunde;umsatz;seit;rabatt;stufe\n1;1.234,56;31.12.2025;10%;gold\n2;2,5;01.02.2026;5%;gold\n"
    path.write_text("Export vom Montag;;;;\n\n" + rows, encoding="utf-8-sig")
    facts = look_at(path)
    assert (facts.encoding, facts.delimiter, facts.skipped, facts.rows) == ("utf-8-sig", ";", 2, 2)
    assert facts.keys == {"decimal": ",", "dates": "day-first"}
    assert facts.unsure == {}
    assert [column.holds for column in facts.columns] == ["number", "number", "date", "number", "text"]
    assert facts.columns[3].percent
    assert facts.columns[4].samples == ("gold",)
    path.write_text("id,n,d\n1,1.234,01/02/2026\n2,2.345,03/04/2026\n", encoding="utf-8")
    facts = look_at(path)
    assert facts.keys == {}
    assert facts.unsure == {"decimal": "1.234 in n", "dates": "01/02/2026 in d"}


def test_look_at_names_sheets(tmp_path: Path) -> None:
    write_book(tmp_path / "book.xlsx", {"One": ROWS, "Two": [["Title"], [], *ROWS]})
    assert sheets_of(tmp_path / "book.xlsx") == ["One", "Two"]
    facts = look_at(tmp_path / "book.xlsx", "Two")
    assert (facts.kind, facts.skipped, facts.rows) == ("workbook", 2, 4)
    assert [column.name for column in facts.columns] == ["user_id", "region", "age"]
