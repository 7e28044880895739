"""An experiment inside a plan: every chance is exact, and limits hold however the lots fall."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator import (
    Budget,
    Exclude,
    Experiment,
    Floor,
    InfeasibleError,
    InputError,
    Inventory,
    Parity,
    Problem,
    certify,
    randomise,
)
from allocator.experiment.arms import EXPLORE, HOLDOUT, OUTSIDE, PLAN, TURNS
from allocator.experiment.draw import Draw, draw_arms
from allocator.experiment.turns import Turns
from support.small_problems import slow_data


def shop(n: int = 150, m: int = 3, seed: int = 0) -> Problem:
    """Return a problem of regions and prices, in which a tenth of the pairs is not eligible."""
    rng = np.random.default_rng(seed)
    value = rng.gamma(2.0, 2.0, (n, m))
    value[rng.random((n, m)) < 0.1] = np.nan
    return Problem(
        value, {"cost": rng.gamma(2.0, 1.0, (n, m))}, user_ids=[f"u{i}" for i in range(n)],
        groups={"region": rng.choice(["east", "west"], n)},
    )  # fmt: skip


LIMITS = [Budget(160, label="total"), Inventory({"0": 45}, label="stock"), Parity(by="region", tolerance=0.2)]


def drawn(problem: Problem, experiment: Experiment, **more: Any) -> Draw:
    return draw_arms(problem, problem.eligible(), experiment, **more)


@slow_data(3)
@given(
    seed=st.integers(0, 2**32 - 1),
    shares=st.sampled_from([(0.0, 0.01), (0.05, 0.0), (0.1, 0.05), (0.3333, 0.0007), (0.5, 0.49)]),
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 4)),
    data=st.data(),
)
def test_every_propensity_is_how_often_the_turns_give_it(seed, shares, sizes, data):
    n, m = sizes
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(n, m))
    value[rng.random((n, m)) < 0.3] = np.nan
    problem = Problem(value)
    eligible = problem.eligible()
    plan = np.array(
        [data.draw(st.sampled_from([-1, *np.flatnonzero(row).tolist()])) for row in eligible], np.int16
    )
    draw = drawn(problem, Experiment(*shares, seed=seed))
    counted = np.zeros((n, m + 1), np.int64)
    for turn in range(TURNS):
        counted[np.arange(n), draw.sent(plan, turn)] += 1
    stated = np.stack([draw.propensity(plan, np.full(n, j)) for j in range(m)], axis=1)
    nothing = draw.propensity(plan, np.full(n, -1))
    inside = draw.slot >= 0
    assert np.array_equal(inside, eligible.any(axis=1))
    assert np.array_equal(np.round(stated[inside] * TURNS, 6), counted[inside, :m])
    assert np.array_equal(np.round(nothing[inside] * TURNS, 6), counted[inside, m])
    assert np.allclose(stated[inside].sum(axis=1) + nothing[inside], 1)
    assert (counted[:, :m][~eligible] == 0).all()
    assert (nothing[~inside] == 1).all()
    assert (stated[eligible] > 0).all() or not draw.experiment.turns_exploring


def test_limits_hold_for_every_draw_and_usage_is_what_the_certificate_counts():
    problem = shop()
    found = randomise(problem, LIMITS, Experiment(0.06, 0.05), gap=1e-3)
    rows = [row for limit in LIMITS for row in limit.rows(problem)]
    used = Turns(problem, rows, found.draw).sent(found.plan.choice)
    for r, row in enumerate(rows):
        assert used[r].max() <= row.at_most + 1e-9
        assert used[r].min() >= row.at_least - 1e-9
    values = []
    for turn in range(0, TURNS, 400):
        checked = certify(problem, LIMITS, found.draw.sent(found.plan.choice, turn), {})
        assert checked.valid
        assert [check.used for check in checked.rows] == pytest.approx(used[:, turn].tolist())
        values.append(checked.objective)
    assert found.value == pytest.approx(np.mean(values), rel=0.02)
    assert found.sent.certificate.valid
    assert found.sent.objective <= found.sent.bound
    assert found.cost == pytest.approx(found.sent.bound - found.value)


def test_what_holding_out_leaves_goes_to_the_others():
    problem = shop()
    found = randomise(problem, [Budget(130)], Experiment(0.2), gap=1e-3)
    everyone = found.plan.certificate.rows[0].used
    assert everyone > 130  # sent to all it would be too much
    assert 110 < found.draw.experiment.planned * everyone < 130


def test_arms_depend_on_labels_alone_and_not_on_values_limits_or_order():
    problem, experiment = shop(), Experiment(0.1, 0.1)
    arms = drawn(problem, experiment).arms()
    other = Problem(np.where(problem.eligible(), 1.0, np.nan), user_ids=problem.user_ids)
    assert np.array_equal(arms, drawn(other, experiment).arms())
    order = np.random.default_rng(1).permutation(problem.n_users)
    moved = Problem(problem.value[order], user_ids=problem.user_ids[order])
    again = drawn(moved, experiment)
    assert np.array_equal(arms[order], again.arms())
    plan = np.full(problem.n_users, -1, np.int16)
    assert np.array_equal(drawn(problem, experiment).sent(plan)[order], again.sent(plan))
    for changed in (Experiment(0.1, 0.1, seed=8), Experiment(0.1, 0.1, wave="wave 2")):
        assert not np.array_equal(arms, drawn(problem, changed).arms())


def test_arms_have_their_shares_within_each_stratum_to_within_one():
    problem, experiment = shop(1000), Experiment(0.1, 0.05)
    region = np.array(problem.groups["region"].labels)[problem.groups["region"].codes]
    draw = drawn(problem, experiment, strata=[region])
    for turn in (0, 77, 5_000):
        arms = draw.arms(turn)
        for label in ("east", "west"):
            inside = (region == label) & (arms != OUTSIDE)
            for arm, share in ((HOLDOUT, 0.1), (EXPLORE, 0.05), (PLAN, 0.85)):
                assert abs((arms[inside] == arm).sum() - share * inside.sum()) <= 2


def test_households_share_an_arm_and_users_without_one_stand_alone():
    problem = shop(300)
    homes = np.array([f"h{i // 3}" if i < 270 else "" for i in range(300)])
    arms = drawn(problem, Experiment(0.3), units=homes).arms()
    for home in range(90):
        assert len(set(arms[3 * home : 3 * home + 3].tolist()) - {OUTSIDE}) <= 1
    assert len(set(arms[270:].tolist())) > 1


def test_a_household_in_two_strata_is_named():
    problem = shop(6)
    with pytest.raises(InputError, match=r"users of one unit lie in different strata.*found 'h0'"):
        drawn(problem, Experiment(0.3), units=["h0"] * 6, strata=[list("aabaaa")])


def test_exploration_never_sends_what_a_limit_forbids():
    problem = shop()
    limits = [Exclude(label="no", coupons=["1"], users={"region": "east"})]
    found = randomise(problem, limits, Experiment(0.0, 0.5))
    east = problem.groups["region"].codes == problem.groups["region"].labels.index("east")
    for turn in range(0, TURNS, 500):
        assert not (found.draw.sent(found.plan.choice, turn)[east] == 1).any()


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((1.2, 0.0), "lies between 0 and 1"),
        ((float("nan"), 0.0), "no share"),
        (("auto", 0.0), "no share"),
        ((0.5, 0.5), "leave nobody to the plan"),
        ((0.00005, 0.0), "in steps of 0.0001"),
    ],
)
def test_shares_that_cannot_be_are_refused(shares, message):
    with pytest.raises(InputError, match=message):
        Experiment(*shares)


def test_limits_without_room_for_chance_are_named():
    problem = shop()
    with pytest.raises(InputError, match=r"'stock\[1\]' leaves no room for chance"):
        randomise(problem, [Inventory({"1": 2}, label="stock")], Experiment(0.0, 0.3))
    everyone = Floor(1.0, label="all", per_head=True)
    eligible = Problem(np.ones((40, 2)))
    with pytest.raises((InputError, InfeasibleError), match="all"):
        randomise(eligible, [everyone], Experiment(0.1))
    with pytest.raises(InputError, match="one coupon, or nothing"):
        randomise(Problem(np.ones((4, 2)), per_user=(1, 1)), [], Experiment(0.1))
    with pytest.raises(InputError, match="each of 3 coupons"):
        randomise(problem, [], Experiment(0.0, 0.0002))


def test_the_same_seed_gives_the_same_plan_and_arms():
    problem = shop(120)
    one, two = (randomise(problem, LIMITS, Experiment(0.05, 0.05), threads=k, gap=1e-3) for k in (1, 2))
    assert np.array_equal(one.sent.choice, two.sent.choice)
    assert np.array_equal(one.propensity, two.propensity)
