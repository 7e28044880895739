"""The blend of candidates on synthetic campaigns whose true uplift is known."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from allocator.errors import InputError, PluginError
from allocator.plugins.protocols import Predictor
from allocator.plugins.registry import PREDICTORS, create
from predictors import AutoPredictor, BaselinePredictor
from predictors.auto.candidates import default_candidates
from predictors.auto.predictor import _notes
from predictors.auto.stacking import Evidence, fit_blend
from predictors.history.folds import draw_stratified_folds
from predictors.history.history import read_history
from support.synthetic_campaigns import COUPONS, coupon_table, make_campaign

CHEAP = {"candidates": ["constant", "s-logistic", "s-forest"], "folds": 2, "s-forest": {"trees": 30}}
SMALL = {"epochs": 1, "width": 8, "attention_heads": 2, "max_events": 4}


@pytest.fixture(scope="module")
def campaign():
    return make_campaign()[0]


@pytest.fixture(scope="module")
def fitted(campaign):
    """Return the default blend with a small transformer, its evaluation and its predictions."""
    predictor = AutoPredictor(folds=2, transformer=SMALL)
    report = predictor.fit(campaign, seed=5, device="cpu")
    return predictor, report, predictor.predict(campaign)


def test_a_training_that_was_cut_short_goes_on(campaign, fitted, tmp_path):
    """All fold models of the transformer but the last are there already: the others are not trained again."""

    def steps(stop_after):
        told = []

        def report(step, done, total):
            told.append(done)
            if step == "train" and done > stop_after * total:
                raise KeyboardInterrupt

        return told, report

    whole, report = steps(1.0)
    AutoPredictor(folds=2, transformer=SMALL).fit(campaign, seed=5, device="cpu", progress=report)
    predictor = AutoPredictor(folds=2, transformer=SMALL)
    predictor.checkpoint = tmp_path
    with pytest.raises(KeyboardInterrupt):
        predictor.fit(campaign, seed=5, device="cpu", progress=steps(0.9)[1])
    again, report = steps(1.0)
    predictor.fit(campaign, seed=5, device="cpu", progress=report)
    assert len(again) < len(whole)
    np.testing.assert_array_equal(predictor.predict(campaign).uplift, fitted[2].uplift)


def permuted(campaign, seed=0):
    """Return the campaign with the treatments dealt out anew."""
    history, names = campaign.history, ["coupon_id", "treated", "propensity"]
    dealt = history.select(names)[np.random.default_rng(seed).permutation(len(history))]
    return dataclasses.replace(campaign, history=history.with_columns(dealt))


def without_effect(n, seed):
    """Return a campaign in which every coupon adds 0.05 to everyone's conversion."""
    campaign = make_campaign(n=n, seed=seed)[0]
    rng, history = np.random.default_rng(seed), campaign.history
    spend = campaign.users["spend"].fill_null(0.0).to_numpy()
    chance = 0.1 + 0.1 * (spend > 0) + 0.05 * history["treated"].to_numpy()
    converted = rng.random(n) < chance
    return dataclasses.replace(
        campaign, history=history.with_columns(converted=converted, redeemed=pl.lit(False))
    )


def test_uplift_is_ranked_and_sized_as_the_truth(fitted):
    predictor, report, predictions = fitted
    truth = make_campaign()[1]
    assert isinstance(predictor, Predictor)
    for j in range(2):
        assert np.corrcoef(predictions.uplift[:, j], truth[:, j])[0, 1] > 0.6
    np.testing.assert_allclose(predictions.uplift.mean(axis=0), truth.mean(axis=0), atol=0.05)
    big = np.abs(truth - truth.mean(axis=0)) > 0.1
    assert (np.sign(predictions.uplift) == np.sign(truth))[big].mean() > 0.95
    assert report.rows_train == report.rows_test == len(truth)
    assert report.arms[0].qini > 2 * report.metrics["qini_noise"]
    assert report.arms[0].uplift_predicted == pytest.approx(report.arms[0].uplift_observed, abs=0.01)


