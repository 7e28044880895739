"""Zero, empty, unlimited and very large mean what the exporting tool means; offers that cannot be meant."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.eligibility import eligibility
from allocator.campaign.task import build_task
from allocator.errors import Finding, InputError
from allocator.plugins.predictions import Predictions
from allocator.solver.solve import solve
from support.command_line import Command

HEAD = "coupon_id,kind,value,max_discount,min_spend,code"


def findings_of(folder: Any) -> tuple[Finding, ...]:
    with pytest.raises(InputError) as caught:
        read_campaign(folder.path)
    return caught.value.findings


def coupons(tiny: Any, *rows: str, head: str = HEAD) -> Any:
    return tiny.write(coupons="\n".join([head, *rows]) + "\n")


def notes_of(folder: Any) -> str:
    return "\n".join(read_campaign(folder.path).notes)


# Zero, empty, unlimited


@pytest.mark.parametrize("zero", ["0", "0.00", "-0"])
def test_a_cap_of_nothing_is_refused(tiny: Any, zero: str) -> None:
    (found,) = findings_of(coupons(tiny, f"C1,percent,10,{zero},,TEN", "C2,amount,5,,,FIVE"))
    assert (found.file, found.row, found.column) == ("coupons.csv", 2, "max_discount")
    assert "empty cell where there is no limit" in str(found.expected)


LIMITS = ["max_discount", "inventory", "max_redemptions", "per_user_limit"]


@pytest.mark.parametrize("words", [("", "unlimited", "NULL", "no limit"), ("∞", "Unlimited", "n/a", "none")])
def test_no_limit_is_no_limit(tiny: Any, words: tuple[str, ...]) -> None:
    row = ",".join(words)
    coupons(
        tiny, f"C1,percent,10,{row}", "C2,percent,10,,,,", head=f"coupon_id,kind,value,{','.join(LIMITS)}"
    )
    campaign = read_campaign(tiny.path)
    assert all(campaign.coupons[column].to_list() == [None, None] for column in LIMITS)
    assert campaign.notes == ()


@pytest.mark.parametrize("name", ["limitval", "usageLimit"])
def test_zero_under_another_tools_name_is_no_limit_and_said(tiny: Any, name: str) -> None:
    coupons(tiny, "C1,percent,10,0", "C2,amount,5,3", head=f"coupon_id,kind,value,{name}")
    campaign = read_campaign(tiny.path)
    assert campaign.coupons["max_redemptions"].to_list() == [None, 3]
    assert f"{name}: 0 is read as no limit" in campaign.notes[0]
    assert eligibility(campaign).allowed.all()


@pytest.mark.parametrize("column", ["inventory", "max_redemptions", "per_user_limit"])
def test_zero_under_the_own_name_stops_the_coupon_and_is_said(tiny: Any, column: str) -> None:
    coupons(tiny, "C1,percent,10,0", "C2,amount,5,", head=f"coupon_id,kind,value,{column}")
    assert f"{column} is 0, so that nobody gets it (empty: no limit): 'C1'" in notes_of(tiny)


def test_no_stock_of_anything_is_an_error(tiny: Any) -> None:
    coupons(tiny, "C1,percent,10,0", "C2,amount,5,0", head="coupon_id,kind,value,inventory")
    (found,) = findings_of(tiny)
    assert (found.file, found.column) == ("coupons.csv", "inventory")


@pytest.mark.parametrize(
    "text", ["9223372036854775807", "9223372036854775808", "1e30", "inf", "-inf", "NaN", "1.5"]
)
def test_counts_that_are_none_are_findings(tiny: Any, text: str) -> None:
    row, head = ",".join([text] * 3), "coupon_id,kind,value,inventory,max_redemptions,per_user_limit"
    found = findings_of(coupons(tiny, f"C1,percent,10,{row}", "C2,amount,5,,,", head=head))
    assert [one.column for one in found] == ["inventory", "max_redemptions", "per_user_limit"]
    assert {(one.file, one.row, one.found) for one in found} == {("coupons.csv", 2, repr(text))}


def test_a_count_of_messages_that_is_none_is_a_finding(tiny: Any, command: Command) -> None:
    tiny.write(users="user_id,messages_7d\nu1,1e30\nu2,1\nu3,2\nu4,3\n")
    done = command("check", tiny.path)
    assert done.code == 3
    assert "users.csv:2, messages_7d" in done.err
    assert "Traceback" not in done.err


def test_amounts_that_are_none_are_findings(tiny: Any) -> None:
    found = findings_of(coupons(tiny, "C1,amount,1e30,1e30,1e30,A", "C2,amount,5,,,B"))
    assert [(one.row, one.column) for one in found] == [(2, "value"), (2, "max_discount"), (2, "min_spend")]


def test_a_pressure_that_leaves_out_everyone_is_refused(tiny: Any) -> None:
    tiny.replace("campaign.toml", "[copy]", "[eligibility]\nmax_messages_7d = 0\n[copy]")
    (found,) = findings_of(tiny)
    assert found.column == "eligibility.max_messages_7d"


# A use limit counts redemptions, a stock counts sends


def predicted(campaign: Any, redemption: float) -> Predictions:
    shape = len(campaign.user_ids), len(campaign.coupon_ids)
    full = lambda number: np.full(shape, number)  # noqa: E731
    return Predictions(
        user_ids=campaign.user_ids, coupon_ids=campaign.coupon_ids, conversion=full(0.3), uplift=full(0.2),
        redemption=full(redemption), revenue=full(50.0), expected_cost=full(0.5),
    )  # fmt: skip


@pytest.mark.parametrize(("column", "sent"), [("inventory", 2), ("max_redemptions", 8), ("usageLimit", 8)])
def test_a_use_limit_counts_redemptions_and_a_stock_sends(tiny: Any, column: str, sent: int) -> None:
    tiny.write(users="user_id\n" + "".join(f"u{i}\n" for i in range(12)), scores=None)
    coupons(tiny, "C1,amount,5,2", head=f"coupon_id,kind,value,{column}")
    tiny.replace("campaign.toml", "at_most = 6", "at_most = 600")
    campaign = read_campaign(tiny.path)
    task = build_task(campaign, predicted(campaign, 0.25))
    solution = solve(task.problem, task.limits)
    assert (solution.choice >= 0).sum() == sent
    label = "inventory[C1]" if column == "inventory" else "redemptions[C1]"
    (usage,) = [row for row in solution.usage if row.label == label]
    assert usage.used == pytest.approx(2)


def test_a_use_limit_can_be_declared_with_a_label_of_its_own(tiny: Any) -> None:
    tiny.write(users="user_id\nu1\nu2\nu3\nu4\n", scores=None)
    coupons(tiny, "C1,amount,5,2,1", head="coupon_id,kind,value,inventory,max_redemptions")
    declared = '[[limits]]\nkind = "inventory"\nmeasure = "redemptions"\nlabel = "uses"\n[copy]'
    campaign = read_campaign(tiny.replace("campaign.toml", "[copy]", declared).path)
    task = build_task(campaign, predicted(campaign, 0.5))
    labels = {row.label: row.at_most for limit in task.limits for row in limit.rows(task.problem)}
    assert labels == {"total": 6, "uses[C1]": 1, "inventory[C1]": 2}


def test_scores_without_redemptions_count_each_send_and_say_so(tiny: Any, allocate: Command) -> None:
    coupons(tiny, "C1,percent,10,1", "C2,amount,5,1", head="coupon_id,kind,value,usageLimit")
    done = allocate("solve", tiny.path, "--json")
    assert done.code == 0, done.err
    assert {row["label"]: row["used"] for row in done.document["limits"]}["redemptions[C1]"] <= 1
    assert any("each send counts against max_redemptions" in note for note in done.document["notes"])
    scores = (tiny.path / "scores.csv").read_text().splitlines()
    rows = [f"{row},{'redemptions' if not i else '0.5'}" for i, row in enumerate(scores)]
    tiny.write(scores="\n".join(rows) + "\n")
    assert notes_of(tiny) == ""


def test_uses_of_the_past_are_not_subtracted_and_said(tiny: Any) -> None:
    coupons(tiny, "C1,percent,10,5", "C2,amount,5,", head="coupon_id,kind,value,usageLimit")
    rows = "u1,C1,2026-01-01,1,1,50,5\nu2,,2026-01-01,0,0,0,0\n"
    tiny.write(history="user_id,coupon_id,sent_at,converted,redeemed,revenue,discount\n" + rows)
    assert "coupon 'C1' was redeemed 1 time in history.csv; its max_redemptions of 5" in notes_of(tiny)


# Offers that cannot be meant


@pytest.mark.parametrize("value", ["0", "0.15", "0.99"])
def test_less_than_one_percent_is_a_fraction_by_mistake(tiny: Any, value: str) -> None:
    (found,) = findings_of(coupons(tiny, f"C1,percent,{value},,,TEN", "C2,amount,5,,,FIVE"))
    assert (found.row, found.column) == (2, "value")
    assert "write 15 for 15 percent" in found.message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("C1,percent,96,,,A", "more than 95 percent off: 'C1'"),
        ("C1,amount,0,,,A", "nothing is taken off: 'C1'"),
        ("C1,amount,5,20,,A", "max_discount is above what is taken off"),
        ("C1,free_shipping,5,20,,A", "max_discount is above what is taken off"),
        ("C1,amount,5,3,,A", "max_discount is below value"),
        ("C1,amount,10,,3,A", "more than the least basket"),
    ],
)
def test_what_can_hardly_be_meant_is_pointed_out(tiny: Any, row: str, said: str) -> None:
    assert said in notes_of(coupons(tiny, row, "C2,amount,5,,30,B"))


@pytest.mark.parametrize(
    "row",
    [
        "C1,percent,1,,,A",
        "C1,percent,95,3,,A",
        "C1,amount,5,5,5,A",
        "C1,amount,5,,0,A",
        "C1,free_shipping,5,,3,A",
    ],
)
def test_usual_offers_are_not_doubted(tiny: Any, row: str) -> None:
    assert notes_of(coupons(tiny, row, "C2,amount,5,,30,B")) == ""


@pytest.mark.parametrize("other", ["SAVE", "save", "Save ", "ＳＡＶＥ"])
def test_one_code_of_two_offers_is_refused(tiny: Any, other: str) -> None:
    (found,) = findings_of(coupons(tiny, "C1,amount,5,,30,SAVE", f"C2,percent,10,,,{other}"))
    assert (found.row, found.column) == (3, "code")
    assert "coupon 'C2' has the code of coupon 'C1'" in found.message


def test_one_code_of_the_same_terms_is_pointed_out_and_past_codes_may_return(tiny: Any) -> None:
    assert "one code is that of 'C1', 'C2'" in notes_of(
        coupons(tiny, "C1,amount,5,,0,SAVE", "C2,amount,5,,,save")
    )
    rows = ("C1,amount,5,SAVE,1", "C2,percent,10,SAVE,0")
    assert notes_of(coupons(tiny, *rows, head="coupon_id,kind,value,code,active")) == ""


def test_a_what_if_with_terms_that_cannot_be_is_refused(tiny: Any, allocate: Command) -> None:
    done = allocate("whatif", tiny.path, "--only", "--coupon", "C1.max_discount=0")
    assert done.code == 3
    assert "max_discount" in done.err


def test_the_service_says_what_the_check_says() -> None:
    from allocator.service.inline import campaign_of
    from allocator.service.schemas.solve import InlineProblem

    pairs = {"user_id": ["u1", "U1"], "coupon_id": ["C1", "C1"], "value": [1.0, 2.0], "cost": [1.0, 1.0]}
    alone = campaign_of(InlineProblem(pairs=pairs), b"")
    assert not any("nothing is taken off" in note for note in alone.notes)
    assert any("'u1' and 'U1'" in note for note in alone.notes)
    stated = {"coupon_id": ["C1"], "kind": ["percent"], "value": [99], "usageLimit": [3]}
    notes = "\n".join(campaign_of(InlineProblem(pairs=pairs, coupons=stated), b"").notes)
    assert "coupons: more than 95 percent off" in notes
    assert "pairs has no column 'redemptions'" in notes


def test_a_kept_frame_without_the_newer_column_still_serves() -> None:
    from allocator.campaign.stocks import stock_of

    frame = pl.DataFrame({"coupon_id": ["C1"], "active": [True], "inventory": [2]})
    assert stock_of(frame) == {"C1": 2.0}
    assert stock_of(frame, "redemptions") == {}
