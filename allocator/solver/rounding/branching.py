"""Branch and bound on the pairs that cost least to change, for what exchange leaves open.

A small integer program decides some pairs and leaves all others where they stand; it grows until the
gap is reached. Over all pairs of all users its bound holds for the whole problem.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.contested import Contested, state_program
from allocator.solver.highs import Answer, ProgramInterrupt, solve_program
from allocator.solver.master import Box
from allocator.solver.rounding.exchange import ROUND

Array = NDArray[np.float64]

FIRST_OPEN = 100  # pairs besides those of fractional classes in the first integer program
FIRST_EACH = 6  # pairs that each small binding row gets in it
MOST_OPEN = 5_000  # pairs in the last integer program of a large problem
SMALL_PROGRAM = 30_000  # contested pairs up to which all of them may be decided in whole numbers


def solve_integer(
    contested: Contested,
    start: Array,
    open_pairs: NDArray[np.bool_],
    absolute_gap: float,
    deadline: float,
    seed: int,
    *,
    hint: bool,
    share: float = 1.0,
) -> Answer | None:
    """Decide the open pairs in whole numbers; all others stay where they are.

    Parameters
    ----------
    contested, start
        The pairs, and where they stand, (n_pairs,): whole for those that are not open.
    open_pairs
        (n_pairs,) pairs to decide.
    absolute_gap
        Stop when this close to the best, in objective units.
    deadline, seed
        As in `decompose`.
    hint
        Whether `start` is a plan to improve.
    share
        Of the time left: a hard program must leave time for what comes after it.

    Returns
    -------
    Answer or None
        `columns` covers all pairs; objective and bound count all contested pairs.

    Raises
    ------
    ProgramInterrupt
        On Ctrl-C, with the best columns so far.
    """
    model = contested.model
    now = time.monotonic()
    until = min(deadline, now + max(share * (deadline - now), 1.0))
    inwards = np.zeros(model.n_rows), np.zeros(model.n_rows)
    bound = np.inf
    for _ in range(4):
        found = _solve_open(contested, start, open_pairs, absolute_gap, until, seed, inwards, hint)
        if found is None:
            return None
        bound = min(bound, found.bound) if np.isinf(bound) else bound  # tightened programs bound nothing
        short, over = beyond(contested, found.columns)
        if not (short.any() or over.any()):
            return replace(found, bound=bound)
        inwards = inwards[0] + 2.0 * short, inwards[1] + 2.0 * over
    return None


def beyond(contested: Contested, columns: Array) -> tuple[Array, Array]:
    """Return by how much more than rounding the hard rows fall short of and go over their bounds."""
    model = contested.model
    hard = np.isinf(model.penalty)
    used = contested.decided + contested.uses @ columns
    gross = np.abs(contested.decided) + abs(contested.uses) @ columns
    allowed = model.tolerance(gross)
    short = np.where(hard & (model.at_least - used > allowed), model.at_least - used, 0.0)
    over = np.where(hard & (used - model.at_most > allowed), used - model.at_most, 0.0)
    return short, over


def _solve_open(
    contested: Contested,
    start: Array,
    open_pairs: NDArray[np.bool_],
    absolute_gap: float,
    deadline: float,
    seed: int,
    inwards: tuple[Array, Array],
    hint: bool,
) -> Answer | None:
    """Solve once, with lower and upper bounds moved `inwards` against rounding, (n_rows,) each."""
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
        answer = solve_program(program, deadline, absolute_gap, seed, start[moving] if hint else None)
    except ProgramInterrupt as stop:
        raise ProgramInterrupt(whole(stop.answer)) from None
    return None if answer is None else whole(answer)


def open_sets(contested: Contested, start: Array, prices: Array) -> Iterator[NDArray[np.bool_]]:
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
    fewest, most = contested.model.step.bounds(contested.size)
    reduced = contested.value - np.asarray(contested.uses.T @ prices)
    n = len(contested.size)
    chosen = start > ROUND
    total = np.bincount(contested.pair_class, start, n)
    level = np.full(n, np.inf)
    np.minimum.at(level, contested.pair_class[chosen], reduced[chosen])
    level = np.where((total > most - 0.5) | (fewest > 0), level, 0.0)
    level = np.where(np.isinf(level), 0.0, level)
    drop = np.where(fewest[contested.pair_class] > 0, 0.0, np.maximum(reduced, 0.0))
    return np.where(chosen, drop, np.maximum(level[contested.pair_class] - reduced, 0.0))
