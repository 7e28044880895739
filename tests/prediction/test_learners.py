"""Meta-learners on synthetic campaigns whose true uplift is known."""

import dataclasses
import sys

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

import predictors.learners.meta_learners
from allocator.errors import InputError, PluginError
from allocator.plugins.protocols import Predictor
from allocator.plugins.registry import PREDICTORS, create
from predictors import BaselinePredictor, DRLearner, SLearner, TLearner, XLearner
from predictors.features.encoder import Contexts
from predictors.history.history import read_history
from predictors.history.propensity import draw_folds, find_propensity
from support.synthetic_campaigns import COUPONS, coupon_table, make_campaign

LEARNERS = [SLearner, TLearner, XLearner, DRLearner]
ESTIMATORS = ["logistic", "forest", "lightgbm"]
SOME = [*((cls, "logistic") for cls in LEARNERS), (SLearner, "forest"), (DRLearner, "forest")]
N_USERS = 5000


@pytest.fixture(scope="module")
def campaign():
    return make_campaign(n=N_USERS)[0]


@pytest.fixture(scope="module")
def little():
    return make_campaign(n=1200)[0]


@pytest.fixture(scope="module", params=[(c, e) for c in LEARNERS for e in ESTIMATORS], ids=str)
def fitted(request, campaign):
    """Return a fitted learner, its evaluation and its predictions."""
    cls, estimator = request.param
    if estimator == "lightgbm":
        pytest.importorskip("lightgbm")
    learner = cls(estimator=estimator, trees=30, learning_rate=0.1)
    report = learner.fit(campaign, seed=5)
    return learner, report, learner.predict(campaign)


def test_uplift_is_ranked_and_sized_as_the_truth(fitted):
    learner, report, predictions = fitted
    truth = make_campaign(n=N_USERS)[1]
    assert isinstance(learner, Predictor)
    for j in range(2):
        assert np.corrcoef(predictions.uplift[:, j], truth[:, j])[0, 1] > 0.3
    assert np.corrcoef(predictions.uplift.ravel(), truth.ravel())[0, 1] > 0.5
    np.testing.assert_allclose(predictions.uplift.mean(axis=0), truth.mean(axis=0), atol=0.06)
    assert report.predictor == learner.name
    assert report.arms[0].qini > 2 * report.metrics["qini_noise"]


def test_the_plan_of_the_predictions_beats_a_random_one(fitted):
    _, _, predictions = fitted
    truth = make_campaign(n=N_USERS)[1]
    users = np.arange(len(truth))
    chosen = predictions.uplift.argmax(axis=1)
    best_users = np.argsort(-predictions.uplift.max(axis=1))[: len(users) // 4]
    won = truth[best_users, chosen[best_users]].mean()
    assert won > 1.4 * truth.mean()


def test_predictions_keep_their_contract(fitted):
    _, _, p = fitted
    for name in ("conversion", "uplift", "redemption", "revenue", "expected_cost"):
        assert np.isfinite(getattr(p, name)).all(), name
    assert p.conversion.min() >= 0
    assert (p.conversion + p.uplift).min() >= 0
    assert (p.conversion + p.uplift).max() <= 1


def test_save_and_load_give_equal_predictions(fitted, campaign, tmp_path):
    learner, _, before = fitted
    learner.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"encoder.json", "learner.safetensors"}
    after = type(learner).load(tmp_path).predict(campaign)
    for name in ("conversion", "uplift", "redemption", "revenue", "expected_cost"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_missing_and_unseen_values_are_scored(fitted, campaign):
    learner, _, _ = fitted
    users = campaign.users.with_columns(spend=pl.lit(None, pl.Float64), segment=pl.lit("never seen"))
    assert np.isfinite(learner.predict(dataclasses.replace(campaign, users=users, events=None)).uplift).all()


def test_an_unseen_coupon_is_scored_from_its_attributes(fitted, campaign):
    learner, _, before = fitted
    table = pl.concat([COUPONS, coupon_table(("NEW", "percent", 10, "tea"))])
    predictions = learner.predict(dataclasses.replace(campaign, coupons=table))
    np.testing.assert_allclose(predictions.uplift[:, :3], before.uplift, atol=1e-12)
    assert np.corrcoef(predictions.uplift[:, 3], before.uplift[:, 0])[0, 1] > 0.3


@pytest.mark.parametrize("cls", LEARNERS)
def test_same_seed_gives_the_same_learner(cls, little):
    uplift = []
    for seed in (3, 3, 4):
        learner = cls()
        learner.fit(little, seed=seed)
        uplift.append(learner.predict(little).uplift)
    np.testing.assert_array_equal(uplift[0], uplift[1])
    assert not np.array_equal(uplift[0], uplift[2])


@pytest.mark.parametrize("estimator", ["forest", "lightgbm"])
def test_the_number_of_threads_changes_nothing(estimator, little):
    if estimator == "lightgbm":
        pytest.importorskip("lightgbm")
    uplift = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="openmp"):
            learner = TLearner(estimator=estimator, trees=3)
            learner.fit(little, seed=3)
            uplift.append(learner.predict(little).uplift)
    np.testing.assert_array_equal(*uplift)


