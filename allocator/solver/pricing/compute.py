"""Where the passes over the data run: this machine's cores, a torch device, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from allocator.errors import Finding
from allocator.solver.model import Model
from allocator.solver.pricing.engine import Engine

Kind = Literal["auto", "cpu", "torch", "ray"]


@dataclass(frozen=True)
class Compute:
    """Settings of the pricing engines.

    Parameters
    ----------
    engine
        ``cpu``, ``torch`` or ``ray``; ``auto`` is ``torch`` if a device is given, else ``cpu``.
    device
        Of torch, such as ``"cuda"`` or ``"cuda:1"``; for ``torch`` the first GPU unless given, else the CPU.
    threads
        Worker threads (``cpu``) or worker processes (``ray``); all cores unless given.
    pool
        Of worker threads, for all engines of one solve; each has its own unless given.
    """

    engine: Kind = "auto"
    device: str | None = None
    threads: int | None = None
    pool: ThreadPoolExecutor | None = field(default=None, compare=False, repr=False)

    def findings(self) -> list[Finding]:
        """Return what is wrong with the settings."""
        wrong = []
        kinds = ("auto", "cpu", "torch", "ray")
        if self.engine not in kinds:
            expected = "auto, cpu, torch or ray"
            wrong.append(
                Finding("unknown engine", column="engine", found=repr(self.engine), expected=expected)
            )
        if self.device is not None and self.engine in ("cpu", "ray"):
            message = f"the engine '{self.engine}' takes no device; leave it out, or use engine torch"
            wrong.append(Finding(message, column="device", found=repr(self.device)))
        if self.threads is not None and not (isinstance(self.threads, int) and self.threads >= 1):
            message, expected = "the setting cannot be used", "a whole number, 1 or more"
            wrong.append(Finding(message, column="threads", found=repr(self.threads), expected=expected))
        return wrong

    @contextmanager
    def ready(self) -> Iterator[Compute]:
        """Yield the settings with what engines share, worker threads or a connection to a Ray cluster.

        Where there is no cluster, one starts on this machine. All ends with the context.
        """
        if self.engine == "ray":
            from allocator.solver.pricing.ray_engine import connected

            with connected(self.threads):
                yield self
        else:
            with ThreadPoolExecutor(self.threads or os.cpu_count() or 1) as pool:
                yield replace(self, pool=pool)

    def engine_for(self, model: Model) -> Engine:
        """Return an engine that prices all users of a model.

        Raises
        ------
        PluginError
            If the library that the engine needs is not installed, or a cluster has no room.
        InputError
            If there is no such device.
        """
        if self.engine == "ray":
            from allocator.solver.pricing.ray_engine import RayEngine

            return RayEngine(model, self.threads)
        if self.engine == "torch" or (self.engine == "auto" and self.device is not None):
            from allocator.solver.pricing.torch_engine import TorchEngine

            return TorchEngine(model, self.device)
        from allocator.solver.pricing.cpu import CpuEngine

        return CpuEngine(model, threads=self.threads, pool=self.pool)
