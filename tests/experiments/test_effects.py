"""Effects and their intervals: against closed forms, against another library, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from allocator.readout.effects import anytime_multiplier, effect, ratio, shrunk


def world(n: int, lift: float, seed: int, share: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes, arms and one covariate that tells most of the outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    sent = rng.permutation(n) < share * n
    return 2 * x + rng.normal(size=n) + lift * sent * (1 + 0.5 * x), sent, x[:, None]


def test_without_covariates_it_is_welch():
    outcome, sent, _ = world(500, 0.3, 1)
    found = effect(outcome, sent)
    welch = stats.ttest_ind(outcome[sent], outcome[~sent], equal_var=False)
    assert found.estimate / found.error == pytest.approx(welch.statistic, rel=1e-9)
    assert found.error == pytest.approx(found.error_plain)


def test_adjusting_is_the_interacted_regression_and_narrows_the_interval():
    outcome, sent, x = world(800, 0.3, 2)
    found = effect(outcome, sent, x)
    centred = x - x.mean(axis=0)
    design = np.column_stack([np.ones(800), sent, centred, sent[:, None] * centred])
    beta, *_ = np.linalg.lstsq(design, outcome, rcond=None)
    assert found.estimate == pytest.approx(beta[1], rel=1e-9)
    assert found.error < 0.6 * found.error_plain


def test_useless_covariates_do_no_harm():
    outcome, sent, _ = world(400, 0.0, 3)
    useless = np.column_stack([np.ones(400), np.full(400, np.nan), np.arange(400) % 2, np.arange(400) % 2])
    found = effect(outcome, sent, useless)
    assert found.error == pytest.approx(found.error_plain, rel=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(400):
        outcome, sent, x = world(300, 0.5, seed)
        found = effect(outcome, sent, x).fixed
        held += found.low <= 0.5 <= found.high
    assert 0.925 <= held / 400 <= 0.97


def test_users_of_one_unit_count_as_less():
    rng = np.random.default_rng(4)
    homes = np.repeat(np.arange(200), 3)
    sent = np.repeat(rng.permutation(200) < 150, 3)
    outcome = np.repeat(rng.normal(size=200), 3)
    assert effect(outcome, sent, units=homes).error > 1.6 * effect(outcome, sent).error


def test_the_anytime_boundary_is_the_normal_mixture():
    # Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence
    # sequences", equation 14 with v = best * r and r = 1.
    alpha, best = 0.05, -2 * math.log(0.05) + math.log(-2 * math.log(0.05)) + 1
    boundary = math.sqrt((best + 1) * math.log((best + 1) / alpha**2))
    assert anytime_multiplier(alpha, 1.0) == pytest.approx(boundary / math.sqrt(best))
    assert anytime_multiplier(alpha, 1.0) == pytest.approx(3.035, abs=0.005)
    assert anytime_multiplier(alpha, 0.1) > anytime_multiplier(alpha, 1.0)


def test_looking_daily_for_thirty_days_errs_as_seldom_as_it_says():
    rng = np.random.default_rng(5)
    n, days, worlds, anytime, one_look = 1_000, 30, 150, 0, 0
    for _ in range(worlds):
        sent = rng.permutation(n) < 0.7 * n
        day = np.where(rng.random(n) < 0.3, rng.integers(0, days, n), days)
        seen_anytime = seen_one = False
        for d in range(days):
            found = effect((day <= d).astype(float), sent, elapsed=(d + 1) / days)
            seen_anytime |= found.error > 0 and found.anytime.is_sure
            seen_one |= found.error > 0 and found.fixed.is_sure
        anytime, one_look = anytime + seen_anytime, one_look + seen_one
    assert anytime / worlds <= 0.05
    assert one_look / worlds > 0.12


def test_a_ratio_is_told_only_where_spend_is_sure():
    rng = np.random.default_rng(6)
    sent = rng.permutation(2_000) < 1_500
    spend = np.where(sent, rng.gamma(2, 1, 2_000), 0.0)
    margin = rng.normal(5, 1, 2_000) + 1.5 * spend
    found = ratio(margin, spend, sent)
    assert found is not None
    assert found.low < 1.5 < found.high
    assert ratio(margin, np.zeros(2_000), sent) is None


def test_noise_is_shrunk_away_and_differences_stay():
    rng = np.random.default_rng(7)
    errors = np.full(12, 1.0)
    noise, _ = shrunk(rng.normal(3, 1, 12), errors)
    assert np.ptp(noise) < 1.5
    apart = np.array([-10.0, 0.0, 10.0])
    kept, wide = shrunk(apart, np.full(3, 0.5))
    assert np.allclose(kept, apart, atol=0.1)
    assert (wide < 0.6).all()
