"""The compiled search for chains of moves: each mends the row that the ones before it left worst."""

from __future__ import annotations

import numpy as np
from numba import njit

from allocator.solver.rounding.exchange_kernels import _charge, _make, _possible


@njit(nogil=True, cache=True, inline="always")
def _waste(used, low, high, price):  # type: ignore[no-untyped-def]
    """Return what a row's slack costs at its price."""
    if price > 0.0:
        return max(price * (high - used), 0.0)
    if price < 0.0:
        return max(-price * (used - low), 0.0)
    return 0.0


@njit(nogil=True, cache=True, inline="always")
def _wanted(used, low, high, price):  # type: ignore[no-untyped-def]
    """Return which way a row's usage should move: up, down or, at 0, neither."""
    if used > high:
        return -1.0
    if used < low:
        return 1.0
    return 1.0 if price > 0.0 else -1.0 if price < 0.0 else 0.0


@njit(nogil=True, cache=True)
def best_chain(  # type: ignore[no-untyped-def]
    row, first, reach, widths, nodes, source, target, of_class, gain, regret, start, touched, change,
    row_start, row_moves, row_change, count, total, size, fewest, most, used,
    low, high, prices, rate, fixed, chosen,
):  # fmt: skip
    """Find the chain of moves, begun at `row` or with the move `first`, that gains most: value less what
    violations cost.

    Moves are sorted by regret, with the rows that each changes (`start`, `touched`, `change`), and for each
    row the moves that change it (`row_start`, `row_moves`, `row_change`). A chain's regret stays below
    `reach`; the move at place k is one of the first `widths[k]` that move the worst row the right way.
    Writes the moves to `chosen` (-1 ends them) and returns the gain, 0 if there is none. Leaves the state as
    it was.
    """
    depth = len(widths)
    focus = np.full(depth, -1, np.int64)  # the row that each place mends
    way = np.zeros(depth)
    here = np.zeros(depth, np.int64)  # where each place stands in its row's moves
    tried = np.zeros(depth, np.int64)
    made = np.full(depth, -1, np.int64)
    won, owed, regretted = np.zeros(depth + 1), np.zeros(depth + 1), np.zeros(depth + 1)
    best = 0.0
    visited = 0
    level = 0
    if first < 0:
        focus[0] = row
        way[0] = _wanted(used[row], low[row], high[row], prices[row])
        here[0] = row_start[row]
    while level >= 0:
        if made[level] >= 0:  # take back what was made here last
            m = made[level]
            _make(source[m], target[m], of_class[m], count, total, -1)
            for k in range(start[m], start[m + 1]):
                used[touched[k]] -= change[k]
            made[level] = -1
        if level == 0 and first >= 0:
            m = first
            k, stop = 0, 0
            if tried[0] == 0 and _possible(
                source[m], target[m], of_class[m], count, total, size, fewest, most
            ):
                stop = 1
        else:
            m = -1
            k, stop = here[level], row_start[focus[level] + 1]
        while (level > 0 or first < 0) and k < stop and tried[level] < widths[level]:
            m = row_moves[k]
            if regretted[level] + regret[m] >= reach:
                k = stop
                break
            if row_change[k] * way[level] > 0.0 and _possible(
                source[m], target[m], of_class[m], count, total, size, fewest, most
            ):
                break
            k += 1
        if k >= stop or tried[level] >= widths[level] or visited >= nodes:
            level -= 1
            continue
        here[level] = k + 1
        tried[level] += 1
        visited += 1
        charge = owed[level]
        for e in range(start[m], start[m + 1]):
            r = touched[e]
            charge += _charge(used[r] + change[e], low[r], high[r], rate[r], fixed[r])
            charge -= _charge(used[r], low[r], high[r], rate[r], fixed[r])
        gained = won[level] + gain[m] - charge
        if gained > best:
            best = gained
            for e in range(depth):
                chosen[e] = made[e] if e < level else -1
            chosen[level] = m
        if level == depth - 1:
            continue
        for e in range(start[m], start[m + 1]):
            used[touched[e]] += change[e]
        _make(source[m], target[m], of_class[m], count, total, 1)
        made[level] = m
        # The worst row of those that the chain has touched: violated, else with the most slack.
        worst, harm, broken = -1, 0.0, False
        for a in range(level + 1):
            for e in range(start[made[a]], start[made[a] + 1]):
                r = touched[e]
                owing = _charge(used[r], low[r], high[r], rate[r], fixed[r])
                if owing > 0.0:
                    if not broken or owing > harm:
                        worst, harm, broken = r, owing, True
                elif not broken:
                    waste = _waste(used[r], low[r], high[r], prices[r])
                    if waste > harm:
                        worst, harm = r, waste
        if worst < 0:
            continue
        won[level + 1] = won[level] + gain[m]
        owed[level + 1] = charge
        regretted[level + 1] = regretted[level] + regret[m]
        level += 1
        focus[level] = worst
        way[level] = _wanted(used[worst], low[worst], high[worst], prices[worst])
        here[level] = row_start[worst]
        tried[level] = 0
    return best
