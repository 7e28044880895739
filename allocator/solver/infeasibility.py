"""Which limits cannot hold together.

With every value at nothing and a charge on each unit of violation, the dual function's minimum is
minus the least charge of any plan: below zero it proves that no plan exists (Farkas), and the rows
with a price are the witnesses. Dropping witnesses one by one leaves a minimal clash (the deletion filter
of Chinneck and Dravnieks 1991, "Locating minimal infeasible constraint sets in linear programs").
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from allocator.errors import InfeasibleError
from allocator.progress import Progress
from allocator.solver.master import Box, Prices, Scale, minimise_dual, oracle_of
from allocator.solver.pricing import Engine
from allocator.solver.repairs import Question, repair_alone, repair_together

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]

CERTAIN = 1e-7  # a least charge above this share of the value at stake is no rounding error
PASSES = 150
SMALL = 20_000  # user-coupon pairs up to which the exact method can prove a clash
EXACT_SECONDS = 5.0  # for one proof by the exact method


def explain_clash(question: Question) -> InfeasibleError | None:
    """Return the clash of limits if no plan can meet them all, None if that cannot be proven in time.

    Past the deadline the clash that is named may hold more limits than a smallest one, and lack changes
    that repair it.
    """
    proof = _Proof(question.engine, question.scale, question.hard, question.deadline)
    clash = _fractional_clash(proof, question.report)
    if question.model.problem.n_pairs <= SMALL:
        clash = _whole_clash(question, clash)
    if clash is None:
        return None
    rows = np.flatnonzero(clash)
    together = repair_together(question).amounts
    alone = repair_alone(
        question, [r for r in rows.tolist() if not proof.clashes(_without(question.hard, r))]
    )
    return InfeasibleError([question.model.labels[r] for r in rows], together, alone)


def _fractional_clash(proof: _Proof, report: Progress) -> Rows | None:
    """Return the rows of a minimal clash that not even a fractional plan can meet."""
    if not proof.clashes(proof.hard):
        return None
    witnesses = proof.witnesses()
    return _minimal(witnesses if proof.clashes(witnesses) else proof.hard, proof.clashes, report)


def _whole_clash(question: Question, known: Rows | None) -> Rows | None:
    """Return the rows of a minimal clash in whole numbers, within a fractional one if that is known.

    A fractional plan may meet limits that no whole one does, for example parity within a tight
    tolerance in a small group.
    """
    from allocator.solver.exact import solve_exactly

    def clashes(rows: Rows) -> bool:
        if question.late():
            return False
        until = min(question.deadline, time.monotonic() + EXACT_SECONDS)
        part = question.model.with_rows(rows)
        return solve_exactly(part, gap=1.0, deadline=until, seed=question.seed).plan.impossible

    if known is None and not clashes(question.hard):
        return None
    return _minimal(question.hard if known is None else known, clashes, question.report)


@dataclass(frozen=True)
class _Proof:
    """Proofs by prices that some of the hard rows clash, within a time."""

    engine: Engine
    scale: Scale
    hard: Rows
    deadline: float

    @cached_property
    def whole(self) -> Prices:
        """The least charge for violating any hard row."""
        return self._least_charge(self.hard, np.zeros(len(self.hard)), -np.inf)

    @property
    def threshold(self) -> float:
        """The dual value below which a clash is certain."""
        return -CERTAIN * self.scale.value

    def witnesses(self) -> Rows:
        """Return the rows that have a price where all must hold."""
        return self.hard & (np.abs(self.whole.prices) > 1e-6 * self.scale.price)

    def clashes(self, rows: Rows) -> bool:
        """Return whether some rows are certain to clash; no answer in time counts as no."""
        if (rows == self.hard).all():
            return self.whole.dual < self.threshold
        start = np.where(rows, self.whole.prices, 0.0)
        return self._least_charge(rows, start, self.threshold).dual < self.threshold

    def _least_charge(self, rows: Rows, start: Array, stop_below: float) -> Prices:
        """Minimise the charge for violating some rows; the other rows are free."""
        model = self.engine.model
        lowest = np.where(rows & np.isfinite(model.at_least), -self.scale.price, 0.0)
        highest = np.where(rows & np.isfinite(model.at_most), self.scale.price, 0.0)
        return minimise_dual(
            model, oracle_of(self.engine), start, Box(lowest, highest), self.scale, step=1.0,
            tolerance=0.1 * CERTAIN, most_passes=PASSES, deadline=self.deadline, stop_below=stop_below,
        )  # fmt: skip


def _without(rows: Rows, row: int) -> Rows:
    kept = rows.copy()
    kept[row] = False
    return kept


def _minimal(rows: Rows, clashes: Callable[[Rows], bool], report: Progress) -> Rows:
    """Drop every row without which the others still clash (deletion filter)."""
    kept = rows.copy()
    candidates = np.flatnonzero(rows).tolist()
    for done, r in enumerate(candidates):
        report("clashing limits", done, len(candidates))
        trial = _without(kept, r)
        if trial.any() and clashes(trial):
            kept = trial
    return kept
