"""What a backend is: something that proposes hooks for cells, and perhaps judges those of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from allocator.progress import Progress
from copygen.cells import Cell, Hook


class Backend(Protocol):
    """Proposes hooks; whatever it answers is read by the guard.

    Attributes
    ----------
    name
        ``local`` or ``http``.
    model
        Which model answers: its name, or its folder, with a digest.
    least_score
        A hook that its own writer finds less likely than this is noise.
    unanswered
        Cells that were asked for and that no answer came for, and why, as a note for the record. They get
        the bank's line or the template, and nothing of them is to be cached.
    """

    @property
    def name(self) -> str:
        """Which backend this is."""
        ...

    @property
    def model(self) -> str:
        """Which model answers."""
        ...

    @property
    def least_score(self) -> float:
        """The bar for its own hooks."""
        ...

    @property
    def unanswered(self) -> Mapping[Cell, str]:
        """Cells without an answer, and why."""
        ...

    def prompt_digest(self, cell: Cell) -> str:
        """Return a digest of everything that the model is asked for a cell."""
        ...

    def propose(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], progress: Progress
    ) -> list[list[Hook]]:
        """Return up to `candidates` hooks for each cell; the same for the same arguments."""
        ...


@runtime_checkable
class Judge(Protocol):
    """A backend whose model can say how likely it finds a given line."""

    def judge(self, cells: Sequence[Cell], lines: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the mean log-probability of a token of each of a cell's `lines`."""
        ...
