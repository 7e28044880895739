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

from allocator.solver.contested import Contested, assign, contest, state_program
from allocator.solver.highs import Answer, ProgramInterrupt, solve_program
from allocator.solver.master import Box
from allocator.solver.model import Model
from allocator.solver.pricing import Engine
from allocator.solver.watch import Watch

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

ROUND = 1e-7  # a linear program's column this close to a whole number is whole
GRACE_SECONDS = 5.0  # past the deadline, to find a first plan at all
FIRST_OPEN = 100  # pairs besides those of fractional classes in the first integer program
FIRST_EACH = 6  # pairs that each small binding row gets in it
MOST_OPEN = 5_000  # pairs in the last integer program of a large problem
SMALL_PROGRAM = 30_000  # contested pairs up to which all of them may be decided in whole numbers


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
    watch: Watch,
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
    gap, deadline, seed, report, watch
        As in `decompose`.
    """
    model = engine.model
    choice = np.empty((model.problem.n_users, model.problem.per_user[1]), np.int16)
    done = engine.price(prices, choice)
    dual = done.reduced + model.bound_cost(prices)
    watch.priced("exact prices", prices, dual)
    allowed = gap * abs(dual)
    usage, value = _chosen_totals(contested, choice)
    contested, start = _with_every_pair(contested, start, prices, model.usage(done.table) - usage)
    decided_value = model.earned(done.table) - value
    # A user whose choice no price can move is decided for good; if all others are open, bounds are global.
    movable = np.isfinite(engine.radius(prices, np.ones(model.n_rows)))
    everyone = contested.batch.n_users == int(movable.sum())
    best, plan, bound = -np.inf, None, np.inf
    last_call = with_grace(deadline)
    for open_pairs in _open_sets(contested, start, prices):
        report("integer plan", int(open_pairs.sum()), len(open_pairs))
        until = last_call if plan is None else deadline
        stopped = None
        try:
            found = _solve_integer(contested, start, open_pairs, 0.5 * allowed, until, seed)
        except ProgramInterrupt as stop:
            stopped = stop
            found = stop.answer if _is_feasible(contested, stop.answer.columns) else None
        if found is not None:
            objective = decided_value + _objective(contested, found.columns)
            if objective > best:
                best, plan = objective, choice.copy()
                assign(contested, found.columns, plan)
                watch.found("integer plan", plan, objective)
            if everyone and open_pairs.all() and stopped is None:
                bound = decided_value + found.bound
                watch.bounded("integer plan", bound)
        if stopped is not None:
            raise stopped
        over_at = last_call if plan is None else deadline  # a plan may have been found just now
        if min(dual, bound) - best <= allowed or time.monotonic() > over_at:
            break
    return Plan(plan, bound)


def with_grace(deadline: float) -> float:
    """Return the deadline for work without which there would be no plan at all."""
    return max(deadline, time.monotonic() + GRACE_SECONDS)


def _with_every_pair(
    contested: Contested, start: Array, prices: Array, decided: Array
) -> tuple[Contested, Array]:
    """Return the contested users with every eligible pair: whole numbers need more choice than prices."""
    everything = np.full(len(prices), np.inf)
    wide = contest(contested.model, contested.batch, decided, prices, everything)
    n_coupons = contested.model.problem.n_coupons
    keys = [part.pair_class * n_coupons + part.pair_coupon for part in (wide, contested)]
    columns = np.zeros(len(wide.value))
    columns[np.searchsorted(keys[0], keys[1])] = start
    return wide, columns


def _chosen_totals(contested: Contested, choice: NDArray[np.int16]) -> tuple[Array, float]:
    """Return usage and earnings of the contested users' present choices."""
    model = contested.model
    chosen = choice[contested.users]
    row, _ = np.nonzero(chosen >= 0)
    coupons = chosen[chosen >= 0].astype(np.int64)
    usage = np.asarray(model.coefficients(contested.batch, row, coupons).sum(axis=1)).ravel()
    earned = model.worth[model.cell[contested.users[row]], coupons] * contested.batch.value[row, coupons]
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
    open_pairs: NDArray[np.bool_],
    absolute_gap: float,
    deadline: float,
    seed: int,
) -> Answer | None:
    """Solve one integer program; tighten rows that rounding pushed over their bound and repeat."""
    model = contested.model
    now = time.monotonic()
    # A hard program must leave time for the larger one after it.
    share = 1.0 if open_pairs.all() else 0.25
    until = min(deadline, now + max(share * (deadline - now), 1.0))
    inwards = np.zeros(model.n_rows), np.zeros(model.n_rows)
    bound = np.inf
    for _ in range(4):
        found = _solve_open(contested, start, open_pairs, absolute_gap, until, seed, inwards)
        if found is None:
            return None
        bound = min(bound, found.bound) if np.isinf(bound) else bound  # tightened programs bound nothing
        short, over = _beyond(contested, found.columns)
        if not (short.any() or over.any()):
            return replace(found, bound=bound)
        inwards = inwards[0] + 2.0 * short, inwards[1] + 2.0 * over
    return None


