"""Compiled parts of the search over groups: their sets of moves, and sets of all groups that fit together."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def list_sets(  # type: ignore[no-untyped-def]
    starts, source, target, regret, gain, classes, count, total, size, fewest, most,
    reach, spared, prune, slope, lost, value, parent, move, listed,
):  # fmt: skip
    """Write sets of moves whose total regret is at most `reach`, class after class.

    Moves ``starts[c]`` to ``starts[c + 1]`` are those of class ``classes[c]``, by rising regret. Set 0 is
    empty, and comes with its regret and value; every other is its parent and one more move, which gains so
    much of value. ``spared[c]`` is what moves of the classes from c on may take off a regret. With `prune`, a
    set goes if another has at least its value at no more than its regret + slope x value.

    Returns how many sets are listed, and whether there was room for all.
    """
    parent[0], move[0], listed[0] = -1, -1, 0
    n, alive, before = 1, 1, 64
    for c in range(len(starts) - 1):
        first, last, of_class = starts[c], starts[c + 1], classes[c]
        begin = n
        for i in range(alive):
            k = listed[i]
            for m in range(first, last):
                if lost[k] + regret[m] + spared[c + 1] > reach:
                    break
                if n == len(lost):
                    return alive, False
                lost[n], value[n], parent[n], move[n] = lost[k] + regret[m], value[k] + gain[m], k, m
                n += 1
        if most[of_class] > 1:
            k = begin
            while k < n:
                for m in range(move[k], last):  # in one order only
                    if lost[k] + regret[m] + spared[c + 1] > reach:
                        break
                    if _possible(
                        m, k, begin, of_class, source, target, count, total, size, fewest, most, parent, move
                    ):
                        if n == len(lost):
                            return alive, False
                        lost[n], value[n], parent[n], move[n] = lost[k] + regret[m], value[k] + gain[m], k, m
                        n += 1
                k += 1
        for k in range(begin, n):
            listed[alive] = k
            alive += 1
        if prune and alive > 2 * before:
            alive = _undominated(lost, value, slope, listed, alive)
            before = max(alive, 64)
    if prune:
        alive = _undominated(lost, value, slope, listed, alive)
    return alive, True


@njit(nogil=True, cache=True)
def _undominated(lost, value, slope, listed, alive):  # type: ignore[no-untyped-def]
    """Keep the listed sets that no other with as much value costs less than; return how many."""
    cost, worth = np.empty(alive), np.empty(alive)
    for i in range(alive):
        worth[i] = -value[listed[i]]
    order = np.argsort(worth)
    for i in range(alive):
        cost[i] = lost[listed[order[i]]] + slope * value[listed[order[i]]]
    order = order[np.argsort(cost, kind="mergesort")]  # the cheapest first: a dearer one must be worth more
    kept = np.empty(alive, np.int64)
    n, most = 0, -np.inf
    for i in range(alive):
        k = listed[order[i]]
        if value[k] > most:
            kept[n] = k
            n += 1
            most = value[k]
    for i in range(n):
        listed[i] = kept[i]
    return n


@njit(nogil=True, cache=True, inline="always")
def _possible(m, k, begin, c, source, target, count, total, size, fewest, most, parent, move):  # type: ignore[no-untyped-def]
    """Return whether a set can make one more move of the class of its last ones."""
    a, b = source[m], target[m]
    left = count[a] if a >= 0 else most[c] - total[c]
    free = size[c] - count[b] if b >= 0 else total[c] - fewest[c]
    while k >= begin:
        other = move[k]
        if source[other] == a:
            left -= 1
        if target[other] == a:
            left += 1
        if target[other] == b:
            free -= 1
        if source[other] == b:
            free += 1
        k = parent[k]
    return left > 0 and free > 0


@njit(nogil=True, cache=True)
def least_loss(value_one, lost_one, value_two, least_two, slope, wanted):  # type: ignore[no-untyped-def]
    """Return what a set of each half loses at least if their values reach what is wanted together.

    The second half goes by rising value; `least_two` is the least of its regret + slope x value from each on.
    """
    best = np.inf
    for i in range(len(value_one)):
        k = np.searchsorted(value_two, wanted - value_one[i])
        best = min(best, lost_one[i] + slope * value_one[i] + least_two[k])
    return best - slope * wanted


@njit(nogil=True, cache=True)
def join_halves(value_one, lost_one, value_two, lost_two, slope, wanted, free, most, one, two, loss):  # type: ignore[no-untyped-def]
    """Write the pairs of sets, one of each half, that reach what is wanted and lose at most so much.

    Of the value only what exceeds `free` is lost. Returns how many there are, or one more than there is room
    for.
    """
    n = 0
    few = np.flatnonzero(lost_two <= most - lost_one.min())
    value, lost = value_two[few], lost_two[few]
    for i in range(len(value_one)):
        if lost_one[i] > most:
            continue
        k = np.searchsorted(value, wanted - value_one[i])
        while k < len(few):
            above = lost_one[i] + slope * max(value_one[i] + value[k] - free, 0.0)
            if above > most:
                break
            if above + lost[k] <= most:
                if n == len(one):
                    return n + 1
                one[n], two[n], loss[n] = i, few[k], above + lost[k]
                n += 1
            k += 1
    return n


@njit(nogil=True, cache=True)
def fill_uses(place, parent, move, change, uses):  # type: ignore[no-untyped-def]
    """Fill (n_sets, n_rows) with how much each set of moves changes each row's usage."""
    for i in range(len(place)):
        k = place[i]
        while k > 0:
            for r in range(change.shape[1]):
                uses[i, r] += change[move[k], r]
            k = parent[k]


