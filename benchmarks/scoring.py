"""Score every user of a large campaign against ten coupons: seconds, pairs a second, peak memory."""

from __future__ import annotations

import datetime as dt
import os
import time
from argparse import Namespace
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from allocator.campaign import Campaign
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

CATEGORIES = ("tea", "coffee", "toys", "books", "home", "garden")
COUPONS = 10
EVENTS_PER_USER = 10
SENT = 20_000
"""Past sends, one a user; the predictor is trained on them."""
DAY_0, SENT_AT, AS_OF = dt.datetime(2026, 1, 1), dt.date(2026, 5, 15), dt.date(2026, 6, 1)
TOML = f'schema = 1\nname = "scale"\ncurrency = "EUR"\nas_of = {AS_OF}\n'


def write_campaign(folder: Path, users: int, seed: int = 0) -> None:
    """Write a campaign with 14 numbers and 6 texts a user, ten events a user and a small experiment."""
    rng = np.random.default_rng(seed)
    ids = pl.Series("user_id", [f"u{i:08d}" for i in range(users)])
    table = {"user_id": ids}
    for i in range(14):
        number = pl.Series(rng.normal(size=users).round(3))
        table[f"number_{i}"] = number.set(pl.Series(rng.random(users) < 0.05), None)
    for i in range(6):
        texts = pl.Series([f"value {k}" for k in range(4 + 3 * i)])
        table[f"text_{i}"] = texts.gather(rng.integers(0, len(texts), users))
    pl.DataFrame(table).write_parquet(folder / "users.parquet")
    n = EVENTS_PER_USER * users
    seconds = pl.Series(rng.integers(0, 150 * 86_400, n) * 1_000_000).cast(pl.Duration("us"))
    events = {
        "user_id": ids.gather(rng.integers(0, users, n)),
        "at": seconds + DAY_0,
        "kind": pl.Series(["view", "search", "cart", "purchase"]).gather(rng.integers(0, 4, n)),
        "category": pl.Series(CATEGORIES).gather(rng.integers(0, len(CATEGORIES), n)),
        "amount": rng.gamma(2.0, 10.0, n).round(2),
    }
    pl.DataFrame(events).write_parquet(folder / "events.parquet")
    coupons = {
        "coupon_id": [f"C{j}" for j in range(COUPONS)],
        "kind": [("percent", "amount")[j % 2] for j in range(COUPONS)],
        "value": [5.0 + 2 * j for j in range(COUPONS)],
        "category": [CATEGORIES[j % len(CATEGORIES)] for j in range(COUPONS)],
    }
    pl.DataFrame(coupons).write_csv(folder / "coupons.csv")
    sent = rng.choice(users, min(SENT, users), replace=False)
    arm = rng.integers(-1, COUPONS, len(sent))
    fond = np.nan_to_num(table["number_0"].to_numpy()[sent]) > 0
    converted = rng.random(len(sent)) < 0.1 + 0.05 * (arm >= 0) * fond
    history = {
        "user_id": ids.gather(sent),
        "coupon_id": [None if a < 0 else f"C{a}" for a in arm],
        "sent_at": [SENT_AT] * len(sent),
        "propensity": [1 / (COUPONS + 1)] * len(sent),
        "converted": converted,
        "redeemed": converted & (arm >= 0),
        "revenue": np.where(converted, 30.0, 0.0),
    }
    pl.DataFrame(history).write_parquet(folder / "history.parquet")
    (folder / "campaign.toml").write_text(TOML, encoding="utf-8")


def few_sends(campaign: Campaign) -> Campaign:
    """Return the campaign of those who were sent something: what a predictor is trained on."""
    assert campaign.history is not None
    assert campaign.events is not None
    sent = campaign.history["user_id"].implode()
    return replace(
        campaign,
        users=campaign.users.filter(pl.col("user_id").is_in(sent)),
        events=campaign.events.filter(pl.col("user_id").is_in(sent)),
    )


def scoring_task(users: int, name: str, device: str) -> Generator[None, None, dict[str, Any]]:
    """Train on the past sends; measured: score all users and write them to a Parquet file."""
    from allocator.campaign import read_campaign
    from allocator.campaign.prediction_parts import write_prediction_parts
    from allocator.plugins import registry
    from allocator.runs.stages import predict_in_parts

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_campaign(folder, users)
        began = time.perf_counter()
        campaign = read_campaign(folder)
        read_seconds = time.perf_counter() - began
        small = few_sends(campaign)
        predictor = registry.create(registry.PREDICTORS, name, {})
        began = time.perf_counter()
        predictor.fit(small, seed=1, device=device)
        train_seconds = time.perf_counter() - began
        before, busy = _resident_mb(), time.process_time()
        yield
        write_prediction_parts(predict_in_parts(predictor, campaign, name), folder / "predictions.parquet")
        return {
            "read_seconds": read_seconds,
            "train_seconds": train_seconds,
            "cpu_seconds": time.process_time() - busy,
            "before_mb": before,
            "file_mb": (folder / "predictions.parquet").stat().st_size / 1e6,
            "load": os.getloadavg()[0],
        }


def scoring(settings: Namespace) -> Iterator[Row]:
    """Yield a row for each number of users and each predictor."""
    for users in settings.sizes:
        for name in settings.predictors:
            found = in_process(scoring_task, users, name, settings.device, limit=settings.limit).row()
            found |= {"users": users, "predictor": name, "device": settings.device}
            yield found | {"pairs_per_second": users * COUPONS / found["seconds"]}


def _resident_mb() -> float:
    status = Path("/proc/self/statm")
    if not status.exists():
        return float("nan")
    return int(status.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _number(key: str, form: str) -> Any:
    return lambda row: "" if row.get(key) is None else format(row[key], form)


COLUMNS: Columns = {
    "users x coupons": lambda row: f"{row['users']:,} x {COUPONS}",
    "predictor": lambda row: str(row["predictor"]),
    "device": lambda row: str(row["device"]),
    "seconds": lambda row: str(row["error"]) if row.get("error") else f"{row['seconds']:.1f}",
    "CPU seconds": _number("cpu_seconds", ".1f"),
    "pairs a second": _number("pairs_per_second", ",.0f"),
    "read the tables, s": _number("read_seconds", ".1f"),
    "MB before": _number("before_mb", ",.0f"),
    "peak MB": _number("peak_mb", ",.0f"),
    "load of the machine": _number("load", ".1f"),
}
