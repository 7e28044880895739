"""Hooks for all cells of a run: composed or chosen by the model, sifted, and ranked over the run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from allocator.plugins.copy import Verdict
from allocator.progress import Progress
from copygen.backends import Backend, Judge
from copygen.bank import Bank, approved_hooks, load_bank
from copygen.cells import Cell, Hook
from copygen.guard import check_hook
from copygen.options import ModelOptions
from copygen.prompts import examples, messages
from copygen.relevance import Relevance
from copygen.themes import other_goods

CHOSEN = "bank, chosen by the model"
MOST_JUDGED = 6  # lines of the bank that the model chooses among for a cell
LEAST_RELEVANCE = 0.1  # a hook further than this from its goods and readers is about something else
# Weights against the mean log-probability of a token, which lies between -6 and -1.
RELEVANCE, STALE_PAIRS, STALE_WORDS, SAME = 2.0, 3.0, 0.5, 8.0
FRESH = 0.5  # for words of the model's own: a brand that writes every week would wear out its bank


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
    """Return the hooks that `backend` composes for `cells` and chooses from the bank, best first.

    A cell none of whose composed hooks passed is asked for again, up to the limit. What passes for a
    cell depends on that cell alone; its order also on the other cells, as a run should not repeat itself.
    """
    bank = load_bank(options.bank)
    relevance = Relevance.find()
    results = {cell: CellHooks() for cell in cells}
    open_cells = list(cells)
    for attempt in range(options.max_attempts):
        found = backend.propose(open_cells, options.candidates, (seed, attempt), progress)
        written_by = "model (rewritten)" if attempt else "model"
        for cell, hooks in zip(open_cells, found, strict=True):
            _sift(results[cell], cell, hooks, written_by, backend.least_score, bank, relevance)
        open_cells = [cell for cell in open_cells if not results[cell].ranked]
        if not open_cells:
            break
    if isinstance(backend, Judge):
        _add_bank(backend, results, bank, backend.least_score, seed, relevance)
    _rank(results)
    return results


def _sift(
    result: CellHooks,
    cell: Cell,
    hooks: Iterable[Hook],
    written_by: str,
    least_score: float,
    bank: Bank,
    relevance: Relevance | None,
) -> None:
    """Add the hooks that may be sent to `result`, and what is wrong with the others."""
    passed = {hook.text: hook for hook in result.ranked}
    ours = {line.hook for line in bank.suited(cell)}
    for hook in hooks:
        scores = _scores(cell, hook, relevance)
        verdicts = [
            *check_hook(hook.text, cell.channel, cell.language),
            *_sense(cell, hook, scores, least_score),
        ]
        if verdicts:
            result.failures += 1
            result.rejected += verdicts
        else:
            by = CHOSEN if hook.text in ours else written_by
            passed.setdefault(hook.text, RankedHook(hook.text, by, scores))
    result.ranked = list(passed.values())


def _scores(cell: Cell, hook: Hook, relevance: Relevance | None) -> dict[str, float]:
    scores = {} if hook.score is None else {"likelihood": round(hook.score, 3)}
    near = relevance.score(cell, hook.text) if relevance else None
    return scores if near is None else {**scores, "relevance": near}


def _sense(cell: Cell, hook: Hook, scores: Mapping[str, float], least_score: float) -> Iterator[Verdict]:
    goods = other_goods(cell.theme, cell.category, hook.text)
    if goods:
        yield Verdict("relevance", f"'{goods}' is not what the coupon is for")
    if hook.score is not None and hook.score < least_score:
        yield Verdict("sense", f"the model itself finds '{hook.text[:60]}' unlikely")
    # Lines of ours have no least score: they were found to fit when they were written.
    free = least_score > float("-inf")
    if free and set(_all_words(hook.text)) <= set(_all_words(messages(cell)[-1]["content"])):
        yield Verdict("sense", f"'{hook.text[:60]}' only repeats the question")
    if free and cell.theme != "general" and scores.get("relevance", 1.0) < LEAST_RELEVANCE:
        yield Verdict("relevance", f"'{hook.text[:60]}' is about something else")


def _add_bank(
    judge: Judge,
    results: Mapping[Cell, CellHooks],
    bank: Bank,
    least_score: float,
    seed: int,
    relevance: Relevance | None,
) -> None:
    """Add the lines of the bank that the model does not find unlikely; the guard knows them already."""
    cells = list(results)
    lines = [_to_judge(cell, seed, bank) for cell in cells]
    for cell, texts, scores in zip(cells, lines, judge.judge(cells, lines), strict=True):
        own = {text: score for text, score in zip(texts, scores, strict=True) if score >= least_score}
        composed = [hook for hook in results[cell].ranked if hook.text not in own]
        results[cell].ranked = composed + [
            RankedHook(text, CHOSEN, _scores(cell, Hook(text, score), relevance))
            for text, score in own.items()
        ]


def _to_judge(cell: Cell, seed: int, bank: Bank) -> list[str]:
    """Return lines of the bank for a cell, those first whose words the model cannot vary."""
    varied = {line.hook for line in bank.suited(cell) if line.varies}
    return sorted(approved_hooks(cell, seed, bank), key=varied.__contains__)[:MOST_JUDGED]


def _rank(results: Mapping[Cell, CellHooks]) -> None:
    """Sort each cell's hooks: likely and relevant words first, unless the run has used them already."""
    languages = {cell.language for cell in results}
    used = Counter(pair for language in languages for hook in examples(language) for pair in _pairs(hook))
    for result in results.values():
        result.ranked.sort(key=lambda hook: (_staleness(hook.text, used) - _quality(hook), hook.text))
        if result.ranked:
            text = result.ranked[0].text
            used.update({text, *_words(text), *_pairs(text)})


def _quality(hook: RankedHook) -> float:
    fresh = 0.0 if hook.written_by == CHOSEN else FRESH
    return fresh + hook.scores.get("likelihood", 0.0) + RELEVANCE * hook.scores.get("relevance", 0.0)


def _staleness(text: str, used: Counter[str]) -> float:
    words, pairs = _words(text), _pairs(text)
    stale_pairs = sum(min(used[pair], 2) for pair in pairs) / max(len(pairs), 1)
    stale_words = sum(min(used[word], 4) for word in words) / max(len(words), 1)
    return STALE_PAIRS * stale_pairs + STALE_WORDS * stale_words + SAME * min(used[text], 3)


def _words(text: str) -> list[str]:
    return [word for word in _all_words(text) if len(word) > 3]


def _pairs(text: str) -> list[str]:
    return [" ".join(pair) for pair in pairwise(_all_words(text))]


def _all_words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())
