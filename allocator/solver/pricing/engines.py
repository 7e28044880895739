"""The engines of one solve: this machine's cores, a torch device, or a Ray cluster, and what they share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from allocator.solver.model import Model
from allocator.solver.pricing.engine import Engine
from allocator.solver.pricing.settings import EngineSettings, Kind


class Engines:
    """Makes engines that share their worker threads.

    Parameters
    ----------
    settings
        Which engine.
    pool
        Worker threads for all of them; each has its own unless given.
    """

    def __init__(self, settings: EngineSettings, pool: ThreadPoolExecutor | None = None) -> None:
        self._settings = settings
        self._pool = pool

    @property
    def threads(self) -> int:
        """Worker threads of one process."""
        return self._settings.threads or os.cpu_count() or 1

    def engine_for(self, model: Model) -> Engine:
        """Return an engine that prices all users of a model.

        Raises
        ------
        PluginError
            If the library that the engine needs is not installed, or a cluster has no room.
        InputError
            If there is no such device.
        """
        settings = self._settings
        if settings.engine == "ray":
            from allocator.solver.pricing.ray_engine import RayEngine

            return RayEngine(model, settings.threads)
        if settings.engine == "torch" or (settings.engine == "auto" and settings.device is not None):
            from allocator.solver.pricing.torch_engine import TorchEngine

            return TorchEngine(model, settings.device)
        from allocator.solver.pricing.cpu import CpuEngine

        return CpuEngine(model, threads=settings.threads, pool=self._pool)


@contextmanager
def shared_engines(settings: EngineSettings) -> Iterator[Engines]:
    """Yield engines with what they share, worker threads or a connection to a Ray cluster.

    Where there is no cluster, one starts on this machine. All ends with the context.
    """
    if settings.engine == "ray":
        from allocator.solver.pricing.ray_engine import connected

        with connected(settings.threads):
            yield Engines(settings)
    else:
        with ThreadPoolExecutor(settings.threads or os.cpu_count() or 1) as pool:
            yield Engines(settings, pool)


def engine_for(
    model: Model, engine: Kind = "auto", device: str | None = None, threads: int | None = None
) -> Engine:
    """Return an engine of its own for a model; parameters as in `EngineSettings`."""
    return Engines(EngineSettings(engine, device, threads)).engine_for(model)
