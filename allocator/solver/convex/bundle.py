"""The convex master: a proximal bundle over prices in CVXPY, with concave terms and cones.

A concave objective of some rows' usage, or a convex constraint on it, enters the dual function through
its support function of those rows' prices (Fenchel duality); everything else stays as in the linear
case: each pass over the data gives a cut. Cuts are the columns of a Dantzig-Wolfe master, whose
mixture comes back as the multipliers of the cuts.

Kiwiel 1990, "Proximity control in bundle methods for convex nondifferentiable minimization"; Dantzig and
Wolfe 1960, "Decomposition principle for linear programs".
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from allocator.solver.master import (
    FAR,
    LONGEST_STEP,
    SERIOUS,
    Cut,
    Prices,
    natural_scale,
    oracle_of,
    price_box,
)
from allocator.solver.model import Model
from allocator.solver.pricing import Engine

Array = NDArray[np.float64]

MOST_PASSES = 400
MOST_CUTS = 200

_FILTERS = threading.Lock()


class Piece(Protocol):
    """A concave term, or a convex constraint, on the usage of some rows that have no bounds of their own.

    Its support function is the greatest ``term(usage) + prices . usage`` over usages that it allows,
    infinite where there is none.
    """

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows whose usage it depends on, by index in the model."""
        ...

    def support(self, prices: Array) -> float:
        """Return the support function at `prices` of its rows."""
        ...

    def stated(self, prices: cp.Expression, near: Array) -> tuple[cp.Expression, list[cp.Constraint]]:
        """Return the support function for CVXPY, as an expression and what must hold for it.

        `near` are prices to whose size numbers may be scaled.
        """
        ...

    def repaired(self, prices: Array) -> Array:
        """Return prices near `prices` where the support function is finite."""
        ...


@dataclass(frozen=True)
class Request:
    """What one minimisation is asked for.

    Parameters
    ----------
    pieces
        Concave terms and cones.
    tolerance
        Stop when the predicted decrease falls below this share of the unit.
    deadline
        `time.monotonic()` at which to stop.
    stop_below
        Stop as soon as the dual value is below this.
    """

    pieces: Sequence[Piece]
    tolerance: float
    deadline: float
    stop_below: float = -np.inf