def _beyond(contested: Contested, columns: Array) -> tuple[Array, Array]:
    """Return by how much more than rounding the hard rows fall short of and go over their bounds."""
    model = contested.model
    hard = np.isinf(model.penalty)
    used = contested.decided + contested.uses @ columns
    gross = np.abs(contested.decided) + abs(contested.uses) @ columns
    allowed = 0.5 * model.tolerance(gross)
    short = np.where(hard & (model.at_least - used > allowed), model.at_least - used, 0.0)
    over = np.where(hard & (used - model.at_most > allowed), used - model.at_most, 0.0)
    return short, over


def _is_feasible(contested: Contested, columns: Array) -> bool:
    short, over = _beyond(contested, columns)
    return not (short.any() or over.any())


def _solve_open(
    contested: Contested,
    start: Array,
    open_pairs: NDArray[np.bool_],
    absolute_gap: float,
    deadline: float,
    seed: int,
    inwards: tuple[Array, Array],
) -> Answer | None:
    """Decide the open pairs in whole numbers; all others stay where they are.

    Parameters
    ----------
    start
        (n_pairs,) where the pairs stand (whole for those that are not open).
    open_pairs
        (n_pairs,) pairs to decide.
    absolute_gap
        Stop when this close to the best, in objective units.
    inwards
        By how much to move lower and upper bounds inwards against rounding, (n_rows,) each.

    Returns
    -------
    Answer or None
        `columns` covers all pairs; objective and bound count all contested pairs.
    """
    model = contested.model
    moving = open_pairs
    free = np.bincount(contested.pair_class[moving], minlength=len(contested.size)) > 0
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
    program = state_program(standing, Box(lowest, highest), free, inwards)

    def whole(answer: Answer) -> Answer:
        columns = fixed.copy()
        columns[moving] = np.round(answer.columns[: moving.sum()])
        base = float(contested.value @ fixed)
        return Answer(columns, answer.prices, base + answer.objective, base + answer.bound)

    try:
        answer = solve_program(program, deadline, absolute_gap, seed)
    except ProgramInterrupt as stop:
        raise ProgramInterrupt(whole(stop.answer)) from None
    return None if answer is None else whole(answer)


def _open_sets(contested: Contested, start: Array, prices: Array) -> Iterator[NDArray[np.bool_]]:
    """Yield growing sets of pairs to decide: those that cost least to change, and of each small row some.

    A class with an open pair opens whatever it has chosen, too.
    """
    loss = _loss(contested, start, prices)
    n = len(loss)
    chosen = start > ROUND
    broken = chosen & (np.abs(start - np.round(start)) > ROUND)
    order = np.argsort(loss, kind="stable")
    few, each = FIRST_OPEN + 3 * int(broken.sum()), FIRST_EACH
    small_rows = _small_rows(contested, prices)
    while True:
        pairs = broken.copy()
        pairs[order[:few]] = True
        for row in small_rows:
            users = np.flatnonzero(contested.uses[[row]].toarray().ravel())
            pairs[users[np.argsort(loss[users], kind="stable")[:each]]] = True
        free = np.bincount(contested.pair_class[pairs], minlength=len(contested.size)) > 0
        pairs |= chosen & free[contested.pair_class]
        if few >= n:
            pairs[:] = True
        yield pairs
        if few >= n or (few >= MOST_OPEN and n > SMALL_PROGRAM):
            return
        few, each = 4 * few, 2 * each


