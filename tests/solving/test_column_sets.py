"""Tables by several sets of columns say the same as tables by all their combinations."""

from __future__ import annotations

import numpy as np
import pytest

from allocator import Budget, Exclude, Floor, Inventory, Limit, MaxMin, Parity, Problem, ReturnFloor, solve
from allocator.solver import model as models
from allocator.solver.model import Model, compile_model
from allocator.solver.pricing import engine_for


def campaign(seed: int, per_user: tuple[int, int], n: int = 400) -> tuple[Problem, list]:
    generator = np.random.default_rng(seed)
    value = generator.gamma(2, 1, (n, 4))
    if per_user[0] == 0:
        value[generator.random((n, 4)) < 0.2] = np.nan
    groups = {
        "store": generator.integers(0, 8, n).astype(str),
        "age": generator.choice(["18-24", "25-34", "35+"], n),
        "tier": generator.choice(["gold", "silver"], n),
    }
    problem = Problem(
        value, {"cost": generator.uniform(0.5, 5, (n, 4))}, groups=groups, per_user=per_user,
        coupon_groups={"channel": ["sms", "sms", "push", "push"]},
    )  # fmt: skip
    floor = per_user[0] * 3.2
    return problem, [
        Budget((0.6 + floor) * n, label="total"),
        Floor(0.1, by="store", per_head=True, label="each store"),
        Parity("age", 0.1, label="ages"),
        Parity(["age", "tier"], 2.0, rate="benefit", label="worth"),
        Limit(
            label="gold sms", measure="count", users={"tier": "gold"}, coupons={"channel": "sms"}, at_most=n
        ),
        Inventory({"1": n}),
        ReturnFloor(0.2, label="return"),
        Exclude(users={"age": "35+"}, coupons=["3"], label="not for them"),
    ]


def both(problem: Problem, limits: list, monkeypatch: pytest.MonkeyPatch) -> tuple[Model, Model]:
    together = compile_model(problem, limits)
    monkeypatch.setattr(models, "MOST_CELLS", 0)
    apart = compile_model(problem, limits)
    assert len(together.sizes) == 1 < len(apart.sizes)
    assert apart.shape[1] < together.shape[1]
    return together, apart


@pytest.mark.parametrize("per_user", [(0, 1), (1, 1), (0, 2), (1, 3)])
@pytest.mark.parametrize("kind", ["cpu", "torch"])
def test_passes_agree(per_user, kind, monkeypatch):
    pytest.importorskip("torch")
    problem, limits = campaign(1, per_user)
    together, apart = both(problem, limits, monkeypatch)
    generator = np.random.default_rng(0)
    _, highest = together.price_range()
    prices = np.where(np.isinf(highest), 1, -1) * generator.uniform(0, 0.2, together.n_rows)
    box = generator.uniform(0, 0.1, together.n_rows)
    found = []
    for model in (together, apart):
        engine = engine_for(model, kind)
        choice = np.empty((problem.n_users, per_user[1]), np.int16)
        radius, done = engine.radius(prices, box, choice)
        again = engine.price(prices)
        assert again.reduced == pytest.approx(done.reduced)
        size = engine.extent()
        some = engine.take(np.arange(0, problem.n_users, 3)).price(prices)
        sizes = abs(model.weights) @ size.table.ravel()
        sums = (choice, done.reduced, model.usage(done.table), model.earned(done.table), size.reduced)
        found.append((radius, sizes, (*sums, some.reduced, model.usage(some.table))))
    (radius, sizes, sums), (of_sets, larger, same) = found
    for one, other in zip(sums, same, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    # A part and a total count each by itself there: a smaller radius and a larger size are on the safe side.
    assert (of_sets <= radius * (1 + 1e-9)).all()
    assert (larger >= sizes * (1 - 1e-9)).all()


def test_pairs_use_the_same_of_every_row(monkeypatch):
    problem, limits = campaign(2, (0, 1))
    together, apart = both(problem, limits, monkeypatch)
    places = np.repeat(np.arange(problem.n_users), 4)
    coupons = np.tile(np.arange(4), problem.n_users)
    eligible = ~np.isnan(problem.value[places, coupons])
    uses = [
        model.coefficients(model.gather(np.arange(problem.n_users)), places[eligible], coupons[eligible])
        for model in (together, apart)
    ]
    np.testing.assert_allclose(uses[0].toarray(), uses[1].toarray(), rtol=1e-12)
    cells = np.arange(together.n_cells)
    np.testing.assert_array_equal(together.forbids(cells), apart.forbids(cells))
    rows = np.arange(3)
    np.testing.assert_array_equal(together.touched(rows), apart.touched(rows))


@pytest.mark.parametrize("per_user", [(0, 1), (1, 2)])
def test_plans_are_as_good(per_user, monkeypatch):
    problem, limits = campaign(3, per_user)
    one = solve(problem, limits, gap=1e-4)
    monkeypatch.setattr(models, "MOST_CELLS", 0)
    other = solve(problem, limits, gap=1e-4)
    assert one.objective == pytest.approx(other.objective, rel=2e-4)
    assert one.bound == pytest.approx(other.bound, rel=2e-4)
    assert other.verify().valid


def test_fair_objectives_weigh_groups_in_sets_too(monkeypatch):
    problem, limits = campaign(4, (0, 1), 200)
    one = solve(problem, limits[:3], objective=MaxMin("tier"), gap=1e-2, time_limit=15)
    monkeypatch.setattr(models, "MOST_CELLS", 0)
    other = solve(problem, limits[:3], objective=MaxMin("tier"), gap=1e-2, time_limit=15)
    assert one.utility == pytest.approx(other.utility, rel=2e-2)


def test_tables_stay_small_where_columns_have_many_combinations():
    generator = np.random.default_rng(5)
    n = 30_000
    groups = {f"a{k}": generator.integers(0, 12, n).astype(str) for k in range(5)}
    problem = Problem(generator.gamma(2, 1, (n, 3)), {"cost": np.ones((n, 3))}, groups=groups)
    limits = [Budget(6_000, label="total"), *(Parity(name, 0.05, label=name) for name in groups)]
    model = compile_model(problem, limits)
    assert model.n_cells > 20_000
    assert model.shape[1] == 1 + 5 * 12
    plan = solve(problem, limits, gap=1e-4)
    assert plan.gap <= 1e-4
    assert plan.verify().valid
