"""Qini, calibration and notes on hand-made examples."""

import dataclasses
import io
import math

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from allocator.files import dump_json
from allocator.plugins.evaluation import ArmEvaluation, Evaluation
from allocator.runs.stages import read_evaluation
from cli.render.evaluation import evaluation_page
from predictors.evaluation import evaluate, qini
from predictors.history.history import History
from predictors.scoring.calibration import fit_offsets
from predictors.scoring.logits import Logits
from predictors.scoring.scores import Scores


def make_history(n=8000, seed=0, own_control=(False,)):
    """Return randomised rows of one coupon, and the true uplift, 0 or 0.4 for half of the users each."""
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < 0.5, 0.4, 0.0)
    treated = rng.random(n) < 0.5
    converted = rng.random(n) < 0.2 + np.where(treated, truth, 0.0)
    history = History(
        row=np.arange(n),
        user=np.arange(n),
        time=np.zeros(n, np.int64),
        coupon=np.where(treated, 0, -1),
        treated=treated,
        converted=converted,
        redeemed=converted & treated,
        revenue=converted * 10.0,
        weight=np.ones(n),
        coupons=pl.DataFrame({"coupon_id": ["C"]}),
        own_control=np.array(own_control),
        randomised=True,
    )
    return history, truth


def scores_of(uplift):
    column = uplift[:, None]
    return Scores(np.full(column.shape, 0.2), column, np.full(column.shape, 0.3), np.full(column.shape, 10.0))


