"""What prices say without another solve, against other solves and against sums by hand."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from allocator import Budget, Inventory, Problem, Solution, solve
from allocator.certificate import certify
from allocator.errors import InputError
from allocator.limits.objectives import ProportionalFairness
from allocator.whatif.sensitivity import STEP, Sensitivity, sensitivity

USERS, COUPONS = 4000, 4


def problem(seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    value = rng.gamma(2.0, 2.0, (USERS, COUPONS))
    value[rng.random(value.shape) < 0.2] = np.nan
    cost = rng.uniform(0.5, 2.0, value.shape)
    cost[:, 3] = 40.0  # too dear for anyone
    return Problem(value, {"cost": cost}, coupon_ids=["a", "b", "c", "dear"])


@pytest.fixture(scope="module")
def plan() -> Solution:
    return solve(problem(), [Budget(1500, label="total")])


@pytest.fixture(scope="module")
def stocked() -> Solution:
    return solve(problem(), [Budget(1500, label="total"), Inventory({"a": 200}, label="stock")])


@pytest.fixture(scope="module")
def found(plan: Solution) -> Sensitivity:
    return sensitivity(plan)


def test_a_price_holds_as_far_as_another_solve_says(plan: Solution, found: Sensitivity) -> None:
    (row,) = found.limits
    assert row.holds_from < row.at_most < row.holds_to
    for bound, factor in ((row.holds_from, 1 + STEP), (row.holds_to, 1 - STEP)):
        again = solve(plan.problem, [Budget(bound, label="total")])
        assert again.prices["total"] == pytest.approx(factor * row.price, rel=5e-3)


def test_one_more_unit_earns_its_price(plan: Solution, found: Sensitivity) -> None:
    (row,) = found.limits
    more = solve(plan.problem, [Budget(1520, label="total")])
    assert (more.bound - plan.bound) / 20 == pytest.approx(row.price, rel=0.01)


def test_a_limit_that_does_not_bind_says_where_it_would(stocked: Solution) -> None:
    loose = solve(stocked.problem, [Budget(1e9, label="total")])
    (row,) = sensitivity(loose).limits
    assert not row.binding
    assert row.holds_from == pytest.approx(row.used)
    assert row.holds_to == np.inf
    assert solve(stocked.problem, [Budget(0.98 * row.used, label="total")]).usage[0].binding


def test_advantage_is_what_the_bound_loses_without_the_coupon(stocked: Solution) -> None:
    found = sensitivity(stocked)
    for j, coupon in enumerate(found.coupons[:3]):
        value = stocked.problem.value.copy()
        value[:, j] = np.nan
        without = Problem(value, stocked.problem.measures, coupon_ids=stocked.problem.coupon_ids)
        bound = certify(without, stocked.limits, np.full(USERS, -1, np.int16), stocked.prices).dual_bound
        assert coupon.advantage == pytest.approx(stocked.bound - bound, rel=1e-3)


def test_at_the_break_even_cost_a_coupon_has_no_advantage_left(stocked: Solution) -> None:
    found = sensitivity(stocked)
    for j, coupon in enumerate(found.coupons[:3]):
        assert coupon.break_even_cost is not None
        assert coupon.cost_each is not None
        cost = stocked.problem.measures["cost"].copy()
        cost[:, j] += coupon.break_even_cost - coupon.cost_each
        dearer = dataclasses.replace(
            stocked,
            problem=Problem(stocked.problem.value, {"cost": cost}, coupon_ids=stocked.problem.coupon_ids),
        )
        assert sensitivity(dearer).coupons[j].advantage == pytest.approx(0, abs=1e-6 * coupon.advantage)


def test_an_unused_coupon_says_what_it_may_cost(plan: Solution, found: Sensitivity) -> None:
    dear = found.coupons[3]
    assert (dear.users, dear.advantage) == (0, 0)
    assert dear.cost_each == pytest.approx(40)
    assert dear.break_even_cost is not None
    assert 0 < dear.break_even_cost < 40
    for step, used in ((0.01, False), (-0.01, True)):
        cost = plan.problem.measures["cost"].copy()
        cost[:, 3] = dear.break_even_cost + step
        priced = Problem(plan.problem.value, {"cost": cost}, coupon_ids=plan.problem.coupon_ids)
        reduced = plan.problem.value - plan.prices["total"] * priced.measures["cost"]
        first = np.fmax(np.nan_to_num(reduced[:, :3], nan=-np.inf).max(axis=1), 0)
        assert (np.nan_to_num(reduced[:, 3], nan=-np.inf) > first).any() == used


def test_totals_are_those_of_the_plan(stocked: Solution) -> None:
    found = sensitivity(stocked)
    assert sum(coupon.users for coupon in found.coupons) == int((stocked.choice >= 0).sum())
    assert sum(coupon.value for coupon in found.coupons) == pytest.approx(stocked.objective)
    assert [row.label for row in found.without] == ["total", "stock"]
    alone = solve(stocked.problem, [Budget(1500, label="total")])
    price = found.without[1]
    assert price.lost_at_least - 1e-9 <= alone.bound - stocked.objective
    assert alone.objective - stocked.bound <= price.lost_at_most + 1e-9


def test_it_is_the_same_on_any_number_of_threads(stocked: Solution) -> None:
    assert sensitivity(stocked, 1) == sensitivity(stocked, 2)


def test_prices_of_a_fair_objective_are_refused() -> None:
    data = problem()
    half = Problem(data.value, data.measures, coupon_ids=data.coupon_ids, groups={"g": np.arange(USERS) % 2})
    fair = solve(half, [Budget(1500, label="total")], objective=ProportionalFairness("g"), gap=1e-3)
    with pytest.raises(InputError, match="compare scenarios instead"):
        sensitivity(fair)


def test_the_command_says_it_in_a_table_as_json_and_as_csv(command: Any, shared_starter: Path) -> None:
    page = command("whatif", shared_starter, "--sensitivity")
    assert page.code == 0
    assert "break-even" in page.out
    assert "Without the limit" in page.out
    document = command("whatif", shared_starter, "--sensitivity", "--json").document
    total = next(limit for limit in document["limits"] if limit["label"] == "total")
    assert total["holds_from"] < 400 < total["holds_to"]
    table = pl.read_csv(io.StringIO(command("whatif", shared_starter, "--sensitivity", "--csv").out))
    row = table.filter((pl.col("item") == "total") & (pl.col("figure") == "holds_to"))
    assert row["value"].item() == pytest.approx(total["holds_to"])


def test_it_can_be_asked_of_a_scenario(command: Any, shared_starter: Path) -> None:
    less = command(
        "whatif",
        shared_starter,
        "--sensitivity",
        "--set",
        "total.at_most=200",
        "--drop-coupon",
        "BABY8",
        "--json",
    )
    coupons = [coupon["coupon_id"] for coupon in less.document["coupons"]]
    assert "BABY8" not in coupons
    assert next(limit["at_most"] for limit in less.document["limits"] if limit["label"] == "total") == 200
    both = command("whatif", shared_starter, "--sensitivity", "--sweep", "total.at_most=1:2")
    assert both.code == 2
    assert "exclude each other" in both.err
