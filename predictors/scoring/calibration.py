"""Make mean predictions agree with what the history shows, arm by arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.history.history import History
from predictors.regressions.links import sigmoid
from predictors.scoring.logits import Logits
from predictors.scoring.room import bounds
from predictors.scoring.scores import Scores
from predictors.scoring.shrinkage import Correction, pooled_mean, shrink

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
    shift = baseline_shift(history, logits.conversion, unnamed)
    factual = factual_baseline(history, logits.conversion, unnamed) + shift
    effects = _effect_offsets(history, logits.conversion + shift, logits.effect, factual)
    return Offsets(shift, tuple(effects.tolist()), revenue_shift(history, np.exp(logits.revenue)))


def factual_baseline(history: History, conversion: Floats, unnamed: Floats) -> Floats:
    """Return the conversion without coupon that each row's outcome is about, (n,).

    Parameters
    ----------
    history
        n rows.
    conversion
        (n, c) without each coupon.
    unnamed
        (n,) about no coupon in particular.
    """
    rows, coupon = np.arange(len(history)), np.maximum(history.coupon, 0)
    return np.where(history.coupon >= 0, conversion[rows, coupon], unnamed)


def baseline_shift(
    history: History, conversion: Floats, unnamed: Floats, uplift: Floats | None = None
) -> float:
    """Return the shift of logits with which control rows convert as often as they did.

    Where an `uplift`, (n, c), is given, the conversions are those that have made room for it.
    """
    control, logit = ~history.treated, factual_baseline(history, conversion, unnamed)
    observed = np.average(history.converted[control], weights=history.weight[control])
    room = None
    if uplift is not None:
        alike = int(np.argmin(history.own_control))  # a coupon that shares its control rows, if any does
        low, high = (
            factual_baseline(history, side, side[:, alike])[control]
            for side in bounds(uplift, history.own_control)
        )
        room = low, high
    return _solve(logit[control], history.weight[control], float(observed), room)


def revenue_shift(history: History, revenue: Floats) -> float:
    """Return the shift of log revenue with which conversions bring what they did; `revenue` is (n, c)."""
    bought = history.converted & history.treated
    if not history.revenue[bought].any():
        return 0.0
    return float(np.log(history.revenue[bought].mean() / revenue[bought, history.coupon[bought]].mean()))


def correct_averages(history: History, alone: Floats, sent: Floats, factual: Floats) -> Correction:
    """Find by how much the average effect of each coupon is off.

    Where propensities are recorded, the observed effect is the weighted difference in means (Hajek).
    Where they are not, it is the augmented estimate (Robins, Rotnitzky and Zhao, "Estimation of
    Regression Coefficients When Some Regressors Are Not Always Observed", JASA 1994), which keeps
    what the model adjusts for. The deviation of a coupon from all coupons is shrunk by empirical
    Bayes, so a coupon with few rows keeps close to the others.

    Parameters
    ----------
    history
        n rows.
    alone, sent
        (n, c) probability of a conversion without and with each coupon.
    factual
        (n,) that of the conversion without coupon that each row's outcome is about.
    """
    n_coupons = sent.shape[1]
    gap, variance = np.zeros(n_coupons), np.full(n_coupons, np.inf)
    for coupon in range(n_coupons):
        treated, control = history.treated & (history.coupon == coupon), history.control_of(coupon)
        if min(treated.sum(), control.sum()) < 2:
            continue
        expected = np.where(treated, sent[:, coupon], factual) * (not history.randomised)
        (up, up_error), (low, low_error) = (
            _mean(np.asarray(history.converted - expected), history.weight, side)
            for side in (treated, control)
        )
        gap[coupon], variance[coupon] = up - low, up_error + low_error
        if history.randomised:
            users = treated | control
            gap[coupon] -= np.average((sent - alone)[users, coupon], weights=history.weight[users])
    treated = history.treated
    effect = sent[treated, history.coupon[treated]] - factual[treated]
    usual = float(np.average(effect, weights=history.weight[treated]))
    return shrink(gap, variance, PLAUSIBLE * abs(usual + pooled_mean(gap, variance)))


def _effect_offsets(history: History, conversion: Floats, effect: Floats, factual: Floats) -> Floats:
    """Shift each coupon's effect so that its mean over the users is the observed one.

    Parameters
    ----------
    history
        n rows.
    conversion, effect
        Logits of the users against each coupon, (n, n_coupons).
    factual
        Logit of the conversion without coupon that each row's outcome is about, (n,).
    """
    logit, treated = conversion + effect, history.treated
    correction = correct_averages(history, sigmoid(conversion), sigmoid(logit), sigmoid(factual))
    offsets = np.zeros(effect.shape[1] + 1)
    for coupon, change in enumerate(correction.change[1:]):
        users = (treated & (history.coupon == coupon)) | history.control_of(coupon)
        if users.any():
            offsets[coupon + 1] = _shift(logit[users, coupon], history.weight[users], change)
    chosen = logit[treated, history.coupon[treated]]
    offsets[0] = _shift(chosen, history.weight[treated], correction.change[0])
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


def _shift(logit: Floats, weight: Floats, change: float) -> float:
    """Return the shift of the logits that changes the mean probability by `change`."""
    return _solve(logit, weight, float(np.average(sigmoid(logit), weights=weight)) + change)


def _solve(logit: Floats, weight: Floats, mean: float, room: tuple[Floats, Floats] | None = None) -> float:
    """Return the shift at which the mean probability is `mean`, by bisection within +-10.

    Where there is `room`, each probability is drawn between its bounds.
    """
    mean = float(np.clip(mean, 1e-5, 1 - 1e-5))
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        shifted = sigmoid(logit + middle)
        below = np.average(shifted if room is None else np.clip(shifted, *room), weights=weight) < mean
        low, high = (middle, high) if below else (low, middle)
    return 0.5 * (low + high)
