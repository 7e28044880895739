"""What-ifs about coupons, objective and groups: predicted anew where customers would respond otherwise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.config import Scenario
from allocator.errors import InputError
from allocator.runs.models import save_model
from allocator.runs.new_coupons import coupon_predictor
from allocator.runs.options import Options
from allocator.runs.stages import predict_with, solve_task, train_campaign
from allocator.whatif.comparison import compare
from allocator.whatif.scenario import build_scenario, check_scenarios, solve_scenarios

TEA = {"coupon_id": "TEA10", "kind": "percent", "value": 10, "category": "coffee", "channel": "email"}


@pytest.fixture(scope="module")
def known(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The starter campaign, predictions of a trained predictor, and what predicts other coupons."""
    campaign = Options(predictor="baseline").apply(read_campaign(shared_starter))
    predictor, evaluation = train_campaign(campaign)
    folder = tmp_path_factory.mktemp("model") / "model"
    save_model(folder, campaign, predictor, evaluation)
    predict = coupon_predictor(None, campaign.config, folder)
    return campaign, predict_with(predictor, campaign, "baseline"), predict, folder


def solved(known: Any, *scenarios: Scenario) -> list[dict[str, Any]]:
    campaign, predictions, predict, _ = known
    check_scenarios(campaign, scenarios)
    return compare(campaign, solve_scenarios(campaign, predictions, scenarios, solve_task, predict=predict))


def task_of(known: Any, **changes: Any) -> Any:
    campaign, predictions, predict, _ = known
    return build_scenario(campaign, predictions, Scenario(name="other", **changes), None, predict)


def test_a_coupon_on_other_terms_is_predicted_anew_and_the_others_stay(known: Any) -> None:
    before, after = task_of(known), task_of(known, coupons={"COFFEE15": {"value": 30}})
    assert after.problem.coupon_ids.tolist() == before.problem.coupon_ids.tolist()
    for j, coupon in enumerate(before.problem.coupon_ids.tolist()):
        same = np.array_equal(
            before.problem.measures["cost"][:, j], after.problem.measures["cost"][:, j], equal_nan=True
        )
        assert same == (coupon != "COFFEE15")
    dear = after.problem.measures["cost"][:, 0][~np.isnan(after.problem.value[:, 0])]
    cheap = before.problem.measures["cost"][:, 0][~np.isnan(before.problem.value[:, 0])]
    assert dear.mean() > 1.2 * cheap.mean()


def test_a_new_coupon_is_what_a_campaign_with_it_would_have(known: Any, tmp_path: Path) -> None:
    campaign, _, predict, _ = known
    task = task_of(known, add_coupons=[TEA])
    assert task.problem.coupon_ids.tolist()[-1] == "TEA10"
    row = {**dict.fromkeys(campaign.coupons.columns), **TEA, "value": 10.0, "active": True}
    extended = replace(
        campaign, coupons=pl.concat([campaign.coupons, pl.DataFrame([row], campaign.coupons.schema)])
    )
    alone = predict(extended)
    place = alone.coupon_ids.tolist().index("TEA10")
    redeemed = task.problem.measures["redemptions"][:, -1]
    told = redeemed != 0
    assert told.any()
    np.testing.assert_allclose(redeemed[told], alone.redemption[told, place])


def test_a_new_coupon_can_be_capped(known: Any) -> None:
    base, row = solved(known, Scenario(name="tea", add_coupons=[{**TEA, "inventory": 7}]))
    given = {entry["label"]: entry["assigned"] for entry in row["by_coupon"]}
    assert given["TEA10"] == 7
    assert "TEA10" not in {entry["label"] for entry in base["by_coupon"]}


def test_stock_alone_needs_no_prediction(shared_starter: Path) -> None:
    campaign = read_campaign(shared_starter)
    fewer = Scenario(name="fewer", coupons={"COFFEE15": {"inventory": 25}})
    base, row = compare(campaign, solve_scenarios(campaign, None, [fewer], solve_task))
    given = {entry["label"]: entry["assigned"] for entry in row["by_coupon"]}
    assert given["COFFEE15"] <= 25
    assert row["value"] < base["value"]


def test_terms_without_a_predictor_are_refused_in_words(shared_starter: Path, known: Any) -> None:
    campaign, predictions, _, _ = known
    dearer = Scenario(name="dearer", coupons={"COFFEE15": {"value": 30}})
    with pytest.raises(
        InputError, match=r"'dearer' has coupons that nothing is predicted of: COFFEE15.*scores"
    ):
        build_scenario(read_campaign(shared_starter), None, dearer)
    with pytest.raises(InputError, match="--predictions RUN of a run that trained a predictor"):
        build_scenario(campaign, predictions, dearer)


