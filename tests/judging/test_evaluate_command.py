"""`allocate evaluate`: what it says, that it says the same everywhere, and what it refuses."""

from __future__ import annotations

import datetime as dt
import html
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from allocator.campaign import read_campaign
from allocator.errors import InputError
from allocator.files import dump_json
from allocator.plugins.evaluation import Evaluation, restore
from allocator.report.evaluation import write_report
from allocator.runs.evaluate import evaluate_campaign
from allocator.runs.options import Options
from cli.render.evaluation import evaluation_page
from support.paths import SUPPORT

USERS = 3000
PAST_DOUBT = "history.csv: 2 rows of controls that redeemed (the first: row 7)"
BASE, EFFECT = 0.15, 0.45
CONFIG = """\
schema = 1
name = "shop & sons"
currency = "EUR"
as_of = 2026-06-01
[predict]
predictor = "baseline"
[[limits]]
kind = "floor"
label = "every region"
by = "region"
at_least = 1
"""
COUPONS = """\
coupon_id,kind,value,min_spend,ends_at
TEN,percent,10,20,2026-06-30
FIVE,amount,5,20,2026-06-30
"""


def make_shop(folder: Path, *, sends: int = USERS, start: int = 0, seed: int = 5) -> Path:
    """Write a campaign: TEN works for loyal users, FIVE for nobody; two waves with chances of their own."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "campaign.toml").write_text(CONFIG)
    (folder / "coupons.csv").write_text(COUPONS)
    loyal = np.random.default_rng(1).random(USERS) < 0.5
    region = np.random.default_rng(2).choice(["east", "west"], USERS)
    ids = [f"u{i}" for i in range(USERS)]
    pl.DataFrame({"user_id": ids, "loyal": loyal.astype(int), "region": region}).write_csv(
        folder / "users.csv"
    )
    user = np.arange(start, start + sends) % USERS
    first = user % 2 == 0  # the first wave is mostly treated, and buys more anyway
    chance = np.where(first[:, None], [0.2, 0.4, 0.4], [0.6, 0.2, 0.2])
    arm = (rng.random(sends)[:, None] > chance.cumsum(axis=1)).sum(axis=1) - 1
    rate = BASE + 0.1 * first + EFFECT * ((arm == 0) & loyal[user])
    converted = rng.random(sends) < rate
    redeemed = converted & (arm >= 0)
    history = pl.DataFrame(
        {
            "user_id": [ids[i] for i in user],
            "coupon_id": np.array(["TEN", "FIVE", ""])[arm],
            "sent_at": [dt.date(2026, 1 + start // USERS, 1 + i % 2) for i in user],
            "propensity": chance[np.arange(sends), arm + 1],
            "converted": converted.astype(int),
            "redeemed": redeemed.astype(int),
            "revenue": np.where(converted, 40.0, 0.0),
            "discount": np.where(redeemed, np.where(arm == 0, 4.0, 5.0), 0.0),
        }
    )
    history.write_csv(folder / "history.csv")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shop(tmp_path_factory.mktemp("evaluate") / "shop")


@pytest.fixture(scope="module")
def loyal_plan(shop: Path) -> Path:
    """TEN for the loyal users, as a table of another tool."""
    users = pl.read_csv(shop / "users.csv").filter(pl.col("loyal") == 1)
    path = shop.parent / "loyal.csv"
    users.select(external_id="user_id", coupon=pl.lit("TEN"), note=pl.lit("hello")).write_csv(path)
    return path


@pytest.fixture(scope="module")
def evaluation(shop: Path, loyal_plan: Path) -> Evaluation:
    doubts = (PAST_DOUBT, "coupons.csv: more than 95 percent off: 'TEN'")
    campaign = replace(read_campaign(shop), notes=doubts)
    return evaluate_campaign(campaign, plans=[loyal_plan], by=["region", "loyal"])


def test_what_the_check_doubts_of_past_sends_is_said(evaluation: Evaluation, shop: Path) -> None:
    assert [note for note in evaluation.notes if "csv" in note] == [PAST_DOUBT]
    assert read_campaign(shop).notes == ()


def test_it_is_judged_on_users_that_were_held_out(evaluation: Evaluation) -> None:
    assert evaluation.held_out
    assert evaluation.rows_train + evaluation.rows_test == USERS
    assert 0 < evaluation.rows_test < evaluation.rows_train


def test_it_finds_who_responds(evaluation: Evaluation) -> None:
    arms = {arm.coupon_id: arm for arm in evaluation.arms}
    assert arms["TEN"].qini > 0.1
    assert arms["TEN"].uplift_at_30 > arms["TEN"].uplift_observed
    assert arms["TEN"].observed_low < EFFECT / 2 < arms["TEN"].observed_high
    assert arms["FIVE"].observed_low < 0 < arms["FIVE"].observed_high
    groups = {(group.column, group.value): group for group in evaluation.subgroups}
    assert groups["loyal", "1"].p_value < 0.05 < groups["region", "east"].p_value
    assert {name for name, _ in groups} == {"region", "loyal"}


def test_plans_are_worth_what_they_are_worth(evaluation: Evaluation, loyal_plan: Path) -> None:
    plans = {plan.plan: plan for plan in evaluation.policies}
    names = ["send nothing", "as it was sent", "everyone TEN"]
    names += ["highest predicted uplift", "highest predicted value", str(loyal_plan)]
    assert list(plans) == names
    truth = {"send nothing": BASE + 0.05, "everyone TEN": BASE + 0.05 + EFFECT / 2}
    truth[str(loyal_plan)] = truth["everyone TEN"]
    for name, value in truth.items():
        for estimate in (
            plans[name].conversions.dr,
            plans[name].conversions.snips,
            plans[name].conversions.ips,
        ):
            assert estimate.low < value < estimate.high
        revenue = plans[name].revenue.dr
        assert revenue.low < 40 * value < revenue.high
    assert plans[str(loyal_plan)].sent == pytest.approx(0.5, abs=0.05)
    assert plans["everyone TEN"].sent == 1.0
    assert plans["everyone TEN"].gain.low > 0
    assert plans["everyone TEN"].over_single.value == 0.0
    past = plans["as it was sent"]
    assert past.conversions.dr == past.conversions.ips
    # A wave of two sends TEN to 40 %, the other to 20 %; it works for half of the users.
    assert past.gain.low < EFFECT / 2 * 0.3 < past.gain.high
    assert past.over_single.high < 0


def test_a_plan_that_leaves_out_who_gains_nothing_spends_less_for_the_same(evaluation: Evaluation) -> None:
    cost = next(curve for curve in evaluation.curves if curve.name == "cost")
    assert cost.unit == "EUR"
    assert cost.area > 0.55
    assert cost.x[0] == cost.y[0] == 0.0
    assert all(a <= b for a, b in zip(cost.x, cost.x[1:], strict=False))


def test_waves_with_chances_of_their_own_are_balanced_by_their_propensities(evaluation: Evaluation) -> None:
    arms = {arm.arm: arm for arm in evaluation.overlap}
    assert (arms["nothing"].quantiles[0], arms["nothing"].quantiles[-1]) == pytest.approx((0.2, 0.6))
    assert all(arm.comparable == 1.0 for arm in arms.values())
    assert all(abs(one.weighted) < 0.2 for one in evaluation.balance)


def test_it_says_how_many_sends_a_doubtful_coupon_needs(evaluation: Evaluation) -> None:
    (note,) = [note for note in evaluation.notes if "Too few conversions" in note]
    found = next(one for one in evaluation.power if one.coupon_id == "FIVE")
    assert "FIVE" in note
    assert "TEN" not in note
    assert f"about {found.treated_needed:,.0f} sends" in note
    assert found.treated_needed > found.treated


def test_a_history_without_propensities_is_weighed_by_estimated_ones(shop: Path, tmp_path: Path) -> None:
    folder = make_shop(tmp_path / "shop")
    users = pl.read_csv(folder / "users.csv")
    wave = pl.Series("wave", np.arange(USERS) % 2)  # what decided the chance is known of the users
    users.with_columns(wave).write_csv(folder / "users.csv")
    pl.read_csv(folder / "history.csv").drop("propensity").write_csv(folder / "history.csv")
    evaluation = evaluate_campaign(read_campaign(folder))
    arms = {arm.coupon_id: arm for arm in evaluation.arms}
    assert arms["FIVE"].observed_low < 0 < arms["FIVE"].observed_high
    assert any("weigh rows by propensities estimated from user features" in note for note in evaluation.notes)
    wave_balance = next(one for one in evaluation.balance if one.feature == "wave")
    assert abs(wave_balance.difference) > 0.5
    assert abs(wave_balance.weighted) < 0.15
    assert [group.column for group in evaluation.subgroups] == ["region"] * 2  # what the limits group by


# One evaluation, three forms


def test_terminal_page_and_json_show_the_same_figures(
    evaluation: Evaluation, shop: Path, tmp_path: Path
) -> None:
    document = json.loads(dump_json(asdict(evaluation)))
    again = restore(Evaluation, document)
    assert dump_json(asdict(again)) == dump_json(asdict(evaluation))
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(evaluation_page(again))
    terminal = console.export_text()
    write_report(again, read_campaign(shop), tmp_path / "report.html")
    page = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    for arm in document["arms"]:
        shown = f"{arm['qini']:.3f}", f"{arm['auuc']:.3f}", f"{arm['uplift_at_30']:+.1%}"
        for text in shown:
            assert text in cells
            assert text in terminal
    for plan in document["policies"]:
        value = plan["conversions"]["dr"]
        text = f"{value['value']:+.1%} ±{(value['high'] - value['low']) / 2:.1%}".lstrip("+")
        assert text in cells
        assert text in terminal
        assert plan["plan"] in cells
    for note in document["notes"]:
        assert note in page
    for one in document["power"]:
        assert f"{one['treated_needed']:,.0f}" in cells


def test_the_page_fetches_nothing_and_escapes_names(
    evaluation: Evaluation, shop: Path, tmp_path: Path
) -> None:
    write_report(evaluation, read_campaign(shop), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert "<script" not in page
    assert "shop &amp; sons" in page
    assert page.count("<svg") == page.count("<polyline") / 2 == 4


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal(evaluation: Evaluation, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(evaluation_page(evaluation))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert any(0x2800 < ord(letter) < 0x2900 for letter in text)


def test_the_command_prints_one_document_and_writes_the_page(
    allocate: Any, shop: Path, evaluation: Evaluation, loyal_plan: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    arguments = ("--plan", loyal_plan, "--by", "region", "--by", "loyal", "--html", page, "--json")
    outcome = allocate("evaluate", shop, *arguments)
    assert outcome.code == 0
    notes = tuple(note for note in evaluation.notes if note != PAST_DOUBT)  # which is of the library's call
    mine = asdict(replace(evaluation, notes=notes))
    assert outcome.document == json.loads(dump_json({"campaign": "shop & sons", "currency": "EUR", **mine}))
    assert str(page) in outcome.err
    assert page.is_file()


# A saved model, and ready predictions


def test_a_model_is_not_praised_for_what_it_learnt_by_heart(allocate: Any, tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop", sends=1200)
    assert allocate("train", shop, "--out", tmp_path / "model").code == 0
    campaign = read_campaign(shop)
    seen = evaluate_campaign(campaign, model=tmp_path / "model")
    assert not seen.held_out
    assert "the figures flatter it" in seen.notes[0]
    assert seen.rows_test == 1200
    # Later sends, and those of other users, are unseen.
    old = pl.read_csv(shop / "history.csv")
    make_shop(shop, sends=2400, start=USERS, seed=6)
    pl.concat([old, pl.read_csv(shop / "history.csv")]).write_csv(shop / "history.csv")
    later = evaluate_campaign(read_campaign(shop), model=tmp_path / "model")
    assert later.held_out
    assert later.rows_test == 2400
    assert "2,400 of 3,600" in later.notes[0]
    assert later.arms[0].qini > 0.05
    make_shop(shop, sends=1200, start=USERS, seed=6)  # only sends that it did not see
    fresh = evaluate_campaign(read_campaign(shop), model=tmp_path / "model")
    assert fresh.notes[0] == "Judged on 1,200 of 1,200 past sends: none was seen in training."
    pl.concat([old, pl.read_csv(shop / "history.csv")]).write_csv(shop / "history.csv")
    predictions = tmp_path / "predictions.parquet"
    assert allocate("predict", shop, "--model", tmp_path / "model", "--out", predictions).code == 0
    given = evaluate_campaign(read_campaign(shop), predictions=predictions)
    assert not given.held_out
    assert "not known" in given.notes[0]
    assert given.rows_test == 2400


def test_a_predictor_of_another_package_is_judged_on_users_it_did_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "average-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: average\nVersion: 0.1\n")
    entry = "[allocate.predictors.v1]\naverage = corner_plugins.predictor:AveragePredictor\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(SUPPORT / "plugin_package")
    monkeypatch.syspath_prepend(tmp_path / "site")
    campaign = Options(predictor="average").apply(read_campaign(make_shop(tmp_path / "shop", sends=1200)))
    evaluation = evaluate_campaign(campaign)
    assert evaluation.predictor == "average"
    assert (evaluation.rows_train, evaluation.rows_test) == (840, 360)
    assert evaluation.arms[1].qini == 0.0  # it says the same of everyone
    assert evaluation.arms[0].uplift_predicted > 0


def test_a_run_folder_is_a_plan(allocate: Any, tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop", sends=1200)
    users = pl.read_csv(shop / "users.csv")
    scores = users.filter(pl.col("loyal") == 1).select(
        "user_id", coupon_id=pl.lit("TEN"), value=1.0, cost=0.5
    )
    scores.write_csv(shop / "scores.csv")
    assert allocate("solve", shop, "--out", tmp_path / "run").code == 0
    evaluation = evaluate_campaign(read_campaign(shop), plans=[tmp_path / "run"], by=[])
    plan = evaluation.policies[-1]
    assert plan.plan == str(tmp_path / "run")
    assert plan.sent == pytest.approx(scores.height / USERS, abs=0.06)
    assert any("looks better here than it will be" in note for note in evaluation.notes)
    assert evaluation.subgroups == ()


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--by", "colour"], 3, "no such column to group by"),
        (["--plan", "nowhere"], 3, "there is no plan here"),
        (["--plan", "unknown.csv"], 3, "no such coupon"),
        (["--plan", "twice.csv"], 3, "user_id"),
        (["--plan", "strangers.csv"], 3, "none of these users"),
        (["--plan", "columns.csv"], 3, "user_id"),
        (["--model", "nowhere"], 3, "no trained model"),
        (["--predictions", "nowhere"], 3, "no predictions"),
        (["--model", "m", "--predictions", "p"], 2, "two things to judge"),
        (["--model", "m", "--predictor", "baseline"], 2, "two things to judge"),
        (["--html", "shop/users.csv"], 3, "not written over"),
        (["--predictor", "oracle"], 7, "oracle"),
    ],
)
def test_what_cannot_be_judged_is_named(
    allocate: Any,
    shop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Any,
    code: int,
    words: str,
) -> None:
    (tmp_path / "unknown.csv").write_text("user_id,coupon_id\nu1,GOLD\n")
    (tmp_path / "twice.csv").write_text("user_id,coupon_id\nu1,TEN\nu1,FIVE\n")
    (tmp_path / "strangers.csv").write_text("user_id,coupon_id\nnobody,TEN\n")
    (tmp_path / "columns.csv").write_text("who,what\nu1,TEN\n")
    (tmp_path / "shop").symlink_to(shop)
    monkeypatch.chdir(tmp_path)
    outcome = allocate("evaluate", "shop", *arguments)
    assert outcome.code == code
    assert words in " ".join(outcome.err.split())
    assert "This is a bug" not in outcome.err
    assert outcome.out == ""


def test_all_mistakes_come_at_once(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "unknown.csv").write_text("user_id,coupon_id\nu1,GOLD\n")
    with pytest.raises(InputError) as raised:
        evaluate_campaign(
            read_campaign(shop), plans=[tmp_path / "unknown.csv", tmp_path / "gone"], by=["colour"]
        )
    assert len(raised.value.findings) == 3


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (None, "add history.csv with treated and control rows"),
        (
            "user_id,coupon_id,sent_at,converted\nu1,TEN,2026-01-01,1\nu2,FIVE,2026-01-01,0\n",
            "no control rows",
        ),
        (
            "user_id,coupon_id,sent_at,converted\nu1,,2026-01-01,1\nu2,,2026-01-01,0\n",
            "no past send is treated",
        ),
    ],
)
def test_a_history_that_can_support_nothing_is_refused(
    allocate: Any, shop: Path, tmp_path: Path, history: str | None, words: str
) -> None:
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for name in ("campaign.toml", "users.csv", "coupons.csv"):
        (folder / name).write_bytes((shop / name).read_bytes())
    if history is not None:
        (folder / "history.csv").write_text(history)
    outcome = allocate("evaluate", folder, "--json")
    assert outcome.code == 3
    assert words in outcome.document["message"]


def test_predictions_of_other_coupons_cannot_be_compared(shop: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(shop / "users.csv").select("user_id").with_columns(coupon_id=pl.lit("NEW"))
    numbers = ("conversion", "uplift", "redemption", "revenue", "expected_cost")
    frame.with_columns(*(pl.lit(0.1).alias(name) for name in numbers)).write_csv(tmp_path / "p.csv")
    with pytest.raises(InputError, match="nothing can be compared"):
        evaluate_campaign(read_campaign(shop), predictions=tmp_path / "p.csv")


def test_coupons_that_only_some_users_could_get_are_said_to_be_unknown_for_the_others(tmp_path: Path) -> None:
    folder = make_shop(tmp_path / "shop", sends=2 * USERS)
    loyal = pl.read_csv(folder / "users.csv").filter(pl.col("loyal") == 1)["user_id"]
    treated = pl.col("coupon_id").fill_null("") != ""
    history = pl.read_csv(folder / "history.csv").drop("propensity")
    # No stranger was ever sent anything.
    history.filter(pl.col("user_id").is_in(loyal.implode()) | ~treated).write_csv(folder / "history.csv")
    evaluation = evaluate_campaign(read_campaign(folder))
    comparable = {arm.arm: arm.comparable for arm in evaluation.overlap}
    assert comparable["TEN"] < 0.85
    (note,) = [note for note in evaluation.notes if "say nothing about what it gives" in note]
    assert "'everyone" in note
    single = next(plan for plan in evaluation.policies if plan.plan.startswith("everyone"))
    assert single.rows < evaluation.rows_test
