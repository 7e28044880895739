"""A pessimistic plan: what it maximises, what it says of itself, how it stands beside a mean plan."""

from __future__ import annotations

import dataclasses
import json
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.config import Scenario
from allocator.campaign.predictions import read_predictions, write_predictions
from allocator.campaign.task import build_task
from allocator.errors import InputError, PluginError
from allocator.plugins.predictions import Predictions
from allocator.runs.opening import open_run, verify_run
from allocator.runs.pipeline import run_campaign
from allocator.runs.stages import predict_with, solve_task
from allocator.whatif.comparison import compare
from allocator.whatif.scenario import build_scenario, solve_scenarios

Z80 = NormalDist().inv_cdf(0.8)
ERRORS = (
    1.0,
    1.0,
    0.1,
    5.0,
    0.1,
    4.0,
    0.1,
    0.1,
)  # of the pairs of the tiny campaign, in the order of its file
PESSIMISTIC = '[objective]\nrisk = "pessimistic"\n'


@pytest.fixture
def unsure(tiny: Any) -> Any:
    """The tiny campaign, whose scores say how sure they are."""
    lines = (tiny.path / "scores.csv").read_text().splitlines()
    rows = [f"{line},{error}" for line, error in zip(lines[1:], ERRORS, strict=True)]
    return tiny.write(scores="\n".join([lines[0] + ",value_error", *rows]) + "\n")


def pessimist(folder: Any, more: str = "") -> Any:
    text = (folder.path / "campaign.toml").read_text()
    return folder.write(campaign=text + "\n" + PESSIMISTIC + more)


def predictions_of(campaign: Any, error: float | None = 0.02) -> Predictions:
    rng = np.random.default_rng(2)
    shape = (campaign.users.height, campaign.active_coupons.height)
    arrays = {
        "conversion": rng.uniform(0.1, 0.3, shape), "uplift": rng.uniform(-0.02, 0.1, shape),
        "redemption": rng.uniform(0.05, 0.2, shape), "revenue": rng.uniform(20, 60, shape),
        "expected_cost": rng.uniform(0.2, 1.5, shape),
    }  # fmt: skip
    unsure = None if error is None else rng.uniform(0.5 * error, 1.5 * error, shape)
    return Predictions(campaign.user_ids, campaign.coupon_ids, **arrays, uplift_error=unsure)


@pytest.mark.parametrize(
    ("maximize", "worth_of_one"),
    [
        ("incremental_conversions", lambda p: 1.0),
        ("incremental_revenue", lambda p: p.revenue),
        ("incremental_margin", lambda p: 0.35 * p.revenue),
        ("net_profit", lambda p: 0.35 * p.revenue),
    ],
)
def test_a_pessimistic_value_is_lower_by_its_error_times_the_quantile(shared_starter, maximize, worth_of_one):
    campaign = read_campaign(shared_starter)
    predictions = predictions_of(campaign)

    def task(**changes: Any) -> Any:
        objective = campaign.config.objective.model_copy(update={"maximize": maximize, **changes})
        config = campaign.config.model_copy(update={"objective": objective})
        return build_task(dataclasses.replace(campaign, config=config), predictions)

    mean, wary = task().problem, task(risk="pessimistic", confidence=0.9).problem
    step = NormalDist().inv_cdf(0.9) * worth_of_one(predictions) * predictions.uplift_error
    allowed = mean.eligible()
    np.testing.assert_allclose(wary.value[allowed], (mean.value - step)[allowed])
    np.testing.assert_array_equal(wary.measure("expected_value")[allowed], mean.value[allowed])
    assert (wary.eligible() == allowed).all()


def test_the_truth_exceeds_a_pessimistic_value_as_often_as_the_confidence_says(shared_starter):
    campaign = read_campaign(shared_starter)
    estimated = predictions_of(campaign)
    noise = np.random.default_rng(5).standard_normal(estimated.uplift.shape)
    truth = dataclasses.replace(estimated, uplift=estimated.uplift + noise * estimated.uplift_error)
    scenario = Scenario(name="wary", risk="pessimistic")
    claimed = build_scenario(campaign, estimated, scenario).problem
    real = build_scenario(campaign, truth, Scenario(name="real")).problem
    pairs = real.eligible()
    held = (real.value > claimed.value)[pairs].mean()
    assert held == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / pairs.sum()))


