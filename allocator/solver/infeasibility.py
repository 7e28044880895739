"""Which limits cannot hold together, and the least change that lets them.

With every value at nothing and a charge on each unit of violation, the dual function's minimum is
minus the least charge of any plan: below zero it proves that no plan exists (Farkas), and the rows
with a price are the witnesses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from allocator.errors import InfeasibleError
from allocator.solver.master import Box, Prices, Scale, minimise_dual, oracle_of
from allocator.solver.model import Model
from allocator.solver.pricing.engine import Engine

Array = NDArray[np.float64]
CERTAIN = 1e-7  # a least charge above this share of the value at stake is no rounding error
PASSES = 150


def prove_infeasible(engine: Engine, scale: Scale) -> InfeasibleError | None:
    """Return the clash of limits if no plan, not even a fractional one, can meet them all."""
    model = replace(engine.model, worth=np.zeros_like(engine.model.worth))
    engine = Engine(model, threads=engine.threads)
    proof = _least_violation(engine, scale, np.ones(model.n_rows, np.bool_))
    if proof.dual >= -CERTAIN * scale.value:
        return None
    witnesses = np.abs(proof.prices) > 1e-6 * scale.price

    def clashes(rows: NDArray[np.bool_]) -> bool:
        return _least_violation(engine, scale, rows).dual < -CERTAIN * scale.value

    minimal = _minimal(witnesses, clashes)
    repair = _least_violation(engine, scale, minimal)
    over = model.violation(repair.usage)
    size = np.maximum(np.abs(repair.usage), 1.0)
    repairs = {model.labels[r]: float(over[r]) for r in np.flatnonzero(minimal & (over > 1e-6 * size))}
    return InfeasibleError([model.labels[r] for r in np.flatnonzero(minimal)], repairs)


def prove_no_whole_plan(model: Model, deadline: float, seed: int) -> InfeasibleError | None:
    """Return the clash of limits that only whole numbers bring about; for small problems.

    A fractional plan may meet limits that no whole one does, for example parity within a tight
    tolerance in a small group.
    """
    from allocator.solver.exact import solve_exactly

    model = replace(model, worth=np.zeros_like(model.worth))

    def clashes(rows: NDArray[np.bool_]) -> bool:
        return solve_exactly(model.with_rows(rows), gap=1.0, deadline=deadline, seed=seed).plan.impossible

    every = np.ones(model.n_rows, np.bool_)
    if not clashes(every):
        return None
    minimal = _minimal(every, clashes)
    return InfeasibleError([model.labels[r] for r in np.flatnonzero(minimal)])


def _least_violation(engine: Engine, scale: Scale, rows: NDArray[np.bool_]) -> Prices:
    """Minimise the charge for violating some hard rows; the other rows are free."""
    model = engine.model
    hard = rows & np.isinf(model.penalty)
    lowest = np.where(hard & np.isfinite(model.at_least), -scale.price, 0.0)
    highest = np.where(hard & np.isfinite(model.at_most), scale.price, 0.0)
    return minimise_dual(
        model, oracle_of(engine), np.zeros(model.n_rows), Box(lowest, highest), scale,
        step=1.0, tolerance=0.1 * CERTAIN, most_passes=PASSES,
    )  # fmt: skip


def _minimal(rows: NDArray[np.bool_], clashes: Callable[[NDArray[np.bool_]], bool]) -> NDArray[np.bool_]:
    """Drop every row without which the others still clash (deletion filter)."""
    kept = rows.copy()
    if not clashes(kept):
        return kept
    for r in np.flatnonzero(rows):
        trial = kept.copy()
        trial[r] = False
        if trial.any() and clashes(trial):
            kept = trial
    return kept