@pytest.mark.parametrize(("cls", "estimator"), SOME)
def test_one_coupon_is_enough(cls, estimator, campaign):
    kept = (pl.col("coupon_id") == "TEN") | ~pl.col("treated")
    one = dataclasses.replace(campaign, coupons=COUPONS[:1], history=campaign.history.filter(kept))
    learner = cls(estimator=estimator, trees=20, learning_rate=0.1)
    learner.fit(one, seed=1)
    truth = make_campaign(n=N_USERS)[1][:, 0]
    assert np.corrcoef(learner.predict(one).uplift[:, 0], truth)[0, 1] > 0.4


@pytest.mark.parametrize("cls", LEARNERS)
def test_control_rows_may_name_the_coupon_that_was_withheld(cls):
    campaign, truth = make_campaign(named_controls=True)
    learner = cls()
    learner.fit(campaign, seed=2)
    predictions = learner.predict(campaign)
    gap = predictions.conversion[:, 1].mean() - predictions.conversion[:, 0].mean()
    assert gap == pytest.approx(0.15, abs=0.06)
    np.testing.assert_allclose(predictions.uplift.mean(axis=0), truth.mean(axis=0), atol=0.06)


@pytest.mark.parametrize("cls", LEARNERS)
def test_a_history_of_controls_only_is_refused(cls, little):
    history = little.history.filter(~pl.col("treated"))
    with pytest.raises(InputError, match="treated"):
        cls().fit(dataclasses.replace(little, history=history), seed=1)


@pytest.mark.parametrize(("cls", "estimator"), SOME)
def test_a_coupon_that_hardly_anybody_got_is_scored_like_the_others(cls, estimator, little):
    rare = pl.col("coupon_id").eq_missing("SHIP")
    few = pl.concat([little.history.filter(~rare), little.history.filter(rare)[:2]])
    learner = cls(estimator=estimator, trees=5)
    learner.fit(dataclasses.replace(little, history=few), seed=1)
    uplift = learner.predict(little).uplift
    assert np.isfinite(uplift).all()
    assert -0.1 < uplift[:, 2].mean() < 0.5


@pytest.mark.parametrize("cls", LEARNERS)
def test_a_history_without_conversions_promises_nothing(cls, little):
    history = little.history.with_columns(
        converted=pl.lit(False), redeemed=pl.lit(False), revenue=pl.lit(0.0), discount=pl.lit(0.0)
    )
    learner = cls(estimator="forest", trees=5)
    learner.fit(dataclasses.replace(little, history=history), seed=1)
    assert np.abs(learner.predict(little).uplift).max() < 0.02


def chosen_campaign(n=5000):
    """Return a campaign without propensities whose big spenders, who buy anyway, got more coupons.

    The true uplift is 0.1 for everyone.
    """
    rng = np.random.default_rng(4)
    campaign = make_campaign(n=n)[0]
    spend = campaign.users["spend"].fill_null(0.0).to_numpy()
    treated = rng.random(n) < np.where(spend > 0, 0.8, 0.2)
    converted = rng.random(n) < np.where(spend > 0, 0.5, 0.1) + 0.1 * treated
    history = campaign.history.with_columns(
        coupon_id=pl.Series(["TEN" if t else None for t in treated], dtype=pl.String),
        treated=treated,
        converted=converted,
        redeemed=converted & treated,
        propensity=pl.lit(None, pl.Float64),
    )
    naive = converted[treated].mean() - converted[~treated].mean()
    return dataclasses.replace(campaign, coupons=COUPONS[:1], history=history), naive


@pytest.mark.parametrize("cls", [XLearner, DRLearner])
def test_chosen_users_are_adjusted_for_and_reported(cls):
    campaign, naive = chosen_campaign()
    assert naive > 0.3
    levels = []
    for seed in (1, 2, 3):  # one split alone is off by 0.03 or more
        learner = cls(estimator="forest", trees=15, learning_rate=0.2)
        report = learner.fit(campaign, seed=seed)
        levels.append(learner.predict(campaign).uplift.mean())
    assert np.mean(levels) == pytest.approx(0.1, abs=0.04)
    assert any("Propensities were estimated" in note for note in report.notes)


