"""Plans are valued in what the campaign maximises, after costs, and the verdict follows from that."""

from __future__ import annotations

import html
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from allocator.campaign import read_campaign
from allocator.files import dump_json
from allocator.plugins.evaluation import Evaluation, restore
from allocator.report.evaluation import write_report
from allocator.runs.evaluate import evaluate_campaign
from cli.render.evaluation import evaluation_page
from predictors.evaluation.value_curve import value_curve

N, BASKET, MARGIN, FEE = 4000, 40.0, 0.3, 2.0
RATES = {"loyal": (0.2, 0.6), "other": (0.2, 0.25)}  # without and with the coupon


def config(objective: str, budget: float = 1e6) -> str:
    return f"""\
schema = 1
name = "shop"
currency = "EUR"
as_of = 2026-06-01
[objective]
maximize = "{objective}"
margin = {MARGIN}
[sending_cost]
email = {FEE}
[[limits]]
kind = "budget"
label = "total"
at_most = {budget}
"""


def make_shop(folder: Path, objective: str = "net_profit", budget: float = 1e6, revenue: bool = True) -> Path:
    """Write a campaign whose coupon brings conversions everywhere, and profit only from loyal users."""
    rng = np.random.default_rng(4)
    folder.mkdir()
    (folder / "campaign.toml").write_text(config(objective, budget))
    (folder / "coupons.csv").write_text("coupon_id,kind,value,channel\nTEN,percent,10,email\n")
    loyal, treated = rng.random(N) < 0.3, rng.random(N) < 0.5
    chances = np.array([RATES["loyal"], RATES["other"]])
    converted = rng.random(N) < chances[1 - loyal.astype(int), treated.astype(int)]
    users = pl.DataFrame({"user_id": [f"u{i}" for i in range(N)], "loyal": loyal.astype(int)})
    users.write_csv(folder / "users.csv")
    history = pl.DataFrame(
        {
            "user_id": users["user_id"],
            "coupon_id": np.where(treated, "TEN", ""),
            "sent_at": "2026-01-01",
            "propensity": 0.5,
            "converted": converted.astype(int),
            "redeemed": (converted & treated).astype(int),
            "revenue": BASKET * converted * revenue,
            "discount": 4.0 * (converted & treated),
        }
    )
    history.write_csv(folder / "history.csv")
    predicted = np.where(loyal, 0.4, 0.05)
    users.select("user_id", coupon_id=pl.lit("TEN")).with_columns(
        conversion=pl.lit(0.2), uplift=pl.Series(predicted), redemption=pl.Series(0.2 + predicted),
        revenue=pl.lit(BASKET), expected_cost=pl.Series(4.0 * (0.2 + predicted)),
    ).write_csv(folder / "predictions.csv")  # fmt: skip
    return folder


def judge(folder: Path) -> Evaluation:
    return evaluate_campaign(read_campaign(folder), predictions=folder / "predictions.csv")


