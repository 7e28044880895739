"""The convex method: linear form, proportional fairness, and its bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, minimize

from allocator import (
    Budget,
    Capacity,
    InfeasibleError,
    InputError,
    Inventory,
    Problem,
    ProportionalFairness,
    solve,
)


def shop(n: int, seed: int = 0) -> Problem:
    generator = np.random.default_rng(seed)
    region = generator.choice(["big", "mid", "poor"], n, p=[0.5, 0.3, 0.2])
    scale = {"big": 1.0, "mid": 0.6, "poor": 0.15}
    value = generator.gamma(2, 1, (n, 4)) * np.array([scale[r] for r in region])[:, None]
    return Problem(value, {"cost": generator.uniform(0.5, 3, (n, 4))}, groups={"region": region})


def benefits(solution) -> np.ndarray:
    problem = solution.problem
    given = solution.choice >= 0
    return np.bincount(
        problem.groups["region"].codes[given], problem.value[given, solution.choice[given]], minlength=3
    )


def test_linear_form_reaches_the_decomposition_plan():
    problem = shop(5_000)
    limits = [Budget(1_500, label="total"), Inventory({"0": 300})]
    convex, direct = (solve(problem, limits, method=m, gap=1e-5) for m in ("convex", "decomposition"))
    assert convex.objective == pytest.approx(direct.objective, rel=2e-5)
    assert convex.method == "convex"


def test_fair_plan_is_near_its_bound_and_gives_poor_groups_more():
    problem = shop(5_000)
    limits = [Budget(1_500, label="total")]
    fair = solve(problem, limits, objective=ProportionalFairness("region"), gap=1e-4)
    greedy = solve(problem, limits, gap=1e-5)
    assert fair.gap <= 1e-3
    assert fair.objective <= greedy.objective
    assert benefits(fair)[2] > 1.5 * benefits(greedy)[2]
    weights = problem.groups["region"].sizes() / problem.n_users
    assert fair.utility == pytest.approx(math.exp(weights @ np.log(benefits(fair))), rel=1e-9)
    assert math.exp(weights @ np.log(np.maximum(benefits(greedy), 1e-9))) <= fair.utility_bound


def test_fair_optimum_agrees_with_a_general_solver_on_a_small_problem():
    problem = shop(40, seed=4)
    weights = problem.groups["region"].sizes() / problem.n_users
    value, cost = problem.value.ravel(), problem.measures["cost"].ravel()
    group = np.repeat(problem.groups["region"].codes, 4)
    member = np.kron(np.eye(40), np.ones(4))

    def loss(x: np.ndarray) -> float:
        return -float(weights @ np.log(np.bincount(group, value * x, 3) + 1e-12))

    rows = LinearConstraint(np.vstack([cost, member]), -np.inf, np.concatenate([[15.0], np.ones(40)]))
    relaxed = minimize(
        loss,
        np.full(160, 0.05),
        bounds=Bounds(0, 1),
        constraints=[rows],
        method="SLSQP",
        options={"maxiter": 500},
    )
    fair = solve(problem, [Budget(15, label="total")], objective=ProportionalFairness("region"))
    assert fair.utility_bound == pytest.approx(math.exp(-relaxed.fun), rel=1e-3)
    assert fair.utility <= fair.utility_bound * (1 + 1e-9)
    assert fair.utility >= 0.95 * fair.utility_bound
    assert fair.verify().valid


def test_weights_shift_the_plan():
    problem = shop(2_000)
    limits = [Budget(500, label="total")]
    even = solve(
        problem, limits, objective=ProportionalFairness("region", {"big": 1, "mid": 1, "poor": 1}), gap=1e-4
    )
    poor = solve(
        problem, limits, objective=ProportionalFairness("region", {"big": 1, "mid": 1, "poor": 8}), gap=1e-4
    )
    assert benefits(poor)[2] > benefits(even)[2]


def test_impossible_fairness_and_limits_are_explained():
    problem = Problem([[1.0], [-1.0]], groups={"region": ["a", "b"]})
    with pytest.raises(InputError, match="no coupon is worth anything to group 'b'"):
        solve(problem, objective=ProportionalFairness("region"))
    with pytest.raises(InputError, match="unknown group column"):
        solve(problem, objective=ProportionalFairness("age"))
    with pytest.raises(InputError, match="one weight above 0"):
        solve(problem, objective=ProportionalFairness("region", {"a": 1}))


def test_convex_names_clashing_limits_too():
    from allocator import Floor

    problem = Problem(np.ones((20, 1)), groups={"g": ["x"] * 20})
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, [Capacity(3, label="messages"), Floor(9, label="many")], method="convex")
    assert set(caught.value.labels) == {"messages", "many"}
