"""Online decisions against traffic that drifts from the forecast, compared with the optimum in hindsight.

A plan is solved for a forecast; users then arrive one by one, more or fewer of them, at other times and from
other groups than forecast. What the decisions earn is compared with the optimum of those who really came,
which `allocator.solve` finds afterwards.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator import Budget, Inventory, Problem, solve
from allocator.limits.rows import LimitLike
from allocator.online import Decider, DecisionRequest, MemoryLedger, OnlinePlan
from allocator.online.decider import Pacing
from benchmarks.record import Columns, Row

Array = NDArray[np.float64]
Volume = Callable[[Array], Array]

COUPONS = [f"C{j}" for j in range(10)]
REGIONS = np.array(["east", "north", "south", "west"])
BUDGETS = (0.10, 0.11, 0.12, 0.13)  # of the regions, for each user of the forecast
EVEN, SHIFTED = (0.25, 0.25, 0.25, 0.25), (0.1, 0.5, 0.1, 0.3)
POINTS = 101  # moments at which what is spent is noted
DAYS = 28
DAY = 24 * 3600.0


@dataclass(frozen=True)
class Traffic:
    """Who really comes.

    Parameters
    ----------
    name
        As the table says it.
    volume
        Relative to the forecast, over the campaign's time from 0 to 1.
    mix
        Shares of the regions.
    worth
        By what values are multiplied over the same time.
    profile
        What the forecast says about the volume over time.
    expected
        Whether it is of the kind that decisions are held to 99.5% for.
    """

    name: str
    volume: Volume
    mix: tuple[float, ...] = EVEN
    worth: Volume = np.ones_like
    profile: tuple[float, ...] = ()
    expected: bool = True


def constant(factor: float) -> Volume:
    """Return the same volume all the time."""
    return lambda at: np.full_like(at, factor)


def ramp(first: float, last: float) -> Volume:
    """Return a volume that rises or falls evenly."""
    return lambda at: first + (last - first) * at


def day_and_night(at: Array) -> Array:
    """Return a volume that swings between 0.2 and 1.8 each day."""
    return 1 + 0.8 * np.sin(2 * np.pi * DAYS * at)


def step(first: float, last: float) -> Volume:
    """Return a volume that jumps half way."""
    return lambda at: np.where(at < 0.5, first, last)


VOLUMES: dict[str, Volume] = {
    **{f"x{factor:g}": constant(factor) for factor in (0.5, 0.7, 1.0, 1.4, 2.0)},
    **{
        f"x{first:g} rising to x{last:g}" if first < last else f"x{first:g} falling to x{last:g}": ramp(
            first, last
        )
        for first, last in ((0.5, 2.0), (2.0, 0.5), (0.7, 1.4), (1.4, 0.7))
    },
}
HOURS = tuple(day_and_night((np.arange(24 * DAYS) + 0.5) / (24 * DAYS)).tolist())
SWING = ", days and nights"
TRAFFIC = (
    *(Traffic(name, volume) for name, volume in VOLUMES.items()),
    *(Traffic(f"{name}, mix shifted", volume, SHIFTED) for name, volume in VOLUMES.items()),
    Traffic("x1, values rising to x1.3", constant(1.0), worth=ramp(1.0, 1.3)),
    Traffic(f"x2{SWING} as forecast", lambda at: 2 * day_and_night(at), profile=HOURS),
    Traffic(f"x1{SWING} not forecast", day_and_night),
    Traffic("x0.5 jumping to x2", step(0.5, 2.0), expected=False),
    Traffic("x2 dropping to x0.5", step(2.0, 0.5), expected=False),
)


@dataclass(frozen=True)
class Crowd:
    """Users in the order in which they come: value and cost (n, coupons), region, and when."""

    value: Array
    cost: Array
    region: NDArray[np.str_]
    at: Array

    @property
    def problem(self) -> Problem:
        """Return what would be solved if all of them were known."""
        return Problem(self.value, {"cost": self.cost}, coupon_ids=COUPONS, groups={"region": self.region})


def draw(n_users: int, traffic: Traffic, seed: int) -> Crowd:
    """Draw who comes where `n_users` were forecast; regions differ in what they like."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0, 1, 10_001)
    volume = traffic.volume((grid[1:] + grid[:-1]) / 2)
    n = int(rng.poisson(n_users * volume.mean()))
    at = np.sort(np.interp(rng.random(n), np.concatenate([[0], np.cumsum(volume) / volume.sum()]), grid))
    place = rng.choice(len(REGIONS), n, p=traffic.mix)
    taste = np.array([1, 1.3, 0.8, 1])[place][:, None] * np.linspace(0.8, 1.2, len(COUPONS))
    shape = (n, len(COUPONS))
    value = rng.gamma(2, 1, shape) * rng.lognormal(0, 0.5, (n, 1)) * taste * traffic.worth(at)[:, None]
    return Crowd(value, rng.uniform(0.5, 5, shape), REGIONS[place], at)