def test_the_report_shows_what_was_chosen_from(fitted):
    _, report, _ = fitted
    scores = {score.candidate: score for score in report.candidates}
    assert list(scores) == list(default_candidates())
    assert sum(score.weight for score in scores.values()) == pytest.approx(1.0)
    assert scores["constant"].gain == 0
    trees = next(score for name, score in scores.items() if name.startswith("s-") and "logistic" not in name)
    assert trees.gain > 2 * trees.gain_error
    assert scores["constant"].weight < 0.1


def test_predictions_keep_their_contract(fitted):
    _, _, p = fitted
    for name in ("conversion", "uplift", "redemption", "revenue", "expected_cost", "uplift_error"):
        assert np.isfinite(getattr(p, name)).all(), name
    assert p.conversion.min() > 0
    assert (p.conversion + p.uplift).min() > 0
    assert (p.conversion + p.uplift).max() < 1
    assert p.uplift_error.min() > 0
    assert p.revenue.mean() == pytest.approx(40, rel=0.15)


def test_save_and_load_give_equal_predictions(fitted, campaign, tmp_path):
    predictor, _, before = fitted
    predictor.save(tmp_path)
    kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors"}
    after = AutoPredictor.load(tmp_path, device="cpu").predict(campaign)
    for name in ("conversion", "uplift", "redemption", "revenue", "uplift_error"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    data = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps({**data, "candidates": {"oracle": {}}}))
    with pytest.raises(PluginError, match="train again"):
        AutoPredictor.load(tmp_path)


def test_a_missing_or_changed_column_is_named(fitted, campaign):
    users = campaign.users.drop("spend").with_columns(segment=pl.lit(3.0))
    with pytest.raises(InputError) as error:
        fitted[0].predict(dataclasses.replace(campaign, users=users))
    assert {finding.column for finding in error.value.findings} == {"spend", "segment"}


def test_a_new_coupon_is_scored_from_its_attributes_and_less_surely(fitted, campaign):
    predictor, _, before = fitted
    table = pl.concat([COUPONS, coupon_table(("NEW", "percent", 10, "tea"))])
    predictions = predictor.predict(dataclasses.replace(campaign, coupons=table))
    np.testing.assert_allclose(predictions.uplift[:, :3], before.uplift, atol=1e-6)
    assert np.corrcoef(predictions.uplift[:, 3], before.uplift.mean(axis=1))[0, 1] > 0.3
    assert predictions.uplift_error[:, 3].mean() > predictions.uplift_error[:, :3].mean()


def test_an_effect_that_is_the_same_for_everyone_is_called_so():
    campaign = without_effect(3000, seed=1)
    predictor = AutoPredictor(**CHEAP)
    report = predictor.fit(campaign, seed=1)
    uplift = predictor.predict(campaign).uplift
    assert uplift.std(axis=0).max() < 0.01
    np.testing.assert_allclose(uplift.mean(axis=0), 0.05, atol=0.03)
    assert abs(report.arms[0].qini) < 3 * report.metrics["qini_noise"]
    assert any("nearly the same for everyone" in note for note in report.notes)


@pytest.fixture(scope="module")
def misled(campaign):
    """Return the report and predictions of a blend that learnt from permuted treatments."""
    predictor, mixed = AutoPredictor(**CHEAP), permuted(campaign)
    report = predictor.fit(mixed, seed=1)
    return report, predictor.predict(mixed)


def test_permuted_treatments_are_worth_nothing(campaign, misled):
    report, predictions = misled
    assert predictions.uplift.std(axis=0).max() < 0.01
    assert np.abs(predictions.uplift.mean(axis=0)).max() < 0.04
    assert abs(report.arms[0].qini) < 3 * report.metrics["qini_noise"]
    honest = AutoPredictor(**CHEAP)
    honest.fit(campaign, seed=1)
    assert honest.predict(campaign).uplift.std(axis=0).min() > 5 * predictions.uplift.std(axis=0).max()


def test_a_tiny_slope_keeps_the_ranking(misled):
    assert len(np.unique(misled[1].uplift[:, 0])) > 1000


