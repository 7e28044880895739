"""Few users under tight rows: halves of plans that meet, and what they prove, against enumeration."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from allocator import Budget, Floor, Limit, NoPlanError, Problem, Status, solve
from allocator.errors import InfeasibleError


def knapsack(seed: int, n: int, rows: int, *, soft: bool = False) -> tuple[Problem, list]:
    """Return classes of four items under tight resources, one item each."""
    generator = np.random.default_rng(seed)
    use = generator.integers(0, 10, (rows, n, 4)).astype(float)
    value = use.sum(axis=0) + generator.integers(0, 20, (n, 4))
    measures = {f"resource {k}": use[k] for k in range(rows)}
    penalty = 3.0 if soft else None
    return Problem(value, measures, per_user=(1, 1)), [
        Limit(label=name, measure=name, at_most=3.5 * n, penalty=penalty) for name in measures
    ]


def best_of_all(problem: Problem, rows: int, most: float, penalty: float) -> float:
    n, best = problem.n_users, -np.inf
    for plan in product(range(4), repeat=n):
        at = np.arange(n), np.array(plan)
        over = [max(problem.measures[f"resource {k}"][at].sum() - most, 0.0) for k in range(rows)]
        if np.isinf(penalty) and sum(over) > 0:
            continue
        charge = 0.0 if np.isinf(penalty) else penalty * sum(over)
        best = max(best, float(problem.value[at].sum()) - charge)
    return best


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 4), st.booleans())
@settings(max_examples=25, deadline=None)
def test_small_knapsacks_are_solved_to_the_last_digit(seed: int, n: int, rows: int, soft: bool) -> None:
    problem, limits = knapsack(seed, n, rows, soft=soft)
    best = best_of_all(problem, rows, 3.5 * n, 3.0 if soft else np.inf)
    if np.isinf(best):
        with pytest.raises((InfeasibleError, NoPlanError)):
            solve(problem, limits)
        return
    solution = solve(problem, limits, gap=0.0)
    assert solution.objective == pytest.approx(best, abs=1e-9)
    assert solution.bound == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("gap", [1e-3, 1e-4, 1e-6])
def test_the_gap_asked_is_the_gap_reached(gap: float) -> None:
    """What is proven with half the gap to spare is not above it by the last digit."""
    value, cost = np.full((4, 2), np.nan), np.zeros((4, 2))
    for user, coupon, worth, price in ((0, 0, 3.5, 1), (1, 1, 1234.25, 2.5), (2, 0, 6, 3), (3, 1, 1, 0.125)):
        value[user, coupon], cost[user, coupon] = worth, price
    solution = solve(Problem(value, {"cost": cost}), [Budget(4, label="total")], gap=gap)
    assert solution.status is Status.OPTIMAL
    assert solution.gap <= gap
    assert solution.objective == 1238.75


def test_the_plan_does_not_depend_on_threads() -> None:
    problem, limits = knapsack(3, 60, 6)
    plans = [solve(problem, limits, gap=1e-4, time_limit=4, threads=threads) for threads in (1, 2)]
    for plan in plans:
        assert plan.verify().valid
    if all(plan.status is Status.OPTIMAL for plan in plans):
        np.testing.assert_array_equal(plans[0].choice, plans[1].choice)


def test_floors_and_budgets_meet_too() -> None:
    generator = np.random.default_rng(1)
    value = generator.normal(1, 1, (12, 3))
    problem = Problem(
        value, {"cost": generator.uniform(1, 3, (12, 3))}, groups={"region": generator.choice(["a", "b"], 12)}
    )
    limits = [Budget(14, label="total"), Floor(0.2, by="region", per_head=True, label="floor")]
    one, other = (solve(problem, limits, gap=0.0, method=method) for method in ("decomposition", "exact"))
    assert one.objective == pytest.approx(other.objective, abs=1e-7)
