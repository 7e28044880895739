"""The cells of number and date columns, respelled as Allocate reads them, and what is unsure of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from allocator.campaign.formats import dates
from allocator.campaign.formats.number_columns import COMMA, POINT, NumberColumn
from allocator.campaign.formats.numbers import Mark
from allocator.campaign.formats.raw import FIRST_ROW, Place, Stored
from allocator.campaign.formats.settings import TableFormat
from allocator.errors import Finding

Kind = Literal["number", "money", "offer", "share", "feature", "date"]
"""What a column holds: a plain number, an amount, the value of an offer, a share of 1, whatever a free column
holds, a date or time."""


@dataclass(frozen=True)
class Notation:
    """How the cells of a table are written.

    Parameters
    ----------
    keys
        What is stated of it.
    currency
        Code of the campaign's currency; None if it is not known.
    stored
        Types that the source knows of cells, by column.
    place
        Where the table stands.
    by_program
        A program wrote the cells: nothing has to be found out, and no sign or mark is understood.
    """

    keys: TableFormat = field(default_factory=TableFormat)
    currency: str | None = None
    stored: Stored = field(default_factory=dict)
    place: Place = field(default_factory=Place)
    by_program: bool = False


PROGRAM = Notation(by_program=True)


@dataclass(frozen=True)
class Respelled:
    """What respelling a table gave.

    Parameters
    ----------
    cells
        The columns that were respelled. A cell that is no number, or no date, stays as it is.
    refused
        Columns about which there are findings.
    findings
        What is unsure or cannot be meant; rows count records from 2.
    understood
        What was found out, as parts of a sentence.
    percent, currency
        Of the column of offers: which cells have a percent sign, and which currency's.
    """

    cells: Mapping[str, pl.Series]
    refused: frozenset[str]
    findings: tuple[Finding, ...]
    understood: tuple[str, ...]
    percent: pl.Series | None = None
    currency: pl.Series | None = None


def respell(
    columns: Mapping[str, pl.Series],
    kinds: Mapping[str, Kind],
    notation: Notation,
    plain: Collection[str] = (),
) -> Respelled:
    """Respell the number and date columns of a table.

    Parameters
    ----------
    columns
        Text by name, null where a cell is empty.
    kinds
        What each column holds.
    notation
        How cells are written.
    plain
        Columns whose every cell is a number as programs write it.
    """
    if notation.by_program:
        return Respelled({}, frozenset(), (), ())
    findings: list[Finding] = []
    cells: dict[str, pl.Series] = {}
    understood: list[str] = []
    numbers = [
        NumberColumn(
            text,
            kind,
            notation.keys,
            notation.currency,
            notation.stored.get(name, frozenset()),
            plain=name in plain or None,
        )
        for name, text in columns.items()
        if (kind := kinds[name]) != "date"
    ]
    marks = {mark: column for column in reversed(numbers) if (mark := column.mark) is not None}
    of_file = next(iter(marks)) if len(marks) == 1 else None
    if len(marks) > 1:
        findings += _two_ways(marks)
    signs = None
    for column in numbers:
        findings += (found := column.check(of_file))
        if found:
            cells[column.name] = column.text
        elif (spelled := column.respell(of_file)) is not None:
            cells[column.name] = spelled
            understood += column.understood(notation.place)
            signs = column.signs if column.kind == "offer" else signs
    times = [text for name, text in columns.items() if kinds[name] == "date"]
    found, spelled_dates, words = _dates(times, notation)
    percent, currency = (None, None) if signs is None else (signs["percent"], signs["currency"])
    findings += found
    refused = frozenset(finding.column for finding in findings if finding.column is not None)
    return Respelled(
        {**cells, **spelled_dates}, refused, tuple(findings),
        tuple(dict.fromkeys([*understood, *words])), percent, currency,
    )  # fmt: skip


def _two_ways(columns: Mapping[Mark, NumberColumn]) -> list[Finding]:
    """Return findings on columns of one file that have different decimal marks."""
    point, comma = columns["."], columns[","]
    message = "numbers of this file are written in two ways: this one has"
    remedy = f'if {comma.name} holds no numbers, state decimal = "." under [format]'
    cells = ((point, point.evidence.point, POINT), (comma, comma.evidence.comma, COMMA))
    return [
        column.at(i, f"{message} {words}; {remedy}", "one way in the file")
        for column, i, words in cells
        if i is not None
    ]


def _dates(
    columns: list[pl.Series], notation: Notation
) -> tuple[list[Finding], dict[str, pl.Series], list[str]]:
    stated = notation.keys.dates
    free = [
        text
        for text in columns
        if notation.stored.get(text.name) != frozenset({"date"}) and not dates.is_iso(text)
    ]
    if stated == "iso":
        return [], {}, []
    seen = {text.name: dates.evidence(text) for text in free}
    orders = {found.order for found in seen.values() if found.order is not None}
    of_file = orders.pop() if len(orders) == 1 else None
    findings: list[Finding] = []
    cells: dict[str, pl.Series] = {}
    understood: list[str] = []
    for text in free:
        found = seen[text.name]
        order = stated or found.order or of_file
        wrong = _unsure_dates(text, found, order, stated is not None)
        findings += wrong
        if wrong:
            continue
        cells[text.name] = dates.respell(text, order)
        sure = found.day if order == "day-first" else found.month
        if stated is None and order is not None and sure is not None:
            row = notation.place.rows.row(sure)
            at = f" in row {row:,}" if row is not None else ""
            understood.append(f"{dates.WORDS[order]} in dates ('{text[sure]}'{at})")
    return findings, cells, understood


def _unsure_dates(
    text: pl.Series, found: dates.Evidence, order: dates.Order | None, stated: bool
) -> list[Finding]:
    """Return findings on a column whose dates cannot be read surely."""
    if found.short is not None:
        message = (
            "the year has two digits, so that day, month and year cannot be told apart; write it with four"
        )
        return [_at(text, found.short, message, "a date such as 2026-11-30")]
    if found.numeric is not None and found.other is not None:
        message = (
            "dates are written in two ways in this column, as when a spreadsheet took some for another order"
        )
        return [
            _at(text, i, message, "one way of writing dates in the column")
            for i in (found.numeric, found.other)
        ]
    if not stated and found.day is not None and found.month is not None:
        message = "the day comes first in one row and the month in another"
        return [_at(text, i, message, "one order in the column") for i in (found.day, found.month)]
    if order is None and found.either is not None:
        message = "no row says whether the day or the month comes first; state which under [format]"
        expected = '[format] dates = "day-first" or "month-first"'
        return [_at(text, found.either, message, expected)]
    return []


def _at(text: pl.Series, i: int, message: str, expected: str) -> Finding:
    return Finding(message, None, i + FIRST_ROW, text.name, repr(text[i]), expected)


def offer_findings(kind: pl.Series, value: pl.Series, respelled: Respelled) -> list[Finding]:
    """Return findings on signs beside the value of offers that do not fit the offer's kind.

    Parameters
    ----------
    kind
        ``percent`` or another, by row.
    value
        As it is written.
    respelled
        The table's.
    """
    if respelled.percent is None or respelled.currency is None:
        return []
    of_percent = (kind == "percent").fill_null(False)
    signed = respelled.percent.fill_null(False)
    wrong = [
        _at(value, i, "a percent sign in an amount; is the coupon's kind percent?", "an amount")
        for i in (signed & ~of_percent & kind.is_not_null()).arg_true()
    ]
    wrong += [
        _at(value, i, "an amount of money in a coupon of percent", "a percentage")
        for i in (respelled.currency.is_not_null() & of_percent).arg_true()
    ]
    bare = (of_percent & ~signed & value.is_not_null()).arg_true()
    both = (of_percent & signed).arg_true()
    if len(bare) and len(both):
        message = "some percentages have a percent sign and others have none, so that 0.1 may be 10 %"
        wrong += [_at(value, rows[0], message, "a sign in every row, or in none") for rows in (both, bare)]
    return wrong