@pytest.fixture(scope="module")
def profit(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    folder = make_shop(tmp_path_factory.mktemp("profit") / "shop")
    return folder, judge(folder)


def true_value(rate: str) -> float:
    """Return what the coupon adds to the profit of one user after costs."""
    alone, sent = RATES[rate]
    return MARGIN * BASKET * (sent - alone) - 4.0 * sent - FEE


def test_everyone_gains_conversions_and_loses_money(profit: tuple[Path, Evaluation]) -> None:
    evaluation = profit[1]
    plans = {plan.plan: plan for plan in evaluation.policies}
    everyone, best = plans["everyone TEN"], plans["highest predicted value"]
    assert everyone.gain.low > 0 > everyone.value_gain.high
    assert best.sent == pytest.approx(0.3, abs=0.03)
    for plan, truth in (
        (everyone, 0.3 * true_value("loyal") + 0.7 * true_value("other")),
        (best, 0.3 * true_value("loyal")),
        (plans["highest predicted uplift"], 0.3 * true_value("loyal") + 0.7 * true_value("other")),
    ):
        assert plan.value_gain.low < truth < plan.value_gain.high
    assert everyone.spend.low < FEE + 4.0 * (0.3 * 0.6 + 0.7 * 0.25) < everyone.spend.high
    assert plans["send nothing"].spend.value == 0.0
    names = ("highest predicted uplift", "highest predicted value")
    words = dict(zip(names, evaluation.verdicts, strict=True))
    assert all(f"'{name}'" in sentence for name, sentence in words.items())
    assert "it loses, so send nothing" in words["highest predicted uplift"]
    assert "EUR" in words["highest predicted value"]
    cost, value = evaluation.curves[-2:]
    assert (cost.name, value.name, value.unit) == ("cost", "value", "EUR")
    assert value.area > 0.15  # loyal users first, and it turns down after them
    assert max(value.y) > value.y[-1]


@pytest.mark.parametrize(("revenue", "objective"), [(True, "incremental_conversions"), (False, "net_profit")])
def test_conversions_have_no_costs_taken_off(tmp_path: Path, revenue: bool, objective: str) -> None:
    evaluation = judge(make_shop(tmp_path / "shop", objective, revenue=revenue))
    everyone = next(plan for plan in evaluation.policies if plan.plan == "everyone TEN")
    assert everyone.value_gain == everyone.gain
    assert everyone.spend.value > FEE
    assert evaluation.stakes is not None
    assert evaluation.stakes.unit == "conversions"
    assert any("records no revenue" in note for note in evaluation.notes) is not revenue
    assert [curve.name for curve in evaluation.curves] == ["qini", "uplift", "cost"]


def test_a_coupon_for_all_that_the_budget_cannot_pay_is_no_rival(tmp_path: Path) -> None:
    """Sending to everyone earns more conversions than any plan, and cannot be paid."""
    folder = make_shop(tmp_path / "shop", "incremental_conversions", budget=4000.0)
    (folder / "plan.csv").write_text(
        pl.read_csv(folder / "users.csv")
        .filter(pl.col("loyal") == 1)
        .head(800)
        .select("user_id", coupon_id=pl.lit("TEN"))
        .write_csv()
    )
    campaign = read_campaign(folder)
    evaluation = evaluate_campaign(
        campaign, predictions=folder / "predictions.csv", plans=[folder / "plan.csv"]
    )
    assert evaluation.stakes is not None
    plan = evaluation.policies[-1]
    assert 0.5 < evaluation.stakes.budget_used(plan.spend.value) < 1.0
    assert "of the budget: the plan is worth its trouble" in evaluation.verdicts[-1]
    assert "It would spend" in evaluation.verdicts[0]


def test_terminal_page_and_json_say_the_same(
    profit: tuple[Path, Evaluation], tmp_path: Path, allocate: Any
) -> None:
    folder, evaluation = profit
    outcome = allocate("evaluate", folder, "--predictions", folder / "predictions.csv", "--json")
    document = {key: value for key, value in outcome.document.items() if key not in ("campaign", "currency")}
    assert document == json.loads(dump_json(asdict(evaluation)))
    again = restore(Evaluation, document)
    assert again.stakes == evaluation.stakes
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(evaluation_page(again))
    terminal = " ".join(console.export_text().replace("│", " ").split())
    write_report(again, read_campaign(folder), tmp_path / "report.html")
    page = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    for text in (terminal, page):
        assert "net profit after costs, in EUR" in text
        for verdict in evaluation.verdicts:
            assert verdict in text
        for plan in evaluation.policies:
            half = (plan.value_gain.high - plan.value_gain.low) / 2
            assert f"{plan.value_gain.value:,.2f} ±{half:,.2f}" in text


def test_each_recorded_outcome_has_its_uplift(profit: tuple[Path, Evaluation]) -> None:
    evaluation = profit[1]
    found = {(one.outcome, one.coupon_id): one for one in evaluation.outcomes}
    assert [key for key in found if key[1] == "TEN"] == [
        (name, "TEN") for name in ("converted", "redeemed", "revenue")
    ]
    gain = 0.3 * 0.4 + 0.7 * 0.05
    redeemed = 0.3 * 0.6 + 0.7 * 0.25
    for outcome, truth in (("converted", gain), ("redeemed", redeemed), ("revenue", BASKET * gain)):
        one = found[outcome, "TEN"]
        assert one.uplift.low < truth < one.uplift.high
        assert one.sent - one.alone == pytest.approx(one.uplift.value)
    assert found["redeemed", "TEN"].alone == 0.0
    assert (found["revenue", "all coupons"].unit, found["converted", "TEN"].unit) == ("EUR", "conversions")


def test_clicks_are_of_who_was_sent_something(tmp_path: Path) -> None:
    folder = make_shop(tmp_path / "shop")
    history = pl.read_csv(folder / "history.csv")
    clicked = pl.when(pl.col("coupon_id") == "TEN").then(pl.col("converted"))
    history.with_columns(clicked=clicked).write_csv(folder / "history.csv")
    clicks = next(one for one in judge(folder).outcomes if one.outcome == "clicked")
    assert clicks.alone == 0.0
    assert clicks.sent == pytest.approx(0.3 * 0.6 + 0.7 * 0.25, abs=0.03)


def test_a_value_curve_by_hand() -> None:
    value = np.array([[3.0, 1.0], [-1.0, -2.0], [0.5, 2.0], [-np.inf, -np.inf]])
    earned = np.array([[6.0, 0.0], [-3.0, 0.0], [0.0, 3.0], [9.0, 9.0]])
    curve = value_curve(value, earned, unit="EUR")
    assert curve.x == pytest.approx((0.0, 1 / 3, 2 / 3, 1.0))
    assert curve.y == pytest.approx((0.0, 2.0, 3.0, 2.0))
    assert curve.area == pytest.approx((0 + 2) / 6 + (2 + 3) / 6 + (3 + 2) / 6 - 1.0)
    tied = value_curve(np.zeros((4, 1)), np.array([[5.0], [0.0], [0.0], [-1.0]]))
    assert (tied.x, tied.y, tied.area) == ((0.0, 1.0), (0.0, 1.0), 0.0)
