"""Compiled parts of the exchange search: list moves, and find the best few to make together."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, inline="always")
def _charge(used, low, high, rate, fixed):  # type: ignore[no-untyped-def]
    """Return what a row's violation costs: a rate a unit, and for a hard row a fixed charge."""
    if used > high:
        return fixed + rate * (used - high)
    if used < low:
        return fixed + rate * (low - used)
    return 0.0


@njit(nogil=True, cache=True)
def list_moves(starts, reduced, count, total, size, fewest, most, most_regret, source, target, regret):  # type: ignore[no-untyped-def]
    """Write every move of one unit within a class whose regret is at most `most_regret`; return how many.

    A move goes from a pair in use (or from nothing, -1) to another pair (or to nothing). Beyond the
    arrays' length, moves are counted only.
    """
    n = 0
    for c in range(len(starts) - 1):
        first, last = starts[c], starts[c + 1]
        # The place before the first pair stands for nothing.
        for a in range(first - 1, last):
            if a >= first and count[a] == 0:
                continue
            if a < first and total[c] >= most[c]:
                continue
            lost = reduced[a] if a >= first else 0.0
            for b in range(first - 1, last):
                if b == a or (b >= first and count[b] >= size[c]):
                    continue
                if b < first and total[c] <= fewest[c]:
                    continue
                won = reduced[b] if b >= first else 0.0
                if lost - won <= most_regret:
                    if n < len(source):
                        source[n] = a if a >= first else -1
                        target[n] = b if b >= first else -1
                        regret[n] = lost - won
                    n += 1
    return n


@njit(nogil=True, cache=True)
def fill_change(source, target, indptr, indices, data, change):  # type: ignore[no-untyped-def]
    """Fill (n_moves, n_rows) with how much each move changes each row's usage."""
    for m in range(len(source)):
        a, b = source[m], target[m]
        if a >= 0:
            for k in range(indptr[a], indptr[a + 1]):
                change[m, indices[k]] -= data[k]
        if b >= 0:
            for k in range(indptr[b], indptr[b + 1]):
                change[m, indices[k]] += data[k]


@njit(nogil=True, cache=True, inline="always")
def _possible(a, b, c, count, total, size, fewest, most):  # type: ignore[no-untyped-def]
    if a >= 0:
        if count[a] <= 0:
            return False
        if b < 0:
            return total[c] > fewest[c]
    elif total[c] >= most[c]:
        return False
    return count[b] < size[c]


@njit(nogil=True, cache=True, inline="always")
def _make(a, b, c, count, total, times):  # type: ignore[no-untyped-def]
    if a >= 0:
        count[a] -= times
    else:
        total[c] += times
    if b >= 0:
        count[b] += times
    else:
        total[c] -= times


@njit(nogil=True, cache=True)
def best_set(  # type: ignore[no-untyped-def]
    source, target, of_class, gain, regret, change, touched_start, touched,
    count, total, size, fewest, most, used, low, high, rate, fixed, reach, at_least, nodes, chosen,
):  # fmt: skip
    """Find the set of moves that gains most, by depth-first search over moves sorted by regret.

    A set of regret R gains at most ``reach - R``, which cuts the search off. Writes the moves to `chosen`
    (-1 ends them); returns the gain, and whether the search was complete.
    """
    depth = len(chosen)
    here = np.full(depth + 1, -1, np.int64)
    saved = np.zeros((depth, len(used)))
    won, paid, regretted = np.zeros(depth + 1), np.zeros(depth + 1), np.zeros(depth + 1)
    now = used.copy()
    owing = 0.0
    for r in range(len(used)):
        owing += _charge(now[r], low[r], high[r], rate[r], fixed[r])
    paid[0] = owing
    best = at_least
    complete = True
    visited = 0
    level = 0
    worst = _worst(now, low, high, rate, fixed)
    while level >= 0:
        here[level] += 1
        m = here[level]
        if m >= len(source) or (regret[m] >= 0.0 and regretted[level] + regret[m] >= reach - best):
            level -= 1
            if level >= 0:
                m = here[level]
                _make(source[m], target[m], of_class[m], count, total, -1)
                for k in range(touched_start[m], touched_start[m + 1]):
                    now[touched[k]] = saved[level, touched[k]]
                worst = _worst(now, low, high, rate, fixed) if level == depth - 1 else -1
            continue
        visited += 1
        if visited > nodes:
            complete = False
            break
        last = level == depth - 1
        if last:
            complete = False
            if won[level] + gain[m] + owing <= best:
                continue
            if worst >= 0 and owing == 0.0 and fixed[worst] > 0.0:
                after = now[worst] + change[m, worst]
                if after > high[worst] or after < low[worst]:
                    continue
        if not _possible(source[m], target[m], of_class[m], count, total, size, fewest, most):
            continue
        charge = paid[level]
        for k in range(touched_start[m], touched_start[m + 1]):
            r = touched[k]
            charge += _charge(now[r] + change[m, r], low[r], high[r], rate[r], fixed[r])
            charge -= _charge(now[r], low[r], high[r], rate[r], fixed[r])
        gained = won[level] + gain[m] - (charge - owing)
        if gained > best:
            best = gained
            for k in range(depth):
                chosen[k] = here[k] if k <= level else -1
        if last:
            continue
        for k in range(touched_start[m], touched_start[m + 1]):
            r = touched[k]
            saved[level, r] = now[r]
            now[r] += change[m, r]
        _make(source[m], target[m], of_class[m], count, total, 1)
        won[level + 1] = won[level] + gain[m]
        paid[level + 1] = charge
        regretted[level + 1] = regretted[level] + regret[m]
        level += 1
        here[level] = m - 1  # a class of many users may make a move several times
        worst = _worst(now, low, high, rate, fixed) if level == depth - 1 else -1
    return best, complete


@njit(nogil=True, cache=True, inline="always")
def _worst(now, low, high, rate, fixed):  # type: ignore[no-untyped-def]
    """Return the row whose violation costs most; -1 if none is violated."""
    worst, most = -1, 0.0
    for r in range(len(now)):
        charge = _charge(now[r], low[r], high[r], rate[r], fixed[r])
        if charge > most:
            worst, most = r, charge
    return worst