def test_every_mistake_is_named_with_its_coupon(known: Any) -> None:
    campaign = known[0]
    wrong = Scenario(
        name="wrong",
        coupons={"COFFEE15": {"value": "much"}, "NOPE": {"value": 3}, "SNACK5": {"valu": 3}},
        add_coupons=[{"coupon_id": "SNACK5", "kind": "percnt", "value": 1}, {"kind": "percent", "value": 3}],
        objective={"marg": 0.3},
    )
    with pytest.raises(InputError) as error:
        check_scenarios(campaign, [wrong])
    told = str(error.value)
    for words in (
        "'NOPE'",
        "coupon 'COFFEE15'",
        "'much'",
        "percnt",
        "adds a coupon that is there",
        "marg",
        "valu",
    ):
        assert words in told, words
    expired = Scenario(name="old", coupons={"COFFEE15": {"starts_at": "2019-01-01", "ends_at": "2020-01-01"}})
    with pytest.raises(InputError, match="has expired"):
        check_scenarios(campaign, [expired])


def test_another_objective_is_measured_by_both(known: Any) -> None:
    base, row = solved(known, Scenario(name="orders", objective={"maximize": "incremental_conversions"}))
    assert row["maximize"] == "incremental_conversions"
    assert row["value_range"] is None
    assert row["expected_value"] <= base["bound"] * (1 + 1e-9)
    assert "Maximises incremental conversions" in row["verdict"][0]
    assert row["difference"]["expected_value"] == pytest.approx(row["expected_value"] - base["value"])


def test_margin_scales_the_worth_and_not_the_plan(known: Any) -> None:
    base, row = solved(known, Scenario(name="thin", objective={"margin": 0.175}))
    assert row["value"] == pytest.approx(0.5 * base["value"], rel=2e-3)
    assert row["expected_value"] == pytest.approx(base["value"], rel=2e-3)


def test_ready_scores_have_no_other_objective(shared_starter: Path) -> None:
    with pytest.raises(InputError, match=r"the values of scores\.csv are ready"):
        build_scenario(read_campaign(shared_starter), None, Scenario(name="thin", objective={"margin": 0.1}))


def test_groups_of_a_limit_change(shared_starter: Path) -> None:
    campaign = read_campaign(shared_starter)
    other = Scenario(name="by age", set={"every region.by": "age_band", "every region.at_least": 0.2})
    _, row = compare(campaign, solve_scenarios(campaign, None, [other], solve_task))
    floors = [limit for limit in row["limits"] if limit["label"].startswith("every region[")]
    assert {limit["label"] for limit in floors} == {
        f"every region[{a}]" for a in ("18-29", "30-44", "45-59", "60+")
    }
    assert all(limit["used"] >= limit["at_least"] for limit in floors)


def test_the_command_line_says_it_all(command: Any, known: Any, shared_starter: Path, tmp_path: Path) -> None:
    _, predictions, _, model = known
    from allocator.campaign.predictions import write_predictions

    file = tmp_path / "predictions.parquet"
    write_predictions(predictions, file)
    outcome = command(
        "whatif", shared_starter, "--only", "--json", "--predictions", file, "--model", model,
        "--scenario", "dear", "--coupon", "COFFEE15.value=30", "--coupon", "COFFEE15.max_discount=9",
        "--scenario", "tea", "--with", "dear",
        "--add-coupon", "coupon_id=TEA10 kind=percent value=10 category=coffee",
        "--scenario", "fair", "--objective", "fairness=max_min", "--objective", "by=region",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    rows = {row["name"]: row for row in outcome.document["scenarios"]}
    assert list(rows) == ["base", "dear", "tea", "fair"]
    assert "TEA10" in {entry["label"] for entry in rows["tea"]["by_coupon"]}
    assert rows["fair"]["utility"] is not None
    assert rows["fair"]["value"] <= rows["base"]["bound"] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--coupon", "value=3"], "is not COUPON.COLUMN"),
        (["--coupon", "C1.value"], "is not KEY=VALUE"),
        (["--objective", "margin="], "is not KEY=VALUE"),
        (["--add-coupon", "coupon_id"], "write KEY=VALUE"),
    ],
)
def test_changes_that_cannot_be_read(
    allocate: Any, shared_starter: Path, arguments: list[str], says: str
) -> None:
    outcome = allocate("whatif", shared_starter, "--only", *arguments)
    assert outcome.code == 2
    assert says in outcome.err
