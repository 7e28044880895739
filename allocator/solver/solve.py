"""The entry point: choose a method, solve, certify."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocator.certificate.relaxed import certify_relaxed, relax
from allocator.errors import InfeasibleError, NoPlanError
from allocator.limits.objectives import Fairness
from allocator.limits.rows import LimitLike, checked_limits, is_risky
from allocator.problem import Problem
from allocator.progress import Progress
from allocator.solution import Improvement, Solution, Status
from allocator.solver.decomposition import Outcome, decompose
from allocator.solver.fallback import plan_without_programs
from allocator.solver.finish import finish
from allocator.solver.infeasibility import explain_clash
from allocator.solver.interrupt import reporting
from allocator.solver.large.screening import screen
from allocator.solver.model import Model, compile_model
from allocator.solver.pricing import Engines, EngineSettings, shared_engines
from allocator.solver.pricing.settings import Kind
from allocator.solver.repairs import LeastViolation, ask, repair_together
from allocator.solver.rounding.recovery import Plan
from allocator.solver.settings import check_settings, check_statement
from allocator.solver.steps import SURE, value_step
from allocator.solver.watch import Watch

Array = NDArray[np.float64]
Method = Literal["auto", "decomposition", "exact", "convex"]
OnInfeasible = Literal["raise", "least_violation"]
SMALL = 20_000  # user-coupon pairs up to which the exact method finishes what decomposition leaves open

TYPICAL_USERS = 10_000  # whose values tell the size of a problem's values

PROOF_SHARE, PROOF_SECONDS = 0.1, 0.5  # of the time limit and past it, to explain why there is no plan


@dataclass(frozen=True)
class _Job:
    """One call of `solve`: what stays the same whatever limits are tried."""

    problem: Problem
    objective: Fairness | None
    method: str
    gap: float
    began: float
    deadline: float
    seed: int
    engines: Engines
    warm_start: Solution | None
    report: Progress
    on_improvement: Callable[[Improvement], None] | None


def solve(
    problem: Problem,
    limits: Iterable[LimitLike] = (),
    *,
    objective: Fairness | None = None,
    method: Method = "auto",
    gap: float = 1e-6,
    time_limit: float = 60.0,
    seed: int = 7,
    threads: int | None = None,
    engine: Kind = "auto",
    device: str | None = None,
    warm_start: Solution | None = None,
    on_infeasible: OnInfeasible = "raise",
    progress: Progress | None = None,
    on_improvement: Callable[[Improvement], None] | None = None,
) -> Solution:
    """Decide who gets what.

    Parameters
    ----------
    problem
        Users, coupons, values and measures.
    limits
        What must hold.
    objective
        A concave objective instead of the sum of values; solved by the ``convex`` method.
    method
        ``decomposition`` for any size, ``exact`` (OR-Tools) for small problems, ``convex`` (CVXPY)
        for concave objectives; ``auto`` picks decomposition (convex for a concave objective), and lets
        exact look for a plan of a small problem where decomposition finds none.
    gap
        Relative optimality gap at which to stop.
    time_limit
        Seconds after which the best plan so far is returned. At most a tenth of that and 2 more are spent, on
        a first plan or on saying why there is none, and on checking.
    seed
        Of the samples.
    threads
        Worker threads (with ``ray``: processes), all cores unless given. The plan does not depend on it.
    engine
        Where the passes over the data run: ``cpu``; ``torch``, on a `device`; ``ray``, on the cluster that
        this process is connected to, or on this machine. ``auto`` is ``torch`` with a device, else ``cpu``.
    device
        Torch device, such as ``"cuda"``.
    warm_start
        An earlier solution whose prices to start from; matched by label.
    on_infeasible
        What to do where limits clash: ``raise`` InfeasibleError, or return the plan of ``least_violation``,
        which breaks the limits as little as possible, each measured against all that it counts; its
        status says so, and its certificate is not valid.
    progress
        Called as ``progress(step, done, total)``, and again with the same while a long step goes on; may
        raise to cancel, which leaves nothing behind.
    on_improvement
        Called with each `Improvement` of the proven bound or of the best plan; may raise to cancel.

    Returns
    -------
    Solution
        On Ctrl-C (KeyboardInterrupt) the best plan so far, with `interrupted` set; a second one stops for
        good, as does the first while there is no plan, or with a concave objective.

    Raises
    ------
    InputError
        If a limit names something the problem does not have, or a setting makes no sense.
    InfeasibleError
        If no plan meets all limits; names those that clash.
    NoPlanError
        If time ran out before any plan was found.
    PluginError
        If the engine needs a library that is not installed.
    """
    limits = checked_limits(limits)
    where = EngineSettings(engine, device, threads)
    check_settings(method, objective, warm_start, gap, time_limit, seed, where, on_infeasible)
    check_statement(problem, limits, objective, method)
    began = time.monotonic()
    with shared_engines(where) as engines, reporting(progress) as report:
        job = _Job(
            problem, objective, method, gap, began, began + time_limit, seed, engines, warm_start, report,
            on_improvement,
        )  # fmt: skip
        try:
            return _attempt(job, limits)
        except (InfeasibleError, NoPlanError) as failure:
            return _without_plan(job, limits, on_infeasible, failure)


def _attempt(job: _Job, limits: tuple[LimitLike, ...], choice: NDArray[np.int16] | None = None) -> Solution:
    """Solve for some limits; `choice` is a plan known to keep them."""
    model = compile_model(job.problem, limits)
    fitting = screen(model)
    risky = is_risky(job.problem, limits)
    if risky or job.objective is not None:
        return _convex(job, model, limits)
    watch = Watch(job.began, job.on_improvement, choice)
    try:
        if job.method == "convex":
            return _convex(job, model, limits)
        outcome, used = _run(job, fitting.model, watch)
        if outcome.plan.choice is None:
            outcome = replace(outcome, plan=replace(outcome.plan, choice=choice))
        watch.keep(outcome.plan.choice, outcome.prices)
        return finish(model, limits, outcome, used, job.gap, job.began, job.seed, watch, fitting.labels)
    except KeyboardInterrupt:
        outcome = _at_hand(job, fitting.model, watch)
        if outcome.plan.choice is None:
            raise
        method = "decomposition" if job.method == "auto" else job.method
        solution = finish(model, limits, outcome, method, job.gap, job.began, job.seed, watch, fitting.labels)
        return replace(solution, interrupted=True)


def _convex(job: _Job, model: Model, limits: tuple[LimitLike, ...]) -> Solution:
    from allocator.solver.convex import solve_convex

    return solve_convex(
        model, limits, job.objective, gap=job.gap, deadline=job.deadline, began=job.began, seed=job.seed,
        engines=job.engines, report=job.report,
    )  # fmt: skip


def _at_hand(job: _Job, model: Model, watch: Watch) -> Outcome:
    """Return the best plan so far, or one that takes no more than a few passes."""
    job.report("interrupted", 0, 0)
    now = watch.at_hand
    prices = np.zeros(model.n_rows) if now.prices is None else now.prices
    choice = now.choice
    if choice is None:
        choice = plan_without_programs(job.engines.engine_for(model), prices)
    return Outcome(Plan(choice, now.bound), prices)


def _without_plan(
    job: _Job, limits: tuple[LimitLike, ...], on_infeasible: str, failure: InfeasibleError | NoPlanError
) -> Solution:
    """Say which limits clash, or return a plan that breaks them as little as possible."""
    deadline = job.deadline + PROOF_SHARE * (job.deadline - job.began) + PROOF_SECONDS
    question = ask(job.problem, limits, deadline, job.seed, job.engines, job.report)
    if on_infeasible == "raise" and (clash := explain_clash(question)) is not None:
        raise clash
    if on_infeasible == "raise" and question.spent():
        raise failure
    least = repair_together(question)
    if not least.amounts:  # the search for the least violation has found a plan
        return _attempt(job, limits, least.choice)
    if on_infeasible == "raise":
        raise failure
    return _break_least(job, limits, least)


def _break_least(job: _Job, limits: tuple[LimitLike, ...], least: LeastViolation) -> Solution:
    """Return the best plan that breaks limits no further than the plan of least violation does."""
    solution = _attempt(job, relax(limits, least.bounds), least.choice)
    certificate = certify_relaxed(job.problem, limits, least.bounds, solution.choice, solution.prices)
    return replace(
        solution, limits=limits, status=Status.LEAST_VIOLATING, certificate=certificate, relaxed=least.bounds
    )


def _run(job: _Job, model: Model, watch: Watch) -> tuple[Outcome, str]:
    if job.method == "exact":
        return _exact(job, model, watch), "exact"
    start = None if job.warm_start is None else _adopted(job.warm_start, model)
    outcome = decompose(
        model, gap=job.gap, deadline=job.deadline, seed=job.seed, engines=job.engines, start=start,
        report=job.report, watch=watch, absolute_gap=(1 - 2 * SURE) * value_step(model),
    )  # fmt: skip
    small = model.problem.n_pairs <= SMALL
    missing = outcome.plan.choice is None and watch.at_hand.choice is None
    if (
        job.method == "auto"
        and small
        and missing
        and not outcome.plan.impossible
        and time.monotonic() < job.deadline
    ):
        whole = _exact(job, model, watch)
        return replace(whole, plan=replace(whole.plan, missed=outcome.plan.missed)), "exact"
    return outcome, "decomposition"


def _adopted(warm: Solution, model: Model) -> Array:
    """Return an earlier solution's prices by label, in the units of value that this problem has."""
    prices = np.array([warm.prices.get(label, 0.0) for label in model.labels])
    now, before = model.problem, warm.problem
    if now is before or not (now.in_memory and before.in_memory):
        return prices
    unit = _typical_value(before)
    return prices * (_typical_value(now) / unit) if unit > 0 else prices


def _typical_value(problem: Problem) -> float:
    """Return the mean size of what pairs are worth, from users spread over a problem."""
    few = np.abs(problem.value[:: -(-problem.n_users // TYPICAL_USERS)].astype(np.float64))
    return float(np.nanmean(few)) if not np.isnan(few).all() else 0.0


def _exact(job: _Job, model: Model, watch: Watch) -> Outcome:
    from allocator.solver.exact import solve_exactly

    job.report("exact", 0, 0)
    outcome = solve_exactly(model, gap=job.gap, deadline=job.deadline, seed=job.seed)
    watch.bounded("exact", outcome.plan.bound)
    return outcome
