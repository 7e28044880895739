"""What a Ray worker holds and does. Needs Ray: only the engine imports it, when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import ray
from numpy.typing import NDArray

from allocator.problem import Problem
from allocator.problem.batch import SHELF, Batch
from allocator.solver.model import Model
from allocator.solver.pricing.cpu import CpuEngine
from allocator.solver.pricing.engine import Array, Index, Pass

if TYPE_CHECKING:
    from allocator.problem.parquet import ParquetProblem


@dataclass(frozen=True)
class Shelf:
    """What passes over one shelf's users ask of their problem, with its rows in memory."""

    batch: Batch
    cell: NDArray[np.int32]
    per_user: tuple[int, int]

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.batch.n_users

    @property
    def n_coupons(self) -> int:
        """Number of coupons."""
        return int(self.batch.value.shape[1])

    def batches(self, measures: Sequence[str]) -> Iterator[Batch]:
        """Yield the shelf, as `Problem.batches`."""
        yield replace(self.batch, users=slice(0, self.n_users))

    def room(self) -> NDArray[np.int16]:
        """Return an array to write choices to."""
        return np.empty((self.n_users, self.per_user[1]), np.int16)

    def engine(self, model: Model) -> CpuEngine:
        """Return an engine for the shelf's users, one thread."""
        return CpuEngine(replace(model, problem=cast(Problem, self), cell=self.cell), threads=1)


@dataclass(frozen=True)
class _Stored:
    """Loads consecutive shelves from the object store."""

    references: list[Any]

    def __call__(self) -> list[Shelf]:
        return cast("list[Shelf]", ray.get(self.references))


@dataclass(frozen=True)
class _OnDisk:
    """Reads the shelves from `start` to `stop` of a problem on disk; `cell` refers to those users' cells."""

    problem: Problem
    measures: Sequence[str]
    start: int
    stop: int
    cell: Any

    def __call__(self) -> list[Shelf]:
        cell = ray.get(self.cell)
        users = np.arange(self.start, self.stop)
        shelves = []
        for batch in self.problem.batches(self.measures, users):
            assert isinstance(batch.users, slice)
            for first, shelf in _split(batch):
                place = first - self.start
                if 0 <= place < len(cell):
                    of_shelf = cell[place : place + shelf.n_users]
                    shelves.append(Shelf(shelf, of_shelf, self.problem.per_user))
        return shelves


Part = Callable[[], "list[Shelf]"]
"""Loads some consecutive shelves."""


class Worker:
    """Holds some consecutive shelves; loads them when first asked, as again after a restart.

    Every method takes what loads them and the model without its users' data, and returns one result a shelf.
    """

    def __init__(self) -> None:
        self._loaded: list[Shelf] = []

    def ready(self) -> None:
        """Answer once the process runs."""

    def price(
        self, part: Part, model: Model, prices: Array, keep: bool
    ) -> list[tuple[Pass, NDArray[np.int16] | None]]:
        """Let every user choose; also return the choices if asked to `keep` them."""
        results = []
        for shelf in self._shelves(part):
            choice = shelf.room() if keep else None
            results.append((shelf.engine(model).price(prices, choice), choice))
        return results

    def radius(
        self, part: Part, model: Model, prices: Array, box: Array, keep: bool
    ) -> list[tuple[Array, Pass, NDArray[np.int16] | None]]:
        """Let every user choose; return radii too, and the choices if asked to `keep` them."""
        results = []
        for shelf in self._shelves(part):
            choice = shelf.room() if keep else None
            results.append((*shelf.engine(model).radius(prices, box, choice), choice))
        return results

    def extent(self, part: Part, model: Model) -> list[Pass]:
        """Return sizes of all eligible pairs."""
        return [shelf.engine(model).extent() for shelf in self._shelves(part)]

    def rows(self, part: Part, model: Model, users: Index) -> list[Batch]:
        """Return the rows of some of all users, by rising indices."""
        results = []
        for shelf in self._shelves(part):
            start = cast(slice, shelf.batch.users).start
            inside = slice(*np.searchsorted(users, [start, start + shelf.n_users]))
            results.append(shelf.batch.take(users[inside] - start))
        return results

    def _shelves(self, part: Part) -> list[Shelf]:
        self._loaded = self._loaded or part()
        return self._loaded


def parts_of(model: Model, count: int) -> list[Part]:
    """Return what loads each worker's part: copies in the object store, or a reader of files.

    The copies are kept as long as what this returns.
    """
    problem, measures = model.problem, model.measures[2:]
    n_shelves = -(-problem.n_users // SHELF)
    edges = [SHELF * (k * n_shelves // count) for k in range(count)] + [problem.n_users]
    if not problem.in_memory:
        reader = cast("ParquetProblem", problem).reader()
        return [
            _OnDisk(reader, measures, start, stop, ray.put(model.cell[start:stop]))
            for start, stop in pairwise(edges)
        ]
    (batch,) = problem.batches(measures)
    shelves = list(_split(batch))
    return [
        _Stored(
            [
                ray.put(Shelf(part, model.cell[part.users], problem.per_user))
                for first, part in shelves
                if start <= first < stop
            ]
        )
        for start, stop in pairwise(edges)
    ]


def _split(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Cut a batch of consecutive users into shelves, each with its first user."""
    first = cast(slice, batch.users).start
    for start in range(0, batch.n_users, SHELF):
        at = slice(start, min(start + SHELF, batch.n_users))
        measures = {name: array[at] for name, array in batch.measures.items()}
        yield first + start, Batch(slice(first + at.start, first + at.stop), batch.value[at], measures)
