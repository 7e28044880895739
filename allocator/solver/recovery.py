"""From the linear program's vertex to an integer plan.

A linear program over the contested classes gives exact prices within the box, and its vertex is
fractional for at most as many classes as rows bind; a small integer program settles those together
with their neighbours, and the set grows where that is not enough.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.contested import Contested, assign, state_program
from allocator.solver.highs import Answer, solve_program
from allocator.solver.master import Box
from allocator.solver.pricing.engine import Engine

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

ROUND = 1e-7  # a linear program's column this close to a whole number is whole
FIRST_FREE = 60  # classes besides the fractional ones in the first integer program


@dataclass(frozen=True)
class Plan:
    """An integer plan and the best proof at hand.

    Parameters
    ----------
    choice
        (n_users, most) int16 coupon indices, -1 for none; None if no feasible plan was found.
    bound
        Upper bound of the objective proven by branch and bound; infinite if none was.
    impossible
        Whether it was proven that no plan meets every limit.
    """

    choice: NDArray[np.int16] | None
    bound: float = np.inf
    impossible: bool = False


def recover(
    engine: Engine,
    prices: Array,
    contested: Contested,
    start: Array,
    *,
    gap: float,
    deadline: float,
    seed: int,
    report: Report,
) -> Plan:
    """Find an integer plan near the linear program's vertex.

    Parameters
    ----------
    engine
        All users.
    prices
        (n_rows,) exact prices.
    contested
        The contested users; all others take what they choose at `prices`.
    start
        (n_pairs,) the linear program's solution.
    gap, deadline, seed, report
        As in `decompose`.
    """
    model = engine.model
    choice = np.empty((model.problem.n_users, model.problem.per_user[1]), np.int16)
    done = engine.price(prices, choice)
    dual = done.reduced + model.bound_cost(prices)
    allowed = gap * abs(dual)
    usage, value = _chosen_totals(contested, choice)
    contested = replace(contested, decided=model.usage(done.table) - usage)
    decided_value = model.earned(done.table) - value
    everyone = contested.complete and len(contested.users) == int(model.problem.eligible().any(axis=1).sum())
    best, plan, bound = -np.inf, None, np.inf
    for free in _free_sets(contested, start, prices):
        report("integer plan", int(free.sum()), len(free))
        found = _solve_integer(contested, start, free, 0.5 * allowed, deadline, seed)
        if found is not None:
            objective = decided_value + _objective(contested, found.columns)
            if objective > best:
                best, plan = objective, choice.copy()
                assign(contested, found.columns, plan)
            if everyone and free.all():
                bound = decided_value + found.bound
        if min(dual, bound) - best <= allowed or time.monotonic() > deadline:
            break
    return Plan(plan, bound)


def _chosen_totals(contested: Contested, choice: NDArray[np.int16]) -> tuple[Array, float]:
    """Return usage and earnings of the contested users' present choices."""
    model = contested.model
    chosen = choice[contested.users]
    row, _ = np.nonzero(chosen >= 0)
    users, coupons = contested.users[row], chosen[chosen >= 0].astype(np.int64)
    usage = np.asarray(model.coefficients(users, coupons).sum(axis=1)).ravel()
    earned = model.worth[model.cell[users], coupons] * model.problem.value[users, coupons]
    return usage, float(earned.sum())


def _objective(contested: Contested, columns: Array) -> float:
    """Return value less penalties of whole columns, without the decided users' value."""
    model = contested.model
    violation = model.violation(contested.decided + contested.uses @ columns)
    soft = np.isfinite(model.penalty)
    return float(contested.value @ columns) - float(np.sum(model.penalty[soft] * violation[soft]))