class Bundle:
    """The dual function of a model with pieces, and the cuts found so far: they hold for any pieces.

    Parameters
    ----------
    engine
        All users.
    unit
        Size of the objective, to which tolerances are relative; the value at stake unless given.
    report
        Called after each pass with the number of passes.
    """

    def __init__(
        self, engine: Engine, unit: float | None = None, report: Callable[[int], None] = lambda passes: None
    ) -> None:
        scale = natural_scale(engine)
        self.model: Model = engine.model
        self.unit = unit or scale.value
        self.price_unit = scale.price * (self.unit / scale.value)
        box = price_box(self.model, scale)
        self.lowest, self.highest = box.lowest, box.highest
        self.oracle = oracle_of(engine)
        self.report = report
        self.passes = 0
        self.cuts: list[Cut] = []

    def minimise(self, request: Request, start: Array, step: float) -> Prices:
        """Minimise the dual function from `start`, with a first proximal step in natural units."""
        centre = self._repaired(request.pieces, start)
        dual = self._evaluate(request.pieces, centre)
        usage, moved = self.cuts[-1].usage, np.zeros(self.model.n_rows)
        for _ in range(MOST_PASSES):
            nothing_to_price = self.model.n_rows == 0
            if nothing_to_price or time.monotonic() > request.deadline or dual < request.stop_below:
                break
            proposed = self._propose(request.pieces, centre, step)
            # A short step predicts little whatever there is to gain; only a long one may end the search.
            while proposed and self._small(dual - proposed[1], request) and step < LONGEST_STEP:
                step *= 10.0
                proposed = self._propose(request.pieces, centre, step)
            if proposed is None:
                break
            candidate, predicted, usage = proposed
            decrease = dual - predicted
            if self._small(decrease, request):
                break
            before = dual
            value = self._evaluate(request.pieces, candidate)
            moved = np.maximum(0.5 * moved, np.abs(candidate - centre))
            if before - value >= SERIOUS * decrease:
                step *= 2.0 if before - value >= 0.5 * decrease else 1.0
                centre, dual = candidate, value
            else:
                # A cut far below the dual at the centre says nothing there: try nearer.
                at_centre = self._line(self.cuts[-1], centre) + self._fixed(request.pieces, centre)
                step *= 0.5 if dual - at_centre > 2.0 * decrease else 0.9
        return Prices(centre, dual, moved, usage)

    def _small(self, decrease: float, request: Request) -> bool:
        return decrease <= request.tolerance * self.unit

    def _evaluate(self, pieces: Sequence[Piece], prices: Array) -> float:
        """Return the dual value at `prices`, after one pass whose cut is kept."""
        self.passes += 1
        self.report(self.passes)
        cut = self.oracle(prices)
        self.cuts.append(cut)
        if len(self.cuts) > MOST_CUTS:
            del self.cuts[0]
        return cut.dual + self._support(pieces, prices)

    def _support(self, pieces: Sequence[Piece], prices: Array) -> float:
        return sum(piece.support(prices[piece.rows]) for piece in pieces)

    def _fixed(self, pieces: Sequence[Piece], prices: Array) -> float:
        """Return what bounds and pieces add to the dual value."""
        return self.model.bound_cost(prices) + self._support(pieces, prices)

    def _line(self, cut: Cut, prices: Array) -> float:
        return cut.value - float(cut.usage @ prices)

    def _repaired(self, pieces: Sequence[Piece], prices: Array) -> Array:
        """Return nearby prices with the right signs, at which every piece is finite."""
        owned = self._owned(pieces)
        fixed = np.where(owned, prices, np.clip(prices, self.lowest, self.highest))
        # Without this, a price that should be zero charges for a bound by rounding error.
        fixed[np.abs(fixed) < 1e-12 * self.price_unit] = 0.0
        for piece in pieces:
            fixed[piece.rows] = piece.repaired(fixed[piece.rows])
        return fixed

    def _owned(self, pieces: Sequence[Piece]) -> NDArray[np.bool_]:
        owned = np.zeros(self.model.n_rows, np.bool_)
        for piece in pieces:
            owned[piece.rows] = True
        return owned

    def _propose(
        self, pieces: Sequence[Piece], centre: Array, step: float
    ) -> tuple[Array, float, Array] | None:
        """Return the proximal point, the dual value predicted there, and the mixture's usage.

        None if CVXPY finds no answer: the prices so far are as good as they get.
        """
        model, unit = self.model, self.price_unit
        free = self._owned(pieces) | (self.highest > self.lowest)
        move = cp.Variable(model.n_rows)  # from the centre, in steps of natural units
        level = cp.Variable()
        usage = np.array([cut.usage for cut in self.cuts]) * unit / self.unit
        at_centre = np.array([self._line(cut, centre) for cut in self.cuts]) / self.unit
        errors = (at_centre - at_centre.max()) / step
        above = level >= errors - usage @ move
        prices = centre + cp.multiply(step * unit, move)
        cost, within = self._bounds(pieces, prices, centre, step)
        for piece in pieces:
            expression, constraints = piece.stated(prices[piece.rows], centre[piece.rows])
            cost += expression
            within += constraints
        within += [move[np.flatnonzero(~free)] == 0] if not free.all() else []
        objective = level + cost / (self.unit * step) + 0.5 * cp.sum_squares(move)
        problem = cp.Problem(cp.Minimize(objective), [above, *within])
        if not _solved(problem):
            return None
        found = self._repaired(pieces, centre + step * unit * move.value)
        best = max(self._line(cut, found) for cut in self.cuts)
        mixture = np.maximum(above.dual_value, 0.0)
        mixture /= mixture.sum() or 1.0
        mixed = np.array([cut.usage for cut in self.cuts]).T @ mixture
        return found, best + self._fixed(pieces, found), mixed

    def _bounds(
        self, pieces: Sequence[Piece], prices: cp.Expression, centre: Array, step: float
    ) -> tuple[cp.Expression, list[cp.Constraint]]:
        """State what bounds cost, and the signs and caps of prices."""
        model, mine = self.model, ~self._owned(pieces)
        upper, lower = np.isfinite(model.at_most) & mine, np.isfinite(model.at_least) & mine
        both, high, low = (np.flatnonzero(s) for s in (upper & lower, upper & ~lower, lower & ~upper))
        cost: cp.Expression = cp.Constant(0.0)
        within: list[cp.Constraint] = []
        for rows, bound in ((high, model.at_most), (low, model.at_least)):
            if len(rows):
                cost += bound[rows] @ prices[rows]
        if len(both):
            most, least = model.at_most[both], model.at_least[both]
            dearer = cp.maximum(cp.multiply(most, prices[both]), cp.multiply(least, prices[both]))
            cost += np.ones(len(both)) @ dearer  # cp.sum adds up uninitialised memory, and may warn
        # In steps from the centre; a cap many steps away cannot matter.
        down, up = ((side - centre) / (step * self.price_unit) for side in (self.lowest, self.highest))
        move = (prices - centre) / (step * self.price_unit)
        below, above = np.flatnonzero(mine & (down > -FAR)), np.flatnonzero(mine & (up < FAR))
        within += [move[below] >= down[below]] if len(below) else []
        within += [move[above] <= up[above]] if len(above) else []
        return cost, within


def _solved(problem: cp.Problem) -> bool:
    # Filters of warnings belong to the whole process: two threads at once would leave each other's behind.
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")
        try:
            problem.solve(solver=cp.CLARABEL)
        except (cp.SolverError, ValueError):  # the latter where numbers have left their range
            return False
    return problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
