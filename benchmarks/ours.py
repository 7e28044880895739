"""The tasks that measure `allocator.solve` itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from allocator import AllocateError, Budget, Solution, solve
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for
from benchmarks.instances import CHANGES, Instance, khan, retail
from benchmarks.measure import fastest
from benchmarks.peers import INSTANCES


def solve_task(
    instance: str, n_users: int, gap: float, limit: float, device: str | None = None
) -> Generator[None, None, dict[str, Any]]:
    """Solve an instance from arrays to certificate; compiling the kernels is not measured."""
    return (yield from _solved(INSTANCES[instance](n_users), gap, limit, device))


def khan_task(path: str, gap: float, limit: float) -> Generator[None, None, dict[str, Any]]:
    """Solve a knapsack instance from a file."""
    return (yield from _solved(khan(Path(path)), gap, limit, None))


def pass_task(n_users: int, gap: float, limit: float) -> Generator[None, None, dict[str, Any]]:
    """Time one pass of the pricing kernel over all values and costs, then a whole solve."""
    problem, limits = retail(n_users)
    solve(*retail(1_000), gap=1e-3)
    yield
    model = compile_model(problem, limits)
    engine = engine_for(model)
    one_pass = fastest(lambda: engine.price(np.zeros(model.n_rows)))
    began = time.perf_counter()
    solution = solve(problem, limits, gap=gap, time_limit=limit)
    whole = time.perf_counter() - began
    return _facts(solution) | {"pass_seconds": one_pass, "solve_seconds": whole, "passes": whole / one_pass}


def warm_task(n_users: int, change: str, gap: float, limit: float) -> Generator[None, None, dict[str, Any]]:
    """Time a solve after a change, cold and from the plan before it in turn: the medians of five each."""
    solve(*retail(1_000), gap=1e-3)
    instance = retail(n_users)
    before = solve(*instance, gap=gap, time_limit=limit)
    problem, limits = CHANGES[change](instance)
    yield
    found: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(5):
        for name, start in (("cold", None), ("warm", before)):
            began = time.perf_counter()
            solution = solve(problem, limits, gap=gap, time_limit=limit, warm_start=start)
            seconds[name].append(time.perf_counter() - began)
            found |= {f"{name}_passes": solution.trace[-1].passes, f"{name}_gap": solution.gap}
    cold, warm = (statistics.median(seconds[name]) for name in ("cold", "warm"))
    return found | {"cold_seconds": cold, "warm_seconds": warm, "ratio": warm / cold}


def sweep_task(n_users: int, points: int, gap: float, limit: float) -> Generator[None, None, dict[str, Any]]:
    """Time a sweep of the budget, each plan from the one before it, against the first solve of this process,
    which loads the compiled kernels, and a later one from nothing (the median of three).
    """
    problem, limits = retail(n_users)
    place = next(i for i, limit_ in enumerate(limits) if isinstance(limit_, Budget))
    budget = limits[place]
    assert isinstance(budget, Budget)
    yield
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        solve(problem, limits, gap=gap, time_limit=limit)
        seconds.append(time.perf_counter() - began)
    first, cold = seconds[0], statistics.median(seconds[1:])
    plan, gaps = None, []
    began = time.perf_counter()
    for at_most in np.linspace(0.4, 1.6, points) * budget.at_most:
        changed = [*limits[:place], replace(budget, at_most=float(at_most)), *limits[place + 1 :]]
        plan = solve(problem, changed, gap=gap, time_limit=limit, warm_start=plan)
        gaps.append(plan.gap)
    whole = time.perf_counter() - began
    return {
        "points": points,
        "first_seconds": first,
        "cold_seconds": cold,
        "sweep_seconds": whole,
        "over_first": whole / first,
        "over_cold": whole / cold,
        "gap": max(gaps),
    }


def device_task(n_users: int, device: str) -> Generator[None, None, dict[str, Any]]:
    """Time a pass on a torch device against the CPU kernels, and compare their results."""
    import torch

    problem, limits = retail(n_users)
    solve(*retail(1_000), gap=1e-3)
    yield
    model = compile_model(problem, limits)
    prices = np.random.default_rng(0).normal(0, 0.1, model.n_rows)
    engines = {"cpu": engine_for(model, "cpu"), "device": engine_for(model, "torch", device)}
    passes = {name: engine.price(prices) for name, engine in engines.items()}
    seconds = {name: fastest(lambda engine=engine: engine.price(prices)) for name, engine in engines.items()}
    one, two = passes["cpu"], passes["device"]
    parts = [abs(one.reduced - two.reduced) / abs(one.reduced)]
    parts += [float(abs(a - b).max() / abs(a).max()) for a, b in zip(one.table, two.table, strict=True)]
    there = torch.device(device)
    name = torch.cuda.get_device_name(there) if there.type == "cuda" else device
    return {
        "device": name,
        "torch": torch.__version__,
        "cpu_seconds": seconds["cpu"],
        "device_seconds": seconds["device"],
        "difference": max(parts),
    }


def _solved(
    instance: Instance, gap: float, limit: float, device: str | None
) -> Generator[None, None, dict[str, Any]]:
    problem, limits = instance
    solve(*retail(1_000), gap=1e-3, device=device)
    yield
    try:
        solution = solve(problem, limits, gap=gap, time_limit=limit, device=device)
    except AllocateError as error:
        return {"status": type(error).__name__, "error": str(error)}
    arrays = [problem.value, *problem.measures.values()]
    return _facts(solution) | {"input_mb": sum(array.nbytes for array in arrays) / 1e6}


def _facts(solution: Solution) -> dict[str, Any]:
    binding = sum(1 for usage in solution.usage if usage.binding)
    return {
        "status": str(solution.status.value),
        "objective": solution.objective,
        "bound": solution.bound,
        "gap": solution.gap,
        "bound_source": solution.bound_source,
        "by": solution.method,
        "binding": binding,
        "rows": len(solution.usage),
    }
