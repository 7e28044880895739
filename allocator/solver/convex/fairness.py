"""Fair objectives: concave functions of the groups' values, bounded by prices and solved in whole numbers."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allocator.certificate import certify
from allocator.errors import Finding, InputError, NoPlanError
from allocator.limits.groups import Group, columns_of
from allocator.limits.objectives import Fairness, MaxMin
from allocator.limits.rows import LimitLike
from allocator.problem import Problem
from allocator.solution import Solution, Status
from allocator.solution.solution import relative_gap
from allocator.solver.convex.core import decide_core
from allocator.solver.convex.frontier import CurvedLosses, Frontier, LevelLosses
from allocator.solver.convex.levels import LevelSearch
from allocator.solver.convex.relaxation import Relaxed, relax
from allocator.solver.convex.run import Run
from allocator.solver.convex.soft_levels import SoftFrontier
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.tangents import TangentSearch
from allocator.solver.convex.task import Task, Values
from allocator.solver.convex.utility import Geometric, Smallest, Utility
from allocator.solver.convex.wasting import waste_nothing
from allocator.solver.decomposition import decompose
from allocator.solver.fair_groups import fair_groups, name_of, title_of
from allocator.solver.large.screening import screen
from allocator.solver.model import compile_model

Array = NDArray[np.float64]

FEW = 600  # pairs up to which one integer program decides at once
SOME = 4_000  # pairs up to which an integer program is tried early
FIRST, CORE, FRONTIER = 0.2, 0.3, 0.5  # shares of the time left for each way to search
CORE_OF_FEW = 0.7  # of a problem so small that this mostly decides it
LAST = 0.25  # share of the time for what is left once the smallest value is as great as it can be


def solve_fair(problem: Problem, limits: tuple[LimitLike, ...], objective: Fairness, run: Run) -> Solution:
    """Solve for a fair objective.

    Raises
    ------
    InputError
        If groups or weights make no sense, or no coupon is worth anything to a group.
    NoPlanError
        If no integer plan was found in time.
    """
    groups, weights = fair_groups(problem, objective)
    task = _task(problem, limits, tuple(groups), _utility(groups, weights, objective), run)
    _check_gains(task, objective)
    standing = Standing(task)
    relaxed = relax(standing)
    _search(standing, relaxed)
    if standing.best is None:
        _any_plan(standing)
    prices = standing.prices
    if isinstance(task.utility, Smallest):
        prices = waste_nothing(standing, task.utility)
    return _solution(standing, prices)


def _search(standing: Standing, relaxed: Relaxed) -> None:
    """Look for the best plan and prove it: at once if it is small, else by decomposition and by groups."""
    task, run = standing.task, standing.task.run
    until = run.deadline - (LAST * (run.deadline - time.monotonic()) if _wastes(task) else 0.0)
    if task.fitting.n_pairs <= FEW:
        decide_core(standing, relaxed.earned, _part(CORE_OF_FEW, until))
        if standing.done or standing.bound <= 0:
            return
    search: LevelSearch | TangentSearch
    if isinstance(task.utility, Smallest):
        search = LevelSearch(standing, task.utility, relaxed.lost)
    else:
        assert isinstance(task.utility, Geometric)
        search = TangentSearch(standing, task.utility, relaxed.earned)
    search.first(_part(FIRST, until))
    _by_groups(standing, relaxed, until)
    if task.fitting.n_pairs <= SOME and not standing.done:
        decide_core(standing, relaxed.earned, _part(CORE, until))
        _by_groups(standing, relaxed, until)
    decide_core(standing, relaxed.earned, until)
    if not standing.done:
        search.run(until)


def _by_groups(standing: Standing, relaxed: Relaxed, until: float) -> None:
    """Decide totals group by group, as long as that brings news."""
    before = None
    while not standing.done and before != (before := (standing.total, standing.bound)):
        for few in (True, False):
            if not standing.done and not standing.late(until):
                _frontier(standing, relaxed, few=few).run(_part(FRONTIER, until))


def _part(share: float, until: float) -> float:
    """Return when a share of the time left until some `time.monotonic()` is over."""
    now = time.monotonic()
    return now + share * max(until - now, 0.0)


def _frontier(standing: Standing, relaxed: Relaxed, *, few: bool) -> Frontier:
    utility = standing.task.utility
    if isinstance(utility, Smallest):
        if standing.task.soft:
            return SoftFrontier(standing, utility, relaxed.lost, few=few)
        return Frontier(standing, LevelLosses(utility, standing.dual), few=few)
    assert isinstance(utility, Geometric)
    total, proves = standing.dual + relaxed.lost, not standing.task.soft
    return Frontier(standing, CurvedLosses(utility, standing.slopes, total, proves=proves), few=few)


def _wastes(task: Task) -> bool:
    return isinstance(task.utility, Smallest)


def _utility(groups: Sequence[Group], weights: Array, objective: Fairness) -> Utility:
    if isinstance(objective, MaxMin):
        return Smallest(np.array([group.size for group in groups], dtype=np.float64) * weights)
    return Geometric(weights / weights.sum())


def _task(
    problem: Problem, limits: tuple[LimitLike, ...], groups: tuple[Group, ...], utility: Utility, run: Run
) -> Task:
    screened = screen(compile_model(problem, [*limits, Values(groups)]).without_values())
    model = screened.model
    engine = run.engines.engine_for(model)
    return Task(problem, limits, model.problem, screened.labels, groups, utility, model, engine, run)


def _check_gains(task: Task, objective: Fairness) -> None:
    """Raise InputError if no coupon is worth anything to some group, whatever the limits' bounds are."""
    model = compile_model(task.problem, [*task.limits, Values(task.groups)]).without_values()
    start = np.zeros(model.n_rows)
    start[task.n_limits :] = -1.0
    most = model.usage(task.run.engines.engine_for(model).price(start).table)[task.n_limits :]
    without = [name_of(group) for group, value in zip(task.groups, most, strict=True) if value <= 0]
    if without:
        message = f"{title_of(objective)}: no coupon is worth anything to group "
        raise InputError(
            [
                Finding(
                    f"{message}'{name}'; leave the group out of the campaign",
                    column=", ".join(columns_of(objective.by)),
                )
                for name in without
            ]
        )


