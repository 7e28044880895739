"""What serving more users earns after costs, those of the highest predicted value first.

The Qini curve of Radcliffe, "Using Control Groups to Target on Predicted Lift", Direct Marketing Analytics
Journal, 2007, with money for conversions: it turns down where a further user costs more than it brings. So
does the profit curve of Verbeke, Olaya, Guerry and Van Belle, "To Do or Not to Do? Cost-sensitive Causal
Classification with Individual Treatment Effect Estimates", European Journal of Operational Research 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import Curve

Floats = NDArray[np.float64]

POINTS = 100


def value_curve(value: Floats, earned: Floats, *, unit: str = "") -> Curve:
    """Return incremental value after costs a head, by the share of users served.

    Parameters
    ----------
    value
        (n, c) predicted incremental value of each coupon after its cost: each user gets the best one, those
        of the highest first, all in the end; -inf where the row says nothing about the coupon.
    earned
        (n, c) doubly robust scores of the same.
    unit
        Of the value.

    Returns
    -------
    Curve
        Its area is that between the curve and the straight line to its last point: by how much, in units of
        value a head, serving users in this order beats a random order, averaged over how many are served.
    """
    rows = np.flatnonzero(np.isfinite(value).any(axis=1))
    if not len(rows):
        return Curve("value", unit, (0.0,), (0.0,), float("nan"))
    coupon = value[rows].argmax(axis=1)
    order = np.argsort(-value[rows, coupon], kind="stable")
    rows, coupon = rows[order], coupon[order]
    # Users of one predicted value are served together, so that their order in the file says nothing.
    ends = np.r_[0, np.flatnonzero(np.diff(value[rows, coupon])) + 1, len(rows)]
    x, y = ends / len(rows), np.r_[0.0, np.cumsum(earned[rows, coupon])][ends] / len(rows)
    kept = np.unique(np.searchsorted(x, np.linspace(0.0, x[-1], POINTS + 1)))
    area = float(np.trapezoid(y, x) - 0.5 * y[-1])
    return Curve("value", unit, tuple(x[kept].tolist()), tuple(y[kept].tolist()), area)