def test_uncertain_pairs_are_not_worth_sending(unsure):
    plain = run_campaign(unsure.path, copy=False)
    wary = run_campaign(pessimist(unsure).path, copy=False)
    values = np.array([[3, 5], [2, 4], [1, 6], [2, 1]]) - Z80 * np.reshape(ERRORS, (4, 2))
    np.testing.assert_allclose(wary.task.problem.value, values)
    # u2's second coupon is worth 4 on average and less than nothing at the lower quantile.
    assert plain.summary["risk"] is None
    assert wary.summary["value"] < wary.summary["risk"]["expected_value"] <= plain.summary["value"]
    chosen = wary.solution.choice
    assert chosen[1] == 0
    assert wary.summary["value"] == pytest.approx(values[np.arange(4), chosen][chosen >= 0].sum())
    assert sum(row["value"] for row in wary.summary["by_coupon"]) == wary.summary["risk"]["expected_value"]


def test_who_is_left_out_for_want_of_certainty_is_told(unsure):
    unsure.replace("scores.csv", "u4,C1,2,2,0.1", "u4,C1,2,2,3").replace(
        "scores.csv", "u4,C2,1,1,0.1", "u4,C2,1,1,2"
    )
    summary = run_campaign(pessimist(unsure).path, copy=False).summary
    assert summary["skipped"]["no coupon is sure enough to earn anything"] == 1


def test_a_confidence_near_certainty_sends_next_to_nothing(unsure):
    wary = run_campaign(pessimist(unsure, "confidence = 0.9999999\n").path, copy=False)
    # At 5.2 standard errors, what is off by 1 or more on average is worth nothing.
    assert wary.solution.choice.tolist() == [-1, 0, 0, 0]


