"""Compiled loops over users: one pass reads each value and measure once.

All sums are float64, without fast-math: gaps below 1e-7 do not survive less. The kernels release
the GIL, so that a thread pool runs them on blocks of users.

Each kernel comes twice: for tables by cell, and ``..._of_sets`` for tables by several sets of columns, where
what a user pays is first summed up over its places into a table of one row.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, inline="always")
def _reduced(value, measures, price, i, s, j):  # type: ignore[no-untyped-def]
    """Return the reduced value of user i and coupon j: value less prices paid; NaN if ineligible."""
    v = float(value[i, j])
    r = v - v * price[1, s, j] - price[0, s, j]
    for k in range(len(measures)):
        r -= price[k + 2, s, j] * float(measures[k][i, j])
    return r


@njit(nogil=True, cache=True, inline="always")
def _add(value, measures, table, i, s, j):  # type: ignore[no-untyped-def]
    """Add one assignment to the aggregate table."""
    table[0, s, j] += 1.0
    table[1, s, j] += float(value[i, j])
    for k in range(table.shape[0] - 2):
        table[k + 2, s, j] += float(measures[k][i, j])


@njit(nogil=True, cache=True, inline="always")
def _gather(table, places, s, row):  # type: ignore[no-untyped-def]
    """Sum a table over the places of cell s into `row`, a table with one place."""
    for k in range(table.shape[0]):
        for j in range(table.shape[2]):
            row[k, 0, j] = table[k, places[s, 0], j]
    for t in range(1, places.shape[1]):
        for k in range(table.shape[0]):
            for j in range(table.shape[2]):
                row[k, 0, j] += table[k, places[s, t], j]


@njit(nogil=True, cache=True, inline="always")
def _best(value, measures, price, i, s, least):  # type: ignore[no-untyped-def]
    """Return the coupon of greatest reduced value, -1 if none is above `least`, and that value."""
    best = least
    pick = -1
    for j in range(value.shape[1]):
        r = _reduced(value, measures, price, i, s, j)
        # Selected rather than branched to: a pass is then 3 times as fast. NaN is never greater.
        better = r > best
        best = r if better else best
        pick = j if better else pick
    return best, pick


@njit(nogil=True, cache=True)
def choose_one(value, measures, cell, price, start, stop, table, choice, least):  # type: ignore[no-untyped-def]
    """Give each user in [start, stop) the coupon of greatest reduced value, if that is above `least`: 0,
    or minus infinity where every user must get one.

    Adds the assignments to `table`, writes them to `choice` unless it is empty, and returns the sum
    of reduced values.
    """
    keep = choice.shape[0] > 0
    total = 0.0
    for i in range(start, stop):
        s = cell[i]
        best, pick = _best(value, measures, price, i, s, least)
        if pick >= 0:
            total += best
            _add(value, measures, table, i, s, pick)
        if keep:
            choice[i, 0] = pick
    return total


@njit(nogil=True, cache=True)
def choose_one_of_sets(value, measures, cell, places, price, start, stop, table, choice, least):  # type: ignore[no-untyped-def]
    """As `choose_one`."""
    keep = choice.shape[0] > 0
    row = np.empty((price.shape[0], 1, price.shape[2]))
    total = 0.0
    for i in range(start, stop):
        s = cell[i]
        _gather(price, places, s, row)
        best, pick = _best(value, measures, row, i, 0, least)
        if pick >= 0:
            total += best
            for t in range(places.shape[1]):
                _add(value, measures, table, i, places[s, t], pick)
        if keep:
            choice[i, 0] = pick
    return total


@njit(nogil=True, cache=True, inline="always")
def _rank(value, measures, price, i, s, reduced, order):  # type: ignore[no-untyped-def]
    """Fill `reduced`, and `order` with coupons by falling reduced value (ties: lower index first)."""
    n_coupons = value.shape[1]
    for j in range(n_coupons):
        r = _reduced(value, measures, price, i, s, j)
        r = -np.inf if r != r else r
        reduced[j] = r
        k = j
        while k > 0 and reduced[order[k - 1]] < r:
            order[k] = order[k - 1]
            k -= 1
        order[k] = j


@njit(nogil=True, cache=True, inline="always")
def _taken(reduced, order, fewest, most):  # type: ignore[no-untyped-def]
    """Return how many of the ranked coupons the user takes."""
    taken = 0
    while taken < most and taken < len(order):
        r = reduced[order[taken]]
        if r == -np.inf or (r <= 0.0 and taken >= fewest):
            break
        taken += 1
    return taken


@njit(nogil=True, cache=True)
def choose_some(value, measures, cell, price, start, stop, table, choice, fewest, most):  # type: ignore[no-untyped-def]
    """As `choose_one`, with at least `fewest` and at most `most` coupons a user."""
    n_coupons = value.shape[1]
    reduced = np.empty(n_coupons)
    order = np.empty(n_coupons, np.int64)
    keep = choice.shape[0] > 0
    total = 0.0
    for i in range(start, stop):
        s = cell[i]
        _rank(value, measures, price, i, s, reduced, order)
        taken = _taken(reduced, order, fewest, most)
        for k in range(taken):
            total += reduced[order[k]]
            _add(value, measures, table, i, s, order[k])
        if keep:
            for k in range(most):
                choice[i, k] = order[k] if k < taken else -1
    return total


@njit(nogil=True, cache=True)
def choose_some_of_sets(value, measures, cell, places, price, start, stop, table, choice, fewest, most):  # type: ignore[no-untyped-def]
    """As `choose_some`."""
    n_coupons = value.shape[1]
    reduced = np.empty(n_coupons)
    order = np.empty(n_coupons, np.int64)
    keep = choice.shape[0] > 0
    row = np.empty((price.shape[0], 1, price.shape[2]))
    total = 0.0
    for i in range(start, stop):
        s = cell[i]
        _gather(price, places, s, row)
        _rank(value, measures, row, i, 0, reduced, order)
        taken = _taken(reduced, order, fewest, most)
        for k in range(taken):
            total += reduced[order[k]]
            for t in range(places.shape[1]):
                _add(value, measures, table, i, places[s, t], order[k])
        if keep:
            for k in range(most):
                choice[i, k] = order[k] if k < taken else -1
    return total


@njit(nogil=True, cache=True, inline="always")
def _spread(value, measures, box, i, s, j):  # type: ignore[no-untyped-def]
    """Return by how much the reduced value can move for each unit of the price box's radius."""
    q = box[0, s, j] + box[1, s, j] * abs(float(value[i, j]))
    for k in range(len(measures)):
        q += box[k + 2, s, j] * abs(float(measures[k][i, j]))
    return q


