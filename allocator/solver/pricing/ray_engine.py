"""The Ray engine: each worker process holds its part of the users; prices go out, tables come back.

A part is whole shelves of users, and each shelf is summed as in memory on one machine, so the bits of the
result do not depend on the number of workers. Every call says which part it means: a worker that dies is
started again by Ray, loads the part again (from the object store, or from disk), and repeats the pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from allocator.batch import SHELF, Batch
from allocator.errors import PluginError
from allocator.problem import Problem
from allocator.solver.model import Model
from allocator.solver.pricing.cpu import CpuEngine
from allocator.solver.pricing.engine import Array, Index, Pass

if TYPE_CHECKING:
    from allocator.parquet import ParquetProblem

RESTARTS = 10  # of each worker, before the solve gives up
PATIENCE = 60.0  # seconds for the cluster to find room for the workers


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise PluginError(
            f"The ray engine needs Ray, which cannot be imported: {error}. "
            "In a checkout of Allocate, pip install '.[ray]' brings it."
        ) from error
    return ray


@contextmanager
def connected(workers: int | None = None) -> Iterator[None]:
    """Use the connection that there is, or the cluster that Ray finds, or start one on this machine.

    What is started or connected here ends with the context.
    """
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    with _quiet():
        options = {"log_to_driver": False, "configure_logging": False}
        try:
            ray.init(address="auto", **options)
        except ConnectionError:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **options)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's messages off the standard streams: on standard output data goes."""
    from ray._private import worker as console

    logger = logging.getLogger("ray")
    level, printing = logger.level, getattr(console, "_worker_logs_enabled", True)
    logger.setLevel(logging.ERROR)
    console._worker_logs_enabled = False
    try:
        yield
    finally:
        console._worker_logs_enabled = printing
        logger.setLevel(level)


@dataclass(frozen=True)
class _Shelf:
    """What passes over one shelf's users ask of their problem, with its rows in memory."""

    batch: Batch
    cell: NDArray[np.int32]
    per_user: tuple[int, int]

    @property
    def n_users(self) -> int:
        return self.batch.n_users

    @property
    def n_coupons(self) -> int:
        return int(self.batch.value.shape[1])

    def batches(self, measures: Sequence[str]) -> Iterator[Batch]:
        yield replace(self.batch, users=slice(0, self.n_users))

    def engine(self, model: Model) -> CpuEngine:
        return CpuEngine(replace(model, problem=cast(Problem, self), cell=self.cell), threads=1)


@dataclass(frozen=True)
class _Stored:
    """Loads consecutive shelves from the object store."""

    references: list[Any]

    def __call__(self) -> list[_Shelf]:
        return cast("list[_Shelf]", _ray().get(self.references))


@dataclass(frozen=True)
class _OnDisk:
    """Reads the shelves from `start` to `stop` of a problem on disk; `cell` refers to those users' cells."""

    problem: Problem
    measures: Sequence[str]
    start: int
    stop: int
    cell: Any

    def __call__(self) -> list[_Shelf]:
        cell = _ray().get(self.cell)
        users = np.arange(self.start, self.stop)
        shelves = []
        for batch in self.problem.batches(self.measures, users):
            assert isinstance(batch.users, slice)
            for first, shelf in _split(batch):
                place = first - self.start
                if 0 <= place < len(cell):
                    of_shelf = cell[place : place + shelf.n_users]
                    shelves.append(_Shelf(shelf, of_shelf, self.problem.per_user))
        return shelves


_Part = Callable[[], "list[_Shelf]"]
"""Loads some consecutive shelves."""


class _Worker:
    """Holds some consecutive shelves; loads them when first asked, as again after a restart.

    Every method takes what loads them and the model without its users' data, and returns one result a shelf.
    """

    def __init__(self) -> None:
        self._loaded: list[_Shelf] = []

    def ready(self) -> None:
        """Answer once the process runs."""

    def price(
        self, part: _Part, model: Model, prices: Array, keep: bool
    ) -> list[tuple[Pass, NDArray[np.int16] | None]]:
        results = []
        for shelf in self._shelves(part):
            choice = np.empty((shelf.n_users, shelf.per_user[1]), np.int16) if keep else None
            results.append((shelf.engine(model).price(prices, choice), choice))
        return results

    def radius(self, part: _Part, model: Model, prices: Array, box: Array) -> list[Array]:
        return [shelf.engine(model).radius(prices, box) for shelf in self._shelves(part)]

    def extent(self, part: _Part, model: Model) -> list[Pass]:
        return [shelf.engine(model).extent() for shelf in self._shelves(part)]

    def rows(self, part: _Part, model: Model, users: Index) -> list[Batch]:
        results = []
        for shelf in self._shelves(part):
            start = cast(slice, shelf.batch.users).start
            inside = slice(*np.searchsorted(users, [start, start + shelf.n_users]))
            results.append(shelf.batch.take(users[inside] - start))
        return results

    def _shelves(self, part: _Part) -> list[_Shelf]:
        self._loaded = self._loaded or part()
        return self._loaded