def test_estimated_propensities_are_near_the_true_ones_and_trimmed():
    history = read_history(chosen_campaign()[0])
    flag = np.random.default_rng(0).random(len(history)) < 0.5
    flag[history.treated] = False  # with the flag, nobody was ever treated
    spend = chosen_campaign()[0].users["spend"].fill_null(0.0).to_numpy()[history.user]
    x = np.column_stack([spend > 0, 10.0 * flag]).astype(float)
    fold = draw_folds(history.user, 3, np.random.default_rng(1))
    found = find_propensity(history, x, fold, trim=0.1)
    treated = history.treated & (spend > 0)
    plain = (history.treated & (spend > 0)).sum() / ((spend > 0) & ~flag).sum()
    assert 1 / found.weight[treated].mean() == pytest.approx(plain, abs=0.03)
    assert not found.usable[flag].any()
    assert found.usable[history.treated].all()
    assert "left out" in found.notes[0]


def test_recorded_propensities_are_used_and_their_cap_is_noted(campaign):
    assert not DRLearner().fit(campaign, seed=1).notes
    history = campaign.history.with_columns(
        propensity=pl.when(pl.col("treated")).then(0.01).otherwise(pl.col("propensity"))
    )
    report = DRLearner().fit(dataclasses.replace(campaign, history=history), seed=1)
    assert any("propensity of 0.05 or less" in note for note in report.notes)


def test_many_pairs_are_thinned_without_bias(campaign, monkeypatch):
    truth = make_campaign(n=N_USERS)[1]
    history = read_history(campaign)
    told = history.treated.sum() + 3 * (~history.treated).sum()
    monkeypatch.setattr(predictors.learners.meta_learners, "MOST_PAIRS", int(0.75 * told) + 800)
    rows = []
    take = Contexts.take
    monkeypatch.setattr(Contexts, "take", lambda self, chosen: rows.append(len(chosen)) or take(self, chosen))
    learner = DRLearner()
    learner.fit(campaign, seed=5)
    assert max(rows) < 0.75 * 3 * len(history) * 0.75
    uplift = learner.predict(campaign).uplift
    assert np.corrcoef(uplift.ravel(), truth.ravel())[0, 1] > 0.5


def test_folds_keep_the_rows_of_a_user_together():
    user = np.repeat(np.arange(50), 3)
    fold = draw_folds(user, 4, np.random.default_rng(0))
    assert len(np.unique(fold)) == 4
    assert (fold.reshape(50, 3) == fold.reshape(50, 3)[:, :1]).all()


def test_the_baseline_is_the_s_learner_with_logistic_regression(little):
    uplift = []
    for learner in (BaselinePredictor(), SLearner(estimator="logistic")):
        learner.fit(little, seed=2)
        uplift.append(learner.predict(little).uplift)
    np.testing.assert_array_equal(*uplift)


@pytest.mark.parametrize("cls", LEARNERS)
def test_bad_options_are_refused_by_name(cls):
    with pytest.raises(InputError, match='one of "logistic", "forest", "lightgbm"'):
        cls(estimator="oracle")
    with pytest.raises(InputError, match="did you mean 'estimator'"):
        cls(estimater="forest")
    with pytest.raises(InputError, match="a whole number from"):
        cls(trees=2.5)


def test_options_of_another_learner_are_refused():
    with pytest.raises(InputError, match="unknown option"):
        TLearner(folds=3)
    with pytest.raises(InputError, match="unknown option"):
        BaselinePredictor(estimator="forest")


def test_without_lightgbm_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(PluginError, match=r"pip install '\.\[lightgbm\]'"):
        create(PREDICTORS, "dr-learner", {"estimator": "lightgbm"})
    create(PREDICTORS, "dr-learner", {"estimator": "forest"})


def test_loading_another_learner_says_so(little, tmp_path):
    learner = TLearner()
    learner.fit(little, seed=1)
    learner.save(tmp_path)
    with pytest.raises(PluginError, match="another kind"):
        XLearner.load(tmp_path)


@pytest.mark.parametrize("cls", LEARNERS)
def test_a_campaign_reaches_the_learners_by_name(cls):
    assert isinstance(create(PREDICTORS, cls.name, {"estimator": "forest"}), cls)


@pytest.mark.parametrize("estimator", ["logistic", "forest"])
def test_conversions_below_half_a_percent_are_sized_right(estimator):
    """Sixty conversions among twenty thousand: levels hold as far as so few can tell."""
    n = 20_000
    campaign, _ = make_campaign(n=n, seed=4)
    treated = campaign.history["treated"].to_numpy()
    rate = np.where(treated, 0.004, 0.002)
    converted = np.random.default_rng(9).random(n) < rate
    rare = dataclasses.replace(
        campaign, history=campaign.history.with_columns(converted=converted, redeemed=converted & treated)
    )
    predictor = SLearner(estimator=estimator, test_share=0.1)
    predictor.fit(rare, seed=1)
    found = predictor.predict(rare)
    error = np.sqrt(0.004 / treated.sum() + 0.002 / (~treated).sum())
    assert abs(found.uplift.mean() - 0.002) < 3 * error
    assert abs(found.conversion.mean() - 0.002) < 3 * error
    assert np.quantile(np.abs(found.uplift), 0.99) < 0.03
    assert ((found.conversion > 0) & (found.conversion + found.uplift > 0)).all()