def _solve_integer(
    contested: Contested,
    start: Array,
    free: NDArray[np.bool_],
    absolute_gap: float,
    deadline: float,
    seed: int,
) -> Answer | None:
    """Solve one integer program; tighten rows that rounding pushed over their bound and repeat."""
    model = contested.model
    tighten = np.zeros(model.n_rows)
    hard = np.isinf(model.penalty)
    now = time.monotonic()
    # A hard program must leave time for the larger one after it.
    until = min(deadline, now + max(0.25 * (deadline - now), 1.0))
    for _ in range(4):
        found = _solve_free(contested, start, free, absolute_gap, until, seed, tighten)
        if found is None:
            return None
        over = model.violation(contested.decided + contested.uses @ found.columns)
        broken = hard & (over > 0.5 * model.tolerance())
        if not broken.any():
            return found
        tighten = np.where(broken, tighten + 2.0 * over, tighten)
    return None


def _solve_free(
    contested: Contested,
    start: Array,
    free: NDArray[np.bool_],
    absolute_gap: float,
    deadline: float,
    seed: int,
    tighten: Array,
) -> Answer | None:
    """Solve the contested program in whole numbers, with all classes fixed that are not `free`.

    Parameters
    ----------
    start
        (n_pairs,) values at which fixed classes stand (whole for those classes).
    free
        (n_classes,) classes to decide.
    absolute_gap
        Stop when this close to the best, in objective units.
    tighten
        (n_rows,) by how much to tighten each row against rounding.

    Returns
    -------
    Answer or None
        `columns` covers all pairs; objective and bound count all contested pairs.
    """
    model = contested.model
    moving = free[contested.pair_class]
    fixed = np.where(moving, 0.0, np.round(start))
    standing = replace(
        contested,
        pair_class=contested.pair_class[moving],
        pair_coupon=contested.pair_coupon[moving],
        value=contested.value[moving],
        uses=sp.csc_array(contested.uses[:, moving]),
        decided=contested.decided + contested.uses @ fixed,
    )
    lowest, highest = model.price_range()
    program = state_program(standing, Box(lowest, highest), free, tighten)
    answer = solve_program(program, deadline, absolute_gap, seed)
    if answer is None:
        return None
    columns = fixed
    columns[moving] = np.round(answer.columns[: moving.sum()])
    base = float(contested.value @ fixed) - float(contested.value[moving] @ columns[moving])
    return Answer(columns, answer.prices, base + answer.objective, base + answer.bound, answer.optimal)


def _fractional(contested: Contested, columns: Array) -> NDArray[np.bool_]:
    """Return the classes for which a linear program's columns are not whole, (n_classes,)."""
    broken = np.abs(columns - np.round(columns)) > ROUND
    return np.bincount(contested.pair_class[broken], minlength=len(contested.size)) > 0


def _free_sets(contested: Contested, start: Array, prices: Array) -> Iterator[NDArray[np.bool_]]:
    """Yield growing sets of classes for the integer program: fractional ones and their neighbours."""
    n = len(contested.size)
    broken = _fractional(contested, start)
    order = np.argsort(_margin(contested, start, prices), kind="stable")
    count = FIRST_FREE + int(broken.sum())
    while True:
        free = broken.copy()
        free[order[:count]] = True
        if count >= n:
            free[:] = True
        yield free
        if count >= n:
            return
        count *= 4


def _margin(contested: Contested, columns: Array, prices: Array) -> Array:
    """Return what changing a class's choice costs at most cheaply, per class, in objective units."""
    reduced = contested.value - np.asarray(contested.uses.T @ prices)
    chosen = columns > 0.5 * contested.size[contested.pair_class]
    n = len(contested.size)
    taken = np.full(n, np.inf)
    np.minimum.at(taken, contested.pair_class[chosen], reduced[chosen])
    other = np.full(n, 0.0 if contested.model.problem.per_user[0] == 0 else -np.inf)
    np.maximum.at(other, contested.pair_class[~chosen], reduced[~chosen])
    return np.asarray(np.where(np.isinf(taken), np.abs(other), np.abs(taken - other)))
