"""Pricing engines: one pass over the data for a given table of prices."""

from __future__ import annotations

from allocator.solver.model import Model
from allocator.solver.pricing.engine import Engine, Pass

__all__ = ["Engine", "Pass", "engine_for"]


def engine_for(model: Model, threads: int | None = None) -> Engine:
    """Return the engine that prices all users of a model.

    Parameters
    ----------
    model
        The compiled model.
    threads
        Worker threads; all cores unless given. The result does not depend on it.
    """
    from allocator.solver.pricing.cpu import CpuEngine

    return CpuEngine(model, threads=threads)
