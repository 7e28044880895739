"""Pricing engines: one pass over the data for a given table of prices."""

from __future__ import annotations

from allocator.solver.pricing.engine import Engine, Pass, restrict
from allocator.solver.pricing.engines import Engines, engine_for, shared_engines
from allocator.solver.pricing.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "Engines", "Pass", "engine_for", "restrict", "shared_engines"]
