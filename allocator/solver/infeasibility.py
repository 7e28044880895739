"""Which limits cannot hold together, and the least change that lets them.

With every value at nothing and a charge on each unit of violation, the dual function's minimum is
minus the least charge of any plan: below zero it proves that no plan exists (Farkas), and the rows
with a price are the witnesses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.errors import InfeasibleError
from allocator.solver.master import Box, Prices, Scale, minimise_dual, oracle_of
from allocator.solver.model import Model
from allocator.solver.pricing import Engine

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

CERTAIN = 1e-7  # a least charge above this share of the value at stake is no rounding error
PASSES = 150
NOTICEABLE = 0.01  # share of the whole charge below which a row's part is noise of the mixture


@dataclass(frozen=True)
class _Proof:
    """The least charge for violating rows of one model, within a time."""

    engine: Engine
    scale: Scale
    deadline: float

    @property
    def threshold(self) -> float:
        """The dual value below which a clash is certain."""
        return -CERTAIN * self.scale.value

    def least_charge(self, rows: NDArray[np.bool_], start: Array, stop_below: float = -np.inf) -> Prices:
        """Minimise the charge for violating some hard rows; the other rows are free."""
        model = self.engine.model
        hard = rows & np.isinf(model.penalty)
        lowest = np.where(hard & np.isfinite(model.at_least), -self.scale.price, 0.0)
        highest = np.where(hard & np.isfinite(model.at_most), self.scale.price, 0.0)
        return minimise_dual(
            model, oracle_of(self.engine), start, Box(lowest, highest), self.scale, step=1.0,
            tolerance=0.1 * CERTAIN, most_passes=PASSES, deadline=self.deadline, stop_below=stop_below,
        )  # fmt: skip

    def clashes(self, rows: NDArray[np.bool_], start: Array) -> bool:
        """Return whether some rows are certain to clash; no answer in time counts as no."""
        return self.least_charge(rows, start, self.threshold).dual < self.threshold


def prove_infeasible(
    engine: Engine, scale: Scale, deadline: float = np.inf, report: Report = lambda step, done, total: None
) -> InfeasibleError | None:
    """Return the clash of limits if no plan, not even a fractional one, can meet them all.

    Past the deadline the clash that is named may hold more limits than a smallest one.
    """
    model = replace(engine.model, worth=np.zeros_like(engine.model.worth))
    proof = _Proof(engine.with_model(model), scale, deadline)
    every = np.ones(model.n_rows, np.bool_)
    whole = proof.least_charge(every, np.zeros(model.n_rows))
    if whole.dual >= proof.threshold:
        return None
    witnesses = np.abs(whole.prices) > 1e-6 * scale.price

    def clashes(rows: NDArray[np.bool_]) -> bool:
        return proof.clashes(rows, np.where(rows, whole.prices, 0.0))

    minimal = _minimal(witnesses, clashes, report) if clashes(witnesses) else every
    return InfeasibleError([model.labels[r] for r in np.flatnonzero(minimal)], _repairs(model, scale, whole))


def _repairs(model: Model, scale: Scale, whole: Prices) -> dict[str, float]:
    """Return by how much each row gives in the plan of least charge.

    The mixture says which rows give and in what proportion; the dual value says how much in all.
    """
    charge = scale.price * model.violation(whole.usage) * np.isinf(model.penalty)
    charge[charge < NOTICEABLE * charge.sum()] = 0.0
    if charge.sum() <= 0:
        return {}
    amount = charge / charge.sum() * -whole.dual / scale.price
    return {model.labels[r]: float(amount[r]) for r in np.flatnonzero(amount)}


def prove_no_whole_plan(
    model: Model, deadline: float, seed: int, report: Report = lambda step, done, total: None
) -> InfeasibleError | None:
    """Return the clash of limits that only whole numbers bring about; for small problems.

    A fractional plan may meet limits that no whole one does, for example parity within a tight
    tolerance in a small group.
    """
    from allocator.solver.exact import solve_exactly

    model = replace(model, worth=np.zeros_like(model.worth))

    def clashes(rows: NDArray[np.bool_]) -> bool:
        if time.monotonic() > deadline:
            return False
        return solve_exactly(model.with_rows(rows), gap=1.0, deadline=deadline, seed=seed).plan.impossible

    every = np.ones(model.n_rows, np.bool_)
    if not clashes(every):
        return None
    minimal = _minimal(every, clashes, report)
    return InfeasibleError([model.labels[r] for r in np.flatnonzero(minimal)])


def _minimal(
    rows: NDArray[np.bool_], clashes: Callable[[NDArray[np.bool_]], bool], report: Report
) -> NDArray[np.bool_]:
    """Drop every row without which the others still clash (deletion filter)."""
    kept = rows.copy()
    candidates = np.flatnonzero(rows)
    for done, r in enumerate(candidates):
        report("clashing limits", done, len(candidates))
        trial = kept.copy()
        trial[r] = False
        if trial.any() and clashes(trial):
            kept = trial
    return kept
