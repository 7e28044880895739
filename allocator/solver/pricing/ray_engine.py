"""The Ray engine: each worker process holds its part of the users; prices go out, tables come back.

A part is whole shelves of users, and each shelf is summed as in memory on one machine, so the bits of the
result do not depend on the number of workers. Every call says which part it means: a worker that dies is
started again by Ray, loads the part again (from the object store, or from disk), and repeats the pass.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from allocator.errors import PluginError
from allocator.problem import Problem
from allocator.problem.batch import SHELF, Batch
from allocator.solver.model import Model
from allocator.solver.pricing.cpu import CpuEngine
from allocator.solver.pricing.engine import Array, Index, Pass

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


_sharing = threading.Lock()
_shares = 0  # solves in this process that use the connection made here
_connection = ExitStack()


@contextmanager
def connected(workers: int | None = None) -> Iterator[None]:
    """Use the connection that there is, or the cluster that Ray finds, or start one on this machine.

    What is started or connected here ends with the last solve that uses it.
    """
    global _shares
    ray = _ray()
    with _sharing:
        ours = _shares > 0 or not ray.is_initialized()
        if ours and _shares == 0:
            _connection.enter_context(_connect(ray, workers))
        _shares += ours
    try:
        yield
    finally:
        with _sharing:
            _shares -= ours
            if ours and _shares == 0:
                _connection.close()


@contextmanager
def _connect(ray: Any, workers: int | None) -> Iterator[None]:
    options = {"log_to_driver": False, "configure_logging": False}
    with _quiet():
        with _own_signals():
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


@contextmanager
def _own_signals() -> Iterator[None]:
    """Give the process back its answer to SIGTERM, which Ray replaces by its own in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:  # None: set outside of Python
            signal.signal(signal.SIGTERM, before)


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

    base: Array | None = None

    def __init__(self, model: Model, workers: int | None = None) -> None:
        ray = _ray()
        from allocator.solver.pricing.ray_worker import Worker, parts_of

        self.model = model
        self.threads = workers
        cores = int(ray.cluster_resources().get("CPU", 0))
        count = max(min(workers or cores, cores, -(-self.n_users // SHELF)), 1)
        actor = ray.remote(Worker).options(num_cpus=1, max_restarts=RESTARTS, max_task_retries=-1)
        self._workers = [(actor.remote(), part) for part in parts_of(model, count)]
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

    def radius(
        self, prices: Array, box: Array, choice: NDArray[np.int16] | None = None
    ) -> tuple[Array, Pass]:
        """Let every user choose, and return each one's radius of unchanged choice, as `Engine.radius`."""
        results = self._ask("radius", prices, box, choice is not None)
        if choice is not None:
            choice[:] = np.concatenate([part for *_, part in results])
        return np.concatenate([radius for radius, *_ in results]), self._total(done for _, done, _ in results)

    def extent(self) -> Pass:
        """Return sizes of all eligible pairs, as `Engine.extent`."""
        return self._total(self._ask("extent"))

    def take(self, places: Index) -> CpuEngine:
        """Return an engine for some of the users, in this process."""
        parts = self._ask("rows", _ray().put(places))
        some = Batch(
            places,
            np.concatenate([part.value for part in parts]),
            {name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures},
        )
        return CpuEngine(self.model, some, threads=self.threads)

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
                f"A Ray worker died again after {RESTARTS} restarts: {str(error).splitlines()[0]} "
                "If its memory ran out, use more workers, or store values and measures as float32."
            ) from error

    def _total(self, parts: Iterator[Pass] | list[Pass]) -> Pass:
        """Add shelves up in order, as the CPU engine does."""
        reduced, table = 0.0, np.zeros(self.model.shape)
        for part in parts:
            reduced += part.reduced
            table += part.table
        return Pass(reduced, table)
