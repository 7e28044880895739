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
from allocator.solver.pricing import Compute
from allocator.solver.pricing.compute import Kind

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
    engine: Kind = "auto",
    device: str | None = None,
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
        Worker threads (with ``ray``: processes), all cores unless given. The plan does not depend on it.
    engine
        Where the passes over the data run: ``cpu``; ``torch``, on a `device`; ``ray``, on the cluster that
        this process is connected to, or on this machine. ``auto`` is ``torch`` with a device, else ``cpu``.
    device
        Torch device, such as ``"cuda"``.
    warm_start
        An earlier solution whose prices to start from; matched by label.
    progress
        Called as ``progress(step, done, total)``; may raise to cancel.

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
    limits = _checked_limits(limits)
    compute = Compute(engine, device, threads)
    _check_settings(method, objective, warm_start, gap, time_limit, seed, compute)
    began = time.monotonic()
    deadline = began + time_limit
    report = progress or (lambda step, done, total: None)
    model = compile_model(problem, limits)
    with compute.ready():
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
                compute=compute,
                report=report,
            )
        outcome, used = _run(model, method, gap, deadline, seed, compute, warm_start, report)
        return finish(model, limits, outcome, used, gap, began, seed, compute, report)


def _run(
    model: Model,
    method: str,
    gap: float,
    deadline: float,
    seed: int,
    compute: Compute,
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
        model, gap=gap, deadline=deadline, seed=seed, compute=compute, start=start, report=report
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
    compute: Compute,
    report: Progress,
) -> Solution:
    """Certify an outcome and make it a solution, or say why there is none."""
    choice = outcome.plan.choice
    if choice is None:
        raise _why_no_plan(model, seed, compute, report)
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
    model: Model, seed: int, compute: Compute, report: Progress
) -> InfeasibleError | NoPlanError:
    engine = compute.engine_for(model)
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
    compute: Compute,
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
    findings += compute.findings()
    if method == "exact" and (compute.engine not in ("auto", "cpu") or compute.device is not None):
        wrong("engine", compute.engine, "auto or cpu, for method exact, which makes no passes over the data")
    if findings:
        raise InputError(findings)
