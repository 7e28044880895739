"""Whole numbers by chains of moves, for many rows: each move mends the row that the ones before left worst.

An ejection chain (Glover 1996, "Ejection chains, reference structures and alternating path methods") over
the moves of little regret. A set of moves for one row, as in `exchange`, misses those that set right in
other rows what it changed there; where rows are many, nearly every good change is of that kind.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.interrupt import still_at_it
from allocator.solver.rounding.chain_kernels import best_chain
from allocator.solver.rounding.standing import Moves, Standing

Array = NDArray[np.float64]
Index = NDArray[np.int64]

WIDTHS = ((400, 400), (300, 60, 200), (150, 40, 20, 100), (80, 25, 12, 10, 60))  # moves tried at each place
NODES = 400_000  # moves tried for one row
MOST_WASTE = 1.5  # times what a row wastes, and the mean row, that a chain may regret
SMALLEST = 1e-12  # relative gain that is one


@dataclass(frozen=True)
class _Links:
    """Moves with the rows that they change, and each row with the moves that change it."""

    moves: Moves
    gain: Array
    by_move: sp.csr_array
    by_row: sp.csc_array


def improve_by_chains(standing: Standing, enough: float, deadline: float) -> Standing:
    """Make chains of moves, row by row, until no chain of any length helps.

    Parameters
    ----------
    standing
        Where to start; may violate rows.
    enough, deadline
        As in `improve`.
    """
    level = 0
    while level < len(WIDTHS) and standing.loss > enough and time.monotonic() < deadline:
        before = standing
        standing = _sweep(standing, np.array(WIDTHS[level]), enough, deadline)
        standing = standing.classes.standing(standing.count)  # sums afresh, without the steps' rounding
        gained = _gain(before, standing)
        level = (
            level if gained > 0.02 * abs(before.loss) or (np.isinf(before.loss) and gained > 0) else level + 1
        )
    return standing


def _gain(before: Standing, after: Standing) -> float:
    if np.isinf(before.loss):
        return np.inf if after is not before else 0.0
    return before.loss - after.loss


def _sweep(standing: Standing, widths: Index, enough: float, deadline: float) -> Standing:
    """Begin a chain at every row that is violated or wastes slack, the worst first, while that helps."""
    rules = standing.classes.rules
    waste = np.maximum(rules.slack_cost(standing.used), 0.0)
    charge = rules.charge(standing.used)
    mean = float(waste.sum()) / max(int((rules.prices != 0).sum()), 1)
    reach = np.where(charge > 0, np.inf, MOST_WASTE * (waste + mean))
    links = _links(standing, float(np.max(np.where(charge > 0, MOST_WASTE * waste.max(initial=mean), reach))))
    for row in np.argsort(-(charge + waste), kind="stable").tolist():
        if charge[row] == 0 and waste[row] <= 0.01 * mean:
            break
        while True:
            still_at_it()
            better = _after_chain(standing, links, float(reach[row]), widths, row=row)
            if better is None:
                break
            standing = better
            if standing.loss <= enough or time.monotonic() > deadline:
                return standing
        if time.monotonic() > deadline:
            return standing
    # Whatever regret an earlier chain paid for: take it back, and mend the rows in another way.
    for move in np.flatnonzero(links.moves.regret < -0.1 * mean).tolist():
        still_at_it()
        better = _after_chain(standing, links, MOST_WASTE * mean, widths, first=move)
        standing = standing if better is None else better
        if standing.loss <= enough or time.monotonic() > deadline:
            break
    return standing


def _links(standing: Standing, most_regret: float) -> _Links:
    """List the moves of least regret with what they change."""
    moves = standing.moves(most_regret)
    uses, n = standing.classes.uses, len(moves)
    none = sp.csc_array((uses.shape[0], 1))
    padded = sp.csc_array(sp.hstack([uses, none]))  # the last column stands for nothing
    change = sp.csr_array((padded[:, moves.target] - padded[:, moves.source]).T)
    change.data[np.abs(change.data) <= 1e-15 * abs(uses).max()] = 0.0
    change.eliminate_zeros()
    change.sort_indices()
    gain = np.asarray(change @ standing.classes.rules.prices) - moves.regret
    by_row = change.tocsc()
    by_row.sort_indices()
    return _Links(replace(moves, change=np.zeros((n, 0))), gain, change, by_row)


def _after_chain(
    standing: Standing, links: _Links, reach: float, widths: Index, *, row: int = 0, first: int = -1
) -> Standing | None:
    """Return where the best chain begun at a row, or with a move, leads; None if none helps."""
    classes, moves = standing.classes, links.moves
    rules = classes.rules
    chosen = np.full(len(widths), -1, np.int64)
    size = abs(classes.best_reduced) + float(np.sum(np.abs(rules.prices) * np.abs(standing.used)))
    gained = best_chain(
        row, first, reach, widths, NODES, moves.source, moves.target, moves.of_class, links.gain,
        moves.regret, links.by_move.indptr, links.by_move.indices, links.by_move.data, links.by_row.indptr,
        links.by_row.indices, links.by_row.data, standing.count.copy(), standing.total.copy(), classes.size,
        *classes.per_user, standing.used.copy(), rules.low, rules.high, rules.prices, rules.rate, rules.fixed,
        chosen,
    )  # fmt: skip
    if gained <= SMALLEST * size:
        return None
    few = standing.with_change(moves.some(chosen[chosen >= 0]))
    return standing.moved(few, np.arange(len(few)))
