"""The smoothed dual function, minimised by Newton's method along a path of ever less smoothing.

Each user spreads over near-best choices instead of taking the best (exponential penalties; Cominetti and
San Martin 1994, "Asymptotic analysis of the exponential penalty trajectory in linear programming"), and
bounds of prices are barriers whose own prices are followed, too (primal-dual, as in interior point
methods). A step costs a pass and a linear system of as many unknowns as rows have sides, and a few dozen
steps do, where cutting planes need a pass for each fraction of a digit and row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from allocator.solver.master import Box, Prices, Scale
from allocator.solver.model import MANY_ROWS
from allocator.solver.pricing import Engine
from allocator.solver.smoothed.parts import find_parts
from allocator.solver.smoothed.passes import Passes, Smooth
from allocator.solver.smoothed.sides import Sides, state_sides

Array = NDArray[np.float64]

MOST_PARTS = 3_000  # of rows: a step solves a system of about as many unknowns
MOST_PAIRS = 20_000_000  # in memory
HOT = 0.3  # first smoothing, in typical values of a user, from no prices; from good ones; from very good ones
WARM_HEAT = 0.03
COOL = 1e-3
COLDEST = 1e-7
COOLING = 0.35  # of the heat is kept after a full step
BARRIER = 0.3  # of all barriers' weight against the square of the heat
ARMIJO = 1e-4
SHORTEST = 1e-8  # step: beyond it rounding decides


def suits(engine: Engine) -> bool:
    """Return whether an engine's users and rows are of the kind that this method is for."""
    model = engine.model
    pairs = engine.n_users * model.problem.n_coupons
    return (
        MANY_ROWS <= model.n_rows <= MOST_PARTS
        and model.problem.per_user[1] == 1
        and model.problem.in_memory
        and pairs <= MOST_PAIRS
        and find_parts(model).n_parts <= MOST_PARTS
    )


def minimise_smoothed(
    engine: Engine,
    start: Array,
    box: Box,
    scale: Scale,
    *,
    factor: float = 1.0,
    heat: float,
    tolerance: float,
    most_passes: int,
    deadline: float = np.inf,
    stop_below: float = -np.inf,
    report: Callable[[int, float], None] = lambda passes, dual: None,
    noted: Callable[[Array, float], None] = lambda prices, dual: None,
    threads: int | None = None,
) -> Prices:
    """Minimise the dual function over a box, as `minimise_dual`.

    Parameters
    ----------
    engine, factor
        The users, in memory, each of whom stands for `factor` users.
    start, box, scale
        (n_rows,) first prices; bounds and natural units of the prices.
    heat
        First smoothing, in typical values of a user: small where `start` is good.
    tolerance
        Stop when the dual value is proven to be within this share of the value at stake of the least.
    most_passes, deadline, stop_below, report
        As in `minimise_dual`.
    noted
        Called with prices and the dual value there.
    threads
        Worker threads.
    """
    with ThreadPoolExecutor(threads) as pool:
        path = _Path(Passes(engine, factor, pool), start, box, scale, heat)
        return _follow(path, heat, tolerance, most_passes, deadline, stop_below, report, noted)


def _follow(
    path: _Path,
    heat: float,
    tolerance: float,
    most_passes: int,
    deadline: float,
    stop_below: float,
    report: Callable[[int, float], None],
    noted: Callable[[Array, float], None],
) -> Prices:
    moved = np.zeros(len(path.prices))
    best = Prices(path.prices, np.inf, moved, moved)
    for passes in range(1, most_passes + 1):
        point = path.evaluate(heat)
        if point.dual < best.dual:
            best = Prices(path.prices, point.dual, moved, point.smooth.usage)
        report(passes, best.dual)
        noted(path.prices, point.dual)
        if point.gap <= tolerance or best.dual < stop_below or time.monotonic() > deadline:
            break
        before = path.prices
        length = path.step(point, heat)
        moved = np.maximum(0.5 * moved, np.abs(path.prices - before))
        if length < SHORTEST:
            break
        heat = max(heat * (COOLING if length > 0.9 else 0.7 if length > 0.5 else 1.0), COLDEST)
    return Prices(best.prices, best.dual, np.maximum(best.moved, moved), best.usage)


@dataclass(frozen=True)
class _Point:
    """Where the path stands: the dual value there, and how far it is from the least, as a share of the value
    at stake, if the point is central.
    """

    smooth: Smooth
    dual: float
    gap: float


