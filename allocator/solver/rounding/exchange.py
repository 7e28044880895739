"""Whole numbers by exchange: a few moves at once, each of which costs little at the exact prices.

A plan falls short of the dual bound by the *regret* of its choices (reduced value lost against each
user's best) and by the price of every row's slack. So only sets of moves of little regret that fill
slack can help, and a depth-first search over moves by rising regret finds the best few for one row.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from allocator.solver.interrupt import still_at_it
from allocator.solver.rounding.standing import Classes, Moves, Standing

Array = NDArray[np.float64]
Index = NDArray[np.int64]

WIDTHS = ((2, 1_500), (3, 180), (4, 70), (5, 40))  # moves in a set, and how many are looked at
ALIKE = 3  # moves that change the same in what binds, in one list
MOST_DRAWN = 100_000  # moves whose changes are looked at for one list
ROUNDING = 1e-12  # relative; a smaller gain is none
FIRST_NODES = 100_000  # sets that the first round's searches look at
ROUND = 1e-7  # a linear program's column this close to a whole number is whole


def round_vertex(classes: Classes, columns: Array) -> Standing:
    """Make the columns of a linear program's vertex whole: each broken unit goes where it harms least."""
    whole = np.abs(columns - np.round(columns)) <= ROUND
    count = np.where(whole, np.round(columns), np.floor(columns)).astype(np.int64)
    standing = classes.standing(count)
    broken = np.flatnonzero(~whole)
    for c in np.unique(classes.pair_class[broken]):
        pairs = broken[classes.pair_class[broken] == c]
        for _ in range(int(np.ceil(np.sum(columns[pairs] - np.floor(columns[pairs])) - ROUND))):
            standing = _place_unit(standing, pairs, c)
    return standing


def _place_unit(standing: Standing, pairs: Index, of_class: int) -> Standing:
    """Give one more coupon to a class, or none where that harms less and it has enough."""
    classes = standing.classes
    uses = classes.uses[:, pairs].toarray()
    worth = classes.reduced[pairs] + uses.T @ classes.rules.prices
    harm = [float(classes.rules.charge(standing.used + used).sum()) for used in uses.T]
    best = int(np.argmax(worth - harm))
    enough = standing.total[of_class] >= classes.fewest[of_class]
    if enough and worth[best] - harm[best] <= -float(classes.rules.charge(standing.used).sum()):
        return standing
    count = standing.count.copy()
    count[pairs[best]] += 1
    return classes.standing(count)


def improve(standing: Standing, enough: float, rounds: int, deadline: float) -> Standing:
    """Exchange until nothing helps.

    Parameters
    ----------
    standing
        Where to start; may violate rows, which is then mended first.
    enough
        Stop when the plan keeps every hard row and loses no more than this against the dual bound.
    rounds
        Each round looks at four times as many sets as the one before.
    deadline
        `time.monotonic()` at which to stop.
    """
    nodes, scale, turn = FIRST_NODES, 1.0, 0
    while turn < rounds:
        before = standing
        for better in _sweep(standing, enough, nodes, scale, deadline):
            standing = better
        if standing.loss <= enough or time.monotonic() > deadline:
            break
        if standing is before:  # nothing helps: look at more
            nodes, scale, turn = 4 * nodes, 1.5 * scale, turn + 1
    return standing.classes.standing(standing.count)  # sums afresh, without the steps' rounding


def _sweep(
    standing: Standing, enough: float, nodes: int, scale: float, deadline: float
) -> Iterator[Standing]:
    """Try every row that is violated or wastes slack, the worst first; yield every better plan."""
    rules = standing.classes.rules
    charge = rules.charge(standing.used)
    waste = np.maximum(rules.slack_cost(standing.used), 0.0)
    infeasible = bool(charge.any())
    moves = standing.moves(np.inf if infeasible else float(waste.sum()))
    for row in (*np.argsort(-(charge + waste), kind="stable").tolist(), None):
        still_at_it()
        if row is not None and charge[row] == 0 and waste[row] <= 0.02 * enough:
            continue
        near = _touching(standing, moves, row, int(WIDTHS[0][1] * scale))
        while (found := _try(standing, near, nodes, scale)) is not None:
            standing = found
            still_at_it()
            yield standing
            if time.monotonic() > deadline:
                return
        if time.monotonic() > deadline or standing.loss <= enough:
            return


def _touching(standing: Standing, moves: Moves, row: int | None, most: int) -> Moves:
    """Return the moves of least regret that change a row's usage (or any row's), few of them alike."""
    if row is None:
        near = np.arange(len(moves))
    else:
        uses = standing.classes.uses
        touches = np.zeros(len(standing.count) + 1, np.bool_)  # the last place stands for nothing
        pair = np.repeat(np.arange(len(standing.count)), np.diff(uses.indptr))
        touches[pair[uses.indices == row]] = True
        near = np.flatnonzero(touches[moves.source] | touches[moves.target])
    drawn = 2 * most
    while True:
        few = standing.with_change(moves.some(near[:drawn]))
        if row is not None:
            few = few.some(np.flatnonzero(few.change[:, row]))
        few = few.some(_unlike(few, standing.classes.rules.prices))
        if len(few) >= most or drawn >= min(len(near), MOST_DRAWN):
            return few.some(slice(most))
        drawn *= 4


def _unlike(moves: Moves, prices: Array) -> Index:
    """Return the places of moves that differ in what binds: of those alike, the first few."""
    change = moves.change[:, prices != 0]
    key = np.einsum("ij,j->i", change, np.cos(np.arange(change.shape[1]))) + moves.regret
    order = np.argsort(key, kind="stable")
    ranked = key[order]
    fresh = np.append(True, np.abs(np.diff(ranked)) > 1e-12 * (1.0 + np.abs(ranked[1:])))
    place = np.arange(len(order))
    rank = place - np.maximum.accumulate(np.where(fresh, place, 0))
    return np.sort(order[rank < ALIKE])


def _try(standing: Standing, moves: Moves, nodes: int, scale: float) -> Standing | None:
    """Make the best set of moves there is, if one helps."""
    rules = standing.classes.rules
    used = standing.used
    concerned = np.any(moves.change != 0, axis=0)
    owing = float(rules.charge(used).sum())
    reach = float((rules.slack_cost(used) * concerned).sum()) + owing
    size = abs(standing.classes.best_reduced) + float(np.abs(rules.prices) @ np.abs(used)) + owing
    for most, width in WIDTHS:
        few = moves.some(slice(int(width * scale)))
        _, chosen, _ = standing.best_set(few, most=most, nodes=nodes, at_least=ROUNDING * size, reach=reach)
        if len(chosen):
            return standing.moved(few, chosen)
    return None
