"""The integer stage alone: exchange, block losses and branching against trying everything."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from allocator import Budget, Limit, Problem, Share, Status, certify, solve
from allocator.solver.fallback import plan_without_programs
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for
from allocator.solver.rounding import blocks
from allocator.solver.rounding import nearest as nearest_module
from allocator.solver.rounding.exchange import improve
from allocator.solver.rounding.standing import Classes, Rules
from support.small_problems import best_by_trying

FOREVER = np.inf
CLOSE = 1e-9


def random_classes(seed: int) -> Classes:
    """A few classes under hard and soft rows, of any sign, some two-sided, in values of any size."""
    g = np.random.default_rng(seed)
    n, m, n_rows = int(g.integers(2, 5)), int(g.integers(1, 3)), int(g.integers(1, 4))
    fewest, most = [(0, 1), (1, 1), (0, 2), (1, 2)][g.integers(4)]
    ties = g.random() < 0.5
    reduced = g.integers(-6, 7, n * m) / 8 if ties else g.normal(0, 1, n * m)
    uses = g.integers(0, 5, (n_rows, n * m)) / 4 if ties else g.normal(0, 1, (n_rows, n * m))
    prices = np.where(g.random(n_rows) < 0.8, g.uniform(-1, 1, n_rows), 0.0)
    unit = 10.0 ** g.integers(-5, 5)
    two_sided = g.random(n_rows) < 0.2
    low = np.where((prices < 0) | two_sided, g.uniform(-1, 2, n_rows), -np.inf)
    high = np.where((prices > 0) | two_sided, np.maximum(g.uniform(0, 3, n_rows), low), np.inf)
    soft = g.random(n_rows) < 0.4
    penalty = unit * (np.abs(prices) + g.uniform(0, 1, n_rows))
    return Classes(
        starts=np.arange(n + 1) * m,
        pair_class=np.repeat(np.arange(n), m),
        reduced=unit * reduced,
        uses=sp.csc_array(uses * (g.random(uses.shape) < 0.6)),
        size=g.integers(1, 3, n),
        per_user=(fewest, min(most, m)),
        decided=np.zeros(n_rows),
        rules=Rules(
            low=low,
            high=high,
            prices=unit * prices,
            rate=np.where(soft, penalty, 100.0 * unit),
            fixed=np.where(soft, 0.0, 100.0 * unit),
        ),
    )


def least_loss(classes: Classes) -> float:
    """The least loss of all whole counts, infinite if each breaks a hard row."""
    fewest, most = classes.per_user
    options = [
        [
            counts
            for counts in itertools.product(range(size + 1), repeat=classes.starts[c + 1] - classes.starts[c])
            if fewest * size <= sum(counts) <= most * size
        ]
        for c, size in enumerate(classes.size)
    ]
    plans = (np.array([n for part in plan for n in part], np.int64) for plan in itertools.product(*options))
    return min((classes.standing(plan).loss for plan in plans), default=np.inf)


def anywhere(classes: Classes) -> Callable[[np.ndarray], np.ndarray]:
    """Say that users of one cell, of whom some are left out, may use every row."""
    return lambda rows: np.ones(1, np.bool_)


def each_its_own(rows: np.ndarray) -> np.ndarray:
    """Say that users of a cell use one row each."""
    return np.isin(np.arange(3), rows)


def size_of(classes: Classes) -> float:
    return float(np.abs(classes.reduced).max())


@pytest.mark.parametrize("seed", range(150))
def test_losses_proven_are_at_most_the_least(seed):
    classes = random_classes(seed)
    least = least_loss(classes)
    tried = (least if np.isfinite(least) else size_of(classes)) * (0.5 + seed % 3)
    losses = blocks.prove_losses(classes, anywhere(classes), np.inf, 1e-3 * tried, tried, FOREVER)
    assert losses.least <= least + CLOSE * size_of(classes)
    for members, rows in blocks._blocks(classes):
        block, _ = classes.part(members, rows)
        proven, count = blocks._least_loss(block, 1e-3 * tried, tried, FOREVER)
        if count is not None:  # then it is exact
            assert block.standing(count).loss == pytest.approx(proven, abs=CLOSE * size_of(classes))
            assert proven == pytest.approx(least_loss(block), abs=CLOSE * size_of(classes))


@pytest.mark.parametrize("seed", range(150))
def test_integer_programs_of_blocks_prove_no_more_than_the_least_loss(seed):
    classes = random_classes(seed)
    proven = blocks._program_loss(classes, FOREVER)
    assert proven <= least_loss(classes) + CLOSE * size_of(classes)


@pytest.mark.parametrize("seed", range(60))
def test_exchange_keeps_what_it_reports_and_does_not_beat_the_best(seed):
    classes = random_classes(seed)
    start = classes.standing(classes.best_count)
    found = improve(start, 0.0, 3, FOREVER)
    assert found.loss >= least_loss(classes) - CLOSE * size_of(classes)
    assert found.loss <= start.loss
    afresh = classes.standing(found.count)
    assert np.array_equal(afresh.used, found.used)
    assert np.array_equal(afresh.total, found.total)
    assert ((found.count >= 0) & (found.count <= classes.size[classes.pair_class])).all()
    fewest, most = classes.per_user
    assert ((found.total >= fewest * classes.size) & (found.total <= most * classes.size)).all()


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(("most", "nodes"), [(64, 10**6), (2, 10**6), (64, 20)])
def test_a_complete_search_has_found_the_best_set(seed, most, nodes):
    classes = random_classes(seed)
    start = classes.standing(classes.best_count)
    moves = start.with_change(start.moves(np.inf))
    rules = classes.rules
    reach = float(rules.slack_cost(start.used).sum() + rules.charge(start.used).sum())
    gain, chosen, complete = start.best_set(moves, most=most, nodes=nodes, at_least=0.0, reach=reach)
    after = start.moved(moves, chosen)
    cost = after.regret + float((rules.slack_cost(after.used) + rules.charge(after.used)).sum())
    assert reach - gain == pytest.approx(cost, abs=1e-12 * (1 + reach))
    if complete and np.isfinite(least := least_loss(classes)):
        assert cost == pytest.approx(least, abs=CLOSE * (size_of(classes) + reach))


def test_a_search_cut_short_says_so():
    classes = random_classes(3)
    start = classes.standing(classes.best_count)
    moves = start.with_change(start.moves(np.inf))
    assert len(moves) > 1
    _, _, complete = start.best_set(moves, most=64, nodes=1, at_least=0.0, reach=1e9)
    assert not complete


def three_stores() -> Classes:
    """Two users in each store, each of whom uses 2 of its 3 units: one is spare, at a price of 1."""
    n = 6
    return Classes(
        starts=np.arange(n + 1),
        pair_class=np.arange(n),
        reduced=np.zeros(n),
        uses=sp.csc_array(np.kron(np.eye(3), [[2.0, 2.0]])),
        size=np.ones(n, np.int64),
        per_user=(0, 1),
        decided=np.zeros(3),
        rules=Rules(
            low=np.full(3, -np.inf), high=np.full(3, 3.0), prices=np.ones(3), rate=np.full(3, 100.0),
            fixed=np.full(3, 100.0),
        ),
    )  # fmt: skip


def test_losses_of_blocks_add_up_only_where_no_user_left_out_serves_several():
    classes = three_stores()
    apart, together = each_its_own, anywhere(classes)
    assert blocks.prove_losses(classes, apart, 1.2, 1e-3, 1.2, FOREVER).least == pytest.approx(3.0)
    assert blocks.prove_losses(classes, together, 1.2, 1e-3, 1.2, FOREVER).least == pytest.approx(1.2)
    # Nobody is left out: no such user exists.
    assert blocks.prove_losses(classes, together, np.inf, 1e-3, 1.2, FOREVER).least == pytest.approx(3.0)


def test_no_loss_to_try_is_no_loop():
    classes = three_stores()
    deadline = time.monotonic() + 5
    blocks.prove_losses(classes, anywhere(classes), np.inf, 0.0, 0.0, deadline)
    assert time.monotonic() < deadline


def stores(seed: int, n: int = 7, penalty: float | None = None) -> tuple[Problem, list]:
    """Users of two stores under a budget each and a share that decimal numbers meet inexactly."""
    g = np.random.default_rng(seed)
    value, cost = g.uniform(0.2, 2, (n, 2)).round(1), g.uniform(0.1, 2, (n, 2)).round(1)
    problem = Problem(value, {"cost": cost}, groups={"store": np.where(np.arange(n) % 2, "a", "b")})
    limits = [
        Budget(float(g.uniform(0.5, 3)), label=s, users={"store": s}, penalty=penalty) for s in ("a", "b")
    ]
    if seed % 2:
        limits.append(Share(label="share", users={"store": "a"}, at_least=0.3, at_most=0.7))
    if seed % 3 == 0:
        limits.append(Limit(label="both", measure="count", at_most=float(g.integers(1, n)), penalty=0.3))
    return problem, limits


@pytest.mark.parametrize("nearest", [3, 60_000])
@pytest.mark.parametrize("seed", range(16))
def test_bounds_hold_however_few_users_are_looked_at(seed, nearest, monkeypatch):
    monkeypatch.setattr(nearest_module, "MOST_USERS", nearest)
    problem, limits = stores(seed, n=6, penalty=0.4 if seed % 4 == 0 else None)
    best = best_by_trying(problem, limits)
    solution = solve(problem, limits, gap=0.0, method="decomposition", time_limit=20)
    assert solution.objective <= best + CLOSE
    assert solution.bound >= best - CLOSE
    if solution.status is Status.OPTIMAL:
        assert solution.objective == pytest.approx(best, abs=CLOSE)


def test_users_who_all_tie_leave_some_to_improve(monkeypatch):
    monkeypatch.setattr(nearest_module, "MOST_USERS", 5)
    problem = Problem(np.ones((40, 2)), {"cost": np.full((40, 2), 0.3)})
    solution = solve(problem, [Budget(3.2, label="total")], gap=0.0, method="decomposition", time_limit=20)
    assert solution.objective == pytest.approx(10.0)


@pytest.mark.parametrize("cost", [1e9, 1e13])
def test_one_pair_of_a_forbidding_cost_does_not_blur_the_prices(cost):
    g = np.random.default_rng(0)
    value, costs = g.uniform(0, 2, (20_000, 4)), g.uniform(0.1, 2, (20_000, 4))
    costs[17, 2] = cost
    solution = solve(Problem(value, {"cost": costs}), [Budget(2_000)], time_limit=20)
    assert solution.gap <= 1e-6


@pytest.mark.parametrize("in_memory", [True, False])
def test_without_programs_a_plan_still_keeps_its_limits(in_memory, monkeypatch):
    g = np.random.default_rng(0)
    problem = Problem(g.uniform(0, 2, (1_000, 2)), {"cost": g.uniform(0.1, 2, (1_000, 2))})
    model = compile_model(problem, [Budget(200)])
    engine = engine_for(model, "cpu", None, 1)
    if not in_memory:  # then nobody's rows may be loaded all at once
        monkeypatch.setattr(Problem, "in_memory", False)
        monkeypatch.setattr(type(engine), "batch", lambda self: pytest.fail("loads everyone's rows"))
    plan = plan_without_programs(engine, np.zeros(1))
    certificate = certify(problem, [Budget(200)], plan, {})
    assert certificate.valid
    assert (certificate.objective > 0) == in_memory
    dear = plan_without_programs(engine, np.array([100.0]))  # nobody wants anything: no row is exceeded
    assert (dear < 0).all()
