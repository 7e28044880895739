"""Passes over users in memory for the smoothed dual function."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.pricing import Engine
from allocator.solver.pricing.engine import base_reduced
from allocator.solver.smoothed.kernels import soften
from allocator.solver.smoothed.parts import find_parts

Array = NDArray[np.float64]
STRANDS = 8  # of users, each summed by itself: fixed, so that sums do not depend on the number of threads


@dataclass(frozen=True)
class Smooth:
    """The smoothed dual function at some prices.

    Parameters
    ----------
    value, dual
        The smoothed and the plain sum of best reduced values, and of what bounds cost in neither.
    lost
        What spreading over near-best choices loses of the plain one.
    usage
        (n_rows,) what the spread choices use.
    curvature
        (n_rows, n_rows) second derivatives of `value` in prices; empty unless asked for.
    """

    value: float
    dual: float
    lost: float
    usage: Array
    curvature: Array


class Passes:
    """An engine's users in memory, each of whom stands for `factor` users."""

    def __init__(self, engine: Engine, factor: float, pool: ThreadPoolExecutor) -> None:
        self.model = engine.model
        self._base = engine.base
        self._factor = factor
        self._batch = engine.batch()
        self._cell = self.model.cell[self._batch.users]
        self._measures = tuple(self._batch.measure(name) for name in self.model.measures[2:])
        self._parts = find_parts(self.model)
        self._pool = pool

    def at(self, prices: Array, heat: float, curved: bool) -> Smooth:
        """Let every user spread over choices within some `heat`, in objective units, of the best."""
        model, parts = self.model, self._parts
        price = model.price_table(prices)
        n, size = self._batch.n_users, parts.n_parts if curved else 0
        measures = self._measures or (self._batch.value,)

        def strand(start: int, stop: int) -> tuple[Array, Array, Array]:
            found = np.zeros(3), np.zeros(parts.n_parts), np.zeros((size, size))
            soften(
                self._batch.value, measures, self._cell, model.places, price, parts.part,
                model.step.must, heat, start, stop, *found,
            )  # fmt: skip
            return found

        ends = np.linspace(0, n, STRANDS + 1).astype(np.int64)
        done = list(self._pool.map(strand, ends[:-1], ends[1:]))
        sums, usage, curvature = (self._factor * sum(each) for each in zip(*done, strict=True))
        rows = parts.rows
        used = np.asarray(rows @ usage)
        fixed = 0.0
        if self._base is not None:
            fixed = self._factor * base_reduced(model, self._base, price)
            used = used + self._factor * model.usage(self._base)
        if curved:
            curvature = curvature + np.triu(curvature, 1).T
            curvature = np.asarray(rows @ (rows @ curvature).T) / heat
        return Smooth(float(sums[0]) + fixed, float(sums[1]) + fixed, float(sums[2]), used, curvature)