def _small_rows(contested: Contested, prices: Array) -> NDArray[np.int64]:
    """Return the binding rows that only few pairs use: the cheapest changes overall may miss them."""
    uses = sp.csr_array(contested.uses)
    share = np.diff(uses.indptr) / max(uses.shape[1], 1)
    return np.flatnonzero((prices != 0) & (share > 0) & (share < 0.25))


def _loss(contested: Contested, start: Array, prices: Array) -> Array:
    """Return what opening each pair costs at the given prices, in objective units.

    For a chosen pair: what dropping it loses. For another: what taking it in place of the worst
    chosen one (or of a place left empty) loses.
    """
    fewest, most = contested.model.problem.per_user
    reduced = contested.value - np.asarray(contested.uses.T @ prices)
    n = len(contested.size)
    chosen = start > ROUND
    full = np.bincount(contested.pair_class, start, n) > most * contested.size - 0.5
    level = np.full(n, np.inf)
    np.minimum.at(level, contested.pair_class[chosen], reduced[chosen])
    if fewest == 0:
        level = np.where(full, level, 0.0)
    level = np.where(np.isinf(level), 0.0, level)
    drop = np.maximum(reduced, 0.0) if fewest == 0 else np.zeros(len(reduced))
    return np.where(chosen, drop, np.maximum(level[contested.pair_class] - reduced, 0.0))


def plan_without_programs(engine: Engine, prices: Array) -> NDArray[np.int16] | None:
    """Return a feasible plan found without linear or integer programs, None if this finds none.

    For when time has run out: what users choose at the prices, less the choices that earn least for what
    they use of an exceeded row; or nothing for anyone.
    """
    model = engine.model
    choice = np.empty((model.problem.n_users, model.problem.per_user[1]), np.int16)
    engine.price(prices, choice)
    users, slots = np.nonzero(choice >= 0)
    coupons = choice[users, slots].astype(np.int64)
    batch = engine.batch()
    uses = sp.csr_array(model.coefficients(batch, users, coupons))
    kept = np.ones(len(users), np.bool_)
    if model.problem.per_user[0] == 0:
        earned = model.worth[model.cell[users], coupons] * batch.value[users, coupons]
        reduced = earned - np.asarray(uses.T @ prices)
        for row in range(model.n_rows):
            _drop_excess(model, row, uses, reduced, kept)
        if not _feasible(model, uses, kept):
            kept[:] = False
    choice[users[~kept], slots[~kept]] = -1
    return choice if _feasible(model, uses, kept) else None


def _drop_excess(model: Model, row: int, uses: sp.csr_array, reduced: Array, kept: NDArray[np.bool_]) -> None:
    """Take back the choices that lose least for each unit of an exceeded row, until it is kept."""
    used = uses[[row]].toarray().ravel() * kept
    excess = float(used.sum()) - float(model.at_most[row])
    if excess <= 0 or np.isfinite(model.penalty[row]):
        return
    candidates = np.flatnonzero(used > 0)
    order = candidates[np.argsort(reduced[candidates] / used[candidates], kind="stable")]
    needed = int(np.searchsorted(np.cumsum(used[order]), excess * (1 + 1e-9))) + 1
    kept[order[:needed]] = False


def _feasible(model: Model, uses: sp.csr_array, kept: NDArray[np.bool_]) -> bool:
    usage, gross = uses @ kept.astype(np.float64), abs(uses) @ kept.astype(np.float64)
    hard = np.isinf(model.penalty)
    return bool((model.violation(usage)[hard] <= 0.5 * model.tolerance(gross)[hard]).all())
