"""Compiled parts of meeting in the middle: list combinations, pair them, and find the pair that fits best."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def count_combos(starts, regret, groups, width, counts):  # type: ignore[no-untyped-def]
    """Count the combinations of some groups' options by regret, in steps of `width` rounded down.

    No combination of regret at most ``width * k`` is counted beyond step k.
    """
    counts[:] = 0.0
    counts[0] = 1.0
    before = np.empty(len(counts))
    for g in groups:
        before[:] = counts
        for o in range(starts[g] + 1, starts[g + 1]):
            step = int(regret[o] / width)
            if step >= len(counts):
                break
            for k in range(step, len(counts)):
                counts[k] += before[k - step]


@njit(nogil=True, cache=True)
def list_combos(starts, option_regret, option_change, groups, most_regret, regret, change, parent, option):  # type: ignore[no-untyped-def]
    """List every combination of some groups' options that regrets at most `most_regret`.

    A combination is its `parent` and one `option` more; the first takes each group's first option. Returns
    how many are listed: no more than the arrays hold.
    """
    n_rows = option_change.shape[1]
    regret[0] = 0.0
    change[0, :] = 0.0
    parent[0] = -1
    option[0] = -1
    n = 1
    for g in groups:
        known = n
        for c in range(known):
            for o in range(starts[g] + 1, starts[g + 1]):
                together = regret[c] + option_regret[o]
                if together > most_regret:
                    break
                if n == len(regret):
                    return n
                regret[n] = together
                parent[n] = c
                option[n] = o
                for k in range(n_rows):
                    change[n, k] = change[c, k] + option_change[o, k]
                n += 1
    return n


@njit(nogil=True, cache=True)
def count_matches(left, right):  # type: ignore[no-untyped-def]
    """Return how many pairs of two sorted lists of keys are equal."""
    i, j, found = 0, 0, 0
    while i < len(left) and j < len(right):
        if left[i] < right[j]:
            i += 1
        elif left[i] > right[j]:
            j += 1
        else:
            key, first, second = left[i], i, j
            while i < len(left) and left[i] == key:
                i += 1
            while j < len(right) and right[j] == key:
                j += 1
            found += (i - first) * (j - second)
    return found


@njit(nogil=True, cache=True)
def regrets_of_matches(left, left_regret, right, right_regret, width, counts):  # type: ignore[no-untyped-def]
    """Count the pairs of equal keys by regret, in steps of `width` rounded down; lists as in `matches`."""
    counts[:] = 0
    i, j = 0, 0
    while i < len(left) and j < len(right):
        if left[i] < right[j]:
            i += 1
        elif left[i] > right[j]:
            j += 1
        else:
            for second in range(j, len(right)):
                if right[second] != left[i]:
                    break
                step = int((left_regret[i] + right_regret[second]) / width)
                if step >= len(counts):
                    break
                counts[step] += 1
            i += 1


@njit(nogil=True, cache=True)
def matches(left, left_regret, right, right_regret, width, steps, found):  # type: ignore[no-untyped-def]
    """Write the places of pairs of equal keys whose regret is below `steps` steps; return how many.

    Both lists are sorted by key, the right one then by regret.
    """
    i, j, n = 0, 0, 0
    while i < len(left) and j < len(right):
        if left[i] < right[j]:
            i += 1
        elif left[i] > right[j]:
            j += 1
        else:
            for second in range(j, len(right)):
                if right[second] != left[i]:
                    break
                if int((left_regret[i] + right_regret[second]) / width) >= steps or n == len(found):
                    break
                found[n, 0] = i
                found[n, 1] = second
                n += 1
            i += 1
    return n


@njit(nogil=True, cache=True)
def add_changes(left, right, pairs, change):  # type: ignore[no-untyped-def]
    """Add up what the combinations of each pair change."""
    for n in range(len(pairs)):
        i, j = pairs[n, 0], pairs[n, 1]
        for k in range(left.shape[1]):
            change[n, k] = left[i, k] + right[j, k]


@njit(nogil=True, cache=True)
def cells_of(change, room, mirrored, keys, low, width, size, cells):  # type: ignore[no-untyped-def]
    """Write the cell of each combination in a grid over some rows; of one outside, the nearest.

    If `mirrored`, of the combination that would just fill the room.
    """
    for n in range(len(change)):
        cell = 0
        for q in range(len(keys)):
            at = change[n, keys[q]]
            if mirrored:
                at = room[keys[q]] - at
            place = int(np.floor((at - low[q]) / width[q]))
            cell = cell * size[q] + min(max(place, 0), size[q] - 1)
        cells[n] = cell


@njit(nogil=True, cache=True)
def fill_cells(cells, cell_start, held):  # type: ignore[no-untyped-def]
    """Sort combinations by cell; write where each cell starts."""
    cell_start[:] = 0
    for cell in cells:
        cell_start[cell + 1] += 1
    for cell in range(len(cell_start) - 1):
        cell_start[cell + 1] += cell_start[cell]
    place = cell_start[:-1].copy()
    for n in range(len(cells)):
        held[place[cells[n]]] = n
        place[cells[n]] += 1


@njit(nogil=True, cache=True)
def take(change, order, rows, taken):  # type: ignore[no-untyped-def]
    """Copy combinations in an order, with their rows in another."""
    for n in range(len(order)):
        for k in range(len(rows)):
            taken[n, k] = change[order[n], rows[k]]


@njit(nogil=True, cache=True)
def best_meeting(  # type: ignore[no-untyped-def]
    turn, begin, looks, first_regret, first_worth, first_change, second_worth, second_change, second_regret,
    cell_start, rows, low, width, size, room, floor, over, base, base_regret, near, best,
):  # fmt: skip
    """Find the pair of combinations, one of each half, that loses least and less than `best`.

    Parameters
    ----------
    turn, begin, looks
        Which combinations of the first half, in the order to look at them, from which place on, and after
        about how many pairs to stop.
    first_regret, first_worth, first_change
        Of the first half.
    second_worth, second_change
        Of the second half, sorted by cell, the rows in the order of `rows`.
    second_regret
        The least of the second half.
    cell_start, low, width, size
        The grid, whose keys are the last of the rows.
    room, floor, over
        Of the rows in the order of `rows`.
    base, base_regret
        As in `Options`.
    near
        A pair that leaves more room than this in a key row is not looked for.
    best
        A loss to stay below.

    Returns
    -------
    tuple
        The least loss, the two places, -1 if there is no such pair, and where in `turn` to go on.
    """
    n_rows, n_keys = len(rows), len(size)
    first_key = n_rows - n_keys
    left, right = -1, -1
    nearest, lowest = np.zeros(n_keys, np.int64), np.zeros(n_keys, np.int64)
    here = np.zeros(n_keys, np.int64)
    seen = 0
    for t in range(begin, len(turn)):
        if seen >= looks:
            return best, left, right, t
        seen += 1
        i = turn[t]
        slack = best - base_regret - first_regret[i] - second_regret
        if slack <= 0.0:
            continue
        inside = True
        for q in range(n_keys):
            k = first_key + q
            target = room[k] - first_change[i, rows[k]] - low[q]
            beyond = target + slack / (over[k] - 1.0)
            nearest[q] = min(int(np.floor(beyond / width[q])), size[q] - 1)
            lowest[q] = max(int(np.floor((target - min(slack, near)) / width[q])), 0)
            here[q] = nearest[q]
            if nearest[q] < lowest[q]:
                inside = False
                break
        while inside:
            cell = 0
            for q in range(n_keys):
                cell = cell * size[q] + here[q]
            seen += 1 + cell_start[cell + 1] - cell_start[cell]
            for j in range(cell_start[cell], cell_start[cell + 1]):
                loss = base - first_worth[i] - second_worth[j]
                if loss >= best:
                    continue
                for k in range(n_rows):
                    change = first_change[i, rows[k]] + second_change[j, k]
                    if change > room[k]:
                        loss += over[k] * (change - room[k])
                    elif change < floor[k]:
                        loss = np.inf
                    if loss >= best:
                        break
                if loss < best:
                    best, left, right = loss, i, j
            q = n_keys - 1
            while q >= 0 and here[q] == lowest[q]:
                here[q] = nearest[q]
                q -= 1
            if q < 0:
                break
            here[q] -= 1
    return best, left, right, len(turn)
