"""The master problem: find the prices that minimise the dual function.

A proximal bundle method (Kiwiel 1990, "Proximity control in bundle methods for convex
nondifferentiable minimization"): each pass over the data gives one cut, the value of its choices
less the price of what they use; a small quadratic program over the cuts proposes the next prices.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import clarabel
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.errors import InputError
from allocator.solver.model import Model
from allocator.solver.pricing import Engine

Array = NDArray[np.float64]
MOST_CUTS = 120
LONGEST_STEP = 10.0  # natural units
MOST_OF_BOUND = 100.0  # a row's usage counts up to so many times its upper bound
FAR = 1e4  # a bound this many steps away cannot matter
SERIOUS = 0.1  # share of the predicted decrease that makes a step count


@dataclass(frozen=True)
class Scale:
    """Natural units: the value at stake, and the price at which a row would eat all of it."""

    value: float
    price: Array


def natural_scale(engine: Engine) -> Scale:
    """Measure the scale of a model from the sizes of all eligible pairs.

    Raises
    ------
    InputError
        If values or measures are so large or so small that sums of them leave the range of numbers.
    """
    sizes = engine.extent()
    value = sizes.reduced or 1.0
    with np.errstate(all="ignore"):
        used = np.asarray(abs(engine.model.weights) @ sizes.table.ravel()) / engine.model.problem.n_coupons
        used = np.minimum(used, _most_that_counts(engine.model))
        most = float(used.max(initial=0.0)) or 1.0
        price = value / np.where(used > 1e-12 * most, used, most)
    if not (np.isfinite(value) and np.isfinite(price).all()):
        raise InputError(
            "values or measures are so large or so small that their sums leave the range of numbers: "
            "state them in another unit"
        )
    return Scale(value, price)


def _most_that_counts(model: Model) -> Array:
    """Return for each row the usage beyond which more says nothing: a pair may cost more than all may use."""
    bounded = np.isfinite(model.at_most) & (model.at_most > 0)
    return np.where(bounded, MOST_OF_BOUND * model.at_most, np.inf)


@dataclass(frozen=True)
class Box:
    """Bounds of the prices, (n_rows,) each."""

    lowest: Array
    highest: Array

    def clip(self, prices: Array) -> Array:
        """Return the nearest prices in the box."""
        return np.clip(prices, self.lowest, self.highest)

    def around(self, centre: Array, width: Array) -> Box:
        """Return the part of the box within `width` of `centre`."""
        return Box(np.maximum(self.lowest, centre - width), np.minimum(self.highest, centre + width))

    def touches(self, inner: Box, prices: Array, width: Array) -> NDArray[np.bool_]:
        """Return the rows whose prices press against a side of `inner` that is not a side of this box."""
        near = 1e-6 * width
        low = (prices <= inner.lowest + near) & (inner.lowest > self.lowest)
        high = (prices >= inner.highest - near) & (inner.highest < self.highest)
        return low | high


def price_box(model: Model, scale: Scale) -> Box:
    """Return the box of all sensible prices: signs, penalties, and a far cap against running away."""
    lowest, highest = model.price_range()
    cap = np.where(np.isinf(model.penalty), 1e5 * scale.price, np.inf)
    return Box(np.maximum(lowest, -cap), np.minimum(highest, cap))


@dataclass(frozen=True)
class Cut:
    """One evaluation of the dual function: its value, and the value and usage of the choices."""

    dual: float
    value: float
    usage: Array


Oracle = Callable[[Array], Cut]
"""Evaluates the dual function at given prices."""


def oracle_of(engine: Engine, factor: float = 1.0) -> Oracle:
    """Return the dual function of an engine's users, each of whom stands for `factor` users."""
    model = engine.model

    def evaluate(prices: Array) -> Cut:
        done = engine.price(prices)
        dual = factor * done.reduced + model.bound_cost(prices)
        return Cut(dual, factor * model.earned(done.table), factor * model.usage(done.table))

    return evaluate


@dataclass(frozen=True)
class Prices:
    """Prices with the dual value they reach.

    `moved` is how far each price moved in the last steps; `usage` is each row's usage in the mixture
    of choices that the last quadratic program settled on.
    """

    prices: Array
    dual: float
    moved: Array
    usage: Array