@njit(nogil=True, cache=True)
def fitting_sets(  # type: ignore[no-untyped-def]
    starts, own, uses, key, low, high, least, least_use, most_use,
    row_low, row_high, price, rate, allowed, in_order, nodes, depth, here, lost, now,
):  # fmt: skip
    """Choose a set of every group so that all rows lie within their windows, `low` to `high`, and all lose no
    more than `allowed` together: sets by themselves, rows by the price of slack and the rate of violation.

    Depth-first over groups, each list by rising own loss (or not `in_order`), but the last by rising use of
    row `key`. Row k of `least`, `least_use` and `most_use` says what the groups from k on lose and use at
    least and at most. `here`, `lost` and `now` say where the search stands: the next set of each group, what
    those before it lose, and what rows are used. Returns the depth at which to go on after so many nodes, the
    number of groups if a choice was found, and -1 if there is none.
    """
    n_groups, n_rows = len(starts) - 1, now.shape[1]
    visited = 0
    while depth >= 0:
        i = here[depth]
        last = depth == n_groups - 1
        if i >= starts[depth + 1]:
            depth -= 1
            continue
        if last:
            if now[depth, key] + uses[i, key] > high[key]:
                depth -= 1
                continue
        elif lost[depth] + own[i] + least[depth + 1] > allowed:
            if in_order:
                depth -= 1
            else:
                here[depth] += 1
            continue
        here[depth] += 1
        visited += 1
        if visited > nodes:
            here[depth] -= 1
            return depth
        if last and lost[depth] + own[i] > allowed:
            continue
        fits = True
        for r in range(n_rows):
            after = now[depth, r] + uses[i, r]
            now[depth + 1, r] = after
            if after + least_use[depth + 1, r] > high[r] or after + most_use[depth + 1, r] < low[r]:
                fits = False
                break
        if not fits:
            continue
        lost[depth + 1] = lost[depth] + own[i]
        if not last:
            depth += 1
            here[depth] = starts[depth]
            if depth == n_groups - 1:
                here[depth] += np.searchsorted(uses[starts[depth] :, key], low[key] - now[depth, key])
            continue
        total = lost[n_groups]
        for r in range(n_rows):
            after = now[n_groups, r]
            if price[r] > 0.0:
                total += price[r] * (row_high[r] - after)
            elif price[r] < 0.0:
                total += price[r] * (row_low[r] - after)
            total += rate[r] * max(row_low[r] - after, after - row_high[r], 0.0)
        if total <= allowed:
            return n_groups
    return -1


@njit(nogil=True, cache=True)
def least_between(value_one, lost_one, value_two, lost_two, least_two, slope, wanted, most):  # type: ignore[no-untyped-def]
    """Return what a set of each half loses at least if their values reach what is wanted, and only what
    exceeds `most` counts.
    """
    best, n = np.inf, len(value_two)
    # Places of the second half between the two bounds whose regret may be the least: both bounds only fall.
    queue = np.empty(n, np.int64)
    oldest, newest, reached = 0, 0, n
    for i in range(len(value_one)):
        last = np.searchsorted(value_two, most - value_one[i])
        if last < n:
            best = min(best, lost_one[i] + slope * (value_one[i] - most) + least_two[last])
        first = np.searchsorted(value_two, wanted - value_one[i])
        while reached > first:
            reached -= 1
            while newest > oldest and lost_two[queue[newest - 1]] >= lost_two[reached]:
                newest -= 1
            queue[newest] = reached
            newest += 1
        while oldest < newest and queue[oldest] >= last:
            oldest += 1
        if oldest < newest:
            best = min(best, lost_one[i] + lost_two[queue[oldest]])
    return best


@njit(nogil=True, cache=True)
def join_curved(value_one, lost_one, value_two, lost_two, weight, centre, most, one, two, loss):  # type: ignore[no-untyped-def]
    """Write the pairs of sets, one of each half, that lose at most so much; as `join_halves`, but a value
    loses against `centre` is weight x (z - 1 - log z) at z = value / centre.
    """
    n = 0
    # z - 1 - log z <= t within these ratios: (z - 1)^2 / 2 <= t below 1, and less curved above it.
    room = most / weight
    low = max(1.0 - np.sqrt(2.0 * room), np.exp(-1.0 - room)) * centre
    high = (1.0 + np.sqrt(2.0 * room) + room) * centre
    few = np.flatnonzero(lost_two <= most - lost_one.min())
    value, lost = value_two[few], lost_two[few]
    for i in range(len(value_one)):
        if lost_one[i] > most:
            continue
        k = np.searchsorted(value, low - value_one[i])
        while k < len(few) and value_one[i] + value[k] <= high:
            z = (value_one[i] + value[k]) / centre
            if z > 0.0:
                lose = lost_one[i] + lost[k] + weight * (z - 1.0 - np.log(z))
                if lose <= most:
                    if n == len(one):
                        return n + 1
                    one[n], two[n], loss[n] = i, few[k], lose
                    n += 1
            k += 1
    return n
