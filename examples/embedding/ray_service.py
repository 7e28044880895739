"""Scale out: a service that solves on a Ray cluster, and gets the plan that one machine would give.

python examples/embedding/ray_service.py [USERS] [ray://HOST:10001 or auto]

The service connects once and keeps the connection. Every solve takes the cores that it asks for as long as it
runs, so solves take turns (or share the cluster: ask for fewer workers each). Users are split among worker
processes; in each pass only prices and sums travel. Which engine for what: docs/howto/embedding_library.md.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import ray

from allocator import Budget, Floor, Problem, Solution, solve


class Cluster:
    """A connection to a Ray cluster, for one solve at a time; may be shared between threads."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers
        self._turn = threading.Lock()

    def plan(self, problem: Problem, budget: float, seconds: float = 600) -> Solution:
        """Return the plan; a worker that dies meanwhile is started again and repeats its part."""
        limits = [Budget(budget, label="total"), Floor(0.05, by="region", per_head=True)]
        with self._turn:
            return solve(problem, limits, engine="ray", threads=self._workers, time_limit=seconds)


@contextmanager
def connected(address: str | None = None, workers: int = 2) -> Iterator[Cluster]:
    """Connect to a cluster, or start one on this machine."""
    if address is None:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, log_to_driver=False)
    else:
        ray.init(address=address, log_to_driver=False)
    try:
        yield Cluster(None if address else workers)
    finally:
        ray.shutdown()


def write_campaign(folder: Path, users: int, coupons: int = 4) -> list[str]:
    """Write values, costs and regions as Parquet files, which every node must see under the same path."""
    rng = np.random.default_rng(7)
    names = [f"C{j}" for j in range(coupons)]
    for part, start in enumerate(range(0, users, 1_000_000)):
        n = min(1_000_000, users - start)
        value = {f"value_{c}": rng.gamma(2.0, 1.0, n).astype(np.float32) for c in names}
        cost = {f"cost_{c}": rng.uniform(0.5, 5.0, n).astype(np.float32) for c in names}
        frame = pl.DataFrame({"region": rng.choice(["north", "south"], n), **value, **cost})
        frame.write_parquet(folder / f"part-{part:04}.parquet", compression="lz4")
    return names


def read_campaign(folder: Path, names: list[str]) -> Problem:
    """Return the problem; its values stay on disk, each worker reads its own part."""
    return Problem.from_parquet(
        folder,
        [f"value_{c}" for c in names],
        {"cost": [f"cost_{c}" for c in names]},
        groups=["region"],
        coupon_ids=names,
    )


def main() -> int:
    """Solve the same campaign on a cluster and in this process."""
    users = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    with tempfile.TemporaryDirectory() as folder:
        problem = read_campaign(Path(folder), write_campaign(Path(folder), users))
        with connected(sys.argv[2] if len(sys.argv) > 2 else None) as cluster:
            began = time.monotonic()
            spread = cluster.plan(problem, budget=0.3 * users)
            print(
                f"ray: worth {spread.objective:,.2f}, gap {spread.gap:.0e}, {time.monotonic() - began:.1f} s"
            )
        began = time.monotonic()
        here = solve(problem, spread.limits, engine="cpu")
        print(f"cpu: worth {here.objective:,.2f}, gap {here.gap:.0e}, {time.monotonic() - began:.1f} s")
        same = np.array_equal(here.choice, spread.choice)
        print("the same plan" if same else "another plan")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
