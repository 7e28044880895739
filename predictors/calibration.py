"""Make mean predictions agree with what the history shows, arm by arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.history import History

Floats = NDArray[np.float64]


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + exp(-logit)) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def baseline_offset(history: History, conversion: Floats) -> float:
    """Return the shift of the baseline logit that makes control rows right on average.

    Parameters
    ----------
    history
        n rows.
    conversion
        Logit of the conversion without coupon, (n,).
    """
    control = ~history.treated
    y, w = history.converted[control], history.weight[control]
    return _solve(conversion[control], w, float(np.average(y, weights=w)))


def effect_offsets(history: History, conversion: Floats, effect: Floats) -> Floats:
    """Return the shift of the effect's logit for each arm, (n_coupons + 1,); the first is for new coupons.

    The observed effect of an arm is the augmented inverse-propensity estimate (Robins, Rotnitzky and
    Zhao, "Estimation of Regression Coefficients When Some Regressors Are Not Always Observed", JASA
    1994): the predicted effect plus the mean residual of treated less that of control rows. On a
    randomised history it is the difference in means, with less noise. The deviation of an arm from
    all arms is shrunk by empirical Bayes, so a small arm keeps close to the others.

    Parameters
    ----------
    history
        n rows.
    conversion, effect
        Logit of the conversion without coupon, and what the row's coupon adds to it, (n,).
    """
    n_coupons = len(history.coupons)
    predicted = sigmoid(conversion + np.where(history.treated, effect, 0.0))
    residual = history.converted - predicted
    gap, variance = np.zeros(n_coupons), np.full(n_coupons, np.inf)
    for coupon in range(n_coupons):
        treated, control = history.treated & (history.coupon == coupon), history.control_of(coupon)
        if treated.sum() > 1 and control.sum() > 1:
            (up, up_error), (low, low_error) = (
                _mean(residual, history.weight, r) for r in (treated, control)
            )
            gap[coupon], variance[coupon] = up - low, up_error + low_error
    target = _shrink(gap, variance)
    offsets = np.zeros(n_coupons + 1)
    for coupon in range(n_coupons):
        rows = history.treated & (history.coupon == coupon)
        if rows.any():
            offsets[coupon + 1] = _shift(
                conversion[rows] + effect[rows], history.weight[rows], target[coupon]
            )
    treated = history.treated
    pooled = _pooled(gap, variance)
    offsets[0] = _shift((conversion + effect)[treated], history.weight[treated], pooled)
    return offsets


def _mean(values: Floats, weight: Floats, rows: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the weighted mean and its squared standard error."""
    v, w = values[rows], weight[rows] / weight[rows].sum()
    mean = float(w @ v)
    return mean, float((w**2) @ (v - mean) ** 2) + 1e-12


def _pooled(gap: Floats, variance: Floats) -> float:
    precision = 1.0 / variance
    return float(precision @ gap / precision.sum()) if precision.sum() > 0 else 0.0


def _shrink(gap: Floats, variance: Floats) -> Floats:
    """Shrink each arm to the precision-weighted mean (DerSimonian and Laird, 1986)."""
    pooled, precision = _pooled(gap, variance), 1.0 / variance
    total = precision.sum()
    if total == 0:
        return gap
    excess = precision @ (gap - pooled) ** 2 - (np.count_nonzero(precision) - 1)
    spread = total - precision @ precision / total
    between = max(excess / spread, 0.0) if spread > 0 else 0.0
    return np.asarray(pooled + between / (between + variance) * (gap - pooled))


def _shift(logit: Floats, weight: Floats, change: float) -> float:
    """Return the shift of the logits that changes the mean probability by `change`."""
    return _solve(logit, weight, float(np.average(sigmoid(logit), weights=weight)) + change)


def _solve(logit: Floats, weight: Floats, mean: float) -> float:
    """Return the shift at which the mean probability is `mean`, by bisection within +-10."""
    mean = float(np.clip(mean, 1e-5, 1 - 1e-5))
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        below = np.average(sigmoid(logit + middle), weights=weight) < mean
        low, high = (middle, high) if below else (low, middle)
    return 0.5 * (low + high)
