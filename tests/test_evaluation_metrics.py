"""Metrics against reference values, known truth and hand-made examples."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.evaluation import (
    auuc,
    calibration_bins,
    calibration_error,
    corrected,
    difference_estimate,
    mean_estimate,
    off_policy,
    qini,
    uplift_at,
    uplift_curve,
)


def make_rows(seed, chance, n=400):
    rng = np.random.default_rng(seed)
    x = rng.random(n)
    treated = rng.random(n) < chance
    outcome = (rng.random(n) < 0.2 + 0.3 * x * treated).astype(float)
    return outcome, treated, np.round(x + rng.normal(0, 0.3, n), 12)


@pytest.mark.parametrize(
    ("seed", "chance", "expected"),
    [  # qini_auc_score, uplift_auc_score and uplift_at_k(strategy="overall") of scikit-uplift 0.5.1
        (0, 0.5, (0.033767694351958935, 0.022869014859537816, 0.17199222006112808)),
        (1, 0.3, (-0.030125251999712676, -0.023965212765966706, 0.22570532915360503)),
        (2, 0.8, (0.11024456297108126, 0.10288498874793485, 0.1972176759410802)),
    ],
)
def test_ranking_metrics_equal_scikit_uplift(seed, chance, expected):
    rows = make_rows(seed, chance)
    assert (qini(*rows), auuc(*rows), uplift_at(*rows)) == pytest.approx(expected, abs=1e-12)


def test_a_row_of_weight_two_counts_as_two_rows():
    outcome, treated, uplift = make_rows(3, 0.5)
    weight = np.random.default_rng(4).integers(1, 3, len(outcome))
    twice = np.repeat(np.arange(len(outcome)), weight)
    for metric in (qini, auuc, uplift_at):
        weighed = metric(outcome, treated, uplift, weight.astype(float))
        assert weighed == pytest.approx(metric(outcome[twice], treated[twice], uplift[twice]))


def test_uplift_of_all_rows_is_the_observed_difference_whatever_the_ranking():
    outcome, treated, uplift = make_rows(5, 0.4)
    difference = outcome[treated].mean() - outcome[~treated].mean()
    assert uplift_at(outcome, treated, uplift, share=1.0) == pytest.approx(difference)
    assert uplift_at(outcome, treated, np.zeros(len(outcome))) == pytest.approx(difference)
    assert uplift_curve(outcome, treated, uplift)[1][-1] == pytest.approx(difference * len(outcome))
    assert np.isnan(uplift_at(outcome, np.ones(len(outcome), bool), uplift))


def two_waves(n=200_000, seed=0):
    """A wave of loyal customers, mostly treated, and one of strangers, mostly not; nothing has an effect."""
    rng = np.random.default_rng(seed)
    loyal = rng.random(n) < 0.5
    chance = np.where(loyal, 0.8, 0.2)
    treated = rng.random(n) < chance
    outcome = (rng.random(n) < np.where(loyal, 0.4, 0.1)).astype(float)
    return outcome, treated, loyal, 1 / np.where(treated, chance, 1 - chance)


def test_an_experiment_randomised_within_waves_is_judged_with_its_propensities():
    outcome, treated, loyal, weight = two_waves()
    ranking = loyal + np.random.default_rng(1).random(len(loyal))
    assert difference_estimate(outcome, treated).value > 0.15
    assert auuc(outcome, treated, -ranking) < -0.1  # the wave passes for a difference in uplift
    for metric in (qini, auuc):
        assert metric(outcome, treated, ranking, weight) == pytest.approx(0.0, abs=0.01)
    assert uplift_at(outcome, treated, ranking, weight) == pytest.approx(0.0, abs=0.01)
    assert difference_estimate(outcome, treated, weight).value == pytest.approx(0.0, abs=0.01)
    assert calibration_error(calibration_bins(outcome, treated, ranking * 0, weight)) < 0.01


def test_calibration_error_is_the_mean_distance():
    assert calibration_error(((0.1, 0.2, 30), (0.3, 0.3, 10))) == pytest.approx(0.075)
    assert np.isnan(calibration_error(()))


def logged(rng, n=1500, sends=1):
    """Two coupons sent with chances that depend on x; returns rows and the truth of 'coupon where x > 0'."""
    x = np.repeat(rng.normal(size=n), sends)
    taste = np.repeat(rng.normal(size=n), sends) * 0.3 * (sends > 1)
    chance = 1 / (1 + np.exp(-0.8 * x))
    sent = rng.random(n * sends) < chance
    rate = np.clip(0.3 + 0.1 * np.tanh(x) + 0.2 * sent * np.tanh(x) + 0.5 * taste, 0, 1)
    converted = (rng.random(n * sends) < rate).astype(float)
    plan = x > 0
    weight = 1 / np.where(sent, chance, 1 - chance)
    return x, taste, converted, sent == plan, weight, plan, np.repeat(np.arange(n), sends)


def plan_truth():
    x = np.random.default_rng(99).normal(size=2_000_000)
    return float(np.mean(0.3 + 0.1 * np.tanh(x) + 0.2 * np.tanh(x) * (x > 0)))


def test_intervals_of_plan_values_cover_the_truth():
    truth, covered, errors = plan_truth(), {"ips": 0, "snips": 0, "dr": 0}, {"ips": [], "snips": [], "dr": []}
    rounds = 400
    for seed in range(rounds):
        x, _, converted, follows, weight, plan, _ = logged(np.random.default_rng(seed))
        wrong = 0.35 + 0.05 * x * plan  # propensities are known, so a poor model costs only precision
        value = off_policy(converted, follows, weight, wrong)
        for name in covered:
            estimate = getattr(value, name)
            covered[name] += estimate.low <= truth <= estimate.high
            errors[name].append(estimate.value - truth)
    for name, count in covered.items():
        assert 0.92 <= count / rounds <= 0.98, name
        assert abs(np.mean(errors[name])) < 3 * np.std(errors[name]) / np.sqrt(rounds), name
    assert np.std(errors["dr"]) < np.std(errors["ips"])


def test_doubly_robust_is_right_with_wrong_propensities_and_a_right_model():
    x, _, converted, follows, _, plan, _ = logged(np.random.default_rng(0), 100_000)
    right = 0.3 + 0.1 * np.tanh(x) + 0.2 * np.tanh(x) * plan
    value = off_policy(converted, follows, np.full(len(x), 2.0), right)
    assert value.dr.value == pytest.approx(plan_truth(), abs=0.01)
    assert abs(value.ips.value - plan_truth()) > 0.03


def test_intervals_allow_for_users_with_several_sends():
    truth, covered, naive = plan_truth(), 0, 0
    rounds = 300
    for seed in range(rounds):
        x, _, converted, follows, weight, _, user = logged(np.random.default_rng(seed), 200, sends=8)
        expected = np.full(len(x), 0.35)
        estimate = mean_estimate(corrected(converted, follows, weight, expected), user)
        covered += estimate.low <= truth <= estimate.high
        estimate = mean_estimate(corrected(converted, follows, weight, expected))
        naive += estimate.low <= truth <= estimate.high
    assert 0.91 <= covered / rounds <= 0.98
    assert naive / rounds < 0.88


def test_an_interval_of_one_user_is_unknown():
    estimate = mean_estimate(np.array([1.0, 0.0]), np.array([3, 3]))
    assert estimate.value == 0.5
    assert np.isnan(estimate.low)
    assert np.isnan(mean_estimate(np.zeros(0)).value)