def minimise_dual(
    model: Model,
    oracle: Oracle,
    start: Array,
    box: Box,
    scale: Scale,
    *,
    step: float,
    tolerance: float,
    most_passes: int,
    deadline: float = np.inf,
    stop_below: float = -np.inf,
    report: Callable[[int, float], None] = lambda passes, dual: None,
) -> Prices:
    """Minimise the dual function over a box by a proximal bundle method.

    Parameters
    ----------
    model, oracle
        The rows, and the dual function.
    start
        (n_rows,) first prices.
    box, scale
        Bounds and natural units of the prices.
    step
        First proximal step, in natural units: small where `start` is good.
    tolerance
        Stop when the predicted decrease falls below this share of the value at stake.
    most_passes, deadline
        Stop after so many passes, or at this `time.monotonic()`.
    stop_below
        Stop as soon as the dual value is below this.
    report
        Called after each pass with passes and dual value.
    """
    centre = box.clip(start)
    cut = oracle(centre)
    dual, usage = cut.dual, cut.usage
    cuts = _Cuts(model, scale)
    cuts.add(cut)
    moved = np.zeros(model.n_rows)
    for passes in range(2, most_passes + 1):
        report(passes - 1, dual)
        if model.n_rows == 0 or time.monotonic() > deadline or dual < stop_below:
            break
        candidate, predicted, usage = cuts.propose(centre, box, step)
        # A short step predicts little whatever there is to gain; only a long one may end the search.
        while dual - predicted <= tolerance * scale.value and step < LONGEST_STEP:
            step *= 10.0
            candidate, predicted, usage = cuts.propose(centre, box, step)
        decrease = dual - predicted
        if decrease <= tolerance * scale.value:
            break
        cut = oracle(candidate)
        cuts.add(cut)
        actual = dual - cut.dual
        moved = np.maximum(0.5 * moved, np.abs(candidate - centre))
        if actual >= SERIOUS * decrease:
            centre, dual = candidate, cut.dual
            if actual >= 0.5 * decrease:
                step *= 2.0
        else:
            # A cut far below the dual at the centre says nothing there: try nearer.
            at_centre = cut.value - float(cut.usage @ centre) + model.bound_cost(centre)
            step *= 0.5 if dual - at_centre > 2.0 * decrease else 0.9
    return Prices(centre, dual, moved, usage)


class _Cuts:
    """The bundle and its quadratic program, in natural units."""

    def __init__(self, model: Model, scale: Scale) -> None:
        self.model = model
        self.scale = scale
        self.value: list[float] = []
        self.usage: list[Array] = []
        # One non-negative price for each finite side of a row; a row's price is upper less lower.
        upper = np.flatnonzero(np.isfinite(model.at_most))
        lower = np.flatnonzero(np.isfinite(model.at_least))
        self.row = np.concatenate([upper, lower])
        self.sign = np.concatenate([np.ones(len(upper)), -np.ones(len(lower))])
        bound = np.concatenate([model.at_most[upper], model.at_least[lower]])
        self.cost = self.sign * bound * scale.price[self.row] / scale.value
        self.quadratic = _sparse(np.diag(np.append(np.ones(len(self.row)), 0.0)))

    def add(self, cut: Cut) -> None:
        """Keep a cut; the oldest goes when there are too many."""
        self.value.append(cut.value / self.scale.value)
        self.usage.append(cut.usage * self.scale.price / self.scale.value)
        if len(self.value) > MOST_CUTS:
            del self.value[0], self.usage[0]

    def propose(self, centre: Array, box: Box, step: float) -> tuple[Array, float, Array]:
        """Return the proximal point's prices, the dual value the cuts predict there, and the usage
        of the mixture of cuts that supports it.
        """
        unit = self.scale.price[self.row]
        low, high = self._side_bounds(box)
        now = np.clip(self.sign * centre[self.row] / unit, low, high)
        n, k = len(self.row), len(self.value)
        usage = np.array(self.usage)[:, self.row] * self.sign
        at_centre = np.array(self.value) - usage @ now
        # In steps from the centre, and with the step as unit, the program stays well scaled.
        linear = np.concatenate([self.cost, [1.0]])
        eye = np.eye(n, n + 1)
        below, above = low > now - FAR * step, high < now + FAR * step
        rows = _sparse(np.vstack([np.hstack([-usage, -np.ones((k, 1))]), -eye[below], eye[above]]))
        errors = (at_centre.max() - at_centre) / step
        right = np.concatenate([errors, (now - low)[below] / step, (high - now)[above] / step])
        solution, multipliers = _solve_quadratic(self.quadratic, linear, rows, right)
        sides = np.clip(now + step * solution[:n], low, high)
        predicted = float(self.cost @ sides + np.max(np.array(self.value) - usage @ sides))
        prices = np.zeros(self.model.n_rows)
        np.add.at(prices, self.row, self.sign * sides * unit)
        mixture = np.array(self.usage).T @ multipliers[:k] * self.scale.value / self.scale.price
        return box.clip(prices), predicted * self.scale.value, mixture

    def _side_bounds(self, box: Box) -> tuple[Array, Array]:
        unit = self.scale.price[self.row]
        lowest, highest = box.lowest[self.row] / unit, box.highest[self.row] / unit
        up = self.sign > 0
        low = np.where(up, np.maximum(lowest, 0.0), np.maximum(-highest, 0.0))
        high = np.where(up, np.maximum(highest, 0.0), np.maximum(-lowest, 0.0))
        return low, np.maximum(high, low)


def _sparse(dense: Array) -> sp.csc_matrix:
    """Return a small matrix in columns; SciPy's own conversion takes longer than the quadratic program."""
    column, row = np.nonzero(dense.T)
    starts = np.searchsorted(column, np.arange(dense.shape[1] + 1))
    return sp.csc_matrix((dense[row, column], row, starts), shape=dense.shape)


def _solve_quadratic(
    quadratic: sp.csc_matrix, linear: Array, rows: sp.csc_matrix, right: Array
) -> tuple[Array, Array]:
    """Minimise x'Qx/2 + linear'x subject to rows x <= right; return x and the multipliers."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
    cone = [clarabel.NonnegativeConeT(len(right))]
    solver = clarabel.DefaultSolver(quadratic, linear, rows, right, cone, settings)
    solution = solver.solve()
    return np.array(solution.x), np.array(solution.z)
