"""Budgets that hold with a stated probability."""

from __future__ import annotations

import itertools
import math

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from allocator import (
    Budget,
    Floor,
    InfeasibleError,
    InputError,
    Inventory,
    NoPlanError,
    Problem,
    Status,
    solve,
)
from allocator.solution.risk import redemption_cost, simulate_spend


def draws_of(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, redemption probability and amount of five coupons."""
    generator = np.random.default_rng(seed)
    probability = generator.beta(2, 6, (n, 5))
    amount = np.array([2.0, 5.0, 10.0, 20.0, 40.0])
    value = generator.gamma(2, 2, (n, 5)) * probability * np.sqrt(amount)
    return value, probability, amount


def spend_needed(solution, confidence: float, errors: np.ndarray | float = 0.0) -> float:
    """Return expectation plus deviations, by hand."""
    problem = solution.problem
    user = np.flatnonzero(solution.choice >= 0)
    coupon = solution.choice[user].astype(int)
    cost = problem.measures["cost"][user, coupon]
    shared = np.bincount(coupon, cost, problem.n_coupons) * errors
    variance = problem.measures["cost_variance"][user, coupon].sum() + (shared**2).sum()
    return float(cost.sum() + norm.ppf(confidence) * math.sqrt(variance))


@pytest.mark.parametrize("error", [None, 0.1])
def test_the_budget_holds_as_often_as_stated_where_the_expectation_alone_fails_half_the_time(error):
    value, probability, amount = draws_of(4_000)
    problem = Problem(value, redemption_cost(probability, amount))
    budget = 6_000.0
    safe = solve(problem, [Budget(budget, label="total", confidence=0.95, coupon_error=error)], gap=1e-4)
    bare = solve(problem, [Budget(budget, label="total")], gap=1e-4)
    assert spend_needed(safe, 0.95, error or 0.0) == pytest.approx(budget, rel=1e-3)
    assert spend_needed(safe, 0.95, error or 0.0) <= budget * (1 + 1e-9)
    kept = [
        float((simulate_spend(plan, probability, amount, coupon_error=error, draws=6_000) <= budget).mean())
        for plan in (safe, bare)
    ]
    assert kept[0] == pytest.approx(0.95, abs=0.015)  # a normal approximation, simulated to 0.003
    assert kept[1] == pytest.approx(0.5, abs=0.06)
    assert bare.objective > safe.objective


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3]))
def test_small_plans_are_the_best_of_all_and_bounds_hold(seed, error):
    generator = np.random.default_rng(seed)
    value = generator.uniform(0.1, 3, (5, 2))
    problem = Problem(
        value, redemption_cost(generator.uniform(0.1, 0.9, (5, 2)), generator.uniform(1, 4, (5, 2)))
    )
    cost, variance, budget = problem.measures["cost"], problem.measures["cost_variance"], 6.0
    best = 0.0
    for plan in itertools.product([-1, 0, 1], repeat=5):
        user = [i for i, j in enumerate(plan) if j >= 0]
        coupon = [plan[i] for i in user]
        shared = np.bincount(coupon, cost[user, coupon], 2) * error if user else np.zeros(2)
        deviation = math.sqrt(variance[user, coupon].sum() + (shared**2).sum())
        if cost[user, coupon].sum() + norm.ppf(0.9) * deviation <= budget:
            best = max(best, value[user, coupon].sum())
    limit = Budget(budget, label="total", confidence=0.9, coupon_error=error)
    solution = solve(problem, [limit], time_limit=3)
    assert solution.bound >= best * (1 - 1e-9)
    assert solution.objective <= best * (1 + 1e-9)
    assert solution.objective >= 0.8 * best
    assert solution.verify().valid


def test_the_bound_agrees_with_a_grid_of_linear_programs():
    value, probability, amount = draws_of(150, seed=3)
    problem = Problem(value, redemption_cost(probability, amount))
    cost, variance = problem.measures["cost"], problem.measures["cost_variance"]
    times, budget = norm.ppf(0.95), 250.0
    x, allowed, room = cp.Variable(value.size, nonneg=True), cp.Parameter(), cp.Parameter()
    member = np.kron(np.eye(150), np.ones(5))
    rows = [member @ x <= 1, variance.ravel() @ x <= allowed, cost.ravel() @ x <= room]
    program = cp.Problem(cp.Maximize(value.ravel() @ x), rows)
    best = 0.0
    for spread in np.linspace(100, 2_500, 60):
        allowed.value, room.value = spread, budget - times * math.sqrt(spread)
        best = max(best, program.solve(solver=cp.HIGHS))
    solution = solve(problem, [Budget(budget, label="total", confidence=0.95)], gap=1e-4, time_limit=10)
    assert best * (1 - 1e-6) <= solution.bound <= best * (1 + 2e-3)
    assert 0.98 * best <= solution.objective <= solution.bound


def test_certified_at_size_with_several_risky_budgets_and_other_limits():
    value, probability, amount = draws_of(20_000)
    region = np.random.default_rng(1).choice(["east", "west"], 20_000)
    problem = Problem(value, redemption_cost(probability, amount), groups={"region": region})
    limits = [
        Budget(20_000, label="total", confidence=0.99, coupon_error={"4": 0.2, "3": 0.05}),
        Budget(8_000, label="west", users={"region": "west"}, confidence=0.9),
        Inventory({"1": 1_000}),
    ]
    solution = solve(problem, limits, gap=1e-4, time_limit=30)
    assert solution.status is Status.OPTIMAL
    assert solution.bound_source == "branch and bound"
    assert spend_needed(solution, 0.99, np.array([0, 0, 0, 0.05, 0.2])) <= 20_000 * (1 + 1e-9)
    used = {row.label: row for row in solution.usage}
    assert set(used) == {"total", "west", "inventory[1]"}
    assert used["total"].used == pytest.approx(20_000, rel=1e-3)
    assert used["west"].used <= 8_000 * (1 + 1e-9)
    assert solution.verify().valid


def test_a_plan_that_spends_its_expectation_only_is_rejected():
    from allocator import certify

    problem = Problem([[1.0]] * 4, redemption_cost([[0.5]] * 4, 2.0))
    limits = [Budget(4, label="total", confidence=0.9)]
    assert "violated" in certify(problem, limits, np.zeros(4, int), {}).problems[0]
    # Three of them need 3 + 1.28 x sqrt(3) = 5.2, two 2 + 1.28 x sqrt(2) = 3.8.
    assert solve(problem, limits).choice.tolist().count(0) == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Budget(5, confidence=1.0), "between 0.5 and 1"),
        (lambda: Budget(5, confidence=0.9, penalty=1.0), "cannot have penalty"),
        (lambda: Budget(5, confidence=0.9, at_least=1.0), "cannot have at_least"),
        (lambda: Budget(5, coupon_error=0.1), "no confidence"),
        (lambda: Budget(5, confidence=0.9, coupon_error=-0.1), "0 or more"),
        (lambda: solve(Problem([[1.0]], {"cost": [[1.0]]}), [Budget(5, confidence=0.9)]), "unknown measure"),
        (lambda: solve(unsafe(), [Budget(5, confidence=0.9)]), "must be 0 or more"),
        (lambda: solve(unsafe(), [Budget(5, confidence=0.9, coupon_error={"9": 1})]), "unknown coupon"),
        (lambda: solve(unsafe(), [Budget(5, confidence=0.9)], method="exact"), "convex or auto"),
        (lambda: redemption_cost([[1.5]], [[1.0]]), "between 0 and 1"),
    ],
)
def test_risk_that_makes_no_sense_says_why(make, words):
    with pytest.raises(InputError, match=words):
        make()


def unsafe() -> Problem:
    return Problem([[1.0]], {"cost": [[1.0]], "cost_variance": [[-1.0]]})


def test_a_floor_that_only_risk_forbids_is_no_wrong_plan():
    problem = Problem(np.ones((50, 1)), redemption_cost(np.full((50, 1), 0.5), 2.0))
    fits = [Budget(50, label="total"), Floor(50, label="all")]
    assert solve(problem, fits).choice.tolist() == [0] * 50
    with pytest.raises((InfeasibleError, NoPlanError)):
        solve(problem, [Budget(50, label="total", confidence=0.95), Floor(50, label="all")], time_limit=5)


def test_a_campaign_asks_for_a_confidence(tiny):
    from allocator.runs.pipeline import run_campaign

    scores = (tiny.path / "scores.csv").read_text().splitlines()
    lines = [scores[0] + ",cost_variance", *(f"{line},0.5" for line in scores[1:])]
    folder = tiny.write(scores="\n".join(lines) + "\n")
    before = run_campaign(folder.path, predict=False, copy=False).summary
    folder = tiny.replace("campaign.toml", "at_most = 6", "at_most = 6\nconfidence = 0.95")
    after = run_campaign(folder.path, predict=False, copy=False).summary
    assert before["spend"] <= 6
    assert after["spend"] + 1.64 * math.sqrt(0.5 * after["assigned"]) <= 6
    assert after["limits"][0]["used"] == pytest.approx(
        after["spend"] + norm.ppf(0.95) * math.sqrt(0.5 * after["assigned"])
    )
