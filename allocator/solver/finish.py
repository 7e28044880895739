"""The end of every method: certify what it found, and make it a solution."""

from __future__ import annotations

import time

import numpy as np

from allocator.certificate import Certificate, certify
from allocator.errors import NoPlanError
from allocator.limits.rows import LimitLike
from allocator.problem import Problem
from allocator.problem.batch import BLOCK
from allocator.solution import Solution, Status
from allocator.solution.solution import relative_gap
from allocator.solver.decomposition import Outcome
from allocator.solver.model import Model
from allocator.solver.steps import round_down, value_step
from allocator.solver.watch import Watch

ROUNDING = 1e-14  # of the value at stake: a bound this close to the plan differs by rounding alone


def finish(
    model: Model,
    limits: tuple[LimitLike, ...],
    outcome: Outcome,
    method: str,
    gap: float,
    began: float,
    seed: int,
    watch: Watch | None = None,
    unfit_by: tuple[str, ...] = (),
) -> Solution:
    """Certify an outcome and make it a solution; `unfit_by` as in `Solution`.

    Raises
    ------
    NoPlanError
        If there is no plan, or none that keeps its limits when all is counted again.
    """
    choice = outcome.plan.choice
    if choice is None:
        raise NoPlanError(outcome.plan.missed)
    prices = {label: float(price) for label, price in zip(model.labels, outcome.prices, strict=True)}
    certificate = certify(model.problem, limits, choice, prices, unfit_by=unfit_by)
    if not certificate.valid:
        raise rejected(certificate)
    bound, source = certificate.dual_bound, "dual prices"
    if outcome.plan.bound < bound:
        bound, source = max(outcome.plan.bound, certificate.objective), outcome.plan.proof
    reached = relative_gap(certificate.objective, bound)
    if reached > gap and (whole := round_down(bound, value_step(model))) < bound:
        bound, source = max(whole, certificate.objective), f"{source}, in steps of the values"
        reached = relative_gap(certificate.objective, bound)
    if reached > gap and bound - certificate.objective <= ROUNDING * at_stake(model.problem):
        bound, reached = certificate.objective, 0.0  # as of a plan worth nothing that is the best there is
    return Solution(
        problem=model.problem,
        limits=limits,
        status=Status.OPTIMAL if reached <= max(gap, 1e-12) else Status.FEASIBLE,
        choice=choice[:, 0] if choice.shape[1] == 1 else choice,
        objective=certificate.objective,
        bound=bound,
        bound_source=source,
        prices=prices,
        certificate=certificate,
        method=method,
        seconds=time.monotonic() - began,
        seed=seed,
        unfit_by=unfit_by,
        trace=() if watch is None else watch.conclude(choice, certificate.objective, bound),
    )


def rejected(certificate: Certificate) -> NoPlanError:
    """Return what is to be said of a plan that the certificate rejects."""
    return NoPlanError(
        "No plan was found that holds when all is counted again: the certificate says that "
        f"{'; '.join(certificate.problems)}. Numbers of such different sizes may want another unit or method."
    )


def at_stake(problem: Problem) -> float:
    """Return the sum of each user's greatest value in size."""
    return float(
        sum(
            np.fmax.reduce(np.abs(part.value), axis=1, initial=0.0).sum(dtype=np.float64)
            for batch in problem.batches(())
            for part in batch.parts(BLOCK)
        )
    )