class RayEngine:
    """Prices all users of a problem on a Ray cluster. Implements `Engine`.

    Price tables and aggregate tables travel in every pass, radii and the rows of contested users when some
    are taken (those are priced in this process), choices with the plan.

    Parameters
    ----------
    model
        The compiled model.
    workers
        Worker processes of one core each; as many as the cluster has cores unless given.

    Raises
    ------
    PluginError
        If Ray is not installed, or the cluster has no room for the workers.
    """

    base = None

    def __init__(self, model: Model, workers: int | None = None) -> None:
        ray = _ray()
        self.model = model
        self.threads = workers
        cores = int(ray.cluster_resources().get("CPU", 0))
        count = max(min(workers or cores, cores, -(-self.n_users // SHELF)), 1)
        actor = ray.remote(_Worker).options(num_cpus=1, max_restarts=RESTARTS, max_task_retries=-1)
        self._workers = [(actor.remote(), part) for part in _parts_of(model, count)]
        started = [worker.ready.remote() for worker, _ in self._workers]
        _, waiting = ray.wait(started, num_returns=count, timeout=PATIENCE)
        if waiting:
            raise PluginError(
                f"The Ray cluster started {count - len(waiting)} of {count} workers within {PATIENCE:.0f} s: "
                "free some of its cores, or ask for fewer workers with the setting threads."
            )
        self._light = self._without_users(model)

    @property
    def n_users(self) -> int:
        """Number of users priced."""
        return self.model.problem.n_users

    def price(self, prices: Array, choice: NDArray[np.int16] | None = None) -> Pass:
        """Let every user choose at the given prices, as `Engine.price`."""
        results = self._ask("price", prices, choice is not None)
        if choice is not None:
            choice[:] = np.concatenate([part for _, part in results])
        return self._total(done for done, _ in results)

    def radius(self, prices: Array, box: Array) -> Array:
        """Return each user's radius of unchanged choice, as `Engine.radius`."""
        return np.concatenate(self._ask("radius", prices, box))

    def extent(self) -> Pass:
        """Return sizes of all eligible pairs, as `Engine.extent`."""
        return self._total(self._ask("extent"))

    def take(self, places: Index) -> CpuEngine:
        """Return an engine for some of the users, in this process."""
        parts = self._ask("rows", places)
        some = Batch(
            places,
            np.concatenate([part.value for part in parts]),
            {name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures},
        )
        return CpuEngine(self.model, some, threads=self.threads)

    def restrict(self, inside: NDArray[np.bool_], prices: Array) -> CpuEngine:
        """Return an engine for the users `inside`; the others keep their choice at `prices`."""
        whole = self.price(prices).table
        part = self.take(np.flatnonzero(inside))
        part.base = whole - part.price(prices).table
        return part

    def with_model(self, model: Model) -> RayEngine:
        """Return an engine for the same users under another model of the same problem and cells."""
        other = object.__new__(RayEngine)
        other.__dict__ = self.__dict__ | {"model": model, "_light": self._without_users(model)}
        return other

    def batch(self) -> Batch:
        """Return the raw rows of all users in memory."""
        return self.model.gather(np.arange(self.n_users))

    def _without_users(self, model: Model) -> Any:
        return _ray().put(replace(model, problem=cast(Problem, None), cell=np.zeros(0, np.int32)))

    def _ask(self, method: str, *arguments: Any) -> list[Any]:
        """Return every worker's results, one a shelf, in order."""
        ray = _ray()
        calls = [
            getattr(worker, method).remote(part, self._light, *arguments) for worker, part in self._workers
        ]
        try:
            return [result for part in ray.get(calls) for result in part]
        except ray.exceptions.RayActorError as error:
            raise PluginError(
                f"A Ray worker died {RESTARTS} times and was not started again: {error}. "
                "If its memory ran out, use more workers, or store values and measures as float32."
            ) from error

    def _total(self, parts: Iterator[Pass] | list[Pass]) -> Pass:
        """Add shelves up in order, as the CPU engine does."""
        reduced, table = 0.0, np.zeros(self.model.shape)
        for part in parts:
            reduced += part.reduced
            table += part.table
        return Pass(reduced, table)


def _parts_of(model: Model, count: int) -> list[_Part]:
    """Return what loads each worker's part: copies in the object store, or a reader of files.

    The copies are kept as long as what this returns.
    """
    problem, measures, ray = model.problem, model.measures[2:], _ray()
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
                ray.put(_Shelf(part, model.cell[part.users], problem.per_user))
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