def _any_plan(standing: Standing) -> None:
    """Look for any plan that meets the limits: the one of the greatest sum of values.

    Raises
    ------
    NoPlanError
        If there is none, or none was found in time.
    """
    task = standing.task
    model = task.compiled([], np.ones(len(task.groups)))
    outcome = decompose(
        model, gap=task.run.gap, deadline=task.run.deadline, seed=task.run.seed, engines=task.run.engines,
        report=task.run.report,
    )  # fmt: skip
    if outcome.plan.choice is None or standing.found(outcome.plan.choice) is None:
        raise NoPlanError(outcome.plan.missed)


def _solution(standing: Standing, prices: Array) -> Solution:
    """Certify the best plan, and state it as a solution."""
    task, best = standing.task, standing.best
    assert best is not None
    run, labels = task.run, task.model.labels[: task.n_limits]
    proof = task.certificate(best.choice, standing.prices, standing.slopes)
    dual = proof.dual_bound
    bound = standing.closed(max(min(dual, standing.whole), best.total))
    named = dict(zip(labels, prices.tolist(), strict=True))
    certificate = certify(task.problem, task.limits, best.choice, named, unfit_by=task.unfit_by)
    if not certificate.valid:
        raise AssertionError("the certificate rejects the plan: " + "; ".join(certificate.problems))
    share = task.utility.share
    utility, utility_bound = share * best.total, share * bound
    return Solution(
        problem=task.problem,
        limits=task.limits,
        status=Status.OPTIMAL if relative_gap(utility, utility_bound) <= run.gap else Status.FEASIBLE,
        choice=best.choice[:, 0] if best.choice.shape[1] == 1 else best.choice,
        objective=certificate.objective,
        bound=certificate.dual_bound,
        bound_source="dual prices",
        prices=named,
        certificate=certificate,
        method="convex",
        seconds=time.monotonic() - run.began,
        seed=run.seed,
        utility=utility,
        utility_bound=utility_bound,
        unfit_by=task.unfit_by,
    )
