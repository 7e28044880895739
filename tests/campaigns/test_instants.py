"""Dates are instants: offsets and time zones are kept, and messages promise whole days only."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.campaign import instants, parse_config, read_campaign
from allocator.errors import InputError
from support.command_line import Command

ZONES = ("UTC", "America/New_York", "Asia/Shanghai", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Kiritimati")
DRAWN = settings(max_examples=60, deadline=None)  # the first example loads time zones
MINUTES = st.integers(-12 * 60, 14 * 60)
MOMENTS = st.datetimes(dt.datetime(1972, 1, 1), dt.datetime(2099, 11, 30)).map(
    lambda moment: moment.replace(microsecond=0)
)


def offset_of(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def days(text: str, bound: Any = "last", zone: str | None = None) -> dt.date | None:
    return instants.days(pl.Series("ends_at", [text]), bound, zone)[0]


@DRAWN
@given(MOMENTS, MINUTES, st.sampled_from(ZONES))
def test_a_time_with_an_offset_is_the_instant_it_names(moment: dt.datetime, ahead: int, zone: str) -> None:
    found = instants.times(pl.Series([f"{moment.isoformat()}{offset_of(ahead)}"]), zone)[0]
    assert found == moment - dt.timedelta(minutes=ahead)


@DRAWN
@given(MOMENTS, st.sampled_from(ZONES))
def test_a_time_without_an_offset_is_of_the_campaigns_zone(moment: dt.datetime, zone: str) -> None:
    there = moment.replace(tzinfo=ZoneInfo(zone))
    expected = there.astimezone(dt.UTC).replace(tzinfo=None)
    assert instants.times(pl.Series([moment.isoformat()]), zone)[0] == expected


@DRAWN
@given(MOMENTS, MINUTES, st.sampled_from(ZONES))
def test_the_code_works_on_all_of_the_days_that_are_promised(
    moment: dt.datetime, ahead: int, zone: str
) -> None:
    """The day after the last one, and the day before the first, must not be whole; with a minute's grace."""
    text = f"{moment.isoformat()}{offset_of(ahead)}"
    instant = (moment - dt.timedelta(minutes=ahead)).replace(tzinfo=dt.UTC)
    last, first = days(text, "last", zone), days(text, "first", zone)
    assert last is not None
    assert first is not None
    minute = dt.timedelta(minutes=1)

    def midnight(day: dt.date) -> dt.datetime:
        return dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).astimezone(dt.UTC)

    assert midnight(last + dt.timedelta(days=1)) <= instant + minute
    assert midnight(last + dt.timedelta(days=2)) > instant
    assert midnight(first) > instant - minute
    assert midnight(first - dt.timedelta(days=1)) <= instant


@pytest.mark.parametrize(
    ("text", "zone", "last", "first"),
    [
        ("2026-06-30", "Asia/Shanghai", 30, 30),
        ("2026-06-30T04:00:00Z", None, 29, 31),
        ("2026-06-30T04:00:00Z", "America/New_York", 29, 30),
        ("2026-06-16T00:00:00Z", "America/New_York", 14, 16),
        ("2026-06-30T23:59:59Z", None, 30, 31),
        ("2026-06-30T23:59:59Z", "Asia/Shanghai", 30, 32),
        ("2026-06-30T14:00", "Europe/Berlin", 29, 31),
        ("2026-06-30 00:00:00", None, 29, 30),
    ],
)
def test_whole_days_by_hand(text: str, zone: str | None, last: int, first: int) -> None:
    start = dt.date(2026, 5, 31)
    assert days(text, "last", zone) == start + dt.timedelta(days=last)
    assert days(text, "first", zone) == start + dt.timedelta(days=first)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00-25:00", "2026-01-01T00:00:00+14:01",
        "2026-01-01T00:00:00-12:30", "2026-01-01T00:00+05:60", "0000-01-01", "0001-01-01T00:00:00+14:00",
        "1900-01-01", "1970-01-01T00:00:00Z", "9999-12-31", "2026-02-30", "2026-06-31T10:00:00Z",
        "2026-06-30T24:00",
    ],
)  # fmt: skip
def test_offsets_and_years_that_cannot_be_are_findings(tiny: Any, text: str) -> None:
    tiny.write(history=f"user_id,coupon_id,sent_at,converted\nu1,C1,{text},1\nu2,,2026-01-01,0\n")
    with pytest.raises(InputError) as caught:
        read_campaign(tiny.path)
    (found,) = caught.value.findings
    assert (found.file, found.row, found.column, found.found) == ("history.csv", 2, "sent_at", repr(text))
    assert days(text) is None


