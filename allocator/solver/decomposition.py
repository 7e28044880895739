"""The decomposition method: prices by bundle, exact prices on contested users, an integer plan."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.progress import Progress, no_progress
from allocator.solver.exact_prices import sharpen
from allocator.solver.fallback import plan_without_programs
from allocator.solver.first_prices import adapted_prices, least_objective, prices_on_all, sampled_prices
from allocator.solver.master import natural_scale
from allocator.solver.model import Model
from allocator.solver.pricing import Engines
from allocator.solver.rounding.recovery import Plan, recover
from allocator.solver.search import Search
from allocator.solver.watch import Watch

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What a method found: a plan, the rows' dual prices, and a proven bound."""

    plan: Plan
    prices: Array


def decompose(
    model: Model,
    *,
    gap: float,
    deadline: float,
    seed: int,
    engines: Engines,
    start: Array | None = None,
    report: Progress = no_progress,
    watch: Watch | None = None,
) -> Outcome:
    """Solve by decomposition.

    Parameters
    ----------
    model
        The compiled model.
    gap
        Relative optimality gap to reach.
    deadline
        `time.monotonic()` at which to stop with the best plan.
    seed
        Of the samples.
    engines
        Where the passes run; changes the result by rounding at most.
    start
        (n_rows,) prices of an earlier solve to start from.
    report
        Progress.
    watch
        Told of every bound and plan.
    """
    engine = engines.engine_for(model)
    watch = watch or Watch(time.monotonic())
    search = Search(model, engine, natural_scale(engine), gap, deadline, seed, report, watch)
    survey = None
    if start is None:
        first = prices_on_all(search, sampled_prices(search))
    else:
        first, survey = adapted_prices(search, start)
    if first.dual < least_objective(model, search.scale):
        return Outcome(Plan(None, impossible=True), first.prices)
    exact = sharpen(search, first, survey)
    del survey  # a number for each user
    if exact is None:
        return Outcome(Plan(plan_without_programs(engine, first.prices)), first.prices)
    plan = recover(
        engine, exact.prices, *exact.choices(), exact.contested, exact.columns,
        gap=gap, deadline=deadline, seed=seed, report=report, watch=watch,
    )  # fmt: skip
    if plan.choice is None:
        plan = Plan(plan_without_programs(engine, exact.prices))
    return Outcome(plan, exact.prices)
