"""Fair objectives and budgets with a confidence: the gap reached, and the time it took."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from allocator import AllocateError, Budget, Floor, Inventory, MaxMin, Problem, ProportionalFairness, solve
from allocator.limits.objectives import Fairness
from allocator.limits.rows import LimitLike
from allocator.solution.risk import redemption_cost
from benchmarks.instances import COUPONS, Instance
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

GRACE = 60.0  # seconds past its own time limit before a process is stopped
MOST_GROUPS = 8
RISKY_SIZES = (200, 500, 1_000, 2_000)

OBJECTIVES: dict[str, Fairness] = {
    "max-min": MaxMin("region"),
    "proportional": ProportionalFairness("region"),
}


def regions(n: int, seed: int = 0) -> Problem:
    """Return users of up to eight regions, which differ in size and in what coupons are worth to them."""
    generator = np.random.default_rng(seed)
    n_groups = min(MOST_GROUPS, n // 2)
    share = np.linspace(1, 2, n_groups)
    region = generator.choice(n_groups, n, p=share / share.sum())
    region[:n_groups] = np.arange(n_groups)
    scale = np.linspace(0.4, 1.6, n_groups)
    value = generator.gamma(2, 1, (n, COUPONS)) * scale[region][:, None]
    cost = generator.uniform(0.5, 5, (n, COUPONS))
    return Problem(value, {"cost": cost}, groups={"region": np.char.add("r", region.astype(str))})


def _budget(n: int) -> list[LimitLike]:
    return [Budget(0.4 * n, label="total")]


def _stocks(n: int) -> list[LimitLike]:
    return [*_budget(n), Inventory({str(j): max(0.06 * n, 1.0) for j in range(COUPONS)})]


def _soft(n: int) -> list[LimitLike]:
    stocks = Inventory({str(j): max(0.06 * n, 1.0) for j in range(COUPONS)})
    floors = Floor(0.3, by="region", per_head=True, label="every region", penalty=0.2)
    return [Budget(0.3 * n, label="total", penalty=1.0), stocks, floors]


FAIR_LIMITS: dict[str, Callable[[int], list[LimitLike]]] = {
    "budget": _budget,
    "budget, stocks": _stocks,
    "soft budget, soft floors, stocks": _soft,
}


def risky(n: int, error: float | None, seed: int = 0) -> Instance:
    """Return coupons that cost what they are worth if redeemed, and a budget that holds in 95 of 100 cases.

    `error` is what each coupon's redemption may be off for all its users, as `Budget.coupon_error`.
    """
    generator = np.random.default_rng(seed)
    probability = generator.beta(2, 6, (n, 5))
    amount = np.array([2.0, 5.0, 10.0, 20.0, 40.0])
    value = generator.gamma(2, 2, (n, 5)) * probability * np.sqrt(amount)
    problem = Problem(value, redemption_cost(probability, amount))
    return problem, [Budget(1.5 * n, label="total", confidence=0.95, coupon_error=error)]


RISKS: dict[str, float | None] = {"confidence 0.95": None, "confidence 0.95, shared errors": 0.1}


def fair_task(
    objective: str, limits: str, n: int, gap: float, limit: float
) -> Generator[None, None, dict[str, Any]]:
    """Solve for a fair objective; compiling the kernels is not measured."""
    problem = regions(n)
    return (yield from _solved(problem, FAIR_LIMITS[limits](n), OBJECTIVES[objective], gap, limit))


def risky_task(kind: str, n: int, gap: float, limit: float) -> Generator[None, None, dict[str, Any]]:
    """Solve under a budget that holds with a stated probability."""
    return (yield from _solved(*risky(n, RISKS[kind]), None, gap, limit))


def _solved(
    problem: Problem, limits: list[LimitLike], objective: Fairness | None, gap: float, limit: float
) -> Generator[None, None, dict[str, Any]]:
    solve(regions(200), _stocks(200), objective=objective, gap=1e-2, time_limit=5)
    yield
    try:
        found = solve(problem, limits, objective=objective, gap=gap, time_limit=limit)
    except AllocateError as error:
        return {"status": type(error).__name__, "error": str(error)}
    return {"status": found.status.value, "gap": found.gap, "rows": len(found.usage)} | (
        {"worth": found.objective, "bound": found.bound}
        if objective is None
        else {"worth": found.utility, "bound": found.utility_bound}
    )


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield every fair objective under every kind of limits, then budgets with a confidence, a size each."""
    until = settings.limit + GRACE
    for n in settings.sizes:
        for objective in settings.objectives:
            for limits in FAIR_LIMITS:
                found = in_process(fair_task, objective, limits, n, settings.gap, settings.limit, limit=until)
                yield {"users": n, "objective": objective, "limits": limits} | found.row()
    for n in [n for n in RISKY_SIZES if n <= max(settings.sizes)]:
        for kind in RISKS:
            found = in_process(risky_task, kind, n, settings.gap, settings.limit, limit=until)
            yield {"users": n, "objective": "sum of values", "limits": f"budget, {kind}"} | found.row()


def _number(key: str, form: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(key) is None else format(row[key], form)


ABOUT = "fair objectives, and budgets that hold with a stated probability"
SETTINGS: dict[str, Any] = {
    "sizes": [4, 40, 400, 2_000, 20_000, 100_000],
    "objectives": list(OBJECTIVES),
    "gap": 1e-6,
    "limit": 30.0,
}
COLUMNS: Columns = {
    "users": lambda row: f"{row['users']:,}",
    "objective": lambda row: str(row["objective"]),
    "limits": lambda row: str(row["limits"]),
    "gap": _number("gap", ".1e"),
    "seconds": _number("seconds", ".2f"),
    "CPU seconds": _number("cpu_seconds", ".1f"),
    "status": lambda row: str(row.get("error") or row["status"]),
}
