"""Metrics against reference values, known truth and hand-made examples."""

from __future__ import annotations

import numpy as np
import polars as pl
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
from predictors.evaluation.cost_curve import cost_curve, hull_steps
from predictors.evaluation.overlap import balance
from predictors.evaluation.power import power, rows_needed
from predictors.evaluation.stack import join, stacks
from predictors.evaluation.subgroups import bands, holm, subgroups
from predictors.history.history import History


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


def test_a_cost_curve_by_hand():
    value = np.array([[10.0, 12.0], [1.0, 9.0], [-1.0, -2.0]])
    cost = np.array([[1.0, 3.0], [1.0, 3.0], [1.0, 1.0]])
    row, before, after, slope = hull_steps(value, cost)
    order = np.argsort(-slope)
    steps = list(zip(row[order].tolist(), before[order].tolist(), after[order].tolist(), strict=True))
    # The second user skips the weak first coupon; the third, whom every coupon harms, comes last.
    assert steps == [(0, -1, 0), (1, -1, 1), (0, 0, 1), (2, -1, 0)]
    curve = cost_curve(value, cost, value, cost)
    assert curve.x == pytest.approx((0, 1 / 3, 4 / 3, 2, 7 / 3))
    assert curve.y == pytest.approx((0, 10 / 3, 19 / 3, 7, 20 / 3))
    assert np.isnan(curve.area)  # of three users nothing can be told
    many = [np.tile(column, (50, 1)) for column in (value, cost)]
    curve = cost_curve(*many, *many)
    assert curve.area == pytest.approx((5 / 9 + 29 / 6 + 40 / 9 + 41 / 18) / (7 / 3 * 20 / 3), rel=1e-3)


def test_a_good_order_of_spending_beats_a_random_one():
    rng = np.random.default_rng(0)
    value, cost = rng.gamma(2.0, 1.0, (5000, 1)), rng.uniform(0.5, 2.0, (5000, 1))
    noise = value + rng.normal(0, 3, value.shape)  # doubly robust scores are right on average alone
    good = cost_curve(value, cost, noise, cost).area
    random = cost_curve(rng.random(value.shape), np.ones(cost.shape), noise, cost).area
    assert random == pytest.approx(0.5, abs=0.03)
    assert good > 0.6


def test_the_rows_that_are_said_to_be_needed_have_the_power():
    rng = np.random.default_rng(1)
    found = power("C", 0.1, 0.03, 500, 1000)
    treated, control = int(found.treated_needed), int(found.control_needed)
    assert control == pytest.approx(2 * treated, abs=1)
    ours, theirs = rng.binomial(treated, 0.13, 4000) / treated, rng.binomial(control, 0.1, 4000) / control
    pooled = (ours * treated + theirs * control) / (treated + control)
    z = (ours - theirs) / np.sqrt(pooled * (1 - pooled) * (1 / treated + 1 / control))
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)
    assert rows_needed(0.1, found.detectable, 2.0) == 500
    assert found.detectable > 0.03
    assert np.isnan(rows_needed(0.1, 0.0, 1.0))


def test_holm_adjusts_for_the_number_of_groups():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.9, np.nan, 0.8])) == pytest.approx([1.0, np.nan, 1.0], nan_ok=True)


def test_weights_balance_what_the_waves_put_apart():
    _, treated, loyal, weight = two_waves(20_000)
    users = pl.DataFrame({"user_id": [str(i) for i in range(20_000)], "loyal": loyal, "constant": 1.0})
    (one,) = balance(users, treated, weight)
    assert one.feature == "loyal"
    assert one.difference > 1.0
    assert abs(one.weighted) < 0.05


def make_history(coupon, treated, converted, day, names, *, own_control=False, weight=None):
    n = len(coupon)
    return History(
        row=np.arange(n), user=np.arange(n), time=day * 86_400, coupon=coupon, treated=treated,
        converted=converted, redeemed=converted & treated, revenue=converted * 1.0,
        weight=np.ones(n) if weight is None else weight, coupons=pl.DataFrame({"coupon_id": names}),
        own_control=np.full(len(names), own_control), randomised=True,
    )  # fmt: skip


