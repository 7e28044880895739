"""Uplift and conversion together: both probabilities stay inside (0, 1), and the uplift stays what it is.

An estimated uplift ranks users; the conversion without a coupon only gives it room. So where they do not fit
together it is the conversion that moves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROOM = 0.02
"""An uplift takes at most all but this share of the way from the conversion without coupon to 0 or 1."""
MOST = 1.0 - 2.0 * ROOM
"""The largest uplift in size, far beyond what any coupon does."""


def with_uplift(before: Floats, uplift: Floats, own: Bools) -> tuple[Floats, Floats]:
    """Return conversion without coupon and uplift of n users and c coupons, both conversions in (0, 1).

    Parameters
    ----------
    before
        (n, c) estimated conversion without coupon; it is moved as little as makes room.
    uplift
        (n, c) what each coupon adds; kept, but for sizes above `MOST`.
    own
        (c,) whether the conversion without coupon is about the coupon's own products. Of the other
        coupons it is one and the same, and stays so wherever their uplifts allow it.
    """
    low, high = bounds(uplift, own)
    return np.clip(before, low, high), np.clip(uplift, -MOST, MOST)


def bounds(uplift: Floats, own: Bools) -> tuple[Floats, Floats]:
    """Return the least and the largest conversion without coupon that leave room, (n, c) each."""
    kept = np.clip(uplift, -MOST, MOST)
    low, high = np.maximum(-kept, 0.0) / (1.0 - ROOM), 1.0 - np.maximum(kept, 0.0) / (1.0 - ROOM)
    shared = ~own
    if not shared.any():
        return low, high
    least = low[:, shared].max(axis=1, keepdims=True)
    most = high[:, shared].min(axis=1, keepdims=True)
    together = shared & (least <= most)
    return np.where(together, least, low), np.where(together, most, high)
