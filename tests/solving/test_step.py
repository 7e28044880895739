"""A user's step: the best answer at prices, its margin and what it uses, against enumeration."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import allocator.solver
from allocator import Budget, Limit, Problem
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for
from allocator.solver.step import Coupons

PER_USER = st.sampled_from([(0, 1), (1, 1), (0, 2), (1, 2), (2, 3), (0, 4)])


def _answers(n: int, fewest: int, most: int) -> list[tuple[int, ...]]:
    return [some for k in range(fewest, most + 1) for some in combinations(range(n), k)]


def _reduced(seed: int) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(0, 1, (6, 4)), 2)


@given(st.integers(0, 10_000), PER_USER)
@settings(max_examples=40, deadline=None)
def test_regret_is_what_enumeration_says(seed: int, per_user: tuple[int, int]) -> None:
    step, reduced = Coupons(*per_user), _reduced(seed)
    answers = _answers(4, *per_user)
    found = step.regret(reduced)
    for row, regret in zip(reduced, found, strict=True):
        best = max(sum(row[list(some)]) for some in answers)
        with_it = [max(sum(row[list(some)]) for some in answers if j in some) for j in range(4)]
        assert regret == pytest.approx(best - np.array(with_it), abs=1e-12)
    flat, of_user, starts = reduced.ravel(), np.repeat(np.arange(6), 4), np.arange(0, 25, 4)
    assert step.regret_of_pairs(starts, of_user, flat) == pytest.approx(found.ravel(), abs=1e-12)
    taken = step.best_pairs(starts, of_user, flat).reshape(6, 4)
    best = [max(sum(row[list(some)]) for some in answers) for row in reduced]
    assert (reduced * taken).sum(axis=1) == pytest.approx(best)


@given(st.integers(0, 10_000), PER_USER)
@settings(max_examples=40, deadline=None)
def test_least_use_is_what_enumeration_says(seed: int, per_user: tuple[int, int]) -> None:
    step, use = Coupons(*per_user), _reduced(seed)
    allowed = np.ones(use.shape, np.bool_)
    every, rest = _answers(4, *per_user), _answers(4, max(per_user[0] - 1, 0), per_user[1] - 1)
    assert step.least_use(use, allowed) == pytest.approx(
        [min(sum(row[list(some)]) for some in every) for row in use]
    )
    assert step.least_beside(use, allowed) == pytest.approx(
        [min(sum(row[list(some)]) for some in rest) for row in use]
    )


@given(st.integers(0, 10_000), PER_USER)
@settings(max_examples=30, deadline=None)
def test_within_its_radius_an_answer_stays(seed: int, per_user: tuple[int, int]) -> None:
    generator = np.random.default_rng(seed)
    value, cost = generator.normal(1, 1, (40, 4)), generator.uniform(0, 1, (40, 4))
    limits = [Budget(5.0), Limit(label="first", coupons=[0], at_most=9.0)]
    model = compile_model(Problem(value, {"cost": cost}, per_user=per_user), limits)
    engine = engine_for(model)
    prices, box = generator.uniform(0, 1, 2), generator.uniform(0.1, 1, 2)
    before, after = np.empty((2, 40, model.step.width), np.int16)
    radius, _ = engine.radius(prices, box, before)
    move = generator.uniform(-1, 1, 2) * box
    move /= np.max(np.abs(move) / box)
    for user in np.flatnonzero(np.isfinite(radius))[:10]:
        engine.price(prices + 0.999 * radius[user] * move, after)
        assert set(before[user]) == set(after[user])


@given(st.integers(0, 10_000), PER_USER)
@settings(max_examples=40, deadline=None)
def test_what_prices_may_choose_is_among_the_contenders(seed: int, per_user: tuple[int, int]) -> None:
    step, reduced = Coupons(*per_user), _reduced(seed).ravel()
    generator = np.random.default_rng(seed)
    spread = generator.uniform(0, 1, len(reduced))
    of_user, starts = np.repeat(np.arange(6), 4), np.arange(0, 25, 4)
    keep = step.contenders(6, of_user, reduced, spread)
    for _ in range(20):
        moved = reduced + spread * generator.uniform(-1, 1, len(reduced))
        assert keep[step.best_pairs(starts, of_user, moved)].all()


def test_nothing_else_of_the_solver_knows_how_a_user_chooses() -> None:
    """Engines and recovery ask the step; only where a model makes it is the number of coupons read."""
    folder = Path(allocator.solver.__file__).parent
    knowing = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "per_user" in path.read_text(encoding="utf-8")
    }
    assert knowing == {"model.py", "pricing/ray_worker.py"}  # a worker's part of the users is a problem, too
