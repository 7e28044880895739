"""A billion variables from disk: ``python -m benchmarks.hundred_million [--users N] [--folder FOLDER]``.

Writes the retail instance to Parquet block by block (8 GB for a hundred million users; a folder that holds
it already is used as it is), solves it streamed in a process of its own, and records seconds, gap, peak
memory and passes over the data in benchmarks/results/hundred_million.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from allocator import Problem, solve
from allocator.problem.batch import Batch
from benchmarks.instances import COUPONS, retail, retail_limits
from benchmarks.measure import in_process
from benchmarks.record import RESULTS, Columns, Row, record

FOLDER = Path(tempfile.gettempdir()) / "hundred_million"
FILE_USERS = 2**21  # users in each file
GROUP_USERS = 2**19  # users in each row group
VALUE = [f"value_{j}" for j in range(COUPONS)]
COST = [f"cost_{j}" for j in range(COUPONS)]

TABLE: Columns = {
    "users x coupons": lambda row: f"{row['users']:,} x {COUPONS}",
    "seconds": lambda row: f"{row['seconds']:,.0f}",
    "gap": lambda row: f"{row['gap']:.1e}",
    "peak memory": lambda row: f"{row['peak_mb'] / 1e3:.1f} GB",
    "on disk": lambda row: f"{row['disk_mb'] / 1e3:.1f} GB",
    "passes": lambda row: str(row["passes"]),
    "seconds a pass": lambda row: f"{row['pass_seconds'] / max(row['passes'], 1):.1f}",
    "whole plan checked": lambda row: "yes" if row["valid"] else "no",
}


def main() -> None:
    """Write the instance unless it is there, solve it, and record the run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hundred_million", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--users", type=int, default=100_000_000, help="number of users [%(default)s]")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the Parquet files [%(default)s]")
    parser.add_argument("--gap", type=float, default=1e-5, help="relative gap to reach [%(default)s]")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds [%(default)s]")
    parser.add_argument("--threads", type=int, help="worker threads [all cores]")
    parser.add_argument("--name", default="hundred_million", help="of the results file [%(default)s]")
    asked = parser.parse_args()
    write(asked.users, asked.folder)
    settings = {"gap": asked.gap, "limit": asked.limit, "threads": asked.threads}
    record(asked.name, settings, _rows(asked.users, asked.folder, **settings), TABLE, RESULTS)


def write(n_users: int, folder: Path, seed: int = 0) -> None:
    """Write the instance file by file, each from its own generator, as plain float32 columns."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, n_users, FILE_USERS)):
        path = folder / f"users-{number:04}.parquet"
        if path.exists():
            continue
        frame = _users(min(FILE_USERS, n_users - start), np.random.default_rng([seed, number]))
        partial = path.with_suffix(".partial")
        frame.write_parquet(partial, compression="uncompressed", row_group_size=GROUP_USERS, statistics=False)
        partial.rename(path)  # only whole files bear the name


def _users(n: int, generator: np.random.Generator) -> pl.DataFrame:
    worth = generator.lognormal(0, 0.5, n).astype(np.float32)
    columns: dict[str, Any] = {
        "region": generator.choice(["east", "north", "south", "west"], n),
        "age": generator.choice(["18-24", "25-34", "35-44", "45-54", "55-64", "65-74", "75+"], n),
    }
    columns |= {name: worth * generator.standard_gamma(2.0, n, dtype=np.float32) for name in VALUE}
    columns |= {name: 0.5 + 4.5 * generator.random(n, dtype=np.float32) for name in COST}
    return pl.DataFrame(columns)


def solve_task(
    n_users: int, folder: str, gap: float, limit: float, threads: int | None
) -> Generator[None, None, dict[str, Any]]:
    """Open the files and solve; compiling the kernels is not measured."""
    small, limits = retail(1_000)
    narrow = Problem(small.value.astype(np.float32), {"cost": small.measures["cost"].astype(np.float32)})
    solve(small, limits, gap=1e-3)
    solve(narrow, limits[:1], gap=1e-3)
    yield
    began = time.perf_counter()
    problem = Problem.from_parquet(Path(folder), VALUE, {"cost": COST}, groups=["region", "age"])
    opened = time.perf_counter() - began
    assert problem.n_users == n_users, f"{folder} holds {problem.n_users:,} users; remove it and start again"
    passes: list[float] = []
    _count_passes(problem, passes)
    solution = solve(problem, retail_limits(problem), gap=gap, time_limit=limit, threads=threads)
    disk = sum(path.stat().st_size for path in Path(folder).glob("*.parquet"))
    return {
        "users": n_users,
        "gap": solution.gap,
        "status": str(solution.status.value),
        "objective": solution.objective,
        "bound": solution.bound,
        "valid": solution.certificate.valid,
        "solve_seconds": solution.seconds,
        "open_seconds": opened,
        "passes": len(passes),
        "pass_seconds": sum(passes),
        "slowest_pass": max(passes),
        "disk_mb": disk / 1e6,
    }


def _count_passes(problem: Problem, passes: list[float]) -> None:
    """Note how long each pass over the files takes, with the work done on what it reads."""
    read = problem.batches

    def batches(*arguments: Any) -> Iterator[Batch]:
        began = time.perf_counter()
        yield from read(*arguments)
        passes.append(time.perf_counter() - began)

    problem.batches = batches  # type: ignore[method-assign]


def _rows(n_users: int, folder: Path, gap: float, limit: float, threads: int | None) -> Iterator[Row]:
    measured = in_process(solve_task, n_users, str(folder), gap, limit, threads, limit=2 * limit + 600)
    if measured.results is None:
        raise SystemExit(f"no result: {measured.error}")
    yield measured.row()


if __name__ == "__main__":
    main()
