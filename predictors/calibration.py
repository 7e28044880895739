"""Make mean predictions agree with what the history shows, arm by arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.history import History
from predictors.scoring import Logits, Scores, sigmoid

Floats = NDArray[np.float64]

FEW = 10.0
"""So many rows of usual variance are added when the variance of an arm is estimated."""

PLAUSIBLE = 0.25
"""Coupons may well be off by this share of the usual uplift in different directions."""


@dataclass(frozen=True)
class Offsets:
    """Shifts of a model's logits: of the baseline, of each coupon's effect, and of log revenue.

    `effects` is (n_coupons + 1,); the first is for a coupon that the history does not know.
    """

    baseline: float
    effects: tuple[float, ...]
    revenue: float

    def apply(self, logits: Logits, known: NDArray[np.int64]) -> Scores:
        """Return the scores of shifted logits; `known` (n_coupons,) says which effect to shift by."""
        return Scores.from_logits(
            logits.conversion + self.baseline,
            logits.effect + np.asarray(self.effects)[known],
            logits.redemption,
            logits.revenue + self.revenue,
        )


def fit_offsets(history: History, logits: Logits, unnamed: Floats) -> Offsets:
    """Find the shifts with which means agree with the rows of a history.

    Parameters
    ----------
    history
        n rows.
    logits
        Of the users of these rows against ``history.coupons``, (n, n_coupons).
    unnamed
        Logit of the conversion of a user who is sent nothing, about no coupon in particular, (n,).
    """
    rows, coupon = np.arange(len(history)), np.maximum(history.coupon, 0)
    conversion = np.where(history.coupon >= 0, logits.conversion[rows, coupon], unnamed)
    control = ~history.treated
    observed = np.average(history.converted[control], weights=history.weight[control])
    shift = _solve(conversion[control], history.weight[control], float(observed))
    effects = _effect_offsets(history, logits.conversion + shift, logits.effect, conversion + shift)
    bought = history.converted & history.treated
    revenue = 0.0
    if history.revenue[bought].any():
        predicted = np.exp(logits.revenue[rows, coupon][bought]).mean()
        revenue = float(np.log(history.revenue[bought].mean() / predicted))
    return Offsets(shift, tuple(effects.tolist()), revenue)


def _effect_offsets(history: History, conversion: Floats, effect: Floats, factual: Floats) -> Floats:
    """Shift each coupon's effect so that its mean over the users is the observed one.

    Where propensities are recorded, the observed effect is the weighted difference in means (Hajek).
    Where they are not, it is the augmented estimate (Robins, Rotnitzky and Zhao, "Estimation of
    Regression Coefficients When Some Regressors Are Not Always Observed", JASA 1994), which keeps
    what the model adjusts for. The deviation of a coupon from all coupons is shrunk by empirical
    Bayes, so a coupon with few rows keeps close to the others.

    Parameters
    ----------
    history
        n rows.
    conversion, effect
        Logits of the users against each coupon, (n, n_coupons).
    factual
        Logit of the conversion without coupon that each row's outcome is about, (n,).
    """
    n_coupons = effect.shape[1]
    gap, variance = np.zeros(n_coupons), np.full(n_coupons, np.inf)
    for coupon in range(n_coupons):
        treated, control = history.treated & (history.coupon == coupon), history.control_of(coupon)
        if min(treated.sum(), control.sum()) < 2:
            continue
        alone, sent = sigmoid(conversion[:, coupon]), sigmoid(conversion[:, coupon] + effect[:, coupon])
        expected = np.where(treated, sent, sigmoid(factual)) * (not history.randomised)
        (up, up_error), (low, low_error) = (
            _mean(np.asarray(history.converted - expected), history.weight, side)
            for side in (treated, control)
        )
        gap[coupon], variance[coupon] = up - low, up_error + low_error
        if history.randomised:
            users = treated | control
            gap[coupon] -= np.average((sent - alone)[users], weights=history.weight[users])
    offsets = np.zeros(n_coupons + 1)
    treated = history.treated
    chosen, base = (conversion + effect)[treated, history.coupon[treated]], factual[treated]
    usual = float(np.average(sigmoid(chosen) - sigmoid(base), weights=history.weight[treated]))
    spread = PLAUSIBLE * abs(usual + _pooled(gap, variance))
    for coupon, change in enumerate(_shrink(gap, variance, spread)):
        users = (history.treated & (history.coupon == coupon)) | history.control_of(coupon)
        if users.any():
            logit = (conversion + effect)[users, coupon]
            offsets[coupon + 1] = _shift(logit, history.weight[users], change)
    offsets[0] = _shift(chosen, history.weight[treated], _pooled(gap, variance))
    return offsets


def _mean(values: Floats, weight: Floats, rows: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the weighted mean of some rows and its squared standard error.

    A few rows may all agree by chance, so their variance is drawn towards that of all rows.
    """
    v, w = values[rows], weight[rows] / weight[rows].sum()
    mean, squares = float(w @ v), float(w @ w)
    prior = FEW * squares / (1.0 + FEW * squares)
    usual = np.average((values - np.average(values, weights=weight)) ** 2, weights=weight)
    return mean, float((1.0 - prior) * (w**2 @ (v - mean) ** 2) + prior * squares * usual) + 1e-12


def _pooled(gap: Floats, variance: Floats) -> float:
    precision = 1.0 / variance
    return float(precision @ gap / precision.sum()) if precision.sum() > 0 else 0.0


def _shrink(gap: Floats, variance: Floats, spread: float) -> Floats:
    """Shrink each gap to their precision-weighted mean.

    The variance between coupons is that of DerSimonian and Laird ("Meta-Analysis in Clinical
    Trials", 1986), at least ``spread ** 2``.
    """
    pooled, precision = _pooled(gap, variance), 1.0 / variance
    total = precision.sum()
    if total == 0:
        return gap
    excess = precision @ (gap - pooled) ** 2 - (np.count_nonzero(precision) - 1)
    room = total - precision @ precision / total
    between = max(excess / room if room > 0 else 0.0, spread**2)
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
