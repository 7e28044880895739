"""Hooks for all cells of a run: written by the model in rounds, filtered by the guard, ranked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from allocator.protocols import Progress, Verdict
from copygen.backends import Backend, Hook
from copygen.cells import Cell
from copygen.guard import check_hook
from copygen.options import ModelOptions


@dataclass(frozen=True)
class RankedHook:
    """A hook that passed the guard: its text, who wrote it (as in `Copy.written_by`), its scores by name."""

    text: str
    written_by: str
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass
class CellHooks:
    """The hooks of one cell: those that passed, best first, and why others did not."""

    ranked: list[RankedHook] = field(default_factory=list)
    failures: int = 0
    rejected: list[Verdict] = field(default_factory=list)


def write_hooks(
    backend: Backend, cells: Sequence[Cell], options: ModelOptions, seed: int, progress: Progress
) -> dict[Cell, CellHooks]:
    """Return the hooks that `backend` writes for `cells`, those that fail rewritten up to the limit."""
    results = {cell: CellHooks() for cell in cells}
    used: Counter[str] = Counter()
    open_cells = list(cells)
    for attempt in range(options.max_attempts):
        found = backend.propose(open_cells, options.candidates, (seed, attempt), progress)
        for cell, hooks in zip(open_cells, found, strict=True):
            written_by = "model (rewritten)" if attempt else "model"
            _sift(results[cell], cell, hooks, backend.least_score, written_by, used)
        open_cells = [cell for cell in open_cells if not results[cell].ranked]
        if not open_cells:
            break
    return results


def _sift(
    result: CellHooks,
    cell: Cell,
    hooks: Iterable[Hook],
    least_score: float,
    written_by: str,
    used: Counter[str],
) -> None:
    passed: dict[str, float] = {}
    for hook in hooks:
        verdicts = check_hook(hook.text, cell.channel, cell.language)
        if hook.score is not None and hook.score < least_score:
            verdicts += (Verdict("sense", f"the model itself finds '{hook.text[:60]}' unlikely"),)
        if verdicts:
            result.failures += 1
            result.rejected += verdicts
        else:
            passed[hook.text] = hook.score or 0.0
    # Likely words read best; a word that other hooks of the run hold already counts against one.
    ranked = sorted(passed, key=lambda text: (_staleness(text, used) - passed[text], text))
    result.ranked = [RankedHook(text, written_by, {"likelihood": passed[text]}) for text in ranked]
    if ranked:
        used.update(_words(ranked[0]))


def _staleness(text: str, used: Counter[str]) -> float:
    words = _words(text)
    return sum(min(used[word], 8) for word in words) * 0.4 / max(len(words), 1) + (used[text] and 4.0)


def _words(text: str) -> list[str]:
    """Return the longer words, the opening, the end and the whole of a hook: what makes two hooks alike."""
    words = [word for word in re.findall(r"[^\W\d_]+", text.casefold()) if len(word) > 3]
    return [*words, " ".join(text.split()[:2]), " ".join(text.split()[-2:]), text]
