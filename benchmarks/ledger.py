"""Decisions in this process by where the ledger is kept, against SQLite writing the same rows alone."""

from __future__ import annotations

import sqlite3
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from allocator.limits.row_tables import NamedTerm
from allocator.online.decider import Decider
from allocator.online.ledger import Ledger, MemoryLedger
from allocator.online.plan import OnlinePlan
from allocator.online.plan_rows import PlanRow
from allocator.online.records import DecisionRequest
from allocator.service.database import connect, create_tables
from allocator.service.plans.sql_ledger import SqlLedger
from benchmarks.record import Columns, Row

ABOUT = "decisions in this process, by where the ledger is kept and how many are decided together"
BATCHES = (1, 8, 64)
FEWEST = 20  # transactions of a kind that are timed in a round
SETTINGS = {"ledgers": ["memory", "sqlite"], "decisions": 2_000}
LEDGERS = ("memory", "sqlite", "postgresql")
ROUNDS = 3
COUPONS = tuple(f"C{i}" for i in range(10))
REGIONS = ("north", "south", "east", "west")
PLAN = OnlinePlan(
    plan_id="spring",
    coupon_ids=COUPONS,
    per_user=(0, 1),
    groups={"region": REGIONS},
    rows=(
        PlanRow(label="budget", terms=(NamedTerm("cost", 1.0, {}, COUPONS),), at_most=1e9, price=0.1),
        *(
            PlanRow(label=f"stock of {name}", terms=(NamedTerm("count", 1.0, {}, (name,)),), at_most=1e9)
            for name in COUPONS
        ),
        *(
            PlanRow(
                label=f"cost in {name}",
                terms=(NamedTerm("cost", 1.0, {"region": (name,)}, COUPONS),),
                at_most=1e9,
            )
            for name in REGIONS
        ),
    ),
    users=1_000_000,
    objective=3e6,
)
RAW = "SQLite, the rows written and nothing else"
Way = Callable[[int], Callable[[], object]]
"""Returns what decides on so many new requests in one transaction."""


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield each ledger by the number of decisions in a transaction."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        ways = _ways(stack, Path(folder), settings.ledgers)
        for batch in BATCHES:
            timed: dict[str, list[list[float]]] = {name: [] for name in ways}
            for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets them all
                for name, way in ways.items():
                    timed[name].append(_times(way, batch, settings.decisions))
            raw = _decisions_a_second(timed[RAW], batch)
            for name, rounds in timed.items():
                rate = _decisions_a_second(rounds, batch)
                percentiles = {
                    f"p{q}_ms": median(np.percentile(times, q) for times in rounds) * 1e3 for q in (50, 99)
                }
                share = {"of_raw": rate / raw} if name.startswith("SQLite") else {}
                yield {"ledger": name, "batch": batch, "decisions_a_second": rate} | percentiles | share


def _times(way: Way, batch: int, decisions: int) -> list[float]:
    way(batch)()
    times = []
    for _ in range(max(decisions // batch, FEWEST)):
        decide = way(batch)
        start = time.perf_counter()
        decide()
        times.append(time.perf_counter() - start)
    return times


def _decisions_a_second(rounds: list[list[float]], batch: int) -> float:
    return median(batch * len(times) / sum(times) for times in rounds)


def _ways(stack: ExitStack, folder: Path, ledgers: Sequence[str]) -> dict[str, Way]:
    found = {RAW: _raw(stack, folder / "raw.db")}
    if "memory" in ledgers:
        found["memory"] = _by(MemoryLedger())
    if "sqlite" in ledgers:
        found["SQLite"] = _by(_sql_ledger(stack, f"sqlite:///{folder / 'normal.db'}"))
        found["SQLite, waiting for the disk"] = _by(
            _sql_ledger(stack, f"sqlite:///{folder / 'full.db'}?synchronous=full")
        )
    if "postgresql" in ledgers:  # the one that PGHOST, PGUSER and PGDATABASE name
        found["PostgreSQL"] = _by(_sql_ledger(stack, "postgresql://"))
    return found


def _sql_ledger(stack: ExitStack, url: str) -> Ledger:
    engine = connect(url)
    stack.callback(engine.dispose)
    create_tables(engine)
    return SqlLedger(engine)


def _by(ledger: Ledger) -> Way:
    decider, random, numbers = Decider(PLAN, ledger), np.random.default_rng(7), count()
    start = time.time_ns()  # a database may hold an earlier run's requests

    def request() -> DecisionRequest:
        number = next(numbers)
        return DecisionRequest(
            f"{start}-{number}",
            random.lognormal(1.0, 0.5, len(COUPONS)),
            {"cost": random.uniform(1, 5, len(COUPONS))},
            {"region": REGIONS[number % len(REGIONS)]},
            f"user-{start}-{number}",
        )

    return lambda batch: partial(decider.decide, [request() for _ in range(batch)])


def _raw(stack: ExitStack, path: Path) -> Way:
    """Write what the ledger writes for decisions like these, by the driver alone and with nothing read."""
    _by(_sql_ledger(stack, f"sqlite:///{path}"))(1)()
    connection = sqlite3.connect(path, isolation_level=None)
    stack.callback(connection.close)
    connection.execute("PRAGMA synchronous = normal")
    _, _, position, *content = connection.execute("SELECT * FROM reservations").fetchone()
    labels = connection.execute("SELECT label FROM counters").fetchall()
    pacing = connection.execute("SELECT pacing FROM ledgers").fetchone()
    add = f"INSERT INTO reservations VALUES (?, ?, ?{', ?' * len(content)})"
    numbers = count()

    def write(names: list[str]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(add, [(PLAN.plan_id, name, position, *content) for name in names])
        connection.executemany("UPDATE counters SET held = held + 1 WHERE label = ?", labels)
        connection.execute("UPDATE ledgers SET revision = revision + 1, pacing = ?", pacing)
        connection.execute("COMMIT")

    return lambda batch: partial(write, [f"{time.time_ns()}-{next(numbers)}" for _ in range(batch)])


COLUMNS: Columns = {
    "ledger": lambda row: str(row["ledger"]),
    "decisions together": lambda row: str(row["batch"]),
    "p50, ms": lambda row: f"{row['p50_ms']:.2f}",
    "p99, ms": lambda row: f"{row['p99_ms']:.2f}",
    "decisions a second": lambda row: f"{row['decisions_a_second']:,.0f}",
    "of SQLite's own": lambda row: f"{row['of_raw']:.0%}" if "of_raw" in row else "",
}
