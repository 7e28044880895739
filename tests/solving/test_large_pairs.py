"""One rich customer ruins no plan: pairs that are large against what a limit leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator import (
    Budget,
    Floor,
    InfeasibleError,
    Inventory,
    Limit,
    Problem,
    ReturnFloor,
    Status,
    certify,
    solve,
)
from allocator.certificate.unfit import Unfit
from allocator.solver.large import finding
from support.small_problems import best_by_trying, slow_data

USERS = 20_000
BUDGET = 0.3 * USERS


def plain(n: int = USERS, m: int = 3) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.uniform(0, 5, (n, m)), generator.uniform(0.5, 2, (n, m))


def test_a_pair_dearer_than_the_budget_changes_nothing():
    value, cost = plain()
    before = solve(Problem(value, {"cost": cost}), [Budget(BUDGET, label="total")])
    value[5, 1], cost[5, 1] = 20 * USERS, 1.5 * BUDGET
    plan = solve(Problem(value, {"cost": cost}), [Budget(BUDGET, label="total")], time_limit=20)
    assert plan.status is Status.OPTIMAL
    assert plan.objective == pytest.approx(before.objective, rel=1e-4)
    assert plan.bound == pytest.approx(before.bound, rel=1e-4)
    assert plan.unfit_by == ("total",)
    assert plan.bound_source == "dual prices"  # the certificate has left the pair out by itself
    assert plan.verify().valid


def test_of_two_pairs_that_take_most_of_the_budget_the_better_is_had():
    value, cost = plain()
    rest = value.copy()
    rest[7] = np.nan
    value[5, 1], cost[5, 1] = 20 * USERS, 0.6 * BUDGET
    value[7, 2], cost[7, 2] = 19 * USERS, 0.6 * BUDGET
    rest[5] = np.nan
    beside = solve(Problem(rest, {"cost": cost}), [Budget(0.4 * BUDGET, label="total")])
    plan = solve(Problem(value, {"cost": cost}), [Budget(BUDGET, label="total")], time_limit=20)
    assert plan.status is Status.OPTIMAL
    assert plan.choice[5] == 1
    assert plan.objective == pytest.approx(20 * USERS + beside.objective, rel=1e-6)
    assert plan.verify().valid


def test_a_floor_leaves_no_room_for_a_pair_that_the_budget_has_room_for():
    value, cost = plain(2_000)
    value[5, 1], cost[5, 1] = 40_000, 0.5 * 900
    limits = [Budget(900, label="total"), Floor(1_200, label="reach")]
    plan = solve(Problem(value, {"cost": cost}), limits, time_limit=20)
    assert plan.status is Status.OPTIMAL
    assert plan.choice[5] != 1
    value[5, 1] = np.nan
    assert plan.objective == pytest.approx(solve(Problem(value, {"cost": cost}), limits).objective, rel=1e-5)


def test_a_budget_for_a_handful_of_many_users_is_spent_as_well_as_can_be():
    generator = np.random.default_rng(3)
    value, cost = generator.gamma(2, 1, (50_000, 5)), generator.uniform(0.5, 5, (50_000, 5))
    plan = solve(Problem(value, {"cost": cost}), [Budget(5, label="total")], time_limit=20)
    assert plan.status is Status.OPTIMAL


@st.composite
def heavy_tails(draw):
    """A small problem whose values or costs differ by orders of size."""
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, m = draw(st.integers(2, 4)), draw(st.integers(1, 2))
    fewest, most = draw(st.sampled_from([(0, 1), (1, 1), (0, 2), (1, 2)]))
    most = min(most, m)
    value = np.round(generator.pareto(1.1, (n, m)) + 0.1, 3)
    cost = np.round(value * generator.uniform(0.7, 1.3, (n, m)), 3)
    if draw(st.booleans()):
        value[0, 0], cost[0, 0] = 1_000 * value[0, 0], 1_000 * cost[0, 0]
    group = generator.choice(["a", "b"], n)
    share = draw(st.floats(0.05, 1.2))
    kinds = {
        "budget": Budget(round(share * float(cost.sum()), 3) + 0.001, label="total"),
        "small": Budget(round(share * float(np.median(cost)), 3) + 0.001, label="small"),
        "floor": Floor(draw(st.integers(0, n)), label="reach"),
        "stock": Inventory({"0": draw(st.integers(0, n))}),
        "return": ReturnFloor(draw(st.sampled_from([0.8, 1.1, 1.5])), label="return"),
        "group": Limit(label="of a", users={"group": str(group[0])}, at_most=round(float(cost.max()), 3)),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=3, unique=True))
    problem = Problem(value, {"cost": cost}, groups={"group": group}, per_user=(fewest, most))
    return problem, [kinds[name] for name in chosen]


def agrees_with_trying(problem: Problem, limits: list, **options: object) -> None:
    best = best_by_trying(problem, limits)
    try:
        plan = solve(problem, limits, gap=1e-9, time_limit=20, **options)
    except InfeasibleError:
        assert best is None
        return
    assert best is not None
    assert plan.status is Status.OPTIMAL
    assert plan.objective == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert plan.bound >= best - 1e-9 * max(1.0, abs(best))
    assert plan.verify().valid


@slow_data(60)
@given(heavy_tails())
def test_heavy_tails_agree_with_trying_every_plan(case):
    agrees_with_trying(*case)


@slow_data(60)
@given(heavy_tails())
def test_so_they_do_where_large_pairs_are_decided_first(case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "FEW_OPEN", -1)  # no problem is too small for it
        patch.setattr(finding, "MOST_SHARE", 1.0)
        patch.setattr(finding, "LARGE", 0.05)
        agrees_with_trying(*case)


@slow_data(40)
@given(heavy_tails())
def test_what_the_certificate_leaves_out_is_in_no_plan(case):
    problem, limits = case
    labels = [row.label for limit in limits for row in limit.rows(problem)]
    best = best_by_trying(problem, limits)
    if best is None:
        return
    bound = certify(problem, limits, np.full(problem.n_users, -1), {}, unfit_by=labels).dual_bound
    assert not bound < best - 1e-9 * abs(best)


def test_a_row_that_rules_nothing_out_leaves_the_bound_as_it_is():
    value, cost = plain(500)
    problem, limits = Problem(value, {"cost": cost}), [Budget(100, label="total")]
    nothing = np.full(500, -1)
    plain_bound = certify(problem, limits, nothing, {}).dual_bound
    assert certify(problem, limits, nothing, {}, unfit_by=["total", "unknown"]).dual_bound == plain_bound


def test_pairs_left_out_leave_others_less_room():
    """Where everyone must get a coupon, ruling out cheap use for one takes room from another."""
    cost = np.array([[1.0, 9.0], [2.0, 8.0]])
    problem = Problem(np.ones((2, 2)), {"cost": cost}, per_user=(1, 1))
    (row,) = Budget(9.5, label="total").rows(problem)
    (batch,) = problem.batches()
    assert np.isnan(Unfit(problem, [row]).without(batch)).tolist() == [[False, True], [False, False]]


def test_a_warm_start_decides_large_pairs_too():
    value, cost = plain()
    value[5, 1], cost[5, 1] = 20 * USERS, 0.6 * BUDGET
    problem = Problem(value, {"cost": cost})
    first = solve(problem, [Budget(BUDGET, label="total")], time_limit=20)
    again = solve(problem, [Budget(0.7 * BUDGET, label="total")], time_limit=20, warm_start=first)
    assert first.status is again.status is Status.OPTIMAL
    assert again.choice[5] == 1


def test_summary_and_check_know_what_fits_no_plan(tiny, allocate, tmp_path):
    tiny.replace("scores.csv", "u1,C2,5,3", "u1,C2,5000,300")
    run = tmp_path / "run"
    assert allocate("solve", tiny.path, "--out", run).code == 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["unfit_by"] == ["total"]
    assert any("they fit no plan" in note for note in summary["notes"])
    assert summary["bound"] < 5_000
    checked = allocate("check", run)
    assert checked.code == 0, checked.err


@pytest.mark.parametrize("method", ["auto", "exact", "convex"])
def test_a_budget_a_millionth_below_a_tempting_sum_is_kept(method):
    cost = np.array([[4_000_001.0], [3_000_000.0], [2_000_000.0]])
    problem = Problem(np.array([[4.0], [3.0], [2.1]]), {"cost": cost})
    plan = solve(problem, [Budget(7_000_000, label="total")], method=method)
    assert plan.objective == pytest.approx(6.1, abs=1e-9)
    assert plan.status is Status.OPTIMAL


def test_a_pair_that_fits_no_plan_counts_neither_in_what_fairness_costs():
    value, cost = plain(2_000)
    region = np.where(np.arange(2_000) % 2, "north", "south")
    limits = [Budget(600, label="total"), Floor(300, by="region", label="each region")]
    before = solve(Problem(value, {"cost": cost}, groups={"region": region}), limits, gap=1e-5)
    value[5, 1], cost[5, 1] = 100_000, 900
    plan = solve(Problem(value, {"cost": cost}, groups={"region": region}), limits, gap=1e-5)
    (mine,), (theirs,) = plan.price_of_fairness(), before.price_of_fairness()
    assert mine.lost_at_most == pytest.approx(theirs.lost_at_most, abs=0.01 * before.objective)
    assert mine.lost_at_most < 0.1 * before.objective


def test_where_no_coupon_of_a_user_fits_there_is_no_plan():
    problem = Problem(np.ones((2, 2)), {"cost": np.array([[9.0, 8.0], [1.0, 2.0]])}, per_user=(1, 1))
    with pytest.raises(InfeasibleError, match="total"):
        solve(problem, [Budget(5, label="total")])
    least = solve(problem, [Budget(5, label="total")], on_infeasible="least_violation")
    assert least.status is Status.LEAST_VIOLATING
    assert least.choice.tolist() == [1, 0]
