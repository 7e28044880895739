"""A user's answer as the certificate counts it: the best there can be, and what is wrong with a given one.

Code of its own, which shares nothing with the solver's step, so that a mistake there does not confirm itself.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, inline="always")
def best_answer(reduced, fewest, most):  # type: ignore[no-untyped-def]
    """Return the greatest sum of reduced values from `fewest` to `most` coupons; NaN is not eligible."""
    best = 0.0
    if fewest == 0 and most == 1:
        for j in range(len(reduced)):
            if reduced[j] > best:  # never for NaN
                best = reduced[j]
        return best
    for j in range(len(reduced)):
        if reduced[j] != reduced[j]:
            reduced[j] = -np.inf
    ranked = np.sort(reduced)
    for rank in range(min(most, len(reduced))):
        gain = ranked[len(reduced) - 1 - rank]
        best += gain if rank < fewest else max(gain, 0.0)
    return best


@njit(nogil=True, cache=True, inline="always")
def count_faults(answer, fewest, most):  # type: ignore[no-untyped-def]
    """Return how many coupons of an answer repeat another, and whether their number is wrong; -1 is none."""
    given, repeated = 0, 0
    for k in range(len(answer)):
        if answer[k] >= 0:
            given += 1
            for other in range(k):
                if answer[other] == answer[k]:
                    repeated += 1
    return repeated, given < fewest or given > most
