"""Dates and times of campaign files as instants, and the whole days that they leave in a time zone.

A time with an offset is an instant. One without, and a date, is of the campaign's time zone,
``[campaign] time_zone``; UTC where none is stated.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import polars as pl

from allocator.wording import counted

UTC = "UTC"
FIRST_YEAR, LAST_YEAR = 1971, 2099
"""Other years are what exports write for no date (0001, 1900, 1970, 9999), or slips of a key; from 2100 on,
changes of clocks are not known.
"""
MOST_BEHIND, MOST_AHEAD = -12 * 60, 14 * 60  # minutes; of the zones that there are

# A date, then perhaps a time of day, then perhaps Z, UTC or an offset such as +08:00, and nothing else.
TIME = (
    r"^(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<clock>(?:[01]\d|2[0-3]):[0-5]\d)(?:(?P<second>:[0-5]\d)(?:\.\d+)?)?"
    r" ?(?:Z|UTC|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?)?$"
)
DAY_LENGTH, CLOCK_END = 10, 16  # of "2026-11-30", and of "2026-11-30T18:00"
EXAMPLES = 3
_RANGE = f"years {FIRST_YEAR} to {LAST_YEAR}, offsets -12:00 to +14:00"
EXPECTED = {
    "date": f"a date such as 2026-11-30, or a time such as 2026-11-30T23:59:59+01:00 ({_RANGE})",
    "time": f"a date or time such as 2026-11-30 or 2026-11-30T18:00:00+01:00 ({_RANGE})",
}

Bound = Literal["first", "last"]


def is_time_zone(name: str) -> bool:
    """Return whether there is a time zone of this name, such as ``Europe/Berlin``."""
    try:
        pl.select(pl.lit(dt.datetime(2026, 1, 1)).dt.replace_time_zone(name))
    except pl.exceptions.PolarsError:
        return False
    return True


def today(time_zone: str) -> dt.date:
    """Return today's date in a time zone."""
    now = pl.lit(dt.datetime.now(dt.UTC).replace(tzinfo=None)).dt.replace_time_zone(UTC)
    day: dt.date = pl.select(now.dt.convert_time_zone(time_zone).dt.date()).item()
    return day


def start_of_day(day: dt.date, time_zone: str | None, later: int = 0) -> dt.datetime:
    """Return when a day, or one so many days later, begins in a time zone.

    In UTC, as all times of a campaign, without saying so.
    """
    return in_utc(dt.datetime.combine(day + dt.timedelta(days=later), dt.time()), time_zone)


def in_utc(local: dt.datetime, time_zone: str | None) -> dt.datetime:
    """Return in UTC what the clocks of a time zone show; neither says of which zone it is."""
    utc: dt.datetime = to_utc(pl.Series([local]), time_zone)[0]
    return utc


def local_times(utc: pl.Series, time_zone: str | None) -> pl.Series:
    """Return times in UTC as the clocks of a time zone show them."""
    if time_zone in (None, UTC):
        return utc
    return utc.dt.replace_time_zone(UTC).dt.convert_time_zone(str(time_zone)).dt.replace_time_zone(None)


def times(text: pl.Series, time_zone: str | None = None) -> pl.Series:
    """Cast text to times in UTC; fractions of a second are left out, what cannot be is null."""
    local, ahead = _parts(text)
    here = ahead.is_null()
    if time_zone in (None, UTC) or not here.any():
        return _without_offset(local, ahead)
    there = to_utc(local, time_zone)
    both = pl.when(here).then(there).otherwise(_without_offset(local, ahead))
    return pl.select(both.alias(text.name)).to_series()


def days(text: pl.Series, bound: Bound, time_zone: str | None = None) -> pl.Series:
    """Cast text to the first, or the last, day that lies wholly inside; dates are whole days.

    A code that ends at 14:00 does not work on all of that day, so that no message may promise it: the last
    whole day is the one before. An end in the last minute of a day, and a start in the first, leave it whole.
    """
    local, ahead = _parts(text)
    if not ahead.is_null().all():
        there = local_times(_without_offset(local, ahead), time_zone)
        local = pl.select(pl.when(ahead.is_null()).then(local).otherwise(there)).to_series()
    day = local.dt.date()
    clock = 60 * local.dt.hour().cast(pl.Int32) + local.dt.minute()
    inside, step = (clock == 24 * 60 - 1, -1) if bound == "last" else (clock == 0, 1)
    whole = ~is_timed(text) | inside
    found = pl.when(whole).then(day).otherwise(day.dt.offset_by(f"{step}d"))
    return pl.select(found.alias(text.name)).to_series()


