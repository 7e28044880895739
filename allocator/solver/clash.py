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
from allocator.solver.infeasibility import explain_clash, rules_out
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
    shares: Collection[str] = (),
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
    shares
        Measures that will be at most 1 for each pair, so that so much of them takes at least as many pairs.
    seed, threads, progress
        As in `solve`.
    """
    kept = [_Rows(limit.label, _certain(limit.rows(problem), {"count", *known}, shares)) for limit in limits]
    if not any(_asks_for_something(row) for limit in kept for row in limit.kept):
        return None  # nothing for anybody keeps them
    settings, deadline = EngineSettings("cpu", None, threads), time.monotonic() + SECONDS
    with shared_engines(settings) as engines, reporting(progress) as report:
        question = ask(problem, tuple(kept), deadline, seed, engines, report)
        if rules_out(question) or not repair_together(question).amounts:
            return None
        return explain_clash(question)


def left_by_exclusions(problem: Problem, limits: Iterable[LimitLike]) -> NDArray[np.bool_]:
    """Return what limits that forbid pairs leave of what users are eligible for, (n_users, n_coupons)."""
    model = compile_model(problem, tuple(limits))
    left = problem.eligible()
    for start in range(0, problem.n_users, BLOCK):
        users = slice(start, start + BLOCK)
        left[users] &= ~model.forbids(model.cell[users])
    return left


def _certain(rows: Iterable[Row], known: Collection[str], shares: Collection[str]) -> tuple[Row, ...]:
    """Return what hard rows say of known measures alone, as if what they count were certain."""
    found = []
    for row in rows:
        named = {term.measure for term in row.terms}
        if row.is_open or not np.isinf(row.penalty):
            continue
        if named <= set(known):
            found.append(replace(row, risk=None))
        elif row.at_least > 0 and named <= set(shares) and all(term.weight > 0 for term in row.terms):
            pairs = tuple(replace(term, measure="count") for term in row.terms)
            found.append(Row(row.label, pairs, row.at_least, np.inf))
    return tuple(found)


def _asks_for_something(row: Row) -> bool:
    return row.at_least > 0 or row.at_most < 0
