"""Dates as people write them -> ISO 8601: the order of day and month, names of months, times of day.

Whether ``01/02/2026`` is in January or in February depends on where it was written. It is read only if the
column, the file, or campaign.toml says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

Order = Literal["day-first", "month-first"]
WORDS: dict[Order, str] = {"day-first": "day before month", "month-first": "month before day"}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NAMES = "|".join(
    ("jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?",
     "oct(?:ober)?|nov(?:ember)?|dec(?:ember)?")
)  # fmt: skip
# What may follow a day: a time, perhaps of twelve hours, and an offset.
CLOCK = (
    r"(?:(?:,? +|T)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?P<second>:\d\d(?:\.\d+)?)?"
    r" ?(?P<half>[AaPp]\.?[Mm]\.?)? ?(?P<offset>Z|UTC|GMT|[+\-]\d\d(?::?\d\d)?)?)?$"
)
ISO = r"^\d{4}-\d\d-\d\d(?:$|[T ]\d\d:\d\d[^AaPp]*$)"
# 2026-01-05 5:30 PM, 2026/1/5, 20260105, 2026年1月5日
YEAR_FIRST = (
    r"^(?P<year>\d{4})(?:-(?P<m1>\d\d)-(?P<d1>\d\d)|/(?P<m2>\d{1,2})/(?P<d2>\d{1,2})"
    r"|\.(?P<m3>\d{1,2})\.(?P<d3>\d{1,2})|(?P<m4>\d\d)(?P<d4>\d\d)|年(?P<m5>\d{1,2})月(?P<d5>\d{1,2})日)"
    + CLOCK
)
# 05/01/2026, 5.1.2026, 05-01-2026
NUMERIC = (
    r"^(?:(?P<a1>\d{1,2})/(?P<b1>\d{1,2})/(?P<y1>\d{4})|(?P<a2>\d{1,2})\.(?P<b2>\d{1,2})\.(?P<y2>\d{4})"
    r"|(?P<a3>\d{1,2})-(?P<b3>\d{1,2})-(?P<y3>\d{4}))" + CLOCK
)
# 5 Jan 2026, 05-JAN-2026, January 5, 2026
NAMED = (
    rf"^(?i:(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?[ \-./]+(?P<m1>{NAMES})\.?,?[ \-./]+(?P<y1>\d{{4}})"
    rf"|(?P<m2>{NAMES})\.? +(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,? +(?P<y2>\d{{4}}))" + CLOCK
)
SHORT_YEAR = r"^\d{1,2}([/.\-])\d{1,2}[/.\-]\d{2}(?:$|[ ,T])"


@dataclass(frozen=True)
class Evidence:
    """What the cells of a column say of the order of day and month.

    Parameters
    ----------
    day, month
        Index of a cell that can only have the day, or the month, first.
    either
        Index of a cell that may have either first.
    other
        Index of a cell with the year first or the month's name.
    short
        Index of a cell with a year of two digits.
    """

    day: int | None = None
    month: int | None = None
    either: int | None = None
    other: int | None = None
    short: int | None = None

    @property
    def order(self) -> Order | None:
        """The order that is sure; None if none is, or both are."""
        if (self.day is None) == (self.month is None):
            return None
        return "day-first" if self.month is None else "month-first"

    @property
    def numeric(self) -> int | None:
        """Index of a cell whose order has to be known."""
        return next((i for i in (self.day, self.month, self.either) if i is not None), None)


def is_iso(text: pl.Series) -> bool:
    """Tell whether all cells are written as Allocate reads them."""
    return bool(text.str.contains(ISO).fill_null(True).all())


def evidence(text: pl.Series) -> Evidence:
    """Return what the cells of a column say of the order of day and month."""
    parts = text.str.extract_groups(NUMERIC).struct.unnest()
    first, second = (
        parts.select(pl.coalesce(f"{which}{k}" for k in (1, 2, 3)).cast(pl.Int64)).to_series()
        for which in "ab"
    )
    swaps = (first <= 12) & (second <= 12) & (first != second)
    other = text.str.contains(ISO) | text.str.contains(YEAR_FIRST) | text.str.contains(NAMED)
    return Evidence(
        _first((first > 12) & (second <= 12)),
        _first((second > 12) & (first <= 12)),
        _first(swaps),
        _first(other),
        _first(text.str.contains(SHORT_YEAR)),
    )


def _first(found: pl.Series) -> int | None:
    rows = found.fill_null(False).arg_true()
    return int(rows[0]) if len(rows) else None


def respell(text: pl.Series, order: Order | None) -> pl.Series:
    """Return dates in ISO 8601; what is no date stays as it is.

    Parameters
    ----------
    text
        The cells.
    order
        Of day and month where both are numbers before the year; None if no cell has that.
    """
    frame = pl.DataFrame({"text": text})
    day_first = order != "month-first"
    numeric = _iso(
        pl.col("text").str.extract_groups(NUMERIC),
        ("y1", "y2", "y3"),
        ("b1", "b2", "b3") if day_first else ("a1", "a2", "a3"),
        ("a1", "a2", "a3") if day_first else ("b1", "b2", "b3"),
    )
    year_first = _iso(
        pl.col("text").str.extract_groups(YEAR_FIRST),
        ("year",),
        tuple(f"m{k}" for k in range(1, 6)),
        tuple(f"d{k}" for k in range(1, 6)),
    )
    named = _iso(pl.col("text").str.extract_groups(NAMED), ("y1", "y2"), ("m1", "m2"), ("d1", "d2"))
    iso = pl.when(pl.col("text").str.contains(ISO)).then("text")
    return frame.select(pl.coalesce(iso, numeric, year_first, named, "text")).to_series().alias(text.name)


def _iso(groups: pl.Expr, years: tuple[str, ...], months: tuple[str, ...], days: tuple[str, ...]) -> pl.Expr:
    """Return ``2026-01-05T17:30:00+01:00`` from the groups of a pattern; null where it did not match."""
    field = groups.struct.field
    year, month, day = (pl.coalesce(field(name) for name in names) for names in (years, months, days))
    by_name = month.str.to_lowercase().str.slice(0, 3)
    number = by_name.replace_strict(MONTHS, [f"{k:02}" for k in range(1, 13)], default=by_name)
    date = pl.concat_str(year, number.str.zfill(2), day.str.zfill(2), separator="-")
    return pl.when(field("hour").is_null()).then(date).otherwise(date + "T" + _clock(field))


def _clock(field: Callable[[str], pl.Expr]) -> pl.Expr:
    """Return the time of day in 24 hours, with its offset."""
    hour, half = field("hour").cast(pl.Int64), field("half").str.to_lowercase().str.slice(0, 1)
    of_day = (
        pl.when(half.is_null())
        .then(hour)
        .when((hour < 1) | (hour > 12))
        .then(99)  # 13 PM is no time of day
        .when(half == "p")
        .then(hour % 12 + 12)
        .otherwise(hour % 12)
    )
    offset = field("offset").fill_null("").str.replace("UTC|GMT", "Z")
    second = field("second").fill_null(":00")
    return of_day.cast(pl.String).str.zfill(2) + ":" + field("minute") + second + offset