def test_intervals_cover_the_truth():
    """Intervals of 80% hold about 80% of the true uplifts, and those of 90% about 90%."""
    held, width, missed = [], [], []
    for seed in range(3):
        campaign, truth = make_campaign(n=3000, seed=seed)
        predictor = AutoPredictor(**{**CHEAP, "folds": 4})
        predictor.fit(campaign, seed=seed)
        found = predictor.predict(campaign)
        off = np.abs(found.uplift - truth)
        held.append([(off < z * found.uplift_error).mean() for z in (1.2816, 1.6449)])
        width.append(np.sqrt((found.uplift_error**2).mean()))
        missed.append(np.sqrt((off**2).mean()))
    np.testing.assert_allclose(np.mean(held, axis=0), [0.8, 0.9], atol=0.1)
    assert np.mean(width) == pytest.approx(np.mean(missed), rel=0.3)


def evidence(share, n=4000, noise=1.0, seed=0):
    """Return evidence of two candidates: one that knows `share` of the truth, one that is noise."""
    rng = np.random.default_rng(seed)
    truth, other = rng.normal(0.0, 0.1, (2, n, 1))
    effects = np.stack([np.zeros((n, 1)), share * truth + (1 - share) * rng.normal(0.0, 0.1, (n, 1)), other])
    return Evidence.of(effects, truth + rng.normal(0.0, noise, (n, 1)), np.arange(n))


def test_weights_follow_a_clearly_better_candidate():
    blend = fit_blend(evidence(1.0, noise=0.3))
    assert blend.weights[1] > 0.9
    assert blend.slope == pytest.approx(1.0, abs=0.1)
    assert blend.gain[1] > 3 * blend.gain_error[1]
    assert blend.gain[2] < 0


def test_little_evidence_keeps_weights_near_equal():
    weights = fit_blend(evidence(1.0, noise=8.0)).weights
    np.testing.assert_allclose(weights, 1 / 3, atol=0.1)


def test_the_slope_stays_positive_and_falls_to_nothing_where_candidates_are_wrong():
    found = evidence(1.0, noise=0.3)
    against = Evidence(-found.effects[1:2], found.scores, found.user)
    assert 0 < fit_blend(against).slope < 0.01
    assert fit_blend(found).slope > 0.9


def test_noise_is_called_noise_in_nineteen_of_twenty_permuted_histories():
    found, rng, said = evidence(0.6, n=2000, noise=0.5), np.random.default_rng(4), []
    assert not told_to_doubt(found)
    for _ in range(60):
        dealt = Evidence(found.effects, rng.permutation(found.scores), found.user)
        said.append(told_to_doubt(dealt))
    assert sum(said) >= 57


def told_to_doubt(found):
    blend = fit_blend(found)
    return bool(_notes(blend.slope * (1.0 - blend.weights[0]), blend.certainty))


def test_rows_of_a_user_are_no_new_evidence():
    found = evidence(1.0, n=1000)
    twice = Evidence(
        np.repeat(found.effects, 4, axis=1), np.repeat(found.scores, 4, axis=0), np.repeat(found.user, 4)
    )
    once, again = fit_blend(found), fit_blend(twice)
    assert again.slope_error == pytest.approx(once.slope_error, rel=0.05)
    np.testing.assert_allclose(again.weights, once.weights, atol=0.02)


def test_same_seed_gives_the_same_model_on_any_number_of_threads():
    campaign, uplift = make_campaign(n=600)[0], []
    for threads in (1, 2):
        with threadpool_limits(threads):
            predictor = AutoPredictor(folds=2, transformer=SMALL, **{"s-forest": {"trees": 1}})
            predictor.fit(campaign, seed=3, device="cpu")
            uplift.append(predictor.predict(campaign).uplift)
    np.testing.assert_array_equal(*uplift)


def test_a_short_history_is_cut_into_fewer_folds(tmp_path):
    campaign = make_campaign(n=120)[0]
    predictor = AutoPredictor(candidates=["constant", "s-logistic"], folds=5)
    predictor.fit(campaign, seed=1)
    predictor.save(tmp_path)
    assert len(list(tmp_path.glob("fold-*"))) == 2
    assert np.isfinite(predictor.predict(campaign).uplift_error).all()


