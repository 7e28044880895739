"""Which past sends an arm can be compared on: those of a day on which it was sent at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.features.timeline import DAY
from predictors.history.history import History

Bools = NDArray[np.bool_]

LEAST_EXPECTED = 10.0
"""A day on which so many sends of an arm would be expected, and none is found, did not have the arm."""


def same_days(history: History) -> Bools:
    """Return which rows are of a day that had both the coupon and its control, (n, c).

    An experiment in waves need not have every coupon in each; a wave without it says nothing about its
    uplift, and its control rows would pass the wave off as an effect.
    """
    _, day = np.unique(history.time // DAY, return_inverse=True)
    n_coupons = len(history.coupons)
    kept = np.ones((len(history), n_coupons), dtype=bool)
    for coupon in range(n_coupons):
        treated, control = history.treated & (history.coupon == coupon), history.control_of(coupon)
        kept[:, coupon] = (_sent(treated, day) & _sent(control, day))[day]
    return kept


def _sent(arm: Bools, day: NDArray[np.int64]) -> Bools:
    """Return for each day whether it had an arm: not if its absence cannot be chance."""
    rows = np.bincount(day)
    found = np.bincount(day, arm)
    return np.asarray((found > 0) | (rows * arm.mean() < LEAST_EXPECTED))
