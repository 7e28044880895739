"""What spending more earns, if the users of the highest predicted return get coupons first.

Of one coupon this is the cost curve of Du, Lee and Ghaffarizadeh, "Improve User Retention with Causal
Learning", KDD workshop on causal discovery (PMLR 104), 2019; of several, each user moves up the upper
convex hull of its coupons' predicted value and cost, and the path is valued by doubly robust scores, as
in Sverdrup, Wu, Athey and Wager, "Qini Curves for Multi-Armed Treatment Rules", Journal of
Computational and Graphical Statistics 2025.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from allocator.plugins.evaluation import Curve
from predictors.evaluation.estimates import mean_estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POINTS = 100
LEAST_COST = 1e-9
"""Free coupons come first; a cost of exactly 0 has no return."""


def cost_curve(
    value: Floats, cost: Floats, earned: Floats, spent: Floats, *, unit: str = "", user: Ints | None = None
) -> Curve:
    """Return incremental value against spend a head, everyone served at the end.

    Parameters
    ----------
    value, cost
        (n, c) predicted incremental value and cost of each coupon: they make the order, and which
        coupon a user gets for how much; a value of -inf where the row says nothing about the coupon.
    earned, spent
        (n, c) doubly robust scores of incremental value and spend: they are what is plotted. Spend only
        grows: where noise says otherwise, isotonic regression levels it.
    unit
        Of the value: a currency, or conversions.
    user
        (n,) whose row it is; each row its own if None.

    Returns
    -------
    Curve
        Its area (AUCC) is that under the curve over that of the rectangle up to its last point: 0.5 for
        coupons given at random; NaN where it cannot be told that all the spend earns anything.
    """
    n = len(value)
    row, before, after, slope = hull_steps(value, np.maximum(cost, LEAST_COST))
    order = np.argsort(-slope, kind="stable")
    spend, gain = (_steps(column, row, before, after) for column in (spent, earned))
    x = _growing(np.r_[0.0, np.cumsum(spend[order])] / n)
    y = np.r_[0.0, np.cumsum(gain[order])] / n
    area = float("nan")
    if x[-1] > 0 and mean_estimate(np.asarray(np.bincount(row, gain, n), np.float64), user).low > 0:
        area = float(np.trapezoid(y, x) / (x[-1] * y[-1]))
    kept = np.unique(np.linspace(0, len(x) - 1, POINTS + 1).round().astype(int))
    return Curve("cost", unit, tuple(x[kept].tolist()), tuple(y[kept].tolist()), area)


def hull_steps(value: Floats, cost: Floats) -> tuple[Ints, Ints, Ints, Floats]:
    """Return the steps up each user's upper convex hull, from nothing (-1) on.

    The first step is taken even if it loses, at the end; further ones only where they gain.

    Returns
    -------
    tuple
        Row, coupon before, coupon after, and value gained for one more of cost, one entry a step.
    """
    n, n_coupons = value.shape
    found: list[tuple[Ints, Ints, Ints, Floats]] = []
    row, at = np.arange(n), np.full(n, -1)
    have_value, have_cost = np.zeros(n), np.zeros(n)
    for step in range(n_coupons):
        rise = value[row] - have_value[:, None]
        run = cost[row] - have_cost[:, None]
        slope = np.where(run > 0, rise / np.where(run > 0, run, 1.0), -np.inf)
        best = np.argmax(slope, axis=1)
        steepest = slope[np.arange(len(row)), best]
        go = np.isfinite(steepest) & ((step == 0) | (steepest > 0))
        row, before, best, steepest = row[go], at[go], best[go], steepest[go]
        found.append((row, before, best, steepest))
        at, have_value, have_cost = best, value[row, best], cost[row, best]
    rows, befores, afters, slopes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, befores, afters, slopes


def _steps(scores: Floats, row: Ints, before: Ints, after: Ints) -> Floats:
    return np.asarray(scores[row, after] - np.where(before < 0, 0.0, scores[row, before]))


def _growing(x: Floats) -> Floats:
    return np.asarray(np.maximum(isotonic_regression(x).x, 0.0))