@njit(nogil=True, cache=True, inline="always")
def _ratio(margin, spread):  # type: ignore[no-untyped-def]
    if spread <= 0.0:
        return np.inf
    return margin / spread


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _nearest_of_one(value, measures, price, box, i, s, least, reduced, spread):  # type: ignore[no-untyped-def]
    """Return a user's best reduced value above `least`, its coupon or -1, and the radius of this choice."""
    n_coupons = value.shape[1]
    for j in range(n_coupons):
        reduced[j] = _reduced(value, measures, price, i, s, j)
        spread[j] = _spread(value, measures, box, i, s, j)
    best = least
    pick = -1
    for j in range(n_coupons):
        better = reduced[j] > best
        best = reduced[j] if better else best
        pick = j if better else pick
    nearest = np.inf
    own = 0.0
    if pick >= 0:
        own = spread[pick]
        nearest = _ratio(best, own) if least == 0.0 else np.inf  # else it cannot be dropped
        reduced[pick] = np.nan
    for j in range(n_coupons):
        # NaN, of an ineligible coupon or of 0 / 0, is never less; nor is x / 0.
        ratio = (best - reduced[j]) / (own + spread[j])
        nearest = ratio if ratio < nearest else nearest
    return best, pick, nearest


@njit(nogil=True, cache=True, error_model="numpy")
def radius_of_one(value, measures, cell, price, box, start, stop, table, choice, least, out):  # type: ignore[no-untyped-def]
    """As `radius`, where a user gets one coupon, if its reduced value is above `least`, as `choose_one`."""
    keep = choice.shape[0] > 0
    total = 0.0
    reduced = np.empty(value.shape[1])
    spread = np.empty(value.shape[1])
    for i in range(start, stop):
        s = cell[i]
        best, pick, out[i] = _nearest_of_one(value, measures, price, box, i, s, least, reduced, spread)
        if pick >= 0:
            total += best
            _add(value, measures, table, i, s, pick)
        if keep:
            choice[i, 0] = pick
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def radius_of_one_of_sets(value, measures, cell, places, price, box, start, stop, table, choice, least, out):  # type: ignore[no-untyped-def]
    """As `radius_of_one`."""
    keep = choice.shape[0] > 0
    total = 0.0
    reduced = np.empty(value.shape[1])
    spread = np.empty(value.shape[1])
    row = np.empty((price.shape[0], 1, price.shape[2]))
    width = np.empty((price.shape[0], 1, price.shape[2]))
    for i in range(start, stop):
        s = cell[i]
        _gather(price, places, s, row)
        _gather(box, places, s, width)
        best, pick, out[i] = _nearest_of_one(value, measures, row, width, i, 0, least, reduced, spread)
        if pick >= 0:
            total += best
            for t in range(places.shape[1]):
                _add(value, measures, table, i, places[s, t], pick)
        if keep:
            choice[i, 0] = pick
    return total


