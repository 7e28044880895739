"""Approved hooks -> what a model is trained on: a cell and the hook to answer with."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from allocator.errors import Finding, InputError
from allocator.plugins.copy import ApprovedHook
from copygen.cells import Cell
from copygen.guard import check_hook
from copygen.themes import load, persona_of, theme_of, tone_of

FEWEST = 20  # different hooks; fewer are learned by heart, and hold out too little to see it
HELD_OUT = 10  # one in so many different hooks judges the training


@dataclass(frozen=True)
class Example:
    """A cell, and a hook that a person approved for it."""

    cell: Cell
    hook: str


def read_examples(
    hooks: Sequence[ApprovedHook], languages: Sequence[str], *, skip_bad: bool
) -> tuple[list[Example], int]:
    """Return an example for each hook that the guard lets pass, each once, and how many it does not.

    Parameters
    ----------
    hooks
        What a person approved.
    languages
        Those that the model writes.
    skip_bad
        Leave out hooks that do not pass instead of raising an error.

    Raises
    ------
    InputError
        Naming every hook that does not pass, or if too few are left.
    """
    examples: dict[Example, None] = {}
    findings: list[Finding] = []
    bad = 0
    for line in hooks:
        wrong = _problems(line, languages)
        if wrong:
            findings += wrong
            bad += 1
        else:
            examples[Example(_cell(line), line.hook)] = None
    if findings and not skip_bad:
        raise InputError(findings)
    different = len({example.hook.casefold() for example in examples})
    if different < FEWEST:
        message = f"too few different hooks to learn from; {bad:,} of {len(hooks):,} cannot be used"
        file = hooks[0].file if hooks else None
        raise InputError(Finding(message, file, None, "hook", f"{different}", f"at least {FEWEST}"))
    return list(examples), bad


def hold_out(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """Return the examples to learn from, and those whose hooks, a tenth, are kept to judge by."""
    hooks = sorted({example.hook.casefold() for example in examples})
    random.Random(seed).shuffle(hooks)
    kept = set(hooks[: max(1, len(hooks) // HELD_OUT)])
    learned = [example for example in examples if example.hook.casefold() not in kept]
    return learned, [example for example in examples if example.hook.casefold() in kept]


def digest_of(examples: Sequence[Example]) -> str:
    """Return a digest of examples, whatever their order."""
    lines = sorted(repr((example.cell, example.hook)) for example in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _problems(line: ApprovedHook, languages: Sequence[str]) -> list[Finding]:
    def finding(message: str, column: str, found: str) -> Finding:
        return Finding(message, line.file or None, line.row, column, repr(found[:60]))

    if line.language not in languages:
        return [finding(f"this model writes {', '.join(languages)}", "language", line.language)]
    verdicts = check_hook(line.hook, line.channel, line.language)
    return [finding(f"{v.rule}: {v.detail}", "hook", line.hook) for v in verdicts]


def _cell(line: ApprovedHook) -> Cell:
    theme = theme_of(line.category)
    category = theme.names.get(line.language) or load("themes")["general"][line.language]
    return Cell(
        theme.key, category, persona_of(line.persona), tone_of(line.tone), line.language, line.channel
    )
