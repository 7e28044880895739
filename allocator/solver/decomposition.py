"""The decomposition method: prices by bundle, exact prices on contested users, an integer plan."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from allocator.progress import Progress, no_progress
from allocator.solver.exact_prices import TiedError, sharpen
from allocator.solver.fallback import plan_without_programs
from allocator.solver.first_prices import adapted_prices, least_objective, prices_on_all, sampled_prices
from allocator.solver.large.deciding import Rest, decide_large
from allocator.solver.large.finding import find_large
from allocator.solver.master import natural_scale, oracle_of
from allocator.solver.model import Model
from allocator.solver.pricing import Engines
from allocator.solver.rounding.recovery import Plan, Recovery
from allocator.solver.search import Search
from allocator.solver.ties import AMOUNTS, told_apart
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
    large_first: bool = True,
    absolute_gap: float = 0.0,
    ties: tuple[float, ...] = AMOUNTS,
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
    large_first
        Decide pairs that are large against a row's room in whole numbers, before all others.
    absolute_gap
        Gap in objective units that is enough whatever `gap` asks.
    ties
        Shares of the greatest value by which to tell values apart, one after the other, where too many users
        tie to be decided.
    """
    engine = engines.engine_for(model)
    watch = watch or Watch(time.monotonic())
    search = Search(model, engines, engine, natural_scale(engine), gap, deadline, seed, report, watch)
    survey = None
    if start is None:
        first = prices_on_all(search, sampled_prices(search))
    else:
        first, survey = adapted_prices(search, start)
    if first.dual < least_objective(model, search.scale):
        return Outcome(Plan(None, impossible=True), first.prices)
    try:
        exact = sharpen(search, first, survey)
    except TiedError as tied:
        apart = told_apart(model, ties[0], seed) if ties else None
        if apart is not None:
            outcome = decompose(
                apart, gap=gap, deadline=deadline, seed=seed, engines=engines, report=report, watch=watch,
                large_first=large_first, absolute_gap=absolute_gap, ties=ties[1:],
            )  # fmt: skip
            dual = oracle_of(engine)
            return replace(outcome, prices=min(outcome.prices, first.prices, key=lambda p: dual(p).dual))
        exact = tied.exact
    del survey  # a number for each user
    if exact is None:
        return Outcome(Plan(plan_without_programs(engine, first.prices)), first.prices)
    recovery = Recovery(
        engine, exact.prices, *exact.choices(), gap, absolute_gap, deadline, seed, report, watch
    )
    recovery.round(exact.contested, exact.columns)
    if not recovery.done:
        large = find_large(model, exact.prices, recovery.loss) if large_first else None
        if large is not None:
            known, rest = recovery.found, partial(_solve_rest, search)
            plan, prices = decide_large(search, large, known, exact.prices, recovery.dual, rest)
            if recovery.take_over(plan):
                return Outcome(plan, prices)
        recovery.close_gap()
    plan = recovery.found
    if plan.choice is None:
        plan = replace(plan, choice=plan_without_programs(engine, exact.prices))
    return Outcome(plan, exact.prices)


def _solve_rest(search: Search, model: Model, start: Array, absolute_gap: float, deadline: float) -> Rest:
    """Solve a model of some of a search's users, without a look at large pairs."""
    outcome = decompose(
        model, gap=0.0, deadline=deadline, seed=search.seed, engines=search.engines, start=start,
        report=search.report, large_first=False, absolute_gap=absolute_gap,
    )  # fmt: skip
    plan, prices = outcome.plan, outcome.prices
    if plan.impossible:
        return Rest(None, -np.inf, prices, -np.inf)
    dual = search.engines.engine_for(model).price(prices).reduced + model.bound_cost(prices)
    return Rest(plan.choice if np.isfinite(plan.value) else None, plan.value, prices, min(dual, plan.bound))