@njit(nogil=True, cache=True, inline="always")
def _nearest(value, measures, box, i, s, reduced, spread, order, taken, fewest, most):  # type: ignore[no-untyped-def]
    """Return the radius of a user's choice, the first `taken` of the ranked coupons."""
    n_coupons = value.shape[1]
    for k in range(n_coupons):
        j = order[k]
        spread[j] = _spread(value, measures, box, i, s, j) if reduced[j] > -np.inf else 0.0
    least = np.inf
    for a in range(taken):
        ja = order[a]
        if taken > fewest:
            least = min(least, _ratio(reduced[ja], spread[ja]))
        for b in range(taken, n_coupons):
            jb = order[b]
            if reduced[jb] == -np.inf:
                break
            least = min(least, _ratio(reduced[ja] - reduced[jb], spread[ja] + spread[jb]))
    if taken < most:
        for b in range(taken, n_coupons):
            jb = order[b]
            if reduced[jb] == -np.inf:
                break
            least = min(least, _ratio(-reduced[jb], spread[jb]))
    return least


@njit(nogil=True, cache=True)
def radius(value, measures, cell, price, box, start, stop, table, choice, fewest, most, out):  # type: ignore[no-untyped-def]
    """As `choose_some`; also write for each user the radius of the price box within which the choice
    cannot change.

    The box is price +- radius x `box`; a swap, an added or a dropped coupon is a change.
    """
    n_coupons = value.shape[1]
    keep = choice.shape[0] > 0
    total = 0.0
    reduced = np.empty(n_coupons)
    spread = np.empty(n_coupons)
    order = np.empty(n_coupons, np.int64)
    for i in range(start, stop):
        s = cell[i]
        _rank(value, measures, price, i, s, reduced, order)
        taken = _taken(reduced, order, fewest, most)
        for k in range(taken):
            total += reduced[order[k]]
            _add(value, measures, table, i, s, order[k])
        if keep:
            for k in range(most):
                choice[i, k] = order[k] if k < taken else -1
        out[i] = _nearest(value, measures, box, i, s, reduced, spread, order, taken, fewest, most)
    return total


@njit(nogil=True, cache=True)
def radius_of_sets(value, measures, cell, places, price, box, start, stop, table, choice, fewest, most, out):  # type: ignore[no-untyped-def]
    """As `radius`."""
    n_coupons = value.shape[1]
    keep = choice.shape[0] > 0
    total = 0.0
    reduced = np.empty(n_coupons)
    spread = np.empty(n_coupons)
    order = np.empty(n_coupons, np.int64)
    row = np.empty((price.shape[0], 1, price.shape[2]))
    width = np.empty((price.shape[0], 1, price.shape[2]))
    for i in range(start, stop):
        s = cell[i]
        _gather(price, places, s, row)
        _gather(box, places, s, width)
        _rank(value, measures, row, i, 0, reduced, order)
        taken = _taken(reduced, order, fewest, most)
        for k in range(taken):
            total += reduced[order[k]]
            for t in range(places.shape[1]):
                _add(value, measures, table, i, places[s, t], order[k])
        if keep:
            for k in range(most):
                choice[i, k] = order[k] if k < taken else -1
        out[i] = _nearest(value, measures, width, i, 0, reduced, spread, order, taken, fewest, most)
    return total


@njit(nogil=True, cache=True)
def extent(value, measures, cell, places, start, stop, table):  # type: ignore[no-untyped-def]
    """Add the size of every eligible pair to `table`; return the sum of the best |value| of each user."""
    n_coupons = value.shape[1]
    total = 0.0
    for i in range(start, stop):
        s = cell[i]
        best = 0.0
        for j in range(n_coupons):
            v = float(value[i, j])
            if v != v:
                continue
            best = max(best, abs(v))
            for t in range(places.shape[1]):
                g = places[s, t]
                table[0, g, j] += 1.0
                table[1, g, j] += abs(v)
                for k in range(table.shape[0] - 2):
                    table[k + 2, g, j] += abs(float(measures[k][i, j]))
        total += best
    return total
