"""A backend that remembers: what its model was asked before is read from the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from allocator.progress import Progress
from copygen.backends import Backend, Judge
from copygen.cache import HookCache, key_of
from copygen.cells import Cell, Hook
from copygen.options import HttpOptions, LocalOptions, ModelOptions

AT_ONCE = 16  # cells asked for before their answers are kept, if the backend has no better number
# What does not change an answer, so that a run may go on with it changed.
NO_MATTER = {
    "cache", "bank", "languages", "candidates", "max_attempts",
    "timeout", "retries", "requests_per_minute", "concurrency", "api_key_env", "insecure",
}  # fmt: skip


class Kept:
    """Asks a backend only for what the cache does not hold, and keeps each answer as it comes.

    Parameters
    ----------
    backend
        Who is asked.
    cache
        An open cache.
    options
        Of the writer.
    """

    def __init__(self, backend: Backend, cache: HookCache, options: ModelOptions) -> None:
        self._backend, self._cache = backend, cache
        self._at_once = _at_once(options)
        settings = options.model_dump(mode="json", exclude=NO_MATTER)
        self._model = (backend.name, backend.model, settings)
        self._unanswered: dict[Cell, str] = {}
        self._prompts: dict[Cell, str] = {}

    @property
    def name(self) -> str:
        """As the backend."""
        return self._backend.name

    @property
    def model(self) -> str:
        """As the backend."""
        return self._backend.model

    @property
    def least_score(self) -> float:
        """As the backend."""
        return self._backend.least_score

    @property
    def unanswered(self) -> Mapping[Cell, str]:
        """As the backend, over all that it was asked."""
        return self._unanswered

    def prompt_digest(self, cell: Cell) -> str:
        """As the backend."""
        if cell not in self._prompts:
            self._prompts[cell] = self._backend.prompt_digest(cell)
        return self._prompts[cell]

    def propose(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], progress: Progress
    ) -> list[list[Hook]]:
        """Return hooks for each cell; those that are kept without asking."""
        keys = {cell: self._key("propose", cell, candidates, *seed) for cell in cells}
        found = self._cache.get(list(keys.values()))
        missing = sorted((cell for cell in keys if keys[cell] not in found), key=lambda c: (c.language, c))
        for start in range(0, len(missing), self._at_once):
            batch = missing[start : start + self._at_once]
            report = _counted_from(len(keys) - len(missing) + start, len(keys), progress)
            answers = dict(zip(batch, self._backend.propose(batch, candidates, seed, report), strict=True))
            for cell in batch:
                self._unanswered.pop(cell, None)
            self._unanswered |= {c: why for c, why in self._backend.unanswered.items() if c in answers}
            found |= {keys[cell]: hooks for cell, hooks in answers.items()}
            self._cache.put({keys[c]: hooks for c, hooks in answers.items() if c not in self._unanswered})
        return [found[keys[cell]] for cell in cells]

    def _key(self, what: str, cell: Cell, *asked: object) -> str:
        return key_of(what, *self._model, self.prompt_digest(cell), asdict(cell), *asked)


class KeptJudge(Kept):
    """The same for a backend whose model also judges the lines of others."""

    def judge(self, cells: Sequence[Cell], lines: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the backend's judgement of each line; those that are kept without asking."""
        judge = self._backend
        assert isinstance(judge, Judge)
        keys = [self._key("judge", cell, *said) for cell, said in zip(cells, lines, strict=True)]
        found = self._cache.get(keys)
        missing = [i for i, key in enumerate(keys) if key not in found]
        for start in range(0, len(missing), self._at_once):
            batch = missing[start : start + self._at_once]
            scores = judge.judge([cells[i] for i in batch], [lines[i] for i in batch])
            new = {
                keys[i]: [Hook(text, score) for text, score in zip(lines[i], row, strict=True)]
                for i, row in zip(batch, scores, strict=True)
            }
            self._cache.put(new)
            found |= new
        return [[hook.score or 0.0 for hook in found[key]] for key in keys]


def keep(backend: Backend, cache: HookCache, options: ModelOptions) -> Backend:
    """Return `backend` with a memory."""
    return (KeptJudge if isinstance(backend, Judge) else Kept)(backend, cache, options)


def _at_once(options: ModelOptions) -> int:
    if isinstance(options, HttpOptions):
        return max(AT_ONCE, options.concurrency)
    if isinstance(options, LocalOptions):  # whole batches
        step = max(1, options.batch // options.candidates)
        return step * max(1, AT_ONCE // step)
    return AT_ONCE


def _counted_from(before: int, total: int, progress: Progress) -> Progress:
    """Return progress over all cells from that over some of them; steps without a count stay."""

    def report(step: str, done: int, of: int) -> None:
        progress(step, before + done if of else done, total if of else of)

    return report
