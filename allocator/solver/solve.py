"""The entry point: choose a method, solve, certify."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InfeasibleError, InputError, NoPlanError
from allocator.objectives import ProportionalFairness
from allocator.problem import Problem
from allocator.rows import LimitLike
from allocator.solution import Solution, Status, relative_gap
from allocator.solver.certificate import certify
from allocator.solver.decomposition import Outcome, decompose
from allocator.solver.infeasibility import prove_infeasible, prove_no_whole_plan
from allocator.solver.master import natural_scale
from allocator.solver.model import Model, compile_model
from allocator.solver.pricing import engine_for

Array = NDArray[np.float64]
Method = Literal["auto", "decomposition", "exact", "convex"]
Progress = Callable[[str, int, int], None]

SMALL = 20_000  # user-coupon pairs up to which the exact method finishes what decomposition leaves open

PROOF_SECONDS = 20.0  # for the proof that there is no plan, past the time limit


def solve(
    problem: Problem,
    limits: Iterable[LimitLike] = (),
    *,
    objective: ProportionalFairness | None = None,
    method: Method = "auto",
    gap: float = 1e-6,
    time_limit: float = 60.0,
    seed: int = 7,
    threads: int | None = None,
    warm_start: Solution | None = None,
    progress: Progress | None = None,
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
        Seconds after which the best plan so far is returned; a few more pass if there is none yet.
    seed
        Of the samples.
    threads
        Worker threads, all cores unless given. The plan does not depend on it.
    warm_start
        An earlier solution whose prices to start from; matched by label.
    progress
        Called as ``progress(step, done, total)``; may raise to cancel.

    Raises
    ------
    InputError
        If a limit names something the problem does not have.
    InfeasibleError
        If no plan meets all limits; names those that clash.
    NoPlanError
        If time ran out before any plan was found.
    """
    limits = _checked_limits(limits)
    _check_settings(method, objective, warm_start, gap, time_limit, seed, threads)
    began = time.monotonic()
    deadline = began + time_limit
    report = progress or (lambda step, done, total: None)
    model = compile_model(problem, limits)
    if objective is not None or method == "convex":
        from allocator.solver.convex import solve_convex

        return solve_convex(
            model,
            limits,
            objective,
            gap=gap,
            deadline=deadline,
            began=began,
            seed=seed,
            threads=threads,
            report=report,
        )
    outcome, used = _run(model, method, gap, deadline, seed, threads, warm_start, report)
    return finish(model, limits, outcome, used, gap, began, seed, threads, report)


def _run(
    model: Model,
    method: str,
    gap: float,
    deadline: float,
    seed: int,
    threads: int | None,
    warm_start: Solution | None,
    report: Progress,
) -> tuple[Outcome, str]:
    if method == "exact":
        return _exact(model, gap, deadline, seed, report), "exact"
    start = (
        None
        if warm_start is None
        else np.array([warm_start.prices.get(label, 0.0) for label in model.labels])
    )
    outcome = decompose(
        model, gap=gap, deadline=deadline, seed=seed, threads=threads, start=start, report=report
    )
    small = model.problem.n_pairs <= SMALL
    if method == "auto" and small and outcome.plan.choice is None and time.monotonic() < deadline:
        return _exact(model, gap, deadline, seed, report), "exact"
    return outcome, "decomposition"


def _exact(model: Model, gap: float, deadline: float, seed: int, report: Progress) -> Outcome:
    from allocator.solver.exact import solve_exactly

    report("exact", 0, 0)
    return solve_exactly(model, gap=gap, deadline=deadline, seed=seed)


def finish(
    model: Model,
    limits: tuple[LimitLike, ...],
    outcome: Outcome,
    method: str,
    gap: float,
    began: float,
    seed: int,
    threads: int | None,
    report: Progress,
) -> Solution:
    """Certify an outcome and make it a solution, or say why there is none."""
    choice = outcome.plan.choice
    if choice is None:
        raise _why_no_plan(model, seed, threads, report)
    prices = {label: float(price) for label, price in zip(model.labels, outcome.prices, strict=True)}
    certificate = certify(model.problem, limits, choice, prices)
    if not certificate.valid:
        raise AssertionError("the certificate rejects the plan: " + "; ".join(certificate.problems))
    bound, source = certificate.dual_bound, "dual prices"
    if outcome.plan.bound < bound:
        bound, source = max(outcome.plan.bound, certificate.objective), "branch and bound"
    reached = relative_gap(certificate.objective, bound)
    return Solution(
        problem=model.problem,
        limits=limits,
        status=Status.OPTIMAL if reached <= max(gap, 1e-12) else Status.FEASIBLE,
        choice=choice[:, 0].astype(np.int64) if choice.shape[1] == 1 else choice.astype(np.int64),
        objective=certificate.objective,
        bound=bound,
        bound_source=source,
        prices=prices,
        certificate=certificate,
        method=method,
        seconds=time.monotonic() - began,
        seed=seed,
    )


def _why_no_plan(
    model: Model, seed: int, threads: int | None, report: Progress
) -> InfeasibleError | NoPlanError:
    engine = engine_for(model, threads)
    deadline = time.monotonic() + PROOF_SECONDS
    clash = prove_infeasible(engine, natural_scale(engine), deadline, report)
    if clash is None and model.problem.n_pairs <= SMALL:
        clash = prove_no_whole_plan(model, deadline, seed, report)
    if clash is not None:
        return clash
    return NoPlanError(
        "No plan was found that meets every limit, though no proof that none exists either: "
        "allow more time, or relax the tightest limits a little."
    )


def _checked_limits(limits: Iterable[LimitLike]) -> tuple[LimitLike, ...]:
    if isinstance(limits, LimitLike):
        raise InputError(Finding("limits must be a list, even if there is only one", column="limits"))
    checked = tuple(limits)
    for limit in checked:
        if not isinstance(limit, LimitLike):
            raise InputError(Finding("this is not a limit", column="limits", found=repr(limit)))
    return checked


def _check_settings(
    method: str,
    objective: ProportionalFairness | None,
    warm_start: Solution | None,
    gap: float,
    time_limit: float,
    seed: int,
    threads: int | None,
) -> None:
    """Raise InputError with every setting that makes no sense or that the method would ignore."""
    findings = []

    def wrong(column: str, found: object, expected: str) -> None:
        findings.append(
            Finding("the setting cannot be used", column=column, found=repr(found), expected=expected)
        )

    if method not in ("auto", "decomposition", "exact", "convex"):
        findings.append(
            Finding(
                "unknown method",
                column="method",
                found=repr(method),
                expected="auto, decomposition, exact or convex",
            )
        )
    if objective is not None and method not in ("auto", "convex"):
        wrong("method", method, "convex or auto, for a concave objective")
    if warm_start is not None and (objective is not None or method in ("exact", "convex")):
        wrong("warm_start", method, "method decomposition or auto, which start from prices")
    if not gap >= 0:
        wrong("gap", gap, "0 or more")
    if not time_limit > 0:
        wrong("time_limit", time_limit, "more than 0 seconds")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        wrong("seed", seed, "a whole number, 0 or more")
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        wrong("threads", threads, "a whole number, 1 or more")
    if findings:
        raise InputError(findings)
