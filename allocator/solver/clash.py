"""Whether limits clash whatever the numbers turn out to be that nobody knows yet."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.errors import InfeasibleError
from allocator.limits.rows import LimitLike, Row
from allocator.problem import Problem
from allocator.problem.batch import BLOCK
from allocator.progress import Progress, no_progress
from allocator.solver.infeasibility import explain_clash
from allocator.solver.interrupt import reporting
from allocator.solver.model import compile_model
from allocator.solver.pricing import EngineSettings, shared_engines
from allocator.solver.repairs import ask, repair_together

SECONDS = 15.0  # for a proof; a clash that takes longer to prove is left to the solve


@dataclass(frozen=True)
class _Rows:
    """A limit reduced to some of its rows."""

    label: str
    kept: tuple[Row, ...]

    def rows(self, problem: Problem) -> list[Row]:
        return list(self.kept)


def find_clash(
    problem: Problem,
    limits: Iterable[LimitLike],
    known: Collection[str],
    *,
    seed: int = 7,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> InfeasibleError | None:
    """Return the clash of the limits that count known measures only, None if none is proven.

    What is assigned must be eligible, whatever it is worth; a plan for these limits may still break others.

    Parameters
    ----------
    problem
        Its values say who is eligible for what; what else they say does not count.
    limits
        Soft rows and those that count other measures do not matter.
    known
        Measures whose numbers are those of the problem to be solved.
    seed, threads, progress
        As in `solve`.
    """
    kept = [_Rows(limit.label, _certain(limit.rows(problem), {"count", *known})) for limit in limits]
    if not any(_asks_for_something(row) for limit in kept for row in limit.kept):
        return None  # nothing for anybody keeps them
    settings, deadline = EngineSettings("cpu", None, threads), time.monotonic() + SECONDS
    with shared_engines(settings) as engines, reporting(progress) as report:
        question = ask(problem, tuple(kept), deadline, seed, engines, report)
        return explain_clash(question) if repair_together(question).amounts else None


@dataclass(frozen=True)
class Left:
    """What exclusions leave: users with a coupon before and after, and which coupons, (n_coupons,)."""

    users_before: int
    users: int
    coupons: NDArray[np.bool_]


def left_by_exclusions(problem: Problem, limits: Iterable[LimitLike]) -> Left:
    """Return what limits that forbid pairs leave of what users are eligible for."""
    model = compile_model(problem, tuple(limits))
    before = after = 0
    coupons = np.zeros(problem.n_coupons, dtype=np.bool_)
    for batch in problem.batches(()):
        for part in batch.parts(BLOCK):
            eligible = ~np.isnan(part.value)
            left = eligible & ~model.forbids(model.cell[part.users])
            before += int(eligible.any(axis=1).sum())
            after += int(left.any(axis=1).sum())
            coupons |= left.any(axis=0)
    return Left(before, after, coupons)


def _certain(rows: Iterable[Row], known: Collection[str]) -> tuple[Row, ...]:
    """Return the hard rows that count known measures alone, as if what they count were certain."""
    return tuple(
        replace(row, risk=None)
        for row in rows
        if not row.is_open and np.isinf(row.penalty) and all(term.measure in known for term in row.terms)
    )


def _asks_for_something(row: Row) -> bool:
    return row.at_least > 0 or row.at_most < 0