def test_qini_of_a_small_example_by_hand():
    # Curve of the ranking: (0,0) (1,1) (2,1) (3,1) (4,1): area 3.5; random line to (4,1): 2.
    # Perfect ranking: the converted treated row first, then the rest: the same curve, so Qini is 1.
    outcome = np.array([1.0, 0.0, 0.0, 0.0])
    treated = np.array([True, False, True, False])
    assert qini(outcome, treated, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(1.0)


def test_qini_orders_perfect_random_and_reversed():
    history, truth = make_history()
    y, t = history.converted.astype(float), history.treated
    perfect = qini(y, t, np.where(t, y, -y))
    good, noise, bad = (qini(y, t, u) for u in (truth, np.random.default_rng(1).random(len(y)), -truth))
    assert perfect == pytest.approx(1.0)
    assert perfect > good > 0.1
    assert noise == pytest.approx(0.0, abs=0.03)
    assert bad < -0.1
    assert qini(y, t, np.zeros(len(y))) == 0.0


def test_qini_does_not_depend_on_the_order_of_rows():
    history, truth = make_history(1000)
    y, t = history.converted.astype(float), history.treated
    order = np.random.default_rng(2).permutation(len(y))
    assert qini(y, t, truth) == pytest.approx(qini(y[order], t[order], truth[order]), abs=1e-12)


def test_a_row_of_weight_two_counts_as_two_rows():
    history, truth = make_history(1000)
    y, t = history.converted.astype(float), history.treated
    weight = np.random.default_rng(3).integers(1, 3, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    assert qini(y, t, truth, weight.astype(float)) == pytest.approx(qini(y[rows], t[rows], truth[rows]))


def test_calibration_bins_hold_predicted_and_observed_uplift():
    history, truth = make_history(40_000)
    jitter = np.random.default_rng(4).normal(0, 1e-6, len(truth))
    report = evaluate(history, scores_of(truth + jitter), predictor="test", rows_train=1)
    assert len(report.calibration) == 10
    assert sum(rows for _, _, rows in report.calibration) == len(truth)
    for predicted, observed, _ in report.calibration:
        assert observed == pytest.approx(predicted, abs=0.09)
    assert report.calibration[0][0] < report.calibration[-1][0]
    assert report.metrics["uplift_calibration_error"] < 0.03
    assert report.arms[0].coupon_id == "all coupons"
    assert report.arms[1].uplift_observed == pytest.approx(0.2, abs=0.02)


def test_a_wrong_level_shows_as_calibration_error():
    history, truth = make_history(40_000)
    report = evaluate(history, scores_of(truth + 0.2), predictor="test", rows_train=1)
    assert report.metrics["uplift_calibration_error"] == pytest.approx(0.2, abs=0.02)


def test_noise_is_called_noise():
    history, truth = make_history(1000)
    uplift = np.random.default_rng(5).random(len(truth)) * 0.1
    report = evaluate(history, scores_of(uplift), predictor="test", rows_train=1)
    assert any("noise of a random ranking" in note for note in report.notes)
    sure = evaluate(make_history()[0], scores_of(make_history()[1]), predictor="test", rows_train=1)
    assert not any("noise" in note for note in sure.notes)


@pytest.mark.parametrize(("share", "told"), [(1.0, False), (0.2, True)])
def test_a_latest_wave_that_gained_less_is_pointed_out(share, told):
    history, truth = make_history()
    late = np.arange(len(history)) >= 6000
    rng = np.random.default_rng(8)
    chance = 0.2 + np.where(history.treated, truth, 0.0) * np.where(late, share, 1.0)
    waves = dataclasses.replace(
        history, time=np.where(late, 40 * 86_400, 86_400), converted=rng.random(len(history)) < chance
    )
    report = evaluate(waves, scores_of(truth), predictor="x", rows_train=0)
    notes = [note for note in report.notes if "The latest sends (from 1970-02-10 on)" in note]
    assert bool(notes) is told


def test_a_small_arm_is_pointed_out():
    history, truth = make_history(150)
    report = evaluate(history, scores_of(truth), predictor="test", rows_train=1)
    assert any("C: fewer than 100" in note for note in report.notes)


def test_a_held_out_set_without_a_comparable_bin_has_no_calibration_error():
    history, _ = make_history(2)
    treated = np.array([True, False])
    history = dataclasses.replace(history, treated=treated, coupon=np.where(treated, 0, -1))
    report = evaluate(history, scores_of(np.array([0.3, 0.1])), predictor="test", rows_train=1)
    assert report.calibration == ()
    assert "uplift_calibration_error" not in report.metrics
    assert report.arms[0].treated == 1


def test_unknown_figures_survive_a_file_and_are_shown_as_unknown(tmp_path):
    arm = ArmEvaluation("C", 3, 0, math.nan, 0.1, math.nan)
    calibration = ((0.1, math.nan, 3), (0.2, 0.1, 4))
    report = Evaluation("test", 5, 3, (arm,), calibration, {"conversion_auc": math.nan}, ("few rows",))
    (tmp_path / "evaluation.json").write_text(dump_json(dataclasses.asdict(report)))
    again = read_evaluation(tmp_path / "evaluation.json")
    assert math.isnan(again.arms[0].uplift_observed)
    assert math.isnan(again.metrics["conversion_auc"])
    console = Console(width=100, file=io.StringIO(), record=True)
    for each in (report, again):
        console.print(evaluation_page(each))
        assert "conversion auc –" in console.export_text()


def constant_logits(n, coupons, baseline=0.2):
    level = np.full((n, coupons), np.log(baseline / (1 - baseline)))
    return Logits(level, np.zeros((n, coupons)), level, level)


def test_recentring_meets_the_observed_effect():
    history, _ = make_history()
    logits = constant_logits(len(history), 1, baseline=0.5)
    scores = fit_offsets(history, logits, logits.conversion[:, 0]).apply(logits, np.array([1]))
    t = history.treated
    assert scores.conversion.mean() == pytest.approx(history.converted[~t].mean(), abs=1e-6)
    observed = history.converted[t].mean() - history.converted[~t].mean()
    assert scores.uplift.mean() == pytest.approx(observed, abs=1e-6)
    assert scores.revenue.mean() == pytest.approx(10.0)


def test_recentring_weighs_rows_by_inverse_propensity():
    history, truth = make_history(40_000)
    rng = np.random.default_rng(7)
    # Users who respond are treated more often: the plain difference is too large.
    chance = np.where(truth > 0, 0.8, 0.2)
    treated = rng.random(len(truth)) < chance
    converted = rng.random(len(truth)) < 0.2 + np.where(treated, truth, 0.0)
    weight = 1 / np.where(treated, chance, 1 - chance)
    history = dataclasses.replace(
        history, treated=treated, coupon=np.where(treated, 0, -1), converted=converted, weight=weight
    )
    logits = constant_logits(len(history), 1)
    scores = fit_offsets(history, logits, logits.conversion[:, 0]).apply(logits, np.array([1]))
    assert converted[treated].mean() - converted[~treated].mean() > 0.28
    assert scores.uplift.mean() == pytest.approx(0.2, abs=0.02)


def test_recentring_keeps_a_small_arm_near_the_others():
    rng = np.random.default_rng(6)
    n, small = 20_000, 20
    arm = rng.integers(-1, 3, n)
    arm[:small] = 3
    converted = rng.random(n) < np.where(arm >= 0, 0.3, 0.2)
    converted[:small] = np.arange(small) % 2 == 0
    history = dataclasses.replace(
        make_history(n)[0],
        coupon=arm,
        treated=arm >= 0,
        converted=converted,
        coupons=pl.DataFrame({"coupon_id": list("ABCD")}),
        own_control=np.zeros(4, bool),
    )
    logits = constant_logits(n, 4)
    scores = fit_offsets(history, logits, logits.conversion[:, 0]).apply(logits, np.arange(1, 5))
    np.testing.assert_allclose(scores.uplift[0, :3], 0.1, atol=0.02)
    assert 0.1 < scores.uplift[0, 3] < 0.2
