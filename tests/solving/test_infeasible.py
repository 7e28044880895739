"""When no plan exists: which limits clash, what repairs it, and the plan that breaks them least."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator import (
    Budget,
    Capacity,
    Exclude,
    Floor,
    InfeasibleError,
    InputError,
    Inventory,
    Limit,
    NoPlanError,
    Parity,
    Problem,
    ProportionalFairness,
    ReturnFloor,
    Share,
    Solution,
    Status,
    solve,
)
from allocator.limits.rows import Row
from support.small_problems import best_by_trying, slow_data, small_problems

SLOW_DATA = slow_data(40)
GRACE = 30.0  # seconds past the time limit that `solve` may take: 5 to find a plan, 20 to explain, and slack


class Moved:
    """Some rows of limits, each with its bounds moved outwards."""

    def __init__(self, limits: list, rows: list[str] | None = None, moved: dict[str, float] | None = None):
        self.limits, self.only, self.moved, self.label = limits, rows, moved or {}, "moved"

    def rows(self, problem: Problem) -> list[Row]:
        rows = [row for limit in self.limits for row in limit.rows(problem)]
        return [
            Row(row.label, row.terms, row.at_least - by, row.at_most + by, row.penalty)
            for row in rows
            if self.only is None or row.label in self.only
            for by in [self.moved.get(row.label, 0.0) * (1 + 1e-9)]
        ]


def clash_of(problem: Problem, limits: list, **options) -> InfeasibleError:
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, limits, **options)
    return caught.value


def possible(problem: Problem, limits: list, **options) -> bool:
    try:
        return solve(problem, limits, gap=1e-2, time_limit=10, **options).verify().valid
    except InfeasibleError:
        return False


def campaign(n: int, seed: int = 0) -> tuple[Problem, list]:
    """A problem whose floors cost more than its budget, with limits that have no part in that."""
    generator = np.random.default_rng(seed)
    problem = Problem(
        generator.gamma(2, 1, (n, 4)),
        {"cost": generator.uniform(1, 5, (n, 4))},
        groups={"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)},
    )
    limits = [
        Budget(0.1 * n, label="total"),
        Floor(0.5, by="region", per_head=True, label="each"),
        Inventory({str(j): 0.9 * n for j in range(4)}, label="stock"),
        Parity("age", 0.5, label="parity"),
        Share(label="share", users={"region": "a"}, at_most=0.9),
    ]
    return problem, limits


@pytest.mark.parametrize("n", [60, 400])
def test_the_clash_is_minimal_and_every_repair_repairs(n):
    problem, limits = campaign(n)
    error = clash_of(problem, limits, time_limit=30)
    assert "total" in error.labels
    assert not any(label.startswith(("stock", "parity", "share")) for label in error.labels)
    assert not possible(problem, [Moved(limits, list(error.labels))])
    for label in error.labels:
        assert possible(problem, [Moved(limits, [other for other in error.labels if other != label])])
    assert possible(problem, [Moved(limits, moved=error.repairs)])
    for label, amount in error.repairs_alone.items():
        assert possible(problem, [Moved(limits, moved={label: amount})])
        assert not possible(problem, [Moved(limits, moved={label: 0.99 * amount})])
    assert "total" in error.repairs_alone


@SLOW_DATA
@given(small_problems(users=(2, 4), coupons=(1, 3), per_user=((0, 1), (0, 2), (1, 1))), st.booleans())
def test_small_clashes_are_true_minimal_and_repaired(case, everyone):
    problem, limits = case
    limits = [*limits, Limit(label="many", measure="count", at_least=problem.n_users + everyone)]
    best = best_by_trying(problem, limits)
    if best is not None:
        assert solve(problem, limits).objective == pytest.approx(best, abs=1e-9)
        return
    error = clash_of(problem, limits)
    for label in error.labels:
        others = [other for other in error.labels if other != label]
        assert best_by_trying(problem, [Moved(limits, others)]) is not None
    assert best_by_trying(problem, [Moved(limits, list(error.labels))]) is None
    assert error.repairs
    assert best_by_trying(problem, [Moved(limits, moved=error.repairs)]) is not None
    for label, amount in error.repairs_alone.items():
        assert best_by_trying(problem, [Moved(limits, moved={label: amount})]) is not None
        assert best_by_trying(problem, [Moved(limits, moved={label: 0.99 * amount - 1e-9})]) is None


def test_an_exclusion_that_clashes_is_named_with_what_it_clashes_with():
    problem = Problem(np.ones((10, 1)), groups={"g": ["a"] * 6 + ["b"] * 4})
    limits = [
        Exclude(label="none for a", users={"g": "a"}),
        Floor(5, label="enough"),
        Exclude(label="b", users={"g": "b"}, coupons=["0"]),
    ]
    error = clash_of(problem, limits)
    assert set(error.labels) == {"none for a", "enough"}  # the b alone are too few
    assert possible(problem, [Moved(limits, moved=error.repairs)])
    assert "enough" in error.repairs_alone
    assert error.repairs_alone["enough"] == pytest.approx(5)


def test_a_limit_that_nothing_can_meet_stands_alone():
    problem = Problem(np.ones((5, 1)))
    error = clash_of(problem, [Floor(9, label="nine"), Capacity(5, label="five")])
    assert error.labels == ("nine",)
    assert error.repairs == pytest.approx({"nine": 4})
    assert str(error).startswith("No plan meets these limits together: 'nine'.")


def broken(solution: Solution) -> dict[str, float]:
    return {row.label: -row.slack for row in solution.usage if row.slack < -1e-9 * max(1.0, abs(row.used))}


@pytest.mark.parametrize("n", [60, 400])
def test_the_least_violating_plan_breaks_no_more_than_it_must_and_says_so(n):
    problem, limits = campaign(n)
    error = clash_of(problem, limits, time_limit=2)
    plan = solve(problem, limits, on_infeasible="least_violation", time_limit=2)
    assert plan.status is Status.LEAST_VIOLATING
    assert broken(plan) == pytest.approx(error.repairs, rel=2e-3)
    assert set(broken(plan)) == set(plan.relaxed)
    assert not plan.certificate.valid
    assert not plan.verify().valid
    for label, amount in broken(plan).items():
        said = [problem for problem in plan.certificate.problems if f"'{label}' is broken by" in problem]
        assert len(said) == 1
        assert f"{amount:,.6g}" in said[0]
    assert len(plan.certificate.problems) == len(broken(plan))
    assert plan.limits == tuple(limits)
    assert plan.bound >= plan.objective * (1 - 1e-9)


def test_the_least_violating_plan_earns_what_it_can():
    problem = Problem([[5.0], [3.0], [1.0]], {"cost": [[2.0], [2.0], [2.0]]})
    limits = [Budget(1.0, label="total"), Floor(2, label="two")]
    plan = solve(problem, limits, on_infeasible="least_violation")
    assert plan.choice.tolist() == [-1, -1, -1] or plan.choice[0] == 0  # the best users of those it needs
    assert plan.gap == pytest.approx(0.0)


def test_a_plan_that_keeps_all_limits_is_returned_as_ever():
    problem, limits = campaign(60)
    limits[0] = Budget(300, label="total")
    plan = solve(problem, limits, on_infeasible="least_violation")
    assert plan.status is Status.OPTIMAL
    assert plan.certificate.valid
    assert plan.relaxed == {}


@pytest.mark.parametrize("method", ["exact", "convex", "decomposition"])
def test_every_method_names_the_clash_and_offers_the_plan(method):
    problem, limits = campaign(60)
    assert "total" in clash_of(problem, limits, method=method).labels
    plan = solve(problem, limits, method=method, on_infeasible="least_violation")
    assert plan.status is Status.LEAST_VIOLATING
    assert "total" in broken(plan)


def test_soft_limits_have_no_part_in_a_clash():
    problem = Problem(np.ones((10, 1)), {"cost": np.ones((10, 1))})
    limits = [
        Budget(3, label="total"),
        Floor(5, label="five"),
        Floor(8, label="eight", penalty=1.0),
        Capacity(1, label="one", penalty=2.0),
    ]
    error = clash_of(problem, limits)
    assert set(error.labels) == {"total", "five"}
    plan = solve(problem, limits, on_infeasible="least_violation")
    assert set(broken(plan)) > set(plan.relaxed)  # the soft ones are violated too, and paid for
    assert len(plan.certificate.problems) == len(plan.relaxed)


def test_exclusions_that_leave_someone_too_little_are_broken_least():
    problem = Problem([[1.0], [2.0], [3.0]], groups={"g": ["a", "a", "b"]}, per_user=(1, 1))
    limits = [Exclude(label="none for a", users={"g": "a"})]
    plan = solve(problem, limits, on_infeasible="least_violation")
    assert plan.choice.tolist() == [0, 0, 0]
    assert broken(plan) == {"none for a": 2.0}


def test_an_unknown_answer_to_a_clash_is_an_input_error():
    with pytest.raises(InputError, match="raise or least_violation"):
        solve(Problem([[1.0]]), on_infeasible="ignore")


def test_a_concave_objective_offers_no_least_violating_plan():
    problem, limits = campaign(60)
    with pytest.raises(InputError, match="on_infeasible"):
        solve(problem, limits, objective=ProportionalFairness("age"), on_infeasible="least_violation")


def random_limits(generator: np.random.Generator, n: int, m: int) -> list:
    """A few limits of any kind, often clashing, sometimes impossible on their own."""

    def upto(most: float) -> float:
        return float(most * generator.random() ** 2)

    penalty = [None, None, None, 0.5][generator.integers(4)]
    kinds = [
        Budget(upto(2 * n) + 0.01, label="total", penalty=penalty),
        Budget(upto(n) + 0.01, label="north", users={"region": "north"}),
        Inventory({str(j): round(upto(n)) for j in range(m)}, label="stock"),
        Capacity(round(upto(n)), label="messages"),
        Floor(upto(1.2), label="each", by="region", per_head=True),
        Floor(upto(2.0), label="worth", by="age", per_head=True, measure="value"),
        Parity("age", upto(0.1), label="parity"),
        Parity("region", upto(0.5), label="benefit", rate="benefit"),
        Share(label="share", users={"region": "south"}, at_least=upto(0.9)),
        ReturnFloor(upto(4.0), label="return"),
        Exclude(label="none", users={"region": "north"}, coupons=["0"]),
        Limit(label="exactly", measure="count", at_least=n // 3, at_most=n // 3),
    ]
    picked = generator.choice(len(kinds), generator.integers(1, 7), replace=False)
    return [kinds[k] for k in picked]


@pytest.mark.parametrize("seed", range(18))
def test_any_limits_in_any_time_give_a_plan_or_the_truth(seed):
    generator = np.random.default_rng(1_000 + seed)
    n = int([3, 8, 40, 300, 1_500, 5_000][seed % 6])
    m = int(generator.integers(1, 5))
    value = generator.normal(1, 2, (n, m))
    value[:, 1:][generator.random((n, m - 1)) < 0.3] = np.nan
    problem = Problem(
        value,
        {"cost": generator.uniform(0, 3, (n, m))},
        groups={
            "region": np.r_[["north", "south"], generator.choice(["north", "south"], n - 2)],
            "age": generator.choice(["x", "y", "z"], n),
        },
        per_user=[(0, 1), (0, 1), (1, 1), (0, min(2, m))][generator.integers(4)],
    )
    limits = random_limits(generator, n, m)
    time_limit = float(generator.choice([0.05, 0.2, 1.0]))
    began = time.monotonic()
    try:
        plan = solve(problem, limits, time_limit=time_limit)
    except InfeasibleError:
        if n <= 300:
            with pytest.raises((InfeasibleError, NoPlanError)):
                solve(problem, limits, method="exact", time_limit=5)
    except NoPlanError:
        assert n > 8
    else:
        assert plan.verify().valid
        assert plan.bound >= plan.objective - 1e-9 * abs(plan.objective)
        assert plan.status is (Status.OPTIMAL if plan.gap <= 1e-6 else Status.FEASIBLE)
    assert time.monotonic() - began <= time_limit + GRACE