def days_note(text: pl.Series, found: pl.Series, bound: Bound, time_zone: str | None) -> str | None:
    """Say how times of day became days; None where all cells are dates."""
    timed = (is_timed(text) & found.is_not_null()).arg_true()
    if not len(timed):
        return None
    zone = time_zone or f"{UTC}, as campaign.toml states no [campaign] time_zone"
    shown = ", ".join(f"{text[i]} is {found[i]}" for i in timed[:EXAMPLES])
    rows = counted(len(timed), "row")
    return f"{rows} with a time of day; messages state the {bound} whole day (in {zone}): {shown}"


def is_timed(text: pl.Series) -> pl.Series:
    """Return which cells hold a time of day."""
    return text.str.len_bytes() > DAY_LENGTH


def _parts(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the time that each cell states, null if there is none such, and how many minutes it is ahead
    of UTC, null if it does not say.
    """
    day = text.str.slice(0, DAY_LENGTH).str.to_date("%Y-%m-%d", strict=False)
    known = text.str.contains(TIME) & day.dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    local, ahead = day.cast(pl.Datetime("us")), pl.repeat(None, len(text), dtype=pl.Int32, eager=True)
    if (text.str.len_bytes().max() or 0) != DAY_LENGTH:
        hours, minutes = (text.str.slice(start, 2).cast(pl.Int32, strict=False) for start in (11, 14))
        rest = _rest(text.str.slice(CLOCK_END))
        seconds = 60 * (60 * hours.fill_null(0) + minutes.fill_null(0)) + rest["second"]
        local = local + _seconds(seconds)
        ahead, known = rest["ahead"], known & rest["possible"]
    return pl.select(pl.when(known).then(local).alias(text.name)).to_series(), ahead


def _rest(text: pl.Series) -> pl.DataFrame:
    """Read what follows hours and minutes: ``second``, minutes ``ahead`` of UTC, whether those are
    ``possible``. There are few such texts, so that each is read once.
    """
    rest = pl.col("rest")
    sign, hours, minutes = (rest.str.extract(r"([+-])(\d\d):?(\d\d)?$", i) for i in (1, 2, 3))
    shift = 60 * hours.cast(pl.Int32) + minutes.cast(pl.Int32).fill_null(0)
    utc = rest.str.contains("(?:Z|UTC)$")
    ahead = pl.when(utc).then(0).otherwise(pl.when(sign == "-").then(-shift).otherwise(shift))
    distinct = pl.DataFrame({"rest": text.drop_nulls().unique().sort()})
    found = distinct.select(
        second=rest.str.extract(r"^:(\d\d)").cast(pl.Int32, strict=False).fill_null(0),
        ahead=ahead,
        possible=(
            (minutes.cast(pl.Int32) < 60).fill_null(True)
            & ahead.is_between(MOST_BEHIND, MOST_AHEAD).fill_null(True)
        ),
    )
    place = text.cast(pl.Enum(distinct["rest"])).to_physical()
    return found.select(pl.all().gather(place))


def _without_offset(local: pl.Series, ahead: pl.Series) -> pl.Series:
    if ahead.null_count() == len(ahead):
        return local
    return local - _seconds(60 * ahead.fill_null(0))


def _seconds(count: pl.Series) -> pl.Series:
    return (1_000_000 * count.cast(pl.Int64)).cast(pl.Duration("us"))


def to_utc(local: pl.Series, time_zone: str | None) -> pl.Series:
    """Take times for those of a zone; one that a change of clocks left out is an hour later."""
    if time_zone in (None, UTC):
        return local

    def there(time: pl.Series) -> pl.Series:
        known = time.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
        return known.dt.convert_time_zone(UTC).dt.replace_time_zone(None)

    utc = there(local)
    if utc.null_count() > local.null_count():
        utc = utc.fill_null(there(local.dt.offset_by("1h")))
    return utc.alias(local.name)
