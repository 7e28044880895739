"""The commands themselves on large campaign folders: seconds, CPU seconds and peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.record import Columns, Row

ABOUT = "the command line on large campaigns with ready scores, ten coupons"
COUPONS = 10
AT_ONCE = 1_000_000  # users whose rows are made at once
CONFIG = """\
name = "large"
currency = "USD"
as_of = 2026-06-01
[objective]
maximize = "incremental_margin"

[copy]
brand = "Finch"
channels = ["email"]
writer = "template"

[[limits]]
kind = "budget"
label = "total"
at_most = {budget}

[[limits]]
kind = "floor"
label = "every region"
by = "region"
at_least = 0.1
per_head = true
"""
COMMANDS = {
    "check": ["check"],
    "solve": ["solve", "--out", "{out}"],
    "whatif": ["whatif", "--set", "total.at_most={more}"],
}


def write_campaign(folder: Path, n_users: int, form: str, seed: int = 0) -> None:
    """Write a campaign of so many users with ready scores, its tables as ``csv``, ``parquet`` or ``parts``:
    folders of Parquet files of a million users each.
    """
    folder.mkdir(parents=True)
    (folder / "campaign.toml").write_text(CONFIG.format(budget=0.4 * n_users), encoding="utf-8")
    coupons = pl.DataFrame(
        {
            "coupon_id": [f"SAVE{j}" for j in range(COUPONS)],
            "kind": ["percent"] * COUPONS,
            "value": [5.0 + j for j in range(COUPONS)],
            "inventory": [n_users // 8] * COUPONS,
            "code": [f"SAVE{j}" for j in range(COUPONS)],
        }
    )
    coupons.write_csv(folder / "coupons.csv")
    generator = np.random.default_rng(seed)
    tables: dict[str, list[pl.DataFrame]] = {"users": [], "scores": []}
    for start in range(0, n_users, AT_ONCE):
        n = min(AT_ONCE, n_users - start)
        ids = [f"C{start + i:09d}" for i in range(n)]
        value = generator.gamma(2, 1, (n, COUPONS)) * generator.lognormal(0, 0.5, (n, 1))
        tables["users"].append(
            pl.DataFrame(
                {
                    "user_id": ids,
                    "region": generator.choice(["east", "north", "south", "west"], n),
                    "consent_email": np.ones(n, np.int8),
                    "visits": generator.integers(0, 50, n),
                }
            )
        )
        tables["scores"].append(
            pl.DataFrame(
                {
                    "user_id": np.repeat(ids, COUPONS),
                    "coupon_id": np.tile([f"SAVE{j}" for j in range(COUPONS)], n),
                    "value": np.round(value, 4).ravel(),
                    "cost": np.round(generator.uniform(0.5, 5, (n, COUPONS)), 3).ravel(),
                }
            )
        )
        if form == "parts":
            for name, frames in tables.items():
                (folder / f"{name}.parquet").mkdir(exist_ok=True)
                frames.pop().write_parquet(folder / f"{name}.parquet" / f"{start:012d}.parquet")
    for name, frames in tables.items() if form != "parts" else ():
        frame = pl.concat(frames)
        if form == "csv":
            frame.write_csv(folder / f"{name}.csv")
        else:
            frame.write_parquet(folder / f"{name}.parquet")


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield every command on every form and size."""
    for n in settings.sizes:
        for form in settings.forms:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place) / "campaign"
                write_campaign(folder, n, form)
                for name, arguments in COMMANDS.items():
                    filled = [each.format(out=Path(place) / "out", more=0.42 * n) for each in arguments]
                    yield {"users": n, "form": form, "command": name} | _measured(
                        [filled[0], str(folder), *filled[1:]]
                    )


def _measured(arguments: list[str]) -> Row:
    """Run a command in a process of its own."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    watched = (
        "import json, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
        "print(json.dumps([code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))\n"
    )
    command = [sys.executable, "-c", watched, sys.executable, "-m", "cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    code, peak = json.loads(done.stdout)
    return {
        "seconds": time.monotonic() - began,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": peak / 1e3,
        "error": None if code == 0 else done.stderr[-500:],
    }


SETTINGS = {"sizes": [10_000, 100_000, 1_000_000], "forms": ["csv", "parquet", "parts"]}
COLUMNS: Columns = {
    "users x coupons": lambda row: f"{row['users']:,} x {COUPONS}",
    "tables": lambda row: str(row["form"]),
    "command": lambda row: f"allocate {row['command']}",
    "seconds": lambda row: f"{row['seconds']:.1f}" if row["error"] is None else str(row["error"]),
    "CPU seconds": lambda row: f"{row['cpu_seconds']:.1f}",
    "peak MB": lambda row: f"{row['peak_mb']:,.0f}",
}