def test_a_coupon_is_compared_on_the_days_that_had_it():
    rng = np.random.default_rng(2)
    n = 40_000
    day = rng.integers(0, 2, n)  # the second day converts more, and only it had B
    arm = np.where(day == 0, rng.integers(0, 2, n), rng.integers(0, 3, n)) - 1
    converted = rng.random(n) < np.where(day == 0, 0.1, 0.4)
    history = make_history(arm, arm >= 0, converted, day, ["A", "B"])
    found = stacks(history, np.zeros((n, 2)))
    assert (day[found[1].row] == 1).all()
    assert len(found[0]) > len(found[1])
    assert found[1].observed().value == pytest.approx(0.0, abs=0.02)
    assert converted[arm == 1].mean() - converted[arm == -1].mean() > 0.08
    few = make_history(arm[:20], arm[:20] >= 0, converted[:20], np.arange(20), ["A", "B"])
    assert stacks(few, np.zeros((20, 2))).keys() == {0, 1}  # one send a day: absence is chance


def test_a_difference_between_coupons_does_not_pass_for_uplift():
    rng = np.random.default_rng(3)
    n = 40_000
    coupon = rng.integers(0, 2, n)  # B's products sell more, and B was sent more often; nothing has an effect
    treated = rng.random(n) < np.where(coupon == 1, 0.8, 0.2)
    converted = rng.random(n) < np.where(coupon == 1, 0.5, 0.1)
    history = make_history(coupon, treated, converted, np.zeros(n, np.int64), ["A", "B"], own_control=True)
    said = np.tile([0.0, 1.0], (n, 1))  # "B works, A does not"
    whole = join(list(stacks(history, said).values()))
    ours = qini(whole.outcome, whole.treated, whole.uplift, whole.weight)
    assert ours == pytest.approx(0.0, abs=0.02)
    assert abs(qini(whole.outcome, whole.treated, whole.uplift)) > 0.1
    assert whole.observed().value == pytest.approx(0.0, abs=0.02)


def test_groups_are_values_or_quarters():
    labels, order = bands(pl.Series("x", [3.0, None, 1.0, 2.0]))
    assert labels.to_list() == ["3", "(missing)", "1", "2"]
    assert order == ["1", "2", "3", "(missing)"]
    labels, order = bands(pl.Series("x", [*range(100), None]))
    assert order[0] == "up to 25"
    assert order[-2:] == ["over 74", "(missing)"]
    counts = dict(labels.value_counts().iter_rows())
    assert all(24 <= counts[name] <= 26 for name in order[:-1])


def test_an_uplift_of_one_group_alone_is_found():
    rng = np.random.default_rng(4)
    n = 8000
    region = rng.choice(["east", "north", "west"], n)
    treated = rng.random(n) < 0.5
    converted = rng.random(n) < 0.2 + 0.2 * treated * (region == "north")
    arm = np.where(treated, 0, -1)
    history = make_history(arm, treated, converted, np.zeros(n, np.int64), ["C"])
    whole = join(list(stacks(history, np.zeros((n, 1))).values()))
    groups = {group.value: group for group in subgroups(whole, pl.DataFrame({"region": region}))}
    assert groups["north"].observed.low < 0.2 < groups["north"].observed.high
    assert groups["north"].p_value < 0.001
    assert groups["east"].observed.low < 0.0 < groups["east"].observed.high
    assert sum(group.treated for group in groups.values()) == treated.sum()


# What callers hand over


def test_columns_go_by_label_or_are_refused():
    import pandas as pd

    from allocator import InputError
    from predictors.evaluation import off_policy

    rows = pd.DataFrame({"outcome": [1, 0, 1, 0], "treated": [1, 1, 0, 0], "uplift": [0.4, 0.3, 0.2, 0.1]})
    shuffled = rows.iloc[[3, 1, 0, 2]]
    expected = qini(*(rows[name].to_numpy() for name in rows))
    assert qini(*(rows[name] for name in rows)) == expected
    assert qini(*(shuffled[name] for name in rows)) == expected
    with pytest.raises(InputError, match="another order"):
        qini(rows["outcome"], rows["treated"], shuffled["uplift"])
    for treated in ([1, 1, 0], [1, 2, 0, 0], ["a"] * 4, [1, 1, 0, None], [[1, 1, 0, 0]]):
        with pytest.raises(InputError):
            uplift_at(rows["outcome"], treated, rows["uplift"], share=0.5)
    with pytest.raises(InputError, match="missing or infinite"):
        off_policy([1.0, np.nan], [True, False], [2.0, 2.0], [0.1, 0.1])
    assert off_policy([1, 0], [1, 0], [2, 2], [0.5, 0.5]).ips.value == pytest.approx(1.0)