def test_clocks_that_change_lose_no_row() -> None:
    berlin = instants.times(pl.Series(["2026-03-29T02:30:00", "2026-10-25T02:30:00"]), "Europe/Berlin")
    assert berlin.to_list() == [dt.datetime(2026, 3, 29, 1, 30), dt.datetime(2026, 10, 25, 0, 30)]


def test_a_message_never_promises_a_day_on_which_the_code_ends(
    tiny: Any, tmp_path: Any, allocate: Command
) -> None:
    tiny.write(
        coupons="coupon_id,kind,value,code,startdate,expirydate\n"
        "C1,percent,10,TEN,,2026-06-16T00:00:00Z\nC2,amount,5,FIVE,2026-05-01T04:00:00Z,2026-06-30T04:00:00Z\n"
    ).replace("campaign.toml", "[copy]", '[copy]\nbrand = "Shop"\nchannels = ["email"]')
    checked = allocate("check", tiny.path, "--json")
    assert checked.code == 0, checked.err
    notes = " ".join(checked.document["notes"])
    assert "2026-06-30T04:00:00Z is 2026-06-29" in notes
    assert "states no [campaign] time_zone" in notes
    utc = read_campaign(tiny.path).coupons
    assert utc["ends_at"].to_list() == [dt.date(2026, 6, 15), dt.date(2026, 6, 29)]
    tiny.replace("campaign.toml", "[copy]", '[campaign]\ntime_zone = "America/New_York"\n[copy]')
    done = allocate("run", tiny.path, "--no-predict", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    copy = pl.read_csv(tmp_path / "out" / "copy.csv")
    promised = copy["body"].str.extract(r"(?:until|to) (\w{3} \d+, \d{4})")
    assert dict(zip(copy["coupon_id"], promised, strict=True)) == {"C1": "Jun 14, 2026", "C2": "Jun 29, 2026"}


def test_a_coupon_without_a_whole_day_left_has_expired(tiny: Any) -> None:
    tiny.replace("coupons.csv", "TEN,2026-12-31", "TEN,2026-06-01T14:00:00Z")
    with pytest.raises(InputError, match="its last whole day is past"):
        read_campaign(tiny.path)
    tiny.replace("coupons.csv", "TEN,2026-06-01T14:00:00Z", "TEN,2026-06-01T23:59:59Z")
    assert read_campaign(tiny.path).coupons["ends_at"][0] == dt.date(2026, 6, 1)


def test_there_must_be_such_a_time_zone(tiny: Any) -> None:
    tiny.replace("campaign.toml", "[copy]", '[campaign]\ntime_zone = "Mars/Olympus"\n[copy]')
    with pytest.raises(InputError) as caught:
        read_campaign(tiny.path)
    assert caught.value.findings[0].column == "campaign.time_zone"


def test_the_day_of_the_decision_ends_where_the_campaign_runs(tiny: Any) -> None:
    rows = "u1,C1,2026-06-01T23:30:00-04:00,1\nu2,,2026-06-02T04:00:00Z,0\n"
    tiny.write(history="user_id,coupon_id,sent_at,converted\n" + rows)
    with pytest.raises(InputError, match="every row is after the day of the decision"):
        read_campaign(tiny.path)
    tiny.replace("campaign.toml", "[copy]", '[campaign]\ntime_zone = "America/New_York"\n[copy]')
    notes = read_campaign(tiny.path).notes
    assert any("1 row after the day of the decision (2026-06-01) not used" in note for note in notes)


def test_arrivals_without_an_offset_are_of_the_campaigns_zone() -> None:
    text = 'name = "x"\n[online]\nstarts_at = 2026-06-01T00:00:00\nends_at = 2026-06-02T00:00:00Z\n'
    online = parse_config(text).online
    utc, york = online.times(), online.times("America/New_York")
    assert york["starts_at"] - utc["starts_at"] == 4 * 3600
    assert york["ends_at"] == utc["ends_at"]
