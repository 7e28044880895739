"""How well a solve keeps its time limit, and how soon it ends when it is cancelled or interrupted."""

from __future__ import annotations

import os
import signal
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from allocator import AllocateError, Budget, Floor, MaxMin, Problem, ProportionalFairness, solve
from benchmarks.fair_objectives import FAIR_LIMITS, regions
from benchmarks.instances import Instance, heavy_tails, hundreds, khan_like, many, retail
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

ABOUT = "time limits kept, and seconds from a cancel or Ctrl-C to the end"
GRACE = 300.0  # until a process is stopped that does not stop itself


class CancelledError(Exception):
    """What progress raises here."""


def risky(n: int) -> Instance:
    """Return a retail problem whose budget holds with 95 % confidence, with errors that coupons share."""
    problem, limits = retail(n)
    generator = np.random.default_rng(0)
    cost = problem.measures["cost"]
    measures = {"cost": cost, "cost_variance": (cost * generator.uniform(0.2, 0.6, cost.shape)) ** 2}
    first = Budget(0.4 * n, label="total", confidence=0.95, coupon_error=0.1)
    return Problem(problem.value, measures, groups=problem.groups), [first, *limits[1:]]


def soft(n: int) -> Instance:
    """Return users of regions, and limits that may be broken at a price."""
    return regions(n), FAIR_LIMITS["soft budget, soft floors, stocks"](n)


def impossible(n: int) -> Instance:
    """Return floors that hundreds of rows leave no budget for."""
    problem, limits = hundreds(n)
    return problem, [*limits, Floor(3.0, by="store", per_head=True, label="too much for every store")]


CASES: dict[str, tuple[Callable[[int], Instance], int, dict[str, Any]]] = {
    "26 rows": (retail, 1_000_000, {}),
    "500 rows": (hundreds, 20_000, {}),
    "500 rows, more users": (hundreds, 100_000, {}),
    "500 rows, no plan": (impossible, 20_000, {}),
    "stores and regions": (many, 100_000, {}),
    "heavy tails": (heavy_tails, 2_000, {}),
    "knapsacks": (khan_like, 200, {}),
    "exact method": (retail, 3_000, {"method": "exact"}),
    "smallest value": (retail, 20_000, {"objective": MaxMin("region")}),
    "smallest value, soft limits": (soft, 400, {"objective": MaxMin("region")}),
    "proportional": (retail, 20_000, {"objective": ProportionalFairness("region")}),
    "chance-constrained": (risky, 20_000, {}),
}
"""Kinds by name: the instance, its users, and how it is solved."""


def stopping_task(
    case: str, n: int, how: str, limit: float, stops: int
) -> Generator[None, None, dict[str, Any]]:
    """Solve to a gap of 0 under a time limit, or stop at moments spread over it; the worst of all."""
    make, _, settings = CASES[case]
    problem, limits = make(n)
    _end(*make(min(n, 3_000)), 5.0, settings, gap=0.5)  # compiles
    yield
    if how == "limit":
        began = time.monotonic()
        ended = _end(problem, limits, limit, settings)
        return {"limit": limit, "took": time.monotonic() - began, "ended": ended}
    late, ended = [], ""
    for moment in (limit * np.linspace(0.0, 1.0, stops + 2)[1:-1]).tolist():
        stop = _Cancel(moment) if how == "cancel" else _Signal(moment)
        ended = _end(problem, limits, 10 * limit, settings | {"progress": stop.hear})
        late.append(stop.late())
    return {"limit": limit, "took": max(late), "ended": ended}


def _end(problem: Problem, limits: Any, limit: float, settings: dict[str, Any], gap: float = 0.0) -> str:
    try:
        solution = solve(problem, limits, gap=gap, time_limit=limit, **settings)
    except (AllocateError, CancelledError, KeyboardInterrupt) as stopped:
        return type(stopped).__name__
    return f"{solution.status}, gap {solution.gap:.1e}"


class _Cancel:
    """Raises from progress once a moment has come."""

    def __init__(self, moment: float) -> None:
        self.when = time.monotonic() + moment

    def hear(self, step: str, done: int, total: int) -> None:
        if time.monotonic() >= self.when:
            raise CancelledError

    def late(self) -> float:
        """Return the seconds since the moment; 0 where the solve had ended before."""
        return max(time.monotonic() - self.when, 0.0)


class _Signal(_Cancel):
    """Sends this process what Ctrl-C sends, at a moment."""

    def __init__(self, moment: float) -> None:
        super().__init__(moment)
        self._timer = threading.Timer(moment, os.kill, (os.getpid(), signal.SIGINT))
        self._timer.start()

    def hear(self, step: str, done: int, total: int) -> None:
        pass

    def late(self) -> float:
        self._timer.cancel()
        return super().late()


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield each kind under its time limits, cancelled, and interrupted."""
    stops, longest = settings.times, max(settings.seconds)
    for case in settings.cases:
        n = settings.sizes[0] if settings.sizes else CASES[case][1]
        ways = [("limit", limit) for limit in settings.seconds] + [("cancel", longest), ("Ctrl-C", longest)]
        for how, limit in ways:
            found = in_process(stopping_task, case, n, how, limit, stops, limit=GRACE + stops * limit).row()
            allowed = 1.1 * limit + 2.0 if how == "limit" else 2.0
            kept = found.get("error") is None and found["took"] <= allowed
            yield {
                "case": case,
                "limit": limit,
                "users": n,
                "how": how,
                "allowed": allowed,
                "kept": kept,
            } | found


SETTINGS = {"cases": list(CASES), "sizes": None, "seconds": [2.0, 20.0], "times": 5}
COLUMNS: Columns = {
    "users": lambda row: f"{row['users']:,}",
    "kind": lambda row: str(row["case"]),
    "ended by": lambda row: f"a limit of {row['limit']:g} s" if row["how"] == "limit" else str(row["how"]),
    "seconds, the worst": lambda row: f"{row['took']:.1f}" if "took" in row else str(row["error"]),
    "allowed": lambda row: f"{row['allowed']:.1f}",
    "kept": lambda row: "yes" if row["kept"] else "no",
    "in the end": lambda row: str(row.get("ended", "")),
}
