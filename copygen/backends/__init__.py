"""What a backend is: something that proposes hooks for cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from allocator.protocols import Progress
from copygen.cells import Cell


@dataclass(frozen=True)
class Hook:
    """A proposed hook and how likely its writer finds it (mean log-probability of a token)."""

    text: str
    score: float


class Backend(Protocol):
    """Proposes hooks; whatever it answers is read by the guard.

    Attributes
    ----------
    least_score
        A hook that its own writer finds less likely than this is noise.
    """

    least_score: float

    def propose(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], progress: Progress
    ) -> list[list[Hook]]:
        """Return `candidates` hooks for each cell; the same for the same arguments."""
        ...
