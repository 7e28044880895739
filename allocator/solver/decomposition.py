"""The decomposition method: prices by bundle, exact prices on contested users, an integer plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.contested import Contested, contest, row_prices, state_program
from allocator.solver.fallback import plan_without_programs
from allocator.solver.highs import solve_program
from allocator.solver.master import (
    Box,
    Cut,
    Oracle,
    Prices,
    Scale,
    minimise_dual,
    natural_scale,
    oracle_of,
    price_box,
)
from allocator.solver.model import Model
from allocator.solver.pricing import Compute, Engine
from allocator.solver.recovery import Plan, recover, with_grace
from allocator.solver.watch import Watch

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

SAMPLES = (10_000, 100_000, 1_000_000)  # users in the coarse stages
WARM = 0.05  # share of an earlier solve's price by which it may have moved
PROGRAM_USERS = 1_500  # contested classes in the first linear program; twice as many in each further one
MOST_PROGRAM_USERS = 12_000
SHRINK = 10  # each sharpening stage keeps one contested user in so many
ROUNDS = 12  # recentrings of the price box


@dataclass(frozen=True)
class Outcome:
    """What a method found: a plan, the rows' dual prices, and a proven bound."""

    plan: Plan
    prices: Array


@dataclass
class _Search:
    """What stays the same during one solve."""

    model: Model
    engine: Engine
    scale: Scale
    gap: float
    deadline: float
    seed: int
    report: Report
    watch: Watch

    def late(self) -> bool:
        return time.monotonic() > self.deadline


@dataclass(frozen=True)
class _Focus:
    """The contested users of a price box; others are decided. `width` is the box's half-width."""

    engine: Engine
    box: Box
    width: Array

    def holds(self, far: Box, prices: Array) -> bool:
        """Return whether prices lie inside the box, and do not press against its sides."""
        return not far.touches(self.box, prices, self.width).any()

    def contested(self, centre: Array) -> Contested:
        assert self.engine.base is not None
        model = self.engine.model
        return contest(model, self.engine.batch(), model.usage(self.engine.base), centre, self.width)


@dataclass(frozen=True)
class _Exact:
    """Exact prices, and the linear program's solution over the contested pairs."""

    prices: Array
    contested: Contested
    columns: Array


def decompose(
    model: Model,
    *,
    gap: float,
    deadline: float,
    seed: int,
    compute: Compute,
    start: Array | None = None,
    report: Report = lambda step, done, total: None,
    watch: Watch | None = None,
) -> Outcome:
    """Solve by decomposition.

    Parameters
    ----------
    model
        The compiled model.
    gap
        Relative optimality gap to reach.
    deadline
        `time.monotonic()` at which to stop with the best plan.
    seed
        Of the samples.
    compute
        Where the passes run; changes the result by rounding at most.
    start
        (n_rows,) prices of an earlier solve to start from.
    report
        Progress.
    watch
        Told of every bound and plan.
    """
    engine = compute.engine_for(model)
    watch = watch or Watch(time.monotonic())
    search = _Search(model, engine, natural_scale(engine), gap, deadline, seed, report, watch)
    first = _first_prices(search, _sampled_prices(search)) if start is None else _near(search, start)
    if first.dual < _least_objective(model, search.scale):
        return Outcome(Plan(None, impossible=True), first.prices)
    exact = _sharpen(search, first)
    if exact is None:
        return Outcome(Plan(plan_without_programs(engine, first.prices)), first.prices)
    plan = recover(
        engine, exact.prices, exact.contested, exact.columns,
        gap=gap, deadline=deadline, seed=seed, report=report, watch=watch,
    )  # fmt: skip
    if plan.choice is None:
        plan = Plan(plan_without_programs(engine, exact.prices))
    return Outcome(plan, exact.prices)


def _least_objective(model: Model, scale: Scale) -> float:
    """Return what every plan is worth at least: a dual value below it proves that there is no plan."""
    if np.isfinite(model.penalty).any():
        return -np.inf  # penalties may cost any amount
    return -(1 + 1e-9) * model.problem.per_user[1] * scale.value


def _noted(search: _Search, step: str) -> Oracle:
    """Return the dual function over all users, each value of which the watch is told."""
    oracle = oracle_of(search.engine)

    def evaluate(prices: Array) -> Cut:
        cut = oracle(prices)
        search.watch.priced(step, prices, cut.dual)
        return cut

    return evaluate


def _sampled_prices(search: _Search, start: Array | None = None) -> Array:
    """Minimise the dual on growing samples, each part of the next; on the largest only from given prices."""
    model, scale, box = search.model, search.scale, price_box(search.model, search.scale)
    prices, step, n = np.zeros(model.n_rows), 0.3, model.problem.n_users
    sizes = [size for size in SAMPLES if 3 * size < n]
    if start is not None:
        prices, step, sizes = box.clip(start), 0.05, sizes[-1:]
    if not sizes:
        return prices
    generator = np.random.default_rng(search.seed)
    largest = search.engine.take(np.sort(generator.choice(n, sizes[-1], replace=False)))
    order = generator.permutation(sizes[-1])
    for size in sizes:
        sample = largest if size == sizes[-1] else largest.take(np.sort(order[:size]))
        prices = minimise_dual(
            model, oracle_of(sample, n / size), prices, box, scale, step=step,
            tolerance=1e-6, most_passes=100, deadline=search.deadline,
            report=lambda k, _: search.report("prices on a sample", k, 0),
        ).prices  # fmt: skip
        step = 0.05
    return prices


