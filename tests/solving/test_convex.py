"""The convex method: linear form, proportional fairness, and its bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from allocator import (
    Budget,
    Capacity,
    InfeasibleError,
    InputError,
    Inventory,
    Problem,
    ProportionalFairness,
    Status,
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


def best_of_40(problem: Problem, budget: float) -> tuple[float, float]:
    """Return the least and the greatest that the fair optimum may be, by tangents in integer programs."""
    n, m = problem.value.shape
    codes = problem.groups["region"].codes
    weights = problem.groups["region"].sizes() / n
    earn = np.zeros((3, n * m))
    earn[np.repeat(codes, m), np.arange(n * m)] = problem.value.ravel()
    member = np.kron(np.eye(n), np.ones(m))
    rows = [
        LinearConstraint(np.hstack([problem.measures["cost"].ravel(), np.zeros(3)])[None], -np.inf, budget),
        LinearConstraint(np.hstack([member, np.zeros((n, 3))]), -np.inf, 1),
    ]
    bounds = Bounds(np.append(np.zeros(n * m), [-20] * 3), np.append(np.ones(n * m), [20] * 3))
    best, at = -np.inf, np.geomspace(0.01, 200, 40)[:, None] * np.ones(3)
    for _ in range(20):
        for point in at:  # log(earned) <= log(point) + earned / point - 1
            below = np.hstack([-earn / point[:, None], np.eye(3)])
            rows.append(LinearConstraint(below, -np.inf, np.log(point) - 1))
        worth = np.append(np.zeros(n * m), -weights)
        whole = np.append(np.ones(n * m), np.zeros(3))
        found = milp(worth, constraints=rows, bounds=bounds, integrality=whole, options={"mip_rel_gap": 0})
        earned = earn @ np.round(found.x[: n * m])
        best = max(best, float(weights @ np.log(np.maximum(earned, 1e-9))))
        if -found.fun - best <= 1e-9:
            break
        at = np.maximum(earned, 1e-3)[None]
    return math.exp(best), math.exp(-found.fun)


def test_fair_optimum_agrees_with_a_general_solver_on_a_small_problem():
    problem = shop(40, seed=4)
    least, most = best_of_40(problem, 15)
    fair = solve(problem, [Budget(15, label="total")], objective=ProportionalFairness("region"))
    assert fair.status is Status.OPTIMAL
    assert fair.utility == pytest.approx(least, rel=1e-6)
    assert fair.utility_bound <= most * (1 + 1e-6)
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
