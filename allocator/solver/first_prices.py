"""First prices: on samples and then on all users, or adapted from an earlier solve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from allocator.solver.master import Box, Cut, Oracle, Prices, Scale, minimise_dual, oracle_of, price_box
from allocator.solver.model import Model
from allocator.solver.pricing import Engine, restrict
from allocator.solver.search import Search, Survey, take_survey
from allocator.solver.smoothed import HOT, WARM_HEAT, minimise_smoothed, suits

Array = NDArray[np.float64]

SAMPLES = (10_000, 100_000, 1_000_000)  # users in the coarse stages
SMOOTHED_SAMPLE = 20_000  # users in the only one of smoothed prices
WARM = 0.05  # share of an earlier solve's price by which it may have moved
WARM_USERS = 50_000  # in the sample that adapts an earlier solve's prices


def sampled_prices(search: Search) -> Array:
    """Minimise the dual on growing samples, each part of the next."""
    model, box = search.model, price_box(search.model, search.scale)
    prices, n = np.zeros(model.n_rows), model.problem.n_users
    smoothed = suits(search.engine)
    sizes = [size for size in ((SMOOTHED_SAMPLE,) if smoothed else SAMPLES) if 3 * size < n]
    if not sizes:
        return prices
    generator = np.random.default_rng(search.seed)
    largest = search.engine.take(np.sort(generator.choice(n, sizes[-1], replace=False)))
    order = generator.permutation(sizes[-1])
    for size in sizes:
        sample = largest if size == sizes[-1] else largest.take(np.sort(order[:size]))
        prices = _sample_prices(search, sample, n / size, prices, box)
    return prices


def _sample_prices(search: Search, sample: Engine, factor: float, start: Array, box: Box) -> Array:
    """Minimise the dual of a sample's users, each of whom stands for `factor` users."""
    cold = not start.any()

    def report(passes: int, dual: float) -> None:
        search.report("prices on a sample", passes, 0)

    if suits(sample):
        return minimise_smoothed(
            sample, start, box, search.scale, factor=factor, heat=HOT if cold else WARM_HEAT, tolerance=1e-4,
            most_passes=60, deadline=search.deadline, report=report, threads=search.engines.threads,
        ).prices  # fmt: skip
    return minimise_dual(
        search.model, oracle_of(sample, factor), start, box, search.scale, step=0.3 if cold else 0.05,
        tolerance=1e-6, most_passes=100, deadline=search.deadline, report=report,
    ).prices  # fmt: skip


def prices_on_all(search: Search, start: Array) -> Prices:
    """Minimise the dual on all users."""
    model, scale, box = search.model, search.scale, price_box(search.model, search.scale)
    cold, below = not start.any(), least_objective(model, scale)

    def report(passes: int, dual: float) -> None:
        search.report("prices", passes, 0)

    if suits(search.engine):
        return minimise_smoothed(
            search.engine, start, box, scale, heat=HOT if cold else WARM_HEAT, tolerance=1e-7,
            most_passes=100, deadline=search.deadline, stop_below=below, report=report,
            noted=lambda prices, dual: search.watch.priced("prices", prices, dual),
            threads=search.engines.threads,
        )  # fmt: skip
    return minimise_dual(
        model, _noted(search, "prices"), start, box, scale, step=0.3 if cold else 0.05, tolerance=1e-6,
        most_passes=40, deadline=search.deadline, stop_below=below, report=report,
    )  # fmt: skip


def adapted_prices(search: Search, start: Array) -> tuple[Prices, Survey]:
    """Adapt prices of an earlier solve, where all users are surveyed. The dual value over all of them is not
    known yet.
    """
    model, scale, box = search.model, search.scale, price_box(search.model, search.scale)
    start = box.clip(start)
    found = Prices(start, np.inf, WARM * np.abs(start), np.zeros(len(start)))
    survey = take_survey(search, search.engine, start, price_width(search, found))
    few = search.engine.n_users <= 2 * WARM_USERS
    engine, factor = (search.engine, 1.0) if few else _sample_at(search, survey)

    def report(passes: int, dual: float) -> None:
        search.report("prices on a sample", passes, 0)

    if suits(engine):
        prices = minimise_smoothed(
            engine, start, box, scale, factor=factor, heat=WARM_HEAT, tolerance=1e-7, most_passes=60,
            deadline=search.deadline, report=report, threads=search.engines.threads,
        ).prices  # fmt: skip
    else:
        oracle = _noted(search, "prices") if few else oracle_of(engine, factor)
        prices = minimise_dual(
            model, oracle, start, box, scale, step=0.05, tolerance=1e-7, most_passes=60,
            deadline=search.deadline, report=report,
        ).prices  # fmt: skip
    return replace(found, prices=prices), survey


def _sample_at(search: Search, survey: Survey) -> tuple[Engine, float]:
    """Return a sample that stands for all users where they are surveyed, and how many users each stands for:
    it errs only in what changes from there.
    """
    n = search.engine.n_users
    starts = np.arange(WARM_USERS + 1) * n // WARM_USERS
    drawn = np.random.default_rng(search.seed).random(WARM_USERS)  # one user of each stretch
    places = starts[:-1] + (drawn * np.diff(starts)).astype(np.int64)
    each = n / WARM_USERS
    return restrict(search.engine, places, survey.prices, survey.done.table, each), each


def price_width(search: Search, found: Prices) -> Array:
    """Return how far each price may still move, relative to one another."""
    return np.maximum(found.moved, 0.02 * np.abs(found.prices)) + 5e-3 * search.scale.price


def least_objective(model: Model, scale: Scale) -> float:
    """Return what every plan is worth at least: a dual value below it proves that there is no plan."""
    if np.isfinite(model.penalty).any():
        return -np.inf  # penalties may cost any amount
    return -(1 + 1e-9) * model.problem.per_user[1] * scale.value


def _noted(search: Search, step: str) -> Oracle:
    """Return the dual function over all users, each value of which the watch is told."""
    oracle = oracle_of(search.engine)

    def evaluate(prices: Array) -> Cut:
        cut = oracle(prices)
        search.watch.priced(step, prices, cut.dual)
        return cut

    return evaluate
