"""What the parts of the convex method share."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.progress import Progress
from allocator.solver.pricing import Engines


@dataclass(frozen=True)
class Run:
    """One solve: its target, its time (`time.monotonic()` at start and end), its seed, and who listens."""

    gap: float
    deadline: float
    began: float
    seed: int
    engines: Engines
    report: Progress
