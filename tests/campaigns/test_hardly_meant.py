"""What can hardly be meant of scores, locales, tolerances, outcomes and ids is refused, or said."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.languages import locale_notes
from allocator.errors import InputError
from benchmarks.campaign_forms import FORMS
from support.campaign_folders import CAMPAIGN, ROWS, SCORES, USERS


def notes(folder: Any) -> str:
    return "\n".join(read_campaign(folder.path).notes)


def test_scores_that_decide_nothing_are_pointed_out(tiny: Any) -> None:
    head, *rows = [line.split(",") for line in SCORES.splitlines()]
    assert "scores.csv" not in notes(tiny)
    for column, cell, said in (
        (3, "0", "cost is 0 in every row"),
        (2, "-1", "no value is above 0"),
        (2, "1e300", "value: 8 rows beyond 1e+15 (the first: row 2, 1e+300)"),
        (3, "1e16", "cost: 8 rows beyond 1e+15"),
    ):
        spoilt = [[*row[:column], cell, *row[column + 1 :]] for row in rows]
        tiny.write(scores="\n".join(",".join(row) for row in [head, *spoilt]) + "\n")
        assert said in notes(tiny)


@pytest.mark.parametrize(
    ("locales", "tags", "said"),
    [
        (["de_DE", "fr", "de_DE", "en-GB"], ["en"], "users with other locales get en: 'de_DE' (2), 'fr' (1)"),
        (["en", "EN_us.UTF-8", "zh-Hans-CN"], ["en", "zh"], ""),
        (["martian_42!"], ["zh-HK", "en"], "messages are in zh-HK, en; users with other locales get zh-HK"),
        (["english"], ["en"], "'english' (1)"),
        (["en"], ["zh"], ""),  # what users have for whom nothing is stated
    ],
)
def test_locales_that_no_message_is_in_are_pointed_out(
    locales: list[str], tags: list[str], said: str
) -> None:
    found = locale_notes(pl.Series("locale", locales), tags)
    assert said in "".join(found)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("tolerance", "refused"), [("5", True), ("1", True), ("0.05", False), ("0.99", False)]
)
def test_a_tolerance_in_percent_is_refused(tiny: Any, tolerance: str, refused: bool) -> None:
    fair = f'[[limits]]\nkind = "parity"\nlabel = "fair"\nby = "region"\ntolerance = {tolerance}\n'
    tiny.write(campaign=CAMPAIGN + fair)
    if not refused:
        read_campaign(tiny.path)
        return
    with pytest.raises(InputError, match=r"write 0.05 for 5 percent") as caught:
        read_campaign(tiny.path)
    assert caught.value.findings[0].column == "limits[2].tolerance"


def test_a_tolerance_of_benefit_is_in_currency(tiny: Any) -> None:
    fair = '[[limits]]\nkind = "parity"\nlabel = "fair"\nby = "region"\ntolerance = 5\nrate = "benefit"\n'
    tiny.write(campaign=CAMPAIGN + fair)
    read_campaign(tiny.path)


@pytest.mark.parametrize(("ordered", "said"), [("0", "nobody ordered"), ("1", "everybody ordered")])
def test_outcomes_that_are_all_alike_are_pointed_out(tiny: Any, ordered: str, said: str) -> None:
    rows = "".join(f"u{i % 4 + 1},{'C1' if i % 2 else ''},2026-03-{i + 1:02},{ordered}\n" for i in range(20))
    tiny.write(history="user_id,coupon_id,sent_at,converted\n" + rows)
    assert said in notes(tiny)
    tiny.write(history="user_id,coupon_id,sent_at,converted\nu1,C1,2026-03-01,1\nu2,,2026-03-01,0\n")
    assert "ordered, with a coupon or without" not in notes(tiny)


def test_ids_that_a_spreadsheet_rounded_are_refused(tiny: Any) -> None:
    tiny.write(users=USERS.replace("u1,", "1.23457E+12,"))
    tiny.write(scores=SCORES.replace("u1,", "1.23457E+12,"))
    with pytest.raises(InputError, match="their last digits are lost"):
        read_campaign(tiny.path)


@pytest.mark.parametrize("name", ["count", "len", "literal", "row", "index"])
def test_columns_may_have_any_name(tiny: Any, allocate: Any, name: str) -> None:
    tiny.write(users="\n".join(["user_id,region," + name, *(f"u{i},north,yes" for i in range(1, 5))]) + "\n")
    done = allocate("check", tiny.path)
    assert done.code == 0, done.err


@pytest.mark.parametrize("form", ["Parquet", "Arrow", "SQLite"])
def test_a_line_of_totals_is_refused_in_every_form(tiny: Any, form: str) -> None:
    rows = [*ROWS, ["Total", "", "164"]]
    (tiny.path / "users.csv").unlink()
    tiny.write(campaign=CAMPAIGN + FORMS[form](tiny.path, {"users": rows}))
    with pytest.raises(InputError, match="looks like a line of totals"):
        read_campaign(tiny.path)


def test_somebody_may_be_called_sum(tiny: Any) -> None:
    rows = [*ROWS, ["Sum", "south", "33"]]
    (tiny.path / "users.csv").unlink()
    FORMS["Parquet"](tiny.path, {"users": rows})
    assert "Sum" in read_campaign(tiny.path).users["user_id"]
