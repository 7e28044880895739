"""Pricing engines: one pass over the data for a given table of prices."""

from __future__ import annotations

from allocator.solver.pricing.compute import Compute
from allocator.solver.pricing.engine import Engine, Pass, restrict

__all__ = ["Compute", "Engine", "Pass", "restrict"]
