"""A tighter bound: what each block of users must lose in whole numbers.

Against the dual bound a plan loses the regret of its choices and the price of every row's slack. The
binding rows that concern few users split the users into blocks. The least loss of any whole plan of a
block is found by complete enumeration: sets of moves away from the best choices by rising regret,
cut off where regret alone exceeds the loss. The losses of all blocks add up.

An expanding core as in Pisinger 1995, "A minimal algorithm for the multiple-choice knapsack problem".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from allocator.solver.contested import row_scale
from allocator.solver.highs import Program, solve_program
from allocator.solver.interrupt import still_at_it
from allocator.solver.rounding.standing import Classes

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_TOGETHER = 64  # moves in a set
NODES = 4_000_000  # sets looked at in one block
MOST_ROWS = 6  # rows of a block: with more of them, enumeration is hopeless
MOST_PAIRS = 3_000  # of a block's merged classes, in an integer program
MOST_ENTRIES = 5_000_000  # pairs x rows of a block, to look for classes alike
PROGRAM_SECONDS = 5.0
LOCAL = 0.5  # a row that concerns a smaller share of the classes makes a block
WIDEN = 1.6  # each try allows so much more loss


@dataclass(frozen=True)
class Losses:
    """What whole numbers must lose against the dual bound, and a plan that may lose little more.

    `count` keeps every row that binds within a block, and may violate others; None if the search for some
    block was given up.
    """

    least: float
    count: Index | None


def prove_losses(
    classes: Classes,
    touched: Callable[[Index], NDArray[np.bool_]],
    beyond: float,
    first: float,
    most: float,
    deadline: float,
) -> Losses:
    """Prove what each block must lose.

    Parameters
    ----------
    classes
        Contested classes at exact prices.
    touched
        Says of some rows in which cells users, left out or not, may use any of them, (n_cells,).
    beyond
        Least regret of any change to a user left out; infinite if there are none.
    first, most
        Losses to try: from the first on, up to the most, which is not above `beyond`.
    deadline
        `time.monotonic()` at which to stop; what is proven until then holds.
    """
    count = classes.best_count.copy()
    blocks, complete = _blocks(classes), True
    proven_of = np.zeros(len(blocks))
    for b, (members, rows) in enumerate(blocks):
        still_at_it()
        proven, found = 0.0, None
        block, pairs = classes.part(members, rows)
        if len(rows) <= MOST_ROWS:
            proven, found = _least_loss(block, first, most, deadline)
        if found is None:
            proven = max(proven, min(_program_loss(block, deadline), most))
        proven_of[b] = proven
        if found is None:
            complete = False
        else:
            count[pairs] = found
    # A change to a user left out loses `beyond`, and may spare every block whose rows that user shares.
    group = _linked([rows for _, rows in blocks], touched)
    least = float(np.minimum(np.bincount(group, proven_of), beyond).sum())
    return Losses(least, count if complete else None)


def _linked(rows: list[Index], touched: Callable[[Index], NDArray[np.bool_]]) -> Index:
    """Return a number for each block, the same where users of one cell may use rows of both."""
    block_cells = [touched(of_block) for of_block in rows]
    if not block_cells:
        return np.zeros(0, np.int64)
    cells = sp.csr_array(np.array(block_cells, np.float64))
    graph = sp.block_array([[None, cells], [cells.T, None]])
    return np.asarray(connected_components(graph, directed=False)[1][: len(rows)], np.int64)


def _blocks(classes: Classes) -> list[tuple[Index, Index]]:
    """Return the classes and the binding rows of each block.

    Rows that concern most classes stay priced, unless there are no others.
    """
    n_classes, n_pairs = len(classes.size), len(classes.pair_class)
    binding = np.flatnonzero(classes.rules.prices)
    of_class = sp.csr_array(
        (np.ones(n_pairs), (np.arange(n_pairs), classes.pair_class)), shape=(n_pairs, n_classes)
    )
    concerns = sp.csr_array(abs(sp.csr_array(classes.uses)[binding]) @ of_class)
    local = np.flatnonzero(np.diff(concerns.indptr) < LOCAL * n_classes)
    if len(local) == 0:
        return [(np.arange(n_classes), binding)] if len(binding) else []
    edges = concerns[local]
    graph = sp.block_array([[None, edges], [edges.T, None]])
    _, label = connected_components(graph, directed=False)
    of_row, of_member = label[: len(local)], label[len(local) :]
    return [(np.flatnonzero(of_member == b), binding[local[of_row == b]]) for b in np.unique(of_row)]


def _least_loss(block: Classes, first: float, most: float, deadline: float) -> tuple[float, Index | None]:
    """Return a proven loss of one block, and the counts that lose no more, if found."""
    proven, allowed = 0.0, first
    while 0 < allowed <= most and time.monotonic() < deadline:
        best = _charged(block, allowed).standing(block.best_count)
        if best.loss <= allowed:
            allowed = best.loss
        slack = float(best.classes.rules.slack_cost(best.used).sum())
        reach = slack + float(best.classes.rules.charge(best.used).sum())
        moves = best.with_change(best.moves(allowed))
        gain, chosen, complete = best.best_set(
            moves, most=MOST_TOGETHER, nodes=NODES, at_least=reach - allowed, reach=reach
        )
        if not complete:
            break
        if len(chosen):
            return reach - gain, best.moved(moves, chosen).count
        if best.loss <= allowed:
            return best.loss, best.count
        proven, allowed = allowed, WIDEN * allowed
    return proven, None


def _program_loss(block: Classes, deadline: float) -> float:
    """Return a loss that branch and bound proves, for blocks of few but large classes.

    Enumeration loses itself in the many ways to divide a large class of equal users.
    """
    if not 0 < block.uses.shape[0] * block.uses.shape[1] <= MOST_ENTRIES:
        return 0.0
    block = block.merged()
    if len(block.reduced) > MOST_PAIRS:
        return 0.0
    rules, n_pairs = block.rules, len(block.reduced)
    members = sp.csc_array(
        (np.ones(n_pairs), (block.pair_class, np.arange(n_pairs))), shape=(len(block.size), n_pairs)
    )
    scale = row_scale(block.uses)
    soft = np.flatnonzero(rules.fixed == 0)
    shifts = sp.csc_array((np.ones(len(soft)), (soft, np.arange(len(soft)))), shape=(len(scale), len(soft)))
    value = block.reduced + block.uses.T @ rules.prices
    charge = np.tile(-rules.rate[soft] / scale[soft], 2)  # of a column down and a column up for each soft row
    program = Program(
        value=np.concatenate([value, charge]),
        rows=sp.csc_array(
            sp.block_array([[sp.diags_array(scale) @ block.uses, -shifts, shifts], [members, None, None]])
        ),
        row_lower=np.concatenate([(rules.low - block.decided) * scale, block.fewest]),
        row_upper=np.concatenate([(rules.high - block.decided) * scale, block.most]),
        column_lower=np.zeros(n_pairs + 2 * len(soft)),
        column_upper=np.concatenate([block.size[block.pair_class], np.full(2 * len(soft), np.inf)]),
        integer=np.arange(n_pairs + 2 * len(soft)) < n_pairs,
        unit=float(np.max(np.abs(value))) or 1.0,
    )
    answer = solve_program(program, min(deadline, time.monotonic() + PROGRAM_SECONDS))
    return 0.0 if answer is None else block.dual - answer.bound


def _charged(block: Classes, allowed: float) -> Classes:
    """Return the block with charges just large enough that no violation of a hard row passes for a plan."""
    rules = block.rules
    hard = rules.fixed > 0
    fixed = np.where(hard, 4.0 * allowed, 0.0)
    rate = np.where(hard, 2.0 * np.abs(rules.prices), rules.rate)
    return replace(block, rules=replace(rules, fixed=fixed, rate=rate))