def _first_prices(search: _Search, start: Array) -> Prices:
    """Minimise the dual on all users."""
    model, scale = search.model, search.scale
    return minimise_dual(
        model, _noted(search, "prices"), start, price_box(model, scale), scale,
        step=0.05 if start.any() else 0.3, tolerance=1e-6, most_passes=40, deadline=search.deadline,
        stop_below=_least_objective(model, scale), report=lambda k, _: search.report("prices", k, 0),
    )  # fmt: skip


def _near(search: _Search, start: Array) -> Prices:
    """Return prices near those of an earlier solve; their dual value over all users is not known yet."""
    prices = _sampled_prices(search, start)
    return Prices(prices, np.inf, WARM * np.abs(prices), np.zeros(len(prices)))


def _sharpen(search: _Search, found: Prices) -> _Exact | None:
    """Make the prices exact: a linear program over the contested users of a price box, which moves
    until the prices no longer press against its sides.
    """
    far = price_box(search.model, search.scale)
    centre, width = found.prices, _width(search, found)
    everyone = _Focus(search.engine, far, np.full_like(width, np.inf))
    inside = [everyone]  # ever smaller boxes, each with the users contested in it
    exact: _Exact | None = None
    programs = 0
    for turn in range(ROUNDS):
        search.report("exact prices", turn + 1, 0)
        last_turn = turn == ROUNDS - 1
        centre = _shrink(search, inside, centre, width, min(PROGRAM_USERS << programs, MOST_PROGRAM_USERS))
        if inside[-1].holds(far, centre) or search.late() or last_turn:
            exact = _solve_contested(search, inside[-1], centre, exact)
            programs += 1
            if exact is None:
                break
            centre = exact.prices
            if inside[-1].holds(far, centre) or search.late():
                break
        elif len(inside) == 2 and np.isinf(found.dual):
            found = _first_prices(search, centre)  # an earlier solve's prices are too far off
            centre, width = found.prices, _width(search, found)
        width = np.where(far.touches(inside[-1].box, centre, inside[-1].width), 3.0 * width, width)
        while not inside[-1].holds(far, centre):
            inside.pop()
    return exact


def _solve_contested(search: _Search, focus: _Focus, centre: Array, before: _Exact | None) -> _Exact | None:
    """Solve the linear program over contested users; the one before, or None, where time is short."""
    contested = focus.contested(centre)
    until = with_grace(search.deadline) if before is None else search.deadline
    answer = solve_program(state_program(contested, focus.box), until)
    if answer is None:
        return before
    prices = _clean(focus.box.clip(row_prices(contested, answer)), search.scale)
    return _Exact(prices, contested, answer.columns[: len(contested.value)])


def _width(search: _Search, found: Prices) -> Array:
    """Return how far each price may still move, relative to one another."""
    return np.maximum(found.moved, 0.02 * np.abs(found.prices)) + 5e-3 * search.scale.price


def _clean(prices: Array, scale: Scale) -> Array:
    """Make prices zero that are rounding errors: a bound of zero must come out as zero."""
    return np.where(np.abs(prices) < 1e-12 * scale.price, 0.0, prices)


def _shrink(search: _Search, inside: list[_Focus], centre: Array, width: Array, last: int) -> Array:
    """Keep ever fewer contested users, down to `last`, with better prices from each stage; return those.

    Stops early where they press against the sides of a stage's box.
    """
    far = inside[0].box
    for size in _stages(inside[-1].engine.n_users, last):
        focus = inside[-1]
        radius, contested = _nearest(focus.engine.radius(centre, width), size)
        wide = np.full_like(width, np.inf) if np.isinf(radius) else width * radius
        inside.append(_Focus(focus.engine.restrict(contested, centre), focus.box.around(centre, wide), wide))
        if size == last or search.late():
            break
        centre = minimise_dual(
            search.model, oracle_of(inside[-1].engine), centre, inside[-1].box, search.scale, step=0.01,
            tolerance=1e-9, most_passes=60, deadline=search.deadline,
        ).prices  # fmt: skip
        if not inside[-1].holds(far, centre):
            break
    return centre


def _stages(n_users: int, last: int) -> Iterator[int]:
    """Yield how many contested users each stage keeps, down to what one program takes."""
    while n_users > SHRINK * last:
        n_users //= SHRINK
        yield n_users
    yield last


def _nearest(radius: Array, size: int) -> tuple[float, NDArray[np.bool_]]:
    """Return the price-box radius that leaves `size` users contested, and who they are.

    Equal users tie; they count once, as they will share one class.
    """
    movable = np.isfinite(radius)
    if len(radius) <= PROGRAM_USERS:
        return np.inf, movable
    if len(radius) <= size:
        return float(np.max(radius, where=movable, initial=0.0)) or np.inf, movable
    limit = float(np.partition(radius, size - 1)[size - 1])
    if len(np.unique(radius[radius <= limit])) < 0.7 * size:
        distinct = np.unique(radius)
        limit = float(distinct[min(size, len(distinct)) - 1])
    return limit, (radius <= limit) & movable
