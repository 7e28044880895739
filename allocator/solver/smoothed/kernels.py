"""The compiled loop over users of the smoothed dual function: each user spreads over near-best choices."""

from __future__ import annotations

import numpy as np
from numba import njit

FAR = 35.0  # heats below the best at which a choice's share, e^-35, is none


@njit(nogil=True, cache=True)
def soften(value, measures, cell, places, price, part, fewest, heat, start, stop, sums, usage, curvature):  # type: ignore[no-untyped-def]
    """Add up the smoothed choices of the users in [start, stop).

    Each user spreads over choices by e^(reduced value / heat). `sums` gains the smoothed and the plain sum
    of best reduced values, and what spreading loses of the latter; `usage`, (n_parts,), what is used;
    `curvature`, (n_parts, n_parts) or empty, the upper triangle of the spread's covariance of what is used.
    """
    n_coupons = value.shape[1]
    n_measures = part.shape[0]
    n_sets = places.shape[1]
    reduced = np.empty(n_coupons)
    share = np.empty(n_coupons)
    mean = np.zeros(len(usage))
    touched = np.empty(len(usage), np.int64)
    seen = np.zeros(len(usage), np.bool_)
    at = np.empty(n_measures * n_sets, np.int64)
    much = np.empty(n_measures * n_sets)
    curved = curvature.shape[0] > 0
    for i in range(start, stop):
        s = cell[i]
        top = 0.0 if fewest == 0 else -np.inf
        for j in range(n_coupons):
            v = float(value[i, j])
            r = v
            for t in range(n_sets):
                g = places[s, t]
                r -= price[0, g, j] + v * price[1, g, j]
                for k in range(2, n_measures):
                    r -= price[k, g, j] * float(measures[k - 2][i, j])
            reduced[j] = r
            top = r if r > top else top
        if top == -np.inf:
            continue
        least = top - FAR * heat
        total = np.exp(-top / heat) if fewest == 0 and least < 0.0 else 0.0
        for j in range(n_coupons):
            share[j] = np.exp((reduced[j] - top) / heat) if reduced[j] > least else 0.0
            total += share[j]
        sums[0] += top + heat * np.log(total)
        sums[1] += top
        if fewest == 0 and least < 0.0:
            sums[2] += np.exp(-top / heat) / total * top
        spread = curved and total > 1.0  # the best has a share of 1 of the total: others have one, too
        n_touched = 0
        for j in range(n_coupons):
            if share[j] == 0.0:
                continue
            p = share[j] / total
            sums[2] += p * (top - reduced[j])
            n = 0
            for k in range(n_measures):
                for t in range(n_sets):
                    e = part[k, places[s, t], j]
                    if e < 0:
                        continue
                    m = 1.0
                    if k == 1:
                        m = float(value[i, j])
                    elif k > 1:
                        m = float(measures[k - 2][i, j])
                    if m == 0.0:
                        continue
                    if not seen[e]:
                        seen[e] = True
                        touched[n_touched] = e
                        n_touched += 1
                    mean[e] += p * m
                    at[n] = e
                    much[n] = m
                    n += 1
            if spread:
                for a in range(n):
                    for b in range(n):
                        if at[a] <= at[b]:
                            curvature[at[a], at[b]] += p * much[a] * much[b]
        for a in range(n_touched):
            e = touched[a]
            usage[e] += mean[e]
            if spread:
                for b in range(n_touched):
                    f = touched[b]
                    if e <= f:
                        curvature[e, f] -= mean[e] * mean[f]
        for a in range(n_touched):
            mean[touched[a]] = 0.0
            seen[touched[a]] = False
