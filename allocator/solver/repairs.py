"""The least change of limits that lets a plan exist, and the plan that breaks them least.

The decomposition answers both: with every value at nothing and a charge on violation in natural units, its
best plan is the one of least violation.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.certificate import certify
from allocator.certificate.relaxed import Bounds
from allocator.limits.rows import LimitLike
from allocator.problem import Problem
from allocator.progress import Progress
from allocator.solver.decomposition import decompose
from allocator.solver.master import Scale, natural_scale
from allocator.solver.model import Model, compile_model
from allocator.solver.pricing import Engine, Engines

FEW_PAIRS = 200_000  # for which a plan of least violation is looked for even when time is over
GAP = 1e-4  # relative, of the least violation
SECONDS = 3.0  # for one search; a few more pass if it has found nothing by then


@dataclass(frozen=True)
class Question:
    """What is asked about limits that may not hold together.

    Parameters
    ----------
    limits
        The limits.
    model
        Their rows, exclusions among them, with every value at nothing.
    engine, scale
        The model's passes and natural units.
    deadline
        `time.monotonic()` past which an answer may be rough or missing.
    seed, engines, report
        As in `solve`.
    """

    limits: tuple[LimitLike, ...]
    model: Model
    engine: Engine
    scale: Scale
    deadline: float
    seed: int
    engines: Engines
    report: Progress

    @property
    def hard(self) -> NDArray[np.bool_]:
        """Which rows must hold."""
        return np.isinf(self.model.penalty)

    def late(self) -> bool:
        """Return whether time has run out."""
        return time.monotonic() > self.deadline

    def spent(self) -> bool:
        """Return whether time has run out, and the plan of least violation would take long to find."""
        return self.late() and self.model.problem.n_pairs > FEW_PAIRS


def ask(
    problem: Problem,
    limits: tuple[LimitLike, ...],
    deadline: float,
    seed: int,
    engines: Engines,
    report: Progress,
) -> Question:
    """Put the question for the limits of a problem."""
    model = compile_model(problem, limits, price_exclusions=True)
    model = model.without_values()
    engine = engines.engine_for(model)
    return Question(limits, model, engine, natural_scale(engine), deadline, seed, engines, report)


@dataclass(frozen=True)
class LeastViolation:
    """A plan that violates limits as little as possible.

    Parameters
    ----------
    choice
        (n_users, most) int16 coupon indices, -1 for none.
    bounds
        By label of each row that it violates, the bounds (at least, at most) that it keeps instead.
    amounts
        By label, by how much it violates them.
    """

    choice: NDArray[np.int16]
    bounds: Bounds
    amounts: Mapping[str, float]


def repair_together(question: Question) -> LeastViolation:
    """Return the plan of least violation where every hard row may give, each at its natural price."""
    question.report("least violation", 0, 0)
    found = _least_violation(question, question.hard)
    assert found is not None  # with no hard row left, any choices are a plan
    return found


def repair_alone(question: Question, rows: Iterable[int]) -> dict[str, float]:
    """Return for each of some rows the least change that lets a plan exist if only that row gives.

    A row has no entry where it cannot repair the clash by itself, or where time ran out.
    """
    amounts = {}
    labels = question.model.labels
    for done, row in enumerate(rows):
        if question.late():
            break
        question.report("repairs", done, 0)
        found = _least_violation(question, np.arange(len(labels)) == row)
        if found is not None:
            amounts[labels[row]] = found.amounts.get(labels[row], 0.0)
    return amounts


def _least_violation(question: Question, giving: NDArray[np.bool_]) -> LeastViolation | None:
    """Return the plan that violates the `giving` rows least and keeps the other hard ones, if it is found."""
    model = question.model
    penalty = np.where(giving, question.scale.price, np.where(question.hard, np.inf, 0.0))
    plan = decompose(
        replace(model, penalty=penalty), gap=GAP, deadline=min(question.deadline, time.monotonic() + SECONDS),
        seed=question.seed, engines=question.engines, report=question.report,
    ).plan  # fmt: skip
    if plan.choice is None:
        return None
    broken = [
        row
        for row in certify(model.problem, question.limits, plan.choice, {}).rows
        if row.violation > 0 and not row.soft
    ]
    return LeastViolation(
        plan.choice,
        {row.label: (min(row.at_least, row.used), max(row.at_most, row.used)) for row in broken},
        {row.label: row.violation for row in broken},
    )
