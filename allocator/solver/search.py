"""What one search for prices works on, and what a pass over its users tells."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.progress import Progress
from allocator.solver.master import Scale
from allocator.solver.model import Model
from allocator.solver.pricing import Engine, Engines, Pass
from allocator.solver.watch import Watch

Array = NDArray[np.float64]


@dataclass
class Search:
    """What stays the same during one solve."""

    model: Model
    engines: Engines
    engine: Engine
    scale: Scale
    gap: float
    deadline: float
    seed: int
    report: Progress
    watch: Watch

    def late(self) -> bool:
        """Return whether time is over."""
        return time.monotonic() > self.deadline


@dataclass(frozen=True)
class Survey:
    """What an engine's users choose at some prices, the sums of it, and how many times `width` prices may
    move before each user's choice changes. `choice` is there only if these are all users.
    """

    prices: Array
    width: Array
    choice: NDArray[np.int16] | None
    done: Pass
    radius: Array

    def contested(self, prices: Array) -> int:
        """Return how many users are contested in a box that holds prices in its inner half."""
        need = 2.0 * float(np.max(np.abs(prices - self.prices) / self.width, initial=0.0))
        return int(np.count_nonzero(self.radius <= need))


def take_survey(search: Search, engine: Engine, prices: Array, width: Array) -> Survey:
    """Let an engine's users choose; of all users, tell the watch."""
    if engine is not search.engine:
        radius, done = engine.radius(prices, width)
        return Survey(prices, width, None, done, radius)
    choice = np.empty((engine.n_users, search.model.step.width), np.int16)
    radius, done = engine.radius(prices, width, choice)
    search.watch.priced("prices", prices, done.reduced + search.model.bound_cost(prices))
    return Survey(prices, width, choice, done, radius)
