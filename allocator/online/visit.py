"""A user who is here now, as a decision sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.online.cells import Cell
from allocator.online.records import DecisionRequest

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request while it is decided.

    Parameters
    ----------
    request
        As it came.
    user
        The digest of the user's id, or None.
    has
        How many coupons the user has already.
    now
        Seconds since the epoch.
    cell, use
        What each coupon would use of the cell's rows, (k, n_coupons).
    value
        (n_coupons,) NaN where a coupon is not open to the user.
    closed
        Why nothing can be given at all, or None.
    """

    request: DecisionRequest
    user: str | None
    has: int
    now: float
    cell: Cell
    value: Array
    use: Array
    closed: str | None


def why_nothing(visit: Visit, reduced: Sequence[float]) -> str:
    """Return why no coupon is worth giving."""
    if not any(worth > -math.inf for worth in reduced):
        return "no coupon is open to this user"
    if not any(value > 0 for value in visit.value.tolist()):
        return "no coupon is expected to earn anything"
    return "others earn more from what the limits allow"
