"""Prices as variables between two bounds each: one a finite side of a row, or one for an equality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.master import Box, Scale
from allocator.solver.model import Model

Array = NDArray[np.float64]
EQUAL = 1e-9  # relative difference of two bounds that make an equality
INSIDE = 1e-3  # natural units, or this share of the way between its bounds, that a variable starts inside


@dataclass(frozen=True)
class Sides:
    """Variables in natural units; a row's price is the sum of `factor` x variable, and what is `fixed`.

    Parameters
    ----------
    row, factor
        (n_sides,) the row of each, and the row's price for a unit of it.
    cost
        (n_sides,) what a unit of it costs by the row's bound, in values at stake.
    low, high
        (n_sides,) its bounds.
    fixed
        (n_rows,) prices that cannot move.
    """

    row: NDArray[np.int64]
    factor: Array
    cost: Array
    low: Array
    high: Array
    fixed: Array

    def prices(self, sides: Array) -> Array:
        """Return the rows' prices, (n_rows,)."""
        return self.fixed + np.bincount(self.row, self.factor * sides, len(self.fixed))

    def inside(self, prices: Array) -> Array:
        """Return variables near prices and inside their bounds."""
        least = np.minimum(INSIDE, 0.25 * (self.high - self.low))
        wanted = (prices - self.fixed)[self.row] / self.factor
        return np.clip(wanted, self.low + least, self.high - least)

    def gradient(self, usage: Array) -> Array:
        """Return what rows' usage, (n_rows,), says of a unit of each variable."""
        return usage[self.row] * self.factor

    def curvature(self, rows: Array) -> Array:
        """Return second derivatives in the variables from those in the rows' prices."""
        return np.asarray(rows[np.ix_(self.row, self.row)] * self.factor * self.factor[:, None])


def state_sides(model: Model, box: Box, scale: Scale) -> Sides:
    """State the prices in a box as variables."""
    least, most = model.at_least, model.at_most
    finite = np.isfinite(least) & np.isfinite(most)
    equal = finite.copy()
    equal[finite] = (most - least)[finite] <= EQUAL * np.maximum(np.abs(least), np.abs(most))[finite]
    up = np.isfinite(most) & ~equal
    down = np.isfinite(least) & ~equal
    kinds = [
        (np.flatnonzero(up), 1.0, np.maximum(box.lowest, 0.0), np.maximum(box.highest, 0.0), most),
        (np.flatnonzero(down), -1.0, np.maximum(-box.highest, 0.0), np.maximum(-box.lowest, 0.0), least),
        (np.flatnonzero(equal), 1.0, box.lowest, box.highest, most),
    ]
    row = np.concatenate([rows for rows, *_ in kinds])
    sign = np.concatenate([np.full(len(rows), sign) for rows, sign, *_ in kinds])
    low = np.concatenate([lowest[rows] for rows, _, lowest, _, _ in kinds])
    high = np.concatenate([highest[rows] for rows, _, _, highest, _ in kinds])
    bound = np.concatenate([bounds[rows] for rows, _, _, _, bounds in kinds])
    unit = scale.price[row]
    moves = high - low > 1e-12 * np.maximum(unit, high)
    fixed = np.bincount(row[~moves], (sign * low)[~moves], model.n_rows).astype(np.float64)
    row, sign, low, high, bound, unit = (part[moves] for part in (row, sign, low, high, bound, unit))
    return Sides(row, sign * unit, sign * bound * unit / scale.value, low / unit, high / unit, fixed)