def test_a_run_says_that_it_is_pessimistic_and_can_be_opened_again(unsure, tmp_path, allocate):
    done = allocate("solve", pessimist(unsure).path, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["risk"]["kind"] == "pessimistic"
    assert summary["risk"]["confidence"] == 0.8
    page = (tmp_path / "run" / "report.html").read_text()
    assert "This plan is pessimistic" in page
    assert 'id="expected"' in page
    shown = " ".join((done.out + done.err).split())
    assert "pessimistic" in shown
    assert "exceeds with probability 0.8" in shown
    opened = open_run(tmp_path / "run")
    told = allocate("explain", tmp_path / "run", "--user", "u2")
    assert "The plan is pessimistic" in " ".join((told.out + told.err).split())
    assert opened.assignments["expected_value"].sum() == pytest.approx(summary["risk"]["expected_value"])
    certificate, changed = verify_run(tmp_path / "run")
    assert certificate.valid
    assert not changed


@pytest.mark.parametrize("column", [None, "empty"])
def test_scores_without_errors_are_refused(tiny, column, allocate):
    if column == "empty":
        lines = (tiny.path / "scores.csv").read_text().splitlines()
        tiny.write(
            scores="\n".join([lines[0] + ",value_error", f"{lines[1]},1", *(f"{x}," for x in lines[2:])])
        )
    done = allocate("solve", pessimist(tiny).path)
    assert done.code == 3
    assert "value_error" in done.err
    assert "scores.csv" in done.err
    assert ("7 of 8 cells are empty" in " ".join(done.err.split())) == (column == "empty")


def test_predictions_without_errors_are_refused(shared_starter):
    campaign = read_campaign(shared_starter)
    wary = Scenario(name="wary", risk="pessimistic")
    with pytest.raises(InputError, match="uplift_error"):
        build_scenario(campaign, predictions_of(campaign, error=None), wary)
    with pytest.raises(InputError, match="scenario 'wary'"):
        solve_scenarios(
            campaign, None, [wary], lambda campaign, task, start: pytest.fail("solved all the same")
        )


@pytest.mark.parametrize("line", ['risk = "brave"', "confidence = 0.5", "confidence = 1.0"])
def test_an_unknown_risk_or_confidence_is_refused(tiny, line, allocate):
    done = allocate(
        "check",
        tiny.write(campaign=(tiny.path / "campaign.toml").read_text() + f"\n[objective]\n{line}\n").path,
    )
    assert done.code == 3
    assert f"objective.{line.split()[0]}" in done.err


def test_a_negative_error_is_refused(unsure, allocate):
    done = allocate("check", unsure.replace("scores.csv", "u4,C2,1,1,0.1", "u4,C2,1,1,-0.1").path)
    assert done.code == 3
    assert "at least 0" in done.err


def test_a_mean_and_a_pessimistic_plan_stand_side_by_side(unsure):
    campaign = read_campaign(unsure.path)
    scenarios = [Scenario(name="wary", risk="pessimistic"), Scenario(name="half", scale={"uplift": 0.5})]
    results = solve_scenarios(campaign, None, scenarios, solve_task)
    base, wary, half = compare(campaign, results)
    assert (base["risk"], wary["risk"], half["risk"]) == ("mean", "pessimistic", "mean")
    assert wary["value"] < wary["expected_value"] <= base["expected_value"] == base["value"]
    lost = base["expected_value"] - wary["expected_value"]
    assert wary["difference"]["expected_value"] == pytest.approx(-lost)
    assert wary["value_range"] is None  # the two maximise different things
    assert half["value_range"] is not None
    assert wary["verdict"][0].startswith("Expects 9 USD on average (-4)")
    assert sum(row["value"] for row in wary["by_coupon"]) == pytest.approx(wary["expected_value"])


def test_halving_uplift_halves_the_error_too(unsure):
    campaign = read_campaign(unsure.path)
    full = build_scenario(campaign, None, Scenario(name="wary", risk="pessimistic")).problem.value
    scaled = Scenario(name="half", risk="pessimistic", scale={"uplift": 0.5})
    np.testing.assert_allclose(build_scenario(campaign, None, scaled).problem.value, 0.5 * full)


def test_whatif_takes_a_risk_from_the_command_line_and_from_the_campaign(unsure, allocate):
    unsure.write(
        campaign=(unsure.path / "campaign.toml").read_text()
        + '\n[[scenarios]]\nname = "careful"\nrisk = "pessimistic"\n'
    )
    done = allocate("whatif", unsure.path, "--risk", "pessimistic", "--set", "total.at_most=4", "--json")
    assert done.code == 0, done.err
    rows = done.document["scenarios"]
    assert [row["risk"] for row in rows] == ["mean", "pessimistic", "pessimistic"]
    assert rows[2]["name"] == "total.at_most=4, pessimistic"
    alone = allocate("whatif", unsure.path, "--only", "--scenario", "a", "--with", "careful", "--json")
    assert alone.document["scenarios"][1]["expected_value"] == rows[1]["expected_value"]
    shown = allocate("whatif", unsure.path)
    assert "pessimistic" in shown.out + shown.err
    assert "expected" in shown.out + shown.err
    assert allocate("whatif", unsure.path, "--risk", "brave").code == 2


def test_a_pessimistic_base_may_be_compared_with_a_mean_plan(unsure, allocate):
    done = allocate("whatif", pessimist(unsure).path, "--risk", "mean", "--json")
    base, mean = done.document["scenarios"]
    assert mean["value"] == mean["expected_value"] >= base["expected_value"] > base["value"]
    assert "the base plan is pessimistic" in mean["verdict"][0]


def test_what_predictions_may_bring_is_kept_on_disk_and_without_a_coupon(shared_starter, tmp_path):
    campaign = read_campaign(shared_starter)
    rng = np.random.default_rng(6)
    predictions = predictions_of(campaign)
    more = {name: rng.random(predictions.uplift.shape) for name in ("baseline_revenue", "cost_variance")}
    predictions = dataclasses.replace(predictions, **more)
    write_predictions(predictions, tmp_path / "p.parquet")
    again = read_predictions(tmp_path / "p.parquet")
    for name in ("uplift_error", *more):
        np.testing.assert_array_equal(getattr(again, name), getattr(predictions, name))
    wary = Scenario(name="wary", risk="pessimistic", drop_coupons=["HOME10"])
    problem = build_scenario(campaign, again, wary).problem
    whole = build_scenario(campaign, again, Scenario(name="all", risk="pessimistic")).problem
    keep = [coupon != "HOME10" for coupon in whole.coupon_ids]
    np.testing.assert_array_equal(problem.value, whole.value[:, keep])


def test_a_predictor_that_returns_a_negative_error_is_refused(shared_starter):
    campaign = read_campaign(shared_starter)
    wrong = dataclasses.replace(predictions_of(campaign), uplift_error=-np.ones((1200, 6)))

    class Wrong:
        def predict(self, campaign: Any, *, progress: Any) -> Predictions:
            return wrong

    with pytest.raises(PluginError, match="'uplift_error': it must be 0 or more"):
        predict_with(Wrong(), campaign, "wrong")
