"""Joining texts to a million assignments: our table join against filling a template for each message."""

from __future__ import annotations

import csv
import time
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from allocator.protocols import Brief, Copy
from benchmarks.copy_offers import CHANNELS, SEGMENTS, offers
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

SEED = 7
COUPONS = 50
METHODS = ("allocate", "Jinja2, a template a message", "Python's str.replace, slot by slot")


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield each method on the same assignments, a size each."""
    for n in settings.sizes:
        ours: Row = {}
        for method in METHODS:
            found = in_process(scale_task, n, method, limit=settings.limit).row()
            ours = ours or found
            if found.get("error") is None:
                found["ratio"] = found["cpu_seconds"] / ours["cpu_seconds"]
            yield {"messages": n, "method": method} | found


def scale_task(n: int, method: str) -> Generator[None, None, dict[str, Any]]:
    """Write the copy of every message text; measured: one message for each of `n` assignments, in a file."""
    from allocator.campaign.messages import copy_table
    from copygen import TemplateWriter

    asked = _briefs()
    copies = TemplateWriter().write(asked, seed=SEED)
    sent = _sent(n, asked)
    texts = copy_table(copies, asked, "template")
    write = {METHODS[0]: _joined, METHODS[1]: _by_jinja, METHODS[2]: _by_replace}[method]
    with TemporaryDirectory() as folder:
        yield
        began, busy = time.perf_counter(), time.process_time()
        count = write(sent, texts, copies, Path(folder) / "messages.csv")
        seconds, cpu = time.perf_counter() - began, time.process_time() - busy
        size = (Path(folder) / "messages.csv").stat().st_size
    return {
        "texts": len(texts),
        "write_seconds": seconds,
        "cpu_seconds": cpu,
        "rows": count,
        "file_mb": size / 1e6,
    }


def _briefs() -> list[Brief]:
    """Return a brief for each coupon, segment, channel and language."""
    return [
        Brief(offer, segment, channel, language, "Acme", "warm", audience=1, locale=language)
        for offer in offers(COUPONS, SEED) for segment in SEGMENTS
        for channel in CHANNELS for language in ("en", "zh")
    ]  # fmt: skip


def _sent(n: int, asked: Sequence[Brief]) -> pl.DataFrame:
    """Return `n` assignments, each of one of the messages."""
    rng = np.random.default_rng(SEED)
    key = pl.DataFrame([_key(brief) for brief in asked])
    drawn = key[rng.integers(0, len(asked), n)]
    return drawn.select(pl.Series("user_id", [f"u{i:08d}" for i in range(n)]), *key.columns)


def _key(brief: Brief) -> dict[str, str]:
    from allocator.campaign.messages import KEY

    values = {
        "coupon_id": brief.offer.coupon_id, "segment": brief.segment, "channel": brief.channel,
        "language": brief.locale, "variant": brief.variant,
    }  # fmt: skip
    return {name: values[name] for name in KEY}


def _joined(sent: pl.DataFrame, texts: pl.DataFrame, _: Sequence[Copy], path: Path) -> int:
    """Join as a run does, and write the file as it does."""
    from allocator.campaign.messages import message_table
    from allocator.campaign.run_folder import write_table

    messages = message_table(sent, texts)
    write_table(messages, path)
    return len(messages) - messages["body"].null_count()


def _slots(copy: Copy) -> dict[str, str]:
    offer = copy.brief.offer
    facts = {"code": offer.code, "minimum": offer.min_spend, "cap": offer.max_discount, "last": offer.ends_at}
    return {"brand": copy.brief.brand, "value": f"{offer.value:g}"} | {
        name: "" if value is None else str(value) for name, value in facts.items()
    }


LINE = "{brand}: {value} off on orders of {minimum} or more, up to {cap} off. Code: {code}. Until {last}."


def _by_replace(sent: pl.DataFrame, _: pl.DataFrame, copies: Sequence[Copy], path: Path) -> int:
    def fill(slots: Mapping[str, str]) -> str:
        text = LINE
        for name, value in slots.items():
            text = text.replace("{" + name + "}", value)
        return text

    return _each(sent, copies, path, fill)


def _by_jinja(sent: pl.DataFrame, _: pl.DataFrame, copies: Sequence[Copy], path: Path) -> int:
    from jinja2 import Environment

    template = Environment(autoescape=False).from_string(LINE.replace("{", "{{ ").replace("}", " }}"))
    return _each(sent, copies, path, lambda slots: template.render(**slots))


def _each(
    sent: pl.DataFrame, copies: Sequence[Copy], path: Path, fill: Callable[[Mapping[str, str]], str]
) -> int:
    """Fill one text a message, in one part alone and without a guard, and write the file."""
    slots = {tuple(_key(copy.brief).values()): _slots(copy) for copy in copies}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*sent.columns, "body"))
        writer.writerows((*row, fill(slots[row[1:]])) for row in sent.iter_rows())
    return len(sent)


def _number(key: str, form: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(key) is None else format(row[key], form)


COLUMNS: Columns = {
    "messages": lambda row: f"{row['messages']:,}",
    "texts": _number("texts", ",d"),
    "method": lambda row: str(row["method"]),
    "seconds": lambda row: str(row.get("error") or f"{row['write_seconds']:.1f}"),
    "CPU seconds": _number("cpu_seconds", ".1f"),
    "messages a CPU-second": lambda row: (
        "" if row.get("error") else f"{row['messages'] / row['cpu_seconds']:,.0f}"
    ),
    "CPU seconds, times ours": _number("ratio", ".1f"),
    "file, MB": _number("file_mb", ",.0f"),
    "peak MB": _number("peak_mb", ",.0f"),
}
SETTINGS = {"sizes": [100_000, 1_000_000], "limit": 1800.0}
ABOUT = "one message for each assignment, joined from the texts of the run and written to messages.csv"
