"""Problems with many rows: prices by Newton's method on the smoothed dual, and whole numbers by chains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from allocator import Budget, Floor, Inventory, Limit, Parity, Problem, solve
from allocator.limits.rows import LimitLike
from allocator.solver.contested import contest
from allocator.solver.master import natural_scale, price_box
from allocator.solver.model import MANY_ROWS, compile_model
from allocator.solver.pricing import engine_for
from allocator.solver.rounding.nearest import nearest_users
from allocator.solver.smoothed import HOT, minimise_smoothed, suits
from allocator.solver.smoothed.parts import find_parts


def stores(n: int = 300, coupons: int = 6, seed: int = 0, fewest: int = 0) -> tuple[Problem, list[LimitLike]]:
    """Return a problem of 30 stores with budgets and floors, stocks, and parity: 77 rows."""
    generator = np.random.default_rng(seed)
    value, cost = generator.gamma(2, 1, (n, coupons)), generator.uniform(0.5, 5, (n, coupons))
    value[generator.random(value.shape) < 0.1] = np.nan
    value[:, 0] = np.where(np.isnan(value).all(axis=1), 1.0, value[:, 0])
    store = np.arange(n) % 30
    groups = {
        "store": np.array([f"s{s:02d}" for s in store]),
        "age": generator.choice(list("abcdefghi"), n),
    }
    problem = Problem(value, {"cost": cost}, groups=groups, per_user=(fewest, 1))
    limits: list[LimitLike] = [
        Budget((0.9 + 1.5 * fewest) * n, label="total"),
        Inventory({str(j): 0.3 * n for j in range(coupons)}),
        Floor(0.2, by="store", per_head=True, label="every store"),
        Parity("age", 0.1, label="age"),
        *(
            Budget((1.1 + 2 * fewest) * n / 30, label=f"budget {s}", users={"store": f"s{s:02d}"})
            for s in range(30)
        ),
    ]
    return problem, limits


def relaxed_optimum(problem: Problem, limits: list[LimitLike]) -> float:
    """Return the linear program's optimum, by SciPy."""
    model = compile_model(problem, limits)
    everyone = contest(model, model.gather(np.arange(problem.n_users)), np.zeros(model.n_rows))
    classes = len(everyone.size)
    members = np.zeros((classes, len(everyone.value)))
    members[everyone.pair_class, np.arange(len(everyone.value))] = 1.0
    uses, upper, lower = everyone.uses.toarray(), model.at_most, model.at_least
    rows = np.vstack([uses[np.isfinite(upper)], -uses[np.isfinite(lower)], members])
    right = np.concatenate([upper[np.isfinite(upper)], -lower[np.isfinite(lower)], everyone.size])
    if problem.per_user[0]:
        rows, right = np.vstack([rows, -members]), np.concatenate([right, -everyone.size])
    soft = np.flatnonzero(np.isfinite(model.penalty[np.isfinite(upper)]))
    given_up = np.zeros((len(rows), len(soft)))
    given_up[soft, np.arange(len(soft))] = -1.0
    cost = np.concatenate([-everyone.value, model.penalty[np.isfinite(model.penalty)]])
    done = linprog(cost, A_ub=np.hstack([rows, given_up]), b_ub=right, bounds=(0, None))
    assert done.status == 0
    return float(-done.fun)


def smoothed_dual(problem: Problem, limits: list[LimitLike], threads: int = 1) -> tuple[float, Any]:
    engine = engine_for(compile_model(problem, limits))
    assert suits(engine)
    scale = natural_scale(engine)
    found = minimise_smoothed(
        engine, np.zeros(engine.model.n_rows), price_box(engine.model, scale), scale, heat=HOT,
        tolerance=1e-8, most_passes=200, threads=threads,
    )  # fmt: skip
    return engine.price(found.prices).reduced + engine.model.bound_cost(found.prices), found


@pytest.mark.parametrize("fewest", [0, 1])
def test_smoothed_prices_reach_the_linear_optimum(fewest: int) -> None:
    problem, limits = stores(fewest=fewest)
    dual, _ = smoothed_dual(problem, limits)
    best = relaxed_optimum(problem, limits)
    assert best * (1 - 1e-9) <= dual <= best * (1 + 1e-6)


def test_smoothed_prices_do_not_depend_on_threads() -> None:
    problem, limits = stores()
    _, one = smoothed_dual(problem, limits, threads=1)
    _, four = smoothed_dual(problem, limits, threads=4)
    assert np.array_equal(one.prices, four.prices)


def test_soft_rows_and_equalities_have_smoothed_prices_too() -> None:
    problem, limits = stores()
    limits += [
        Limit(label="soft", at_most=20, coupons=["1"], penalty=0.4),
        Limit(label="exactly", coupons=["2"], at_least=30, at_most=30),
    ]
    model = compile_model(problem, limits)
    dual, found = smoothed_dual(problem, limits)
    assert 0 <= found.prices[model.labels.index("soft")] <= 0.4
    assert dual == pytest.approx(relaxed_optimum(problem, limits), rel=1e-6)


def test_parts_say_of_each_row_what_its_entries_do() -> None:
    problem, limits = stores()
    model = compile_model(problem, limits)
    parts = find_parts(model)
    table = np.random.default_rng(0).random(model.shape)
    of_part = np.zeros(parts.n_parts)
    used = parts.part >= 0
    np.add.at(of_part, parts.part[used], table[used])
    assert parts.n_parts < model.weights.shape[1] / 9
    np.testing.assert_allclose(parts.rows @ of_part, model.usage(table))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1_000), fewest=st.integers(0, 1))
def test_many_rows_are_solved_to_a_small_gap(seed: int, fewest: int) -> None:
    problem, limits = stores(n=150, coupons=4, seed=seed, fewest=fewest)
    assert len(compile_model(problem, limits).labels) >= MANY_ROWS
    solution = solve(problem, limits, time_limit=1, gap=0.05, on_infeasible="least_violation")
    if solution.status.name != "LEAST_VIOLATING":
        assert solution.certificate.valid
        assert solution.objective <= solution.bound * (1 + 1e-9)
        assert solution.gap < 0.1


def test_pairs_that_lose_more_than_the_plan_are_left_out_and_said_so(monkeypatch: Any) -> None:
    problem, limits = stores()
    engine = engine_for(compile_model(problem, limits))
    _, found = smoothed_dual(problem, limits)
    done = engine.price(found.prices, choice := np.empty((problem.n_users, 1), np.int16))
    every, beyond = nearest_users(engine, found.prices, done.table, np.inf, [choice])
    assert np.isinf(beyond)
    monkeypatch.setattr("allocator.solver.rounding.nearest.MOST_PAIRS", 600)
    few, beyond = nearest_users(engine, found.prices, done.table, np.inf, [choice])
    assert len(few.value) < len(every.value)
    kept = set(zip(few.users[few.starts[few.pair_class]], few.pair_coupon, strict=True))
    regret = [
        _regret(pair, every, found.prices, choice)
        for pair in range(len(every.value))
        if (every.users[every.starts[every.pair_class[pair]]], every.pair_coupon[pair]) not in kept
    ]
    assert min(regret) == pytest.approx(beyond)


def _regret(pair: int, every: Any, prices: Any, choice: Any) -> float:
    reduced = every.value - every.uses.T @ prices
    mates = every.pair_class == every.pair_class[pair]
    return float(max(reduced[mates].max(), 0.0) - reduced[pair])