def test_folds_hold_like_shares_of_each_arm(campaign):
    history = read_history(dataclasses.replace(campaign, history=pl.concat([campaign.history] * 2)))
    fold = draw_stratified_folds(history, 5, np.random.default_rng(1))
    shares = np.array([[np.mean(history.coupon[fold == k] == c) for c in (-1, 0, 1, 2)] for k in range(5)])
    assert np.ptp(shares, axis=0).max() < 0.01
    first, second = fold.reshape(2, -1)
    np.testing.assert_array_equal(first, second)


def test_one_bar_shows_the_progress_of_all_members(campaign):
    steps = []
    predictor = AutoPredictor(**CHEAP)
    predictor.fit(campaign, seed=1, progress=lambda *step: steps.append(step))
    train = [(done, total) for step, done, total in steps if step == "train"]
    assert len({total for _, total in train}) == 1
    assert [done for done, _ in train] == sorted(done for done, _ in train)
    assert train[-1][0] == train[-1][1]
    assert len(train) > 6


def test_control_rows_may_name_the_coupon_that_was_withheld():
    campaign, truth = make_campaign(named_controls=True)
    predictor = AutoPredictor(**CHEAP)
    predictor.fit(campaign, seed=2)
    predictions = predictor.predict(campaign)
    gap = predictions.conversion[:, 1].mean() - predictions.conversion[:, 0].mean()
    assert gap == pytest.approx(0.15, abs=0.06)
    np.testing.assert_allclose(predictions.uplift.mean(axis=0), truth.mean(axis=0), atol=0.06)


def test_a_history_without_conversions_promises_nothing():
    campaign = make_campaign(n=600)[0]
    history = campaign.history.with_columns(
        converted=pl.lit(False), redeemed=pl.lit(False), revenue=pl.lit(0.0), discount=pl.lit(0.0)
    )
    predictor = AutoPredictor(**CHEAP)
    predictor.fit(dataclasses.replace(campaign, history=history), seed=1)
    assert np.abs(predictor.predict(campaign).uplift).max() < 0.02


def test_the_other_predictors_know_no_error(campaign):
    predictor = BaselinePredictor()
    predictor.fit(campaign, seed=1)
    assert predictor.predict(campaign).uplift_error is None


def test_candidates_and_their_options_are_checked_by_name():
    for options, says in (
        ({"candidates": ["s-logistik"]}, "did you mean 's-logistic'"),
        ({"candidates": ["constant"]}, "at least one model"),
        ({"candidates": []}, "at least one model"),
        ({"candidate": ["constant"]}, "did you mean 'candidates'"),
        ({"folds": 1}, "from 2 to 20"),
        ({"transformer": {"epoch": 3}}, r"predict\.options\.transformer\.epoch.*did you mean 'epochs'"),
        ({"s-forest": 3}, "table"),
        ({"x-logistc": {}}, "did you mean 'x-logistic'"),
        ({"candidates": ["s-logistic"], "x-logistic": {}}, "unknown option"),
    ):
        with pytest.raises(InputError, match=says):
            AutoPredictor(**options)


def test_a_campaign_reaches_it_by_name():
    assert isinstance(create(PREDICTORS, "auto", {"s-forest": {"trees": 5}}), AutoPredictor)


@pytest.mark.parametrize("installed", [True, False])
def test_trees_are_those_that_are_installed(monkeypatch, installed):
    monkeypatch.setattr("predictors.auto.candidates.find_spec", lambda name: object() if installed else None)
    kind = "lightgbm" if installed else "forest"
    usual = ("constant", "s-logistic", "x-logistic", f"s-{kind}", f"t-{kind}", f"x-{kind}", "transformer")
    assert default_candidates() == usual


def test_what_reads_events_is_only_tried_where_there_are_some():
    campaign = make_campaign(n=400)[0]
    without = dataclasses.replace(campaign, events=None)
    small = {"s-lightgbm": {"trees": 2}, "x-lightgbm": {"trees": 2}, "folds": 2}
    predictor = AutoPredictor(**small)
    report = predictor.fit(without, seed=1, device="cpu")
    assert "transformer" not in {score.candidate for score in report.candidates}
    assert [note for note in report.notes if "'transformer' was not tried" in note]
    asked = AutoPredictor(transformer=SMALL, **small).fit(without, seed=1, device="cpu")
    assert "transformer" in {score.candidate for score in asked.candidates}