def limits(n_users: int) -> list[LimitLike]:
    """Return a budget, region budgets that add up to more, and stocks, for a forecast."""
    return [
        Budget(0.4 * n_users, label="total"),
        Inventory(dict.fromkeys(COUPONS, 0.045 * n_users)),
        *(
            Budget(share * n_users, label=f"{region} budget", users={"region": region})
            for region, share in zip(REGIONS.tolist(), BUDGETS, strict=True)
        ),
    ]


def pacing(settings: Namespace) -> Iterator[Row]:
    """Yield a row for each kind of traffic and size of the forecast."""
    for n_users in settings.sizes:
        forecast = draw(n_users, Traffic("forecast", constant(1.0)), seed=1)
        solved = solve(forecast.problem, limits(n_users), gap=settings.gap)
        plan = OnlinePlan.from_solution(solved, "pacing", starts_at=0.0, ends_at=DAYS * DAY)
        for traffic in TRAFFIC:
            yield measure(traffic, plan, n_users, settings.gap)


def measure(traffic: Traffic, plan: OnlinePlan, n_users: int, gap: float) -> Row:
    """Let users arrive, and return what each way of deciding earns of the optimum in hindsight."""
    plan = replace(plan, profile=traffic.profile)
    free = replace(plan, rows=tuple(replace(row, price=0.0) for row in plan.rows))
    crowd = draw(n_users, traffic, seed=2)
    optimum = solve(crowd.problem, limits(n_users), gap=gap).bound
    ways: tuple[tuple[str, OnlinePlan, Pacing], ...] = (
        ("adaptive", plan, "adaptive"),
        ("fixed", plan, "fixed"),
        ("first come", free, "fixed"),
    )
    row: dict[str, Any] = {"users": n_users, "traffic": traffic.name, "expected": traffic.expected}
    row |= {"arrivals": len(crowd.at), "optimum": optimum}
    row["arrived"] = np.searchsorted(crowd.at, np.linspace(0, 1, POINTS)).tolist()
    for name, own, kind in ways:
        row[name] = follow(crowd, own, kind, optimum)
    return row


def follow(crowd: Crowd, plan: OnlinePlan, kind: Pacing, optimum: float) -> dict[str, Any]:
    """Decide for all who come, one after another, and return what came of it."""
    now = 0.0
    held = 2 * DAYS * DAY  # no coupon expires: each is used
    decider = Decider(plan, MemoryLedger(), clock=lambda: now, hold_for=held, pacing=kind)
    place = {coupon: j for j, coupon in enumerate(plan.coupon_ids)}
    earned, cost = 0.0, np.zeros(len(crowd.at))
    seconds = np.empty(len(crowd.at))
    regions = crowd.region.tolist()
    for i, moment in enumerate(crowd.at.tolist()):
        now = moment * DAYS * DAY
        request = DecisionRequest(
            str(i), crowd.value[i], {"cost": crowd.cost[i]}, {"region": regions[i]}, f"u{i}"
        )
        began = time.thread_time()
        ((given,),) = decider.decide([request])
        seconds[i] = time.thread_time() - began
        if given.coupon_id is not None:
            j = place[given.coupon_id]
            earned += float(crowd.value[i, j])
            cost[i] = crowd.cost[i, j]
    standings = {standing.label: standing for standing in decider.standings()}
    total = standings["total"]
    spent = np.concatenate([[0.0], np.cumsum(cost)]) / total.at_most
    share = np.arange(len(cost) + 1) / len(cost)
    return {
        "share": earned / optimum,
        "spent": [round(float(s), 5) for s in spent[np.searchsorted(crowd.at, np.linspace(0, 1, POINTS))]],
        "off_pace": float(np.abs(spent / max(spent[-1], 1e-12) - share).max()),
        "left": 1.0 - float(spent[-1]),
        "overspent": [s.label for s in standings.values() if s.held is not None and s.held > s.at_most],
        "p50_us": float(np.percentile(seconds, 50) * 1e6),
        "p99_us": float(np.percentile(seconds, 99) * 1e6),
    }


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: f"{100 * row[name]['share']:.2f}%"


def _limits_kept(row: Row) -> str:
    broken = sum(len(row[name]["overspent"]) for name in ("adaptive", "fixed", "first come"))
    return "none" if not broken else str(broken)


SHARES: Columns = {
    "forecast": lambda row: f"{row['users']:,}",
    "users who come, against it": lambda row: row["traffic"] + ("" if row["expected"] else " *"),
    "paced": _share("adaptive"),
    "fixed prices": _share("fixed"),
    "first come, first served": _share("first come"),
}
COLUMNS: Columns = {
    **SHARES,
    "came": lambda row: f"{row['arrivals']:,}",
    "furthest from an even pace": lambda row: f"{100 * row['adaptive']['off_pace']:.1f} points",
    "budget left": lambda row: f"{100 * row['adaptive']['left']:.2f}%",
    "overspent": _limits_kept,
    "a decision, median CPU time": lambda row: f"{row['adaptive']['p50_us']:.0f} µs",
    "99 of 100 within": lambda row: f"{row['adaptive']['p99_us']:.0f} µs",
}
