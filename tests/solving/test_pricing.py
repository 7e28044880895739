"""The compiled kernels agree with plain NumPy, and prices scale as money does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import Budget, Problem, solve
from allocator.problem.batch import BLOCK
from allocator.solver.pricing import engine_for, restrict
from allocator.solver.step import kernels
from support.compiled_problems import compiled_problem

QUICK = settings(max_examples=40, deadline=None, derandomize=True)


def by_numpy(problem, model, prices):
    """Return the dual part, the choices and the table without any of the kernels' code."""
    table = model.price_table(prices)
    reduced = problem.value * (1 - table[1][model.cell]) - table[0][model.cell]
    for k, name in enumerate(model.measures[2:], start=2):
        reduced = reduced - table[k][model.cell] * problem.measures[name]
    reduced = np.where(np.isnan(reduced), -np.inf, reduced)
    fewest, most = problem.per_user
    order = np.argsort(-reduced, axis=1, kind="stable")[:, :most]
    ranked = np.take_along_axis(reduced, order, axis=1)
    rank = np.arange(most)
    taken = np.isfinite(ranked) & ((ranked > 0) | (rank < fewest))
    return float(ranked[taken].sum()), np.where(taken, order, -1)


@QUICK
@given(st.integers(0, 10_000), st.sampled_from([(0, 1), (0, 2), (1, 1), (1, 3)]))
def test_one_pass_agrees_with_plain_numpy(seed, per_user):
    problem, model, generator = compiled_problem(seed, per_user=per_user)
    prices = generator.normal(0, 0.5, model.n_rows)
    choice = np.empty((problem.n_users, per_user[1]), np.int16)
    done = engine_for(model).price(prices, choice)
    reduced, expected = by_numpy(problem, model, prices)
    assert done.reduced == pytest.approx(reduced, rel=1e-12, abs=1e-9)
    assert np.array_equal(choice, expected)
    user, slot = np.nonzero(choice >= 0)
    assert done.table[0].sum() == len(user)
    assert done.table[1].sum() == pytest.approx(problem.value[user, choice[user, slot]].sum())


@QUICK
@given(st.integers(0, 10_000), st.floats(0.1, 0.99), st.sampled_from([(0, 1), (0, 2), (1, 2)]))
def test_no_price_within_a_users_radius_changes_the_choice(seed, share, per_user):
    problem, model, generator = compiled_problem(seed, per_user=per_user)
    prices = generator.normal(0, 0.3, model.n_rows)
    box = generator.uniform(0.1, 1, model.n_rows)
    engine = engine_for(model)
    before, after = (np.empty((problem.n_users, per_user[1]), np.int16) for _ in range(2))
    radius, _ = engine.radius(prices, box, before)
    step = share * float(np.median(radius[np.isfinite(radius)]))
    engine.price(prices + step * box * generator.choice([-1.0, 1.0], model.n_rows), after)
    safe = radius > step
    assert safe.any()
    assert np.array_equal(np.sort(before[safe]), np.sort(after[safe]))


@QUICK
@given(st.integers(0, 10_000), st.sampled_from([np.float32, np.float64]), st.sampled_from([0, 1]))
def test_the_kernels_of_one_choice_agree_with_the_general_ones(seed, dtype, fewest):
    problem, model, generator = compiled_problem(seed, dtype=dtype)
    price = model.price_table(generator.normal(0, 0.5, model.n_rows))
    box = np.abs(generator.normal(0, 1, price.shape)) * (generator.random(price.shape) < 0.7)
    measures = tuple(problem.measures[name] for name in model.measures[2:])
    data = (problem.value, measures, model.cell, price)
    one, general = np.empty(problem.n_users), np.empty(problem.n_users)
    least = -np.inf if fewest else 0.0
    results = []
    for kernel, boxes, rule in (
        (kernels.choose_one, (), (least,)),
        (kernels.choose_some, (), (fewest, 1)),
        (kernels.radius_of_one, (box,), (least, one)),
        (kernels.radius, (box,), (fewest, 1, general)),
    ):
        table, choice = np.zeros(price.shape), np.empty((problem.n_users, 1), np.int16)
        total = kernel(*data, *boxes, 0, problem.n_users, table, choice, *rule)
        results.append((total, table.tolist(), choice.tolist()))
    assert all(result == results[0] for result in results)
    assert np.array_equal(one, general)


def test_blocks_and_threads_do_not_change_a_sum():
    _problem, model, generator = compiled_problem(1, n=2 * BLOCK + 17)
    prices = generator.normal(0, 0.3, model.n_rows)
    one, two = (engine_for(model, threads=threads).price(prices) for threads in (1, 2))
    assert one.reduced == two.reduced
    assert np.array_equal(one.table, two.table)


def test_a_restricted_engine_gives_the_same_dual_value():
    _problem, model, generator = compiled_problem(2, n=500)
    prices = np.abs(generator.normal(0, 0.2, model.n_rows))
    engine = engine_for(model)
    inside = generator.random(500) < 0.3
    whole = engine.price(prices)
    part = restrict(engine, np.flatnonzero(inside), prices, whole.table)
    assert part.price(prices).reduced == pytest.approx(whole.reduced)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.sampled_from([1e-6, 1e-3, 1.0, 1e4, 1e8]), st.sampled_from([1e-5, 1.0, 1e6]))
def test_units_of_value_and_cost_do_not_matter(value_unit, cost_unit):
    generator = np.random.default_rng(3)
    value, cost = generator.gamma(2, 1, (3_000, 4)), generator.uniform(0.5, 3, (3_000, 4))
    base = solve(Problem(value, {"cost": cost}), [Budget(1_000, label="total")], gap=1e-5)
    scaled = solve(
        Problem(value * value_unit, {"cost": cost * cost_unit}),
        [Budget(1_000 * cost_unit, label="total")],
        gap=1e-5,
    )
    assert scaled.objective == pytest.approx(base.objective * value_unit, rel=2e-5)
    assert scaled.prices["total"] == pytest.approx(base.prices["total"] * value_unit / cost_unit, rel=1e-3)


def test_a_larger_budget_never_earns_less():
    generator = np.random.default_rng(4)
    problem = Problem(generator.gamma(2, 1, (3_000, 4)), {"cost": generator.uniform(0.5, 3, (3_000, 4))})
    budgets = (50, 200, 800, 2_000, 6_000)
    earned = [solve(problem, [Budget(budget, label="total")], gap=1e-5).objective for budget in budgets]
    assert earned == sorted(earned)
