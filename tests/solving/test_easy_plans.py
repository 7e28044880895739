"""Problems that are easy, though all users tie: a plan is found, and proven where values move in steps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from allocator import Budget, Floor, InputError, Limit, NoPlanError, Problem, Status, solve
from allocator.limits.rows import LimitLike
from allocator.solver.model import compile_model
from allocator.solver.steps import round_down, value_step

VALUES = {
    "zero": lambda shape: np.zeros(shape),
    "equal": lambda shape: np.ones(shape),
    "negative": lambda shape: -np.ones(shape),
    "one alone": lambda shape: np.eye(1, shape[0] * shape[1]).reshape(shape),
}


def floor_and_budget(value: NDArray[np.float64]) -> tuple[Problem, list[LimitLike]]:
    generator = np.random.default_rng(0)
    cost = generator.uniform(0.5, 5, value.shape)
    region = generator.choice(list("abcd"), len(value))
    problem = Problem(value, {"cost": cost}, groups={"region": region})
    return problem, [
        Budget(0.3 * len(value), label="total"),
        Floor(0.2, by="region", per_head=True, label="every region"),
    ]


@pytest.mark.parametrize("n", [40, 20_000])
@pytest.mark.parametrize("kind", VALUES)
def test_ties_leave_no_one_without_a_plan(kind: str, n: int) -> None:
    problem, limits = floor_and_budget(VALUES[kind]((n, 8)))
    solution = solve(problem, limits, time_limit=20)
    assert solution.certificate.valid
    assert solution.status is Status.OPTIMAL


def test_counts_have_whole_bounds_in_proof_and_certificate() -> None:
    problem = Problem(-np.ones((10, 2)))
    solution = solve(problem, [Limit(label="some", measure="count", at_least=2.2)])
    assert solution.objective == -3
    assert solution.certificate.dual_bound == pytest.approx(-3)


def test_a_bound_falls_to_the_next_multiple_of_the_values() -> None:
    generator = np.random.default_rng(3)
    value = 0.25 * generator.integers(0, 9, (60, 4))
    model = compile_model(Problem(value, {"cost": generator.uniform(1, 2, value.shape)}), [])
    assert value_step(model) == 0.25
    assert round_down(7.49, 0.25) == 7.25
    assert round_down(7.4999999, 0.25) == 7.5  # as good as the next: no rounding error may cut off a plan
    value[3, 2] = 0.3
    assert value_step(compile_model(Problem(value), [])) == 0


def test_a_soft_limit_has_no_steps() -> None:
    problem = Problem(np.ones((5, 2)))
    assert (
        value_step(compile_model(problem, [Limit(label="soft", measure="count", at_most=2, penalty=0.3)]))
        == 0
    )


def test_the_limits_in_the_way_are_named() -> None:
    error = NoPlanError([f"limit {k}" for k in range(7)])
    assert "'limit 0', 'limit 1'" in str(error)
    assert "and 2 more" in str(error)
    assert "limit 5" not in str(error)


def test_a_negative_cost_says_how_to_state_it() -> None:
    with pytest.raises(InputError, match="add what an assignment earns to value, or count it in a measure"):
        Problem(np.ones((2, 1)), {"cost": [[1.0], [-1.0]]})
