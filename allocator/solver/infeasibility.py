"""Which limits cannot hold together.

With every value at nothing and a charge on each unit of violation, the dual function's minimum is
minus the least charge of any plan: below zero it proves that no plan exists (Farkas), and the rows
with a price are the witnesses. Dropping witnesses leaves a minimal clash (the deletion filter of Chinneck
and Dravnieks 1991, "Locating minimal infeasible constraint sets in linear programs", here by ever smaller
blocks, as in the delta debugging of Zeller and Hildebrandt 2002).
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
from allocator.solver.smoothed import HOT, WARM_HEAT, minimise_smoothed, suits

Array = NDArray[np.float64]
Rows = NDArray[np.bool_]

CERTAIN = 1e-7  # a least charge above this share of the value at stake is no rounding error
NOTICED = 1e-6  # natural units of a price, below which a row may be no witness
PASSES = 150
SMALL = 20_000  # user-coupon pairs up to which the exact method can prove a clash
EXACT_SECONDS = 5.0  # for one proof by the exact method


def rules_out(question: Question) -> bool:
    """Return whether `explain_clash` is sure to find none: told by a few passes, without any plan."""
    if question.model.problem.n_pairs <= SMALL:
        return False  # whole numbers may clash where fractions do not
    proof = _Proof(question.engine, question.scale, question.hard, question.deadline)
    return not proof.clashes(proof.hard)


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
    together = {} if question.spent() else repair_together(question).amounts
    alone = repair_alone(
        question, [r for r in rows.tolist() if not proof.clashes(_without(question.hard, r))]
    )
    return InfeasibleError([question.model.labels[r] for r in rows], together, alone)


def _fractional_clash(proof: _Proof, report: Progress) -> Rows | None:
    """Return the rows of a minimal clash that not even a fractional plan can meet."""
    first = proof.clash_within(proof.hard)
    return None if first is None else _minimal(first, proof.clash_within, proof.late, report)


def _whole_clash(question: Question, known: Rows | None) -> Rows | None:
    """Return the rows of a minimal clash in whole numbers, within a fractional one if that is known.

    A fractional plan may meet limits that no whole one does, for example parity within a tight
    tolerance in a small group.
    """
    from allocator.solver.exact import solve_exactly

    def clash_within(rows: Rows) -> Rows | None:
        until = min(question.deadline, time.monotonic() + EXACT_SECONDS)
        part = question.model.with_rows(rows)
        outcome = solve_exactly(part, gap=1.0, deadline=until, seed=question.seed)
        return rows if outcome.plan.impossible else None

    if known is None and (question.late() or clash_within(question.hard) is None):
        return None
    first = question.hard if known is None else known
    return _minimal(first, clash_within, question.late, question.report)


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
        return self._least_charge(self.hard, np.zeros(len(self.hard)), self.threshold)

    @property
    def threshold(self) -> float:
        """The dual value below which a clash is certain."""
        return -CERTAIN * self.scale.value

    def late(self) -> bool:
        """Return whether the time is up."""
        return time.monotonic() > self.deadline

    def clashes(self, rows: Rows) -> bool:
        """Return whether some rows are certain to clash; no answer in time counts as no."""
        return self.clash_within(rows) is not None

    def clash_within(self, rows: Rows) -> Rows | None:
        """Return those of some rows that are certain to clash: the ones with a price in the proof."""
        if (rows == self.hard).all():
            proof = self.whole
        elif self.late():
            return None
        else:
            start = np.where(rows, self.whole.prices, 0.0)
            proof = self._least_charge(rows, start, self.threshold)
        return self._witnesses(proof) if proof.dual < self.threshold else None

    def _witnesses(self, proof: Prices) -> Rows:
        """Return the rows that a proof of a clash needs: those with a price, the least ones left out if
        the others still prove it.
        """
        noticed = np.where(np.abs(proof.prices) > NOTICED * self.scale.price, proof.prices, 0.0)
        enough = oracle_of(self.engine)(noticed).dual < self.threshold
        return np.asarray((noticed if enough else proof.prices) != 0)

    def _least_charge(self, rows: Rows, start: Array, stop_below: float) -> Prices:
        """Minimise the charge for violating some rows; the other rows are free."""
        model = self.engine.model
        lowest = np.where(rows & np.isfinite(model.at_least), -self.scale.price, 0.0)
        box = Box(lowest, np.where(rows & np.isfinite(model.at_most), self.scale.price, 0.0))
        if suits(self.engine):
            return minimise_smoothed(
                self.engine, start, box, self.scale, heat=WARM_HEAT if start.any() else HOT,
                tolerance=0.1 * CERTAIN, most_passes=PASSES, deadline=self.deadline, stop_below=stop_below,
            )  # fmt: skip
        return minimise_dual(
            model, oracle_of(self.engine), start, box, self.scale, step=1.0, tolerance=0.1 * CERTAIN,
            most_passes=PASSES, deadline=self.deadline, stop_below=stop_below,
        )  # fmt: skip


def _without(rows: Rows, row: int) -> Rows:
    kept = rows.copy()
    kept[row] = False
    return kept


def _minimal(
    rows: Rows, clash_within: Callable[[Rows], Rows | None], late: Callable[[], bool], report: Progress
) -> Rows:
    """Drop rows without which the others still clash, while there is time: many at once, then one by one.

    Of hundreds of rows few clash, and halves, quarters and so on need far fewer proofs than single rows.
    """
    kept = rows
    size, proofs = int(rows.sum()), 0
    while size > 1:
        size = (size + 1) // 2
        which = np.flatnonzero(kept)
        for block in np.array_split(which, -(-len(which) // size)):
            report("clashing limits", proofs, 0)
            trial = kept.copy()
            trial[block] = False
            if late():
                return kept
            if kept[block].any() and trial.any():
                proofs += 1
                clash = clash_within(trial)
                kept = kept if clash is None else clash
    return kept
