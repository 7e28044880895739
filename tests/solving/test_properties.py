"""Properties that hold for every problem: duality, invariance, monotony, and sums that anyone can redo."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import (
    Budget,
    Capacity,
    Floor,
    InfeasibleError,
    InputError,
    Inventory,
    Limit,
    NoPlanError,
    Parity,
    Problem,
    ReturnFloor,
    Share,
    Solution,
    certify,
    solve,
)
from allocator.limits.rows import Row
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for
from support.compiled_problems import compiled_problem
from support.small_problems import best_by_trying, slow_data, small_problems

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
SLOW_DATA = slow_data(25)
KINDS = ((0, 1), (0, 1), (0, 2), (1, 1), (1, 2))


class Changed:
    """Limits with their rows changed by a function."""

    def __init__(self, limits: list, change) -> None:
        self.limits, self.change, self.label = limits, change, "changed"

    def rows(self, problem: Problem) -> list[Row]:
        return [self.change(row) for limit in self.limits for row in limit.rows(problem)]


def solved(problem: Problem, limits: list, **options) -> Solution | None:
    try:
        return solve(problem, limits, **options)
    except (InfeasibleError, NoPlanError):
        return None


def campaign(seed: int, n: int = 250) -> tuple[Problem, list]:
    """A problem of random shape with a limit of every kind, which plans can keep."""
    generator = np.random.default_rng(seed)
    m = int(generator.integers(2, 6))
    value = generator.normal(1, 1, (n, m)) * generator.lognormal(0, 0.5, (n, 1))
    value[generator.random((n, m)) < generator.choice([0.0, 0.3, 0.7])] = np.nan
    problem = Problem(
        value,
        {"cost": generator.uniform(0.2, 3, (n, m))},
        groups={"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)},
        per_user=(0, int(generator.choice([1, 1, 2]))),
    )
    limits = [
        Budget(0.3 * n, label="total"),
        Inventory({"0": round(0.1 * n), "1": round(0.2 * n)}, label="stock"),
        Capacity(round(0.4 * n), label="messages"),
        Floor(0.02, by="region", per_head=True, label="each"),
        Parity("age", 0.1, label="parity"),
        Share(label="share", users={"region": "a"}, at_most=0.7),
        ReturnFloor(0.3, label="return"),
        Limit(label="soft", measure="count", users={"age": "x"}, at_most=round(0.1 * n), penalty=0.2),
    ]
    return problem, limits


# Duality


@SLOW_DATA
@given(small_problems(users=(2, 4), coupons=(1, 2), per_user=KINDS), st.integers(0, 10_000))
def test_no_feasible_plan_is_worth_more_than_the_bound_at_any_prices(case, seed):
    problem, limits = case
    best = best_by_trying(problem, limits)
    generator = np.random.default_rng(seed)
    rows = [row for limit in limits for row in limit.rows(problem) if not row.is_exclusion]
    nothing = np.full(problem.n_users, -1)
    for _ in range(5):
        prices = {}
        for row in rows:
            sides = [s for s, bound in ((1, row.at_most), (-1, row.at_least)) if math.isfinite(bound)]
            prices[row.label] = float(generator.choice(sides) * min(generator.exponential(1), row.penalty))
        bound = certify(problem, limits, nothing, prices).dual_bound
        assert best is None or problem.per_user[0] > 0 or best <= bound + 1e-9
        if problem.per_user[0] == 0:
            engine = engine_for(model := compile_model(problem, limits))
            vector = np.array([prices[label] for label in model.labels])
            assert engine.price(vector).reduced + model.bound_cost(vector) == pytest.approx(bound, abs=1e-9)


# Invariance


@QUICK
@given(st.integers(0, 10_000), st.floats(-12, 12), st.floats(-12, 12))
def test_units_scale_objective_bound_and_prices(seed, value_power, cost_power):
    generator = np.random.default_rng(seed)
    value, cost = generator.gamma(2, 1, (60, 3)), generator.uniform(0.5, 3, (60, 3))
    v, c = 2.0 ** round(value_power), 2.0 ** round(cost_power)  # powers of two, so that nothing is rounded
    base = solve(Problem(value, {"cost": cost}), [Budget(20, label="total"), Floor(5)], time_limit=5)
    scaled = solve(
        Problem(v * value, {"cost": c * cost}), [Budget(c * 20, label="total"), Floor(5)], time_limit=5
    )
    assert scaled.objective == pytest.approx(v * base.objective, rel=2e-6)
    assert scaled.bound == pytest.approx(v * base.bound, rel=2e-6)
    assert certify(
        scaled.problem, scaled.limits, base.choice, {k: p * v / c for k, p in base.prices.items()}
    ).objective == pytest.approx(v * base.objective, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_order_and_names_change_nothing(seed):
    problem, limits = campaign(seed, 120)
    generator = np.random.default_rng(seed)
    users, coupons = generator.permutation(problem.n_users), generator.permutation(problem.n_coupons)
    names = {"a": "zebra", "b": "b", "c": "aardvark", "x": "y2", "y": "x2"}
    other = Problem(
        problem.value[users][:, coupons],
        {"cost": problem.measures["cost"][users][:, coupons]},
        coupon_ids=problem.coupon_ids[coupons],
        user_ids=[f"user {u}" for u in users],
        groups={
            name: [names[g.labels[code]] for code in g.codes[users]] for name, g in problem.groups.items()
        },
        per_user=problem.per_user,
    )
    renamed = [
        *limits[:5],
        Share(label="share", users={"region": "zebra"}, at_most=0.7),
        limits[6],
        Limit(label="soft", measure="count", users={"age": "y2"}, at_most=12, penalty=0.2),
    ]
    backwards = [renamed[k] for k in generator.permutation(len(renamed))]
    first, second = (solve(p, ls, gap=0, time_limit=3) for p, ls in ((problem, limits), (other, backwards)))
    size = abs(first.objective)
    assert first.objective <= second.bound + 1e-9 * size
    assert second.objective <= first.bound + 1e-9 * size
    assert first.certificate.dual_bound == pytest.approx(second.certificate.dual_bound, rel=1e-6)
    if max(first.gap, second.gap) < 1e-9:
        assert first.objective == pytest.approx(second.objective, rel=1e-9)


# Monotony


@SLOW_DATA
@given(small_problems(users=(2, 8), coupons=(1, 3), per_user=KINDS), st.floats(0.01, 2))
def test_a_wider_limit_never_earns_less(case, more):
    problem, limits = case

    def wider(row: Row) -> Row:
        return Row(row.label, row.terms, row.at_least - more, row.at_most + more, row.penalty)

    before, after = solved(problem, limits), solved(problem, [Changed(limits, wider)])
    if before is not None:
        assert after is not None
        assert after.objective >= before.objective - 1e-9
        assert after.bound >= before.objective - 1e-9


# Agreement


@SLOW_DATA
@given(small_problems(users=(2, 4), coupons=(1, 2), per_user=KINDS), st.floats(0.05, 3))
def test_every_method_finds_the_best_plan_with_soft_limits(case, penalty):
    problem, limits = case

    def softened(row: Row) -> Row:
        return row if row.is_exclusion else Row(row.label, row.terms, row.at_least, row.at_most, penalty)

    for stated in (limits, [Changed(limits[::2], softened), *limits[1::2]]):
        best = best_by_trying(problem, stated)
        for method in ("auto", "decomposition", "exact", "convex"):
            plan = solved(problem, stated, method=method, time_limit=10)
            assert (None if plan is None else plan.objective) == (
                None if best is None else pytest.approx(best, abs=1e-9)
            ), method


@pytest.mark.parametrize("seed", range(8))
def test_limits_hold_in_plain_sums(seed):
    problem, limits = campaign(100 + seed)
    solution = solve(problem, limits, gap=1e-3, time_limit=5)
    given = solution.choice.reshape(problem.n_users, -1).tolist()
    assert all(len({j for j in row if j >= 0}) == sum(j >= 0 for j in row) for row in given)
    earned = math.fsum(float(problem.value[i][j]) for i, row in enumerate(given) for j in row if j >= 0)
    lost = []
    for row in (row for limit in limits for row in limit.rows(problem)):
        parts = []
        for term in row.terms:
            codes = {name: problem.groups[name].codes for name in term.users}
            for i, chosen in enumerate(given):
                if all(codes[name][i] in wanted for name, wanted in term.users.items()):
                    parts += [
                        term.weight
                        * (1.0 if term.measure == "count" else problem.measure(term.measure)[i][j])
                        for j in chosen
                        if j >= 0 and term.coupons[j]
                    ]
        used, size = math.fsum(parts), math.fsum(abs(part) for part in parts)
        bounds = [abs(bound) for bound in (row.at_least, row.at_most) if math.isfinite(bound)]
        over = max(row.at_least - used, used - row.at_most, 0.0)
        if math.isfinite(row.penalty):
            lost.append(row.penalty * over)
        else:
            assert over <= 1e-9 * max(size, *bounds), row.label
    assert solution.objective == pytest.approx(earned - math.fsum(lost), rel=1e-12)


def changes_of(reduced: np.ndarray, fewest: int, most: int) -> list[tuple[float, list[int]]]:
    """Return each single change of a user's choice: what it loses, and the coupons that it moves."""
    ranked = np.argsort(-np.where(np.isnan(reduced), -np.inf, reduced), kind="stable")
    order = [j for j in ranked if reduced[j] > -np.inf]
    taken = [j for rank, j in enumerate(order[:most]) if reduced[j] > 0 or rank < fewest]
    left = [j for j in order if j not in taken]
    changes = [(reduced[a] - reduced[b], [a, b]) for a, b in itertools.product(taken, left)]
    if len(taken) > fewest:
        changes += [(reduced[a], [a]) for a in taken]
    if len(taken) < most:
        changes += [(-reduced[b], [b]) for b in left]
    return changes


