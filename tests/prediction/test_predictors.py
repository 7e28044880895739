"""Predictors on synthetic campaigns whose true uplift is known."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import torch

from allocator.errors import InputError, PluginError
from allocator.plugins.protocols import Predictor
from predictors import BaselinePredictor, TransformerPredictor
from predictors.features.encoder import Encoder
from predictors.features.log import Log
from predictors.history.history import decision_time, read_history, split_users
from support.paths import ROOT
from support.synthetic_campaigns import COUPONS, N_USERS, SENT, coupon_table, make_campaign

PREDICTORS = [BaselinePredictor, TransformerPredictor]


@pytest.fixture(scope="module")
def campaign():
    return make_campaign()[0]


@pytest.fixture(scope="module", params=PREDICTORS, ids=lambda cls: cls.name)
def fitted(request, campaign):
    """Return a fitted predictor, its evaluation and its predictions."""
    predictor = request.param()
    report = predictor.fit(campaign, seed=5, device="cpu")
    return predictor, report, predictor.predict(campaign)


def small():
    """Return a transformer that trains in a second."""
    return TransformerPredictor(epochs=1, width=8, attention_heads=2, max_events=4)


def test_importing_the_package_loads_no_heavy_library():
    heavy = ("torch", "transformers", "sklearn", "polars")
    code = f"import sys, predictors; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "[]"


def test_uplift_is_ranked_and_sized_as_the_truth(fitted):
    predictor, report, predictions = fitted
    truth = make_campaign()[1]
    assert isinstance(predictor, Predictor)
    for j in range(2):
        assert np.corrcoef(predictions.uplift[:, j], truth[:, j])[0, 1] > 0.6
    assert np.corrcoef(predictions.uplift.ravel(), truth.ravel())[0, 1] > 0.5
    np.testing.assert_allclose(predictions.uplift.mean(axis=0), truth.mean(axis=0), atol=0.05)
    assert report.arms[0].qini > 2 * report.metrics["qini_noise"]


def test_behaviour_moves_uplift():
    campaign, truth = make_campaign()
    predictor = TransformerPredictor()
    predictor.fit(campaign, seed=1, device="cpu")
    uplift = predictor.predict(campaign).uplift[:, 2]
    fond = truth[:, 2] > 0.1
    assert uplift[fond].mean() - uplift[~fond].mean() > 0.05


def test_predictions_keep_their_contract(fitted, campaign):
    _, _, p = fitted
    shape = (N_USERS, 3)
    for name in ("conversion", "uplift", "redemption", "revenue", "expected_cost"):
        array = getattr(p, name)
        assert array.shape == shape, name
        assert array.dtype == np.float64, name
        assert np.isfinite(array).all(), name
    for probability in (p.conversion, p.conversion + p.uplift, p.redemption):
        assert probability.min() >= 0
        assert probability.max() <= 1
    assert p.revenue.min() >= 0
    assert p.revenue.mean() == pytest.approx(40, rel=0.15)
    # Every redeemed coupon of this history took off 4, whatever its terms say.
    np.testing.assert_allclose(p.expected_cost.sum(axis=0) / p.redemption.sum(axis=0), 4.0, rtol=0.05)
    # The coupons bring orders and leave baskets as they are.
    np.testing.assert_allclose(p.baseline_revenue.mean(axis=0), p.revenue.mean(axis=0), rtol=0.06)
    np.testing.assert_array_less(0.0, p.cost_variance)
    assert p.user_ids.tolist() == campaign.users["user_id"].to_list()
    assert p.coupon_ids.tolist() == ["TEN", "FIVE", "SHIP"]


def test_save_and_load_give_equal_predictions(fitted, campaign, tmp_path, capfd):
    predictor, _, before = fitted
    predictor.save(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".pkl", ".pt")]
    after = type(predictor).load(tmp_path, device="cpu").predict(campaign)
    for name in ("conversion", "uplift", "redemption", "revenue"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert capfd.readouterr() == ("", "")


def test_loading_something_else_says_so(tmp_path):
    with pytest.raises(PluginError, match="train again"):
        TransformerPredictor.load(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps({"format": 1, "predictor": "baseline"}))
    with pytest.raises(PluginError, match="another kind"):
        TransformerPredictor.load(tmp_path)


def test_predicting_before_training_says_so(campaign):
    with pytest.raises(PluginError, match="fit or load"):
        BaselinePredictor().predict(campaign)


@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_gives_the_same_model_on_any_number_of_threads(campaign, threads):
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(3 - threads)
    try:
        one = small()
        one.fit(campaign, seed=11, device="cpu")
        torch.set_num_threads(threads)
        two = small()
        two.fit(campaign, seed=11, device="cpu")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(one.predict(campaign).uplift, two.predict(campaign).uplift)
    assert torch.equal(state, torch.random.get_rng_state())


def test_events_after_the_send_change_nothing_in_training(campaign):
    history = read_history(campaign)
    late = campaign.events.with_columns(at=pl.lit(SENT), amount=pl.lit(1e6), category=pl.lit("tea"))
    both = dataclasses.replace(campaign, events=pl.concat([campaign.events, late]))
    encoded = []
    for table in (campaign, both):
        behaviour = Log.of(table).behaviour()
        encoder = Encoder.fit(table, behaviour, history.user, history.time, history.coupons, 8)
        coupons = encoder.coupons(history.coupons)
        encoded.append(encoder.contexts(table, behaviour, history.user, history.time, coupons))
    for name in ("numeric", "categorical", "event_kind", "event_category", "event_numbers", "affinity"):
        np.testing.assert_array_equal(getattr(encoded[0], name), getattr(encoded[1], name))
    now = np.full(N_USERS, decision_time(campaign))
    behaviour = Log.of(both).behaviour()
    latest = behaviour.sequences(np.arange(N_USERS), now, 2).amount
    assert (latest == 1e6).all()


def test_events_before_the_send_are_all_seen(campaign):
    behaviour = Log.of(campaign).behaviour()
    history = read_history(campaign)
    totals = behaviour.aggregates(history.user, history.time)
    count = np.expm1(totals["events.view_180d"]) + np.expm1(totals["events.purchase_180d"])
    np.testing.assert_allclose(count, 2.0)
    mine = campaign.events.filter(pl.col("user_id") == "u7").sort("at")
    sequence = behaviour.sequences(np.array([7]), history.time[:1], 4)
    assert sequence.present[0].tolist() == [False, False, True, True]
    np.testing.assert_allclose(sequence.amount[0, 2:], mine["amount"])


def test_identity_consent_and_holdout_are_no_features(campaign):
    history = read_history(campaign)
    behaviour = Log.of(campaign).behaviour()
    encoder = Encoder.fit(campaign, behaviour, history.user, history.time, history.coupons, 8)
    assert {f.name for f in (*encoder.numeric, *encoder.categorical)} >= {"spend", "segment"}
    stored = json.dumps(encoder.to_json())
    assert not [word for word in ("user_id", "consent_email", "holdout", "u17") if f'"{word}"' in stored]


def test_unseen_and_missing_values_are_scored(fitted, campaign):
    predictor, _, _ = fitted
    users = campaign.users.with_columns(spend=pl.lit(None, pl.Float64), segment=pl.lit("never seen"))
    predictions = predictor.predict(dataclasses.replace(campaign, users=users, events=None))
    assert np.isfinite(predictions.uplift).all()


def test_a_missing_or_changed_column_is_named(fitted, campaign):
    predictor, _, _ = fitted
    users = campaign.users.drop("spend").with_columns(segment=pl.lit(3.0))
    with pytest.raises(InputError) as error:
        predictor.predict(dataclasses.replace(campaign, users=users))
    assert {finding.column for finding in error.value.findings} == {"spend", "segment"}


def test_a_new_coupon_is_scored_from_its_attributes(fitted, campaign):
    predictor, _, before = fitted
    new = coupon_table(("NEW", "percent", 10, "tea"))
    predictions = predictor.predict(dataclasses.replace(campaign, coupons=pl.concat([COUPONS, new])))
    np.testing.assert_allclose(predictions.uplift[:, :3], before.uplift, atol=1e-6)
    assert np.corrcoef(predictions.uplift[:, 3], before.uplift.mean(axis=1))[0, 1] > 0.3


def test_the_report_names_coupons_without_history(campaign):
    table = pl.concat([COUPONS, coupon_table(("NEW", "amount", 3, None))])
    report = BaselinePredictor().fit(dataclasses.replace(campaign, coupons=table), seed=1)
    assert any("NEW" in note and "attributes" in note for note in report.notes)


@pytest.mark.parametrize("cls", PREDICTORS)
def test_control_rows_may_name_the_coupon_that_was_withheld(cls):
    campaign, truth = make_campaign(named_controls=True)
    predictor = cls()
    predictor.fit(campaign, seed=2, device="cpu")
    predictions = predictor.predict(campaign)
    assert predictions.conversion[:, 1].mean() - predictions.conversion[:, 0].mean() == pytest.approx(
        0.15, abs=0.06
    )
    np.testing.assert_allclose(predictions.uplift.mean(axis=0), truth.mean(axis=0), atol=0.06)


def test_both_kinds_of_control_rows_mix(campaign):
    named = make_campaign(named_controls=True)[0].history.filter(pl.col("coupon_id") == "FIVE")
    history = read_history(dataclasses.replace(campaign, history=pl.concat([campaign.history, named])))
    assert dict(zip(history.coupons["coupon_id"], history.own_control, strict=True)) == {
        "TEN": False,
        "FIVE": True,
        "SHIP": False,
    }
    mixed = dataclasses.replace(campaign, history=pl.concat([campaign.history, named]))
    predictor = BaselinePredictor()
    predictor.fit(mixed, seed=1)
    conversion = predictor.predict(mixed).conversion
    np.testing.assert_array_equal(conversion[:, 0], conversion[:, 2])
    assert not np.allclose(conversion[:, 0], conversion[:, 1])


def test_a_history_that_cannot_show_uplift_is_refused(campaign):
    treated = campaign.history.filter(pl.col("treated"))
    for history, says in (
        (None, "scores.csv"),
        (treated, "no control rows"),
        (campaign.history.filter(~pl.col("treated")), "treated"),
    ):
        with pytest.raises(InputError, match=says):
            BaselinePredictor().fit(dataclasses.replace(campaign, history=history), seed=1)


def test_a_history_without_propensities_or_redemptions_is_noted(campaign):
    history = campaign.history.with_columns(propensity=pl.lit(None, pl.Float64), redeemed=pl.lit(False))
    report = BaselinePredictor().fit(dataclasses.replace(campaign, history=history), seed=1)
    assert any("not randomised as far as we know" in note for note in report.notes)
    assert any("redemption" in note for note in report.notes)


def test_chosen_users_are_noticed(campaign):
    skewed = campaign.history.join(campaign.users.select("user_id", "spend"), on="user_id").filter(
        (pl.col("spend") > 0) == pl.col("treated")
    )
    history = skewed.drop("spend").with_columns(propensity=pl.lit(None, pl.Float64))
    report = BaselinePredictor().fit(dataclasses.replace(campaign, history=history), seed=1)
    assert any("Treated and control users differ" in note for note in report.notes)


@pytest.mark.parametrize("cls", PREDICTORS)
def test_unknown_and_impossible_options_are_refused(cls):
    with pytest.raises(InputError, match="did you mean 'test_share'"):
        cls(test_shar=0.2)
    with pytest.raises(InputError, match="a number from"):
        cls(test_share="much")


def test_unknown_device_is_refused(campaign):
    with pytest.raises(InputError, match="auto, cpu or cuda"):
        TransformerPredictor().fit(campaign, seed=1, device="abacus")


def test_progress_is_reported_and_may_cancel(campaign):
    steps = []
    predictor = small()
    predictor.fit(
        campaign, seed=1, device="cpu", progress=lambda step, done, total: steps.append((step, done, total))
    )
    assert {step for step, _, _ in steps} == {"prepare", "adjust", "train", "evaluate"}
    assert sum(step == "train" for step, _, _ in steps) > 2
    with pytest.raises(KeyboardInterrupt):
        predictor.predict(campaign, progress=cancel)


def cancel(step, done, total):
    raise KeyboardInterrupt


def test_users_are_never_on_both_sides(campaign):
    history = read_history(dataclasses.replace(campaign, history=pl.concat([campaign.history] * 2)))
    learn, test = split_users(history, 0.3, np.random.default_rng(1))
    assert not set(history.user[learn]) & set(history.user[test])
    assert len(test) / len(history) == pytest.approx(0.3, abs=0.01)
    for coupon in (-1, 0, 1, 2):
        shares = [np.mean(history.coupon[rows] == coupon) for rows in (learn, test)]
        assert shares[0] == pytest.approx(shares[1], abs=0.01)


def test_a_wide_and_deep_model_trains(campaign):
    part = dataclasses.replace(campaign, history=campaign.history[:600])
    predictor = TransformerPredictor(width=48, depth=3, epochs=1)
    predictor.fit(part, seed=1, device="cpu")
    assert np.isfinite(predictor.predict(campaign).uplift).all()
