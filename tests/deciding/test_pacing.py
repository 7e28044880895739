"""Prices follow what is left and who is still to come."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from allocator import solve
from allocator.limits.row_tables import NamedTerm
from allocator.online import Decider, DecisionRequest, MemoryLedger, OnlinePlan, PlanRow
from allocator.online.volume import Volume
from benchmarks import pacing
from support.online_plans import COUPONS, Clock, request, row, small_plan

USERS = 4_000


@pytest.fixture(scope="module")
def plan() -> OnlinePlan:
    forecast = pacing.draw(USERS, pacing.Traffic("forecast", pacing.constant(1.0)), seed=1)
    solution = solve(forecast.problem, pacing.limits(USERS), gap=1e-3)
    return OnlinePlan.from_solution(solution, "pacing", starts_at=0.0, ends_at=pacing.DAYS * pacing.DAY)


@pytest.mark.parametrize(
    ("volume", "mix", "least"),
    [
        (pacing.constant(1.0), pacing.SHIFTED, 0.98),
        (pacing.constant(2.0), pacing.EVEN, 0.98),
        (pacing.constant(0.5), pacing.SHIFTED, 0.96),
        (pacing.ramp(0.5, 2.0), pacing.EVEN, 0.96),
    ],
)
def test_pacing_earns_nearly_what_hindsight_would(plan, volume, mix, least):
    crowd = pacing.draw(USERS, pacing.Traffic("drifted", volume, mix), seed=2)
    optimum = solve(crowd.problem, pacing.limits(USERS), gap=1e-3).bound
    paced = pacing.follow(crowd, plan, "adaptive", optimum)
    fixed = pacing.follow(crowd, plan, "fixed", optimum)
    assert least < paced["share"] <= 1
    assert paced["share"] > fixed["share"]
    assert paced["overspent"] == fixed["overspent"] == []
    assert paced["left"] < 0.02


def test_another_process_goes_on_where_the_first_stopped(plan):
    crowd = pacing.draw(USERS, pacing.Traffic("twice", pacing.constant(2.0)), seed=3)
    ledger, clock = MemoryLedger(), Clock()
    deciders = [Decider(plan, ledger, clock=clock, hold_for=pacing.DAYS * pacing.DAY) for _ in range(3)]
    prices = []
    for i, moment in enumerate(crowd.at[:6000]):
        clock.now = moment * pacing.DAYS * pacing.DAY
        decided = deciders[i * 3 // 6000]
        visit = DecisionRequest(
            str(i), crowd.value[i], {"cost": crowd.cost[i]}, {"region": str(crowd.region[i])}
        )
        decided.decide([visit])
        prices.append(next(s.price for s in decided.standings() if s.label == "total"))
    with ledger.open("pacing") as entries:
        state = entries.pacing
        assert state["volume"][0] == 6000
        assert len(json.dumps(state)) < 2000
    jumps = np.abs(np.diff(prices))
    assert jumps[[1999, 3999]].max() <= jumps.max() < 0.2 * prices[0]
    assert np.mean(prices[4000:]) > 1.1 * prices[0]  # twice as many users want the same budget


def test_a_floor_that_falls_behind_pays_for_its_coupons():
    rows = (row("total", at_most=1000.0), row("some C", "count", ["C"], at_least=60.0))
    plan = small_plan(rows=rows, users=200, starts_at=0.0, ends_at=1.0)
    clock = Clock()
    decided = Decider(plan, MemoryLedger(), clock=clock)
    for i in range(200):
        clock.now = i / 200
        decided.decide([request(i, value=(3.0, 1.0, 2.5))])
    floor = next(s for s in decided.standings() if s.label == "some C")
    assert floor.expected >= 55
    assert floor.price <= 0


def test_the_price_of_a_soft_limit_is_at_most_its_penalty():
    rows = (row("soft", at_most=1.0, penalty=0.25),)
    plan = small_plan(rows=rows, users=300, starts_at=0.0, ends_at=1.0)
    clock = Clock()
    decided = Decider(plan, MemoryLedger(), clock=clock)
    for i in range(300):
        clock.now = i / 300
        decided.decide([request(i)])
    assert decided.standings()[0].price == 0.25
    assert decided.standings()[0].expected > 100


@pytest.mark.parametrize(
    ("factor", "profile"), [(0.5, ()), (2.0, ()), (1.0, (1.0, 3.0)), (1.4, (5.0, 1.0, 1.0))]
)
def test_the_arrivals_still_to_come_are_learnt_from_those_who_came(factor, profile):
    plan = replace(small_plan(users=10_000, starts_at=100.0, ends_at=200.0), profile=profile)
    volume = Volume(plan)
    state = volume.first()
    assert volume.coming(state, 100.0) == pytest.approx(10_000)
    parts = np.asarray(profile or (1.0,))
    share = np.concatenate([[0], np.cumsum(parts) / parts.sum()])
    came = 0.0
    for moment in np.linspace(100, 150, 3001)[1:]:
        target = factor * 10_000 * np.interp((moment - 100) / 100, np.linspace(0, 1, len(share)), share)
        while came + 1 <= target:
            came += 1
            volume.see(state, float(moment))
    left = factor * 10_000 - came
    assert volume.coming(state, 150.0) == pytest.approx(left, rel=0.05)
    assert volume.coming(state, 200.0) == 1.0


def test_days_and_nights_are_no_trend_and_a_trend_is_no_night():
    plan = small_plan(users=20_000, starts_at=0.0, ends_at=pacing.DAYS * pacing.DAY)
    for traffic, rel in (
        (pacing.day_and_night, 0.06),
        (pacing.ramp(0.5, 2.0), 0.15),
        (pacing.ramp(2.0, 0.5), 0.15),
    ):
        volume, moments = Volume(plan), pacing.draw(20_000, pacing.Traffic("some", traffic), seed=4).at
        state = volume.first()
        for share in (0.3, 0.45, 0.6):  # in the morning, at noon, in the evening
            while moments[int(state[0])] < share:
                volume.see(state, moments[int(state[0])] * pacing.DAYS * pacing.DAY)
            left = len(moments) - state[0]
            assert volume.coming(state, share * pacing.DAYS * pacing.DAY) == pytest.approx(left, rel=rel)


def test_without_times_the_pace_goes_by_the_number_of_arrivals():
    volume = Volume(small_plan(users=100))
    state = volume.first()
    for _ in range(40):
        volume.see(state, 0.0)
    assert volume.coming(state, 0.0) == 60
    for _ in range(80):
        volume.see(state, 0.0)
    assert volume.coming(state, 0.0) == 5


def test_users_who_can_get_nothing_more_count_as_arrivals_without_wishes():
    plan = small_plan(total=100.0, users=100, starts_at=0.0, ends_at=1.0)
    clock = Clock(0.5)
    decided = Decider(plan, MemoryLedger(), clock=clock)
    for i in range(90):
        decided.decide([request(i, user="always the same")])
    total = decided.standings()[0]
    assert (total.held, total.price) == (2.0, 0.0)


def test_a_user_to_whom_nothing_is_open_moves_no_price_where_a_row_counts_value():
    ratio = PlanRow(
        label="value for money",
        terms=(NamedTerm("value", 1.0, {}, COUPONS), NamedTerm("cost", -2.0, {}, COUPONS)),
        at_least=0.0,
        rate=1.0,
        worth=1.0,
    )
    plan = small_plan(rows=(ratio, row("total", at_most=50.0)), per_user=(0, 2), users=100)
    decided = Decider(plan, MemoryLedger())
    for i in range(40):
        decided.decide([request(i, value=(np.nan, np.nan, np.nan if i % 2 else 2.0))])
    assert all(np.isfinite(s.price) for s in decided.standings())
    assert decided.decide([request("last", value=(9.0, np.nan, np.nan))])[0][0].coupon_id == "A"