@QUICK
@given(st.integers(0, 10_000), st.sampled_from([(0, 1), (0, 2), (1, 1), (1, 3)]))
def test_radius_and_extent_agree_with_plain_numpy(seed, per_user):
    problem, model, generator = compiled_problem(seed, n=40, per_user=per_user)
    prices, box = generator.normal(0, 0.3, model.n_rows), generator.uniform(0, 1, model.n_rows)
    engine = engine_for(model)
    table = model.price_table(prices)[:, model.cell]
    wide = np.asarray(abs(model.weights).T @ box).reshape(model.shape)[:, model.cell]
    amounts = [np.ones_like(problem.value), problem.value, *(problem.measures[m] for m in model.measures[2:])]
    with np.errstate(invalid="ignore"):
        reduced = problem.value - sum(t * a for t, a in zip(table, amounts, strict=True))
    spread = sum(w * abs(a) for w, a in zip(wide, amounts, strict=True))
    radius, _ = engine.radius(prices, box)
    for i in range(problem.n_users):
        changes = [(loss, spread[i, moved].sum()) for loss, moved in changes_of(reduced[i], *per_user)]
        expected = min((loss / by for loss, by in changes if by > 0), default=np.inf)
        assert radius[i] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    eligible = ~np.isnan(problem.value)
    sizes = engine.extent()
    assert sizes.reduced == pytest.approx(np.nanmax(abs(problem.value), axis=1).sum())
    for k, amount in enumerate(amounts):
        by_cell = np.zeros(model.shape[1:])
        np.add.at(by_cell, model.cell, np.where(eligible, abs(amount), 0.0))
        assert sizes.table[k] == pytest.approx(by_cell)


# The ends of the range of numbers


@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("method", ["auto", "exact"])
def test_values_and_costs_at_the_ends_of_the_range_solve_as_ever(unit, method):
    generator = np.random.default_rng(8)
    value, cost = generator.random((40, 3)), generator.uniform(0.2, 2, (40, 3))
    base = solve(Problem(value, {"cost": cost}), [Budget(6, label="total")], method=method)
    dear = solve(Problem(unit * value, {"cost": cost}), [Budget(6, label="total")], method=method)
    assert dear.objective / unit == pytest.approx(base.objective)
    assert dear.verify().valid
    costly = solve(Problem(value, {"cost": unit * cost}), [Budget(unit * 6, label="total")], method=method)
    assert costly.objective == pytest.approx(base.objective)


@pytest.mark.parametrize("unit", [1.7e308, 5e-324])
def test_numbers_whose_sums_leave_the_range_are_an_input_error(unit):
    ones = np.ones((40, 3))
    with pytest.raises(InputError, match="leave the range of numbers"):
        solve(
            Problem(ones * unit if unit > 1 else ones, {"cost": ones * unit}), [Budget(unit, label="total")]
        )
