"""The CPU engine: compiled kernels over blocks of users on a thread pool."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.problem.batch import BLOCK, SHELF, Batch
from allocator.solver.model import Model
from allocator.solver.pricing.engine import Array, Index, Pass, base_reduced
from allocator.solver.step import Rows, kernels


@dataclass(frozen=True)
class _Part:
    """A batch as kernels take it, with its users' places in the engine."""

    places: slice
    rows: Rows


class CpuEngine:
    """Prices users on the CPU: all of a problem, in memory or streamed, or some, in memory.

    Parameters
    ----------
    model
        The compiled model.
    some
        Rows of the users to price; all users of the problem, batch by batch, unless given.
    base
        Aggregate table of users that are decided and not priced here.
    threads
        Worker threads; all cores unless given. The result does not depend on it.
    pool
        Of these threads, shared by the engines of one solve; one of its own unless given.
    """

    def __init__(
        self,
        model: Model,
        some: Batch | None = None,
        base: Array | None = None,
        threads: int | None = None,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        self.model = model
        self.some = some
        self.base = base
        self.threads = threads or os.cpu_count() or 1
        self._pool = pool or ThreadPoolExecutor(self.threads)
        self._cell = None if some is None else model.cell[some.users]

    @property
    def n_users(self) -> int:
        """Number of users priced."""
        return self.model.problem.n_users if self.some is None else self.some.n_users

    def price(self, prices: Array, choice: NDArray[np.int16] | None = None) -> Pass:
        """Let every user choose at the given prices, as `Engine.price`."""
        step = self.model.step
        table = self._padded(self.model.price_table(prices))

        def block(part: _Part, start: int, stop: int, out: Array) -> float:
            kept = None if choice is None else choice[part.places]
            return step.choose(part.rows, table, start, stop, out, kept)

        return self._with_base(*self._sum(block), table)

    def radius(
        self, prices: Array, box: Array, choice: NDArray[np.int16] | None = None
    ) -> tuple[Array, Pass]:
        """Let every user choose, and return each one's radius of unchanged choice, as `Engine.radius`."""
        step = self.model.step
        price = self._padded(self.model.price_table(prices))
        width = self._padded(np.asarray(abs(self.model.weights).T @ box).reshape(self.model.shape))
        radius = np.empty(self.n_users)

        def block(part: _Part, start: int, stop: int, out: Array) -> float:
            kept = None if choice is None else choice[part.places]
            return step.radius(part.rows, price, width, start, stop, out, kept, radius[part.places])

        done = self._with_base(*self._sum(block), price)
        return radius, done

    def extent(self) -> Pass:
        """Return sizes of all eligible pairs, as `Engine.extent`."""

        def block(part: _Part, start: int, stop: int, out: Array) -> float:
            rows = part.rows
            return float(kernels.extent(rows.value, rows.measures, rows.cell, rows.places, start, stop, out))

        return Pass(*self._sum(block))

    def take(self, places: Index) -> CpuEngine:
        """Return an engine for some of the users, in memory."""
        some = self.model.gather(places) if self.some is None else self.some.take(places)
        return CpuEngine(self.model, some, threads=self.threads, pool=self._pool)

    def with_model(self, model: Model) -> CpuEngine:
        """Return an engine for the same users under another model of the same problem and cells."""
        return CpuEngine(model, self.some, self.base, self.threads, self._pool)

    def batch(self) -> Batch:
        """Return the raw rows of the engine's users in memory."""
        return self.model.gather(np.arange(self.n_users)) if self.some is None else self.some

    def _parts(self) -> Iterator[_Part]:
        names = self.model.measures[2:]
        batches: Iterable[Batch] = [self.some] if self.some else self.model.problem.batches(names)
        for batch in batches:
            arrays = tuple(batch.measures[name] for name in names)
            places = batch.users if isinstance(batch.users, slice) else slice(0, batch.n_users)
            cell = self.model.cell[places] if self._cell is None else self._cell
            # A kernel needs at least one measure; the value stands in under a price of zero.
            yield _Part(places, Rows(batch.value, arrays or (batch.value,), cell, self.model.places))

    def _with_base(self, reduced: float, aggregate: Array, price: Array) -> Pass:
        """Add the decided users to the sums of the others."""
        if self.base is None:
            return Pass(reduced, aggregate)
        return Pass(reduced + base_reduced(self.model, self.base, price), aggregate + self.base)

    def _padded(self, table: Array) -> Array:
        return table if len(self.model.measures) > 2 else np.concatenate([table, np.zeros_like(table[:1])])

    def _sum(self, block: Callable[[_Part, int, int, Array], float]) -> tuple[float, Array]:
        """Run a kernel over all blocks of users; add their results in order, each shelf by itself."""

        def task(part: _Part, start: int) -> tuple[float, Array]:
            out = np.zeros(self.model.shape)
            return block(part, start, min(start + BLOCK, len(part.rows.value)), out), out

        total, table = 0.0, np.zeros(self.model.shape)
        shelf, of_shelf = 0.0, np.zeros(self.model.shape)
        for part in self._parts():
            starts = range(0, len(part.rows.value), BLOCK)
            run = map if len(starts) == 1 or self.threads == 1 else self._pool.map
            sums = run(task, [part] * len(starts), starts)
            for start, (reduced, out) in zip(starts, sums, strict=True):
                if (part.places.start + start) % SHELF == 0:
                    total, table = total + shelf, table + of_shelf
                    shelf, of_shelf = 0.0, np.zeros(self.model.shape)
                shelf += reduced
                of_shelf += out
        return total + shelf, table + of_shelf
