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

from allocator.campaign import Campaign, read_campaign
from allocator.campaign.copy_decisions import KEY
from allocator.campaign.messages import briefs, copy_table, key_of, message_table, recipients
from allocator.campaign.task import Task, build_task
from allocator.files import write_table
from allocator.plugins.copy import Copy
from benchmarks.copy_offers import CHANNELS
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row
from copygen import TemplateWriter

Fill = Callable[[Mapping[str, str]], str]

SEED = 7
COUPONS = 12
TOML = """schema = 1
name = "scale"
currency = "USD"
as_of = 2026-06-01

[copy]
brand = "Acme"
writer = "template"
channels = ["sms", "push", "email", "in_app"]
languages = ["en-US", "en-GB", "zh-CN", "zh-HK"]
segment_by = "tier"
variants = 2
"""
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
    """Read a campaign and assign a coupon to every user; measured: one message for each, in a file."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        campaign, task, assignments = _assigned(n, folder)
        sent = recipients(campaign, task, assignments)
        path = folder / "messages.csv"
        copies = TemplateWriter().write(briefs(campaign, sent), seed=SEED)
        yield
        began, busy = time.perf_counter(), time.process_time()
        if method == METHODS[0]:
            count = _joined(campaign, task, assignments, path)
        else:
            count = _each(sent, copies, path, FILLS[method]())
        seconds, cpu = time.perf_counter() - began, time.process_time() - busy
        return {
            "texts": len(copies),
            "write_seconds": seconds,
            "cpu_seconds": cpu,
            "rows": count,
            "file_mb": path.stat().st_size / 1e6,
        }


def _assigned(n: int, folder: Path) -> tuple[Campaign, Task, pl.DataFrame]:
    """Return a campaign of `n` users with one of its coupons assigned to each."""
    rng = np.random.default_rng(SEED)
    ids = [f"u{i:08d}" for i in range(n)]
    users = {
        "user_id": ids,
        "locale": pl.Series(["en-US", "en-GB", "zh-CN", "zh-HK"]).gather(rng.integers(0, 4, n)),
        "tier": pl.Series(["gold", "silver", "new"]).gather(rng.integers(0, 3, n)),
    }
    pl.DataFrame(users).write_parquet(folder / "users.parquet")
    coupons = pl.DataFrame(
        {
            "coupon_id": [f"C{j}" for j in range(COUPONS)],
            "kind": [("percent", "amount", "free_shipping")[j % 3] for j in range(COUPONS)],
            "value": [float(5 + j) for j in range(COUPONS)],
            "min_spend": [20.0 + j for j in range(COUPONS)],
            "max_discount": [None if j % 2 else 50.0 for j in range(COUPONS)],
            "ends_at": ["2026-12-31"] * COUPONS,
            "channel": [CHANNELS[j % len(CHANNELS)] for j in range(COUPONS)],
            "category": [("coffee", "books", "toys", "shoes")[j % 4] for j in range(COUPONS)],
            "code": [f"CODE{j}" for j in range(COUPONS)],
        }
    )
    coupons.write_csv(folder / "coupons.csv")
    (folder / "campaign.toml").write_text(TOML, encoding="utf-8")
    scores = {
        "user_id": ids,
        "coupon_id": pl.Series(coupons["coupon_id"]).gather(rng.integers(0, COUPONS, n)),
        "value": np.ones(n),
        "cost": np.ones(n),
    }
    pl.DataFrame(scores).write_parquet(folder / "scores.parquet")
    campaign = read_campaign(folder)
    return campaign, build_task(campaign, None), pl.DataFrame(scores).select("user_id", "coupon_id")


def _joined(campaign: Campaign, task: Task, assignments: pl.DataFrame, path: Path) -> int:
    """Do what a run does between the plan and the file of messages."""
    sent = recipients(campaign, task, assignments)
    asked = briefs(campaign, sent)
    texts = copy_table(TemplateWriter().write(asked, seed=SEED), asked, "template")
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


def _by_replace() -> Fill:
    def fill(slots: Mapping[str, str]) -> str:
        text = LINE
        for name, value in slots.items():
            text = text.replace("{" + name + "}", value)
        return text

    return fill


def _by_jinja() -> Fill:
    from jinja2 import Environment

    template = Environment(autoescape=False).from_string(LINE.replace("{", "{{ ").replace("}", " }}"))
    return lambda slots: template.render(**slots)


FILLS = {METHODS[1]: _by_jinja, METHODS[2]: _by_replace}


def _each(sent: pl.DataFrame, copies: Sequence[Copy], path: Path, fill: Fill) -> int:
    """Fill one text a message, in one part alone and without a guard, and write the file."""
    slots = {key_of(copy.brief): _slots(copy) for copy in copies}
    key = [sent.columns.index(name) for name in KEY]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*sent.columns, "body"))
        writer.writerows((*row, fill(slots[tuple(row[i] for i in key)])) for row in sent.iter_rows())
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