class _Path:
    """The smoothed dual function with barriers, in natural units."""

    def __init__(self, passes: Passes, start: Array, box: Box, scale: Scale, heat: float) -> None:
        self.model = passes.model
        self.scale = scale
        self.typical = scale.value / self.model.problem.n_users
        self.passes = passes
        self.sides: Sides = state_sides(self.model, box, scale)
        self.at = self.sides.inside(start)
        weight = self._weight(heat)
        self.below = weight / (self.at - self.sides.low)  # prices of the bounds
        self.above = weight / (self.sides.high - self.at)

    @property
    def prices(self) -> Array:
        """The rows' prices, (n_rows,)."""
        return self.sides.prices(self.at)

    def _weight(self, heat: float) -> float:
        return BARRIER * heat * heat / max(len(self.at), 1)

    def evaluate(self, heat: float) -> _Point:
        """Let every user spread at the prices."""
        prices = self.prices
        smooth = self.passes.at(prices, heat * self.typical, curved=True)
        dual = smooth.dual + self.model.bound_cost(prices)
        barriers = self.below @ (self.at - self.sides.low) + self.above @ (self.sides.high - self.at)
        return _Point(smooth, dual, smooth.lost / self.scale.value + float(barriers))

    def step(self, point: _Point, heat: float) -> float:
        """Take a Newton step, and return the share of it that was taken."""
        sides, weight = self.sides, self._weight(heat)
        low, high = self.at - sides.low, sides.high - self.at
        gradient = sides.cost - sides.gradient(point.smooth.usage) / self.scale.value
        push = gradient - weight / low + weight / high
        matrix = sides.curvature(point.smooth.curvature) / self.scale.value
        diagonal = np.diag_indices(len(push))
        matrix[diagonal] += self.below / low + self.above / high
        matrix[diagonal] += 1e-13 * matrix[diagonal].max(initial=0.0)
        direction = _solve(matrix, -push)
        most = min(1.0, _room(low, direction), _room(high, -direction))
        length = self._line_search(point, heat, direction, float(push @ direction), most)
        self.below = _kept(self.below, weight / low - self.below * (1.0 + direction / low))
        self.above = _kept(self.above, weight / high - self.above * (1.0 - direction / high))
        self.at = self.at + length * direction
        self._recentre(weight)
        return length

    def _line_search(
        self, point: _Point, heat: float, direction: Array, slope: float, length: float
    ) -> float:
        weight = self._weight(heat)
        now = point.smooth.value / self.scale.value + self._barrier(self.at, weight)
        rounding = 1e-15 * abs(now) + 1e-16
        while length >= SHORTEST:
            at = self.at + length * direction
            value = self.passes.at(self.sides.prices(at), heat * self.typical, curved=False).value
            if (
                value / self.scale.value + self._barrier(at, weight)
                <= now + ARMIJO * length * slope + rounding
            ):
                return length
            length *= 0.4
        return 0.0

    def _barrier(self, at: Array, weight: float) -> float:
        sides = self.sides
        logs = np.log(at - sides.low).sum() + np.log(sides.high - at).sum()
        return float(sides.cost @ at - weight * logs)

    def _recentre(self, weight: float) -> None:
        """Keep prices of bounds near what the barrier says (Wächter and Biegler 2006, equation 16)."""
        low, high = self.at - self.sides.low, self.sides.high - self.at
        self.below = np.clip(self.below, weight / low / 1e8, 1e8 * weight / low)
        self.above = np.clip(self.above, weight / high / 1e8, 1e8 * weight / high)


def _solve(matrix: Array, right: Array) -> Array:
    """Solve a positive definite system, with a little more on its diagonal where rounding leaves it none."""
    scale = 1.0 / np.sqrt(matrix.diagonal())
    scaled = matrix * scale * scale[:, None]
    more = 0.0
    while True:
        try:
            factor = scipy.linalg.cho_factor(scaled + more * np.eye(len(right)), check_finite=False)
        except scipy.linalg.LinAlgError:
            more = max(10.0 * more, 1e-12)
            continue
        return np.asarray(scale * scipy.linalg.cho_solve(factor, scale * right, check_finite=False))


def _room(distance: Array, direction: Array) -> float:
    """Return how long a step may be that keeps distances from bounds positive."""
    nearer = direction < 0
    return float(0.99 * np.min(distance[nearer] / -direction[nearer], initial=np.inf))


def _kept(prices: Array, change: Array) -> Array:
    """Change prices of bounds, by as much as keeps them positive."""
    return prices + min(1.0, _room(prices, change)) * change
