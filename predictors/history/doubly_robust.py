"""Doubly robust scores of what each row says about each coupon, by cross-fitting.

The score of an arm is what an outcome model expects of it, plus, for a row that got the arm, the
residual by inverse propensity (Robins, Rotnitzky and Zhao, "Estimation of Regression Coefficients When
Some Regressors Are Not Always Observed", JASA 1994). Its mean is right if the propensities are, or
else the outcome models. Models and propensities of a row come from other users' rows (Chernozhukov
et al., "Double/Debiased Machine Learning for Treatment and Structural Parameters", Econometrics
Journal 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from predictors.history.propensity import Propensity, draw_folds, find_propensity
from predictors.history.training_data import DoublyRobust, TrainingData
from predictors.regressions.estimators import Regression, Sends, Settings, fit_regression
from predictors.regressions.links import sigmoid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


FOLDS = 3
TRIM = 0.1
"""Where propensities are estimated, arms less likely than this times their share are left out."""


def doubly_robust(
    data: TrainingData,
    *,
    settings: Settings | None = None,
    folds: int = 3,
    trim: float = 0.1,
    fold: Ints | None = None,
    models: Sequence[dict[str, Regression]] | None = None,
    step: Callable[[], None] = lambda: None,
) -> DoublyRobust:
    """Return the doubly robust scores of every row.

    Parameters
    ----------
    data
        n rows and c coupons.
    settings
        Of the outcome models; logistic regression if None.
    folds
        Folds of the cross-fitting, by user.
    trim
        Where propensities have to be estimated, pairs whose coupon, or nothing, is less likely than
        `trim` times its share are left out.
    fold
        (n,) fold of each row, where `folds` are not to be drawn.
    models
        Of each fold, where they are fitted already; see `fit_outcomes`.
    step
        Called after each fold.
    """
    settings = settings or Settings()
    fold = draw_cross_fit(data, folds) if fold is None else fold
    found = cross_fit_propensity(data, settings, fold, trim)
    control, sent = (np.zeros(found.usable.shape) for _ in range(2))
    for part in np.unique(fold):
        rows = np.flatnonzero(fold == part)
        fitted = models[part] if models else fit_outcomes(data.take(np.flatnonzero(fold != part)), settings)
        control[rows], sent[rows] = expected_outcomes(fitted, data.take(rows))
        step()
    return score_arms(data, found, control, sent)


def draw_cross_fit(data: TrainingData, folds: int) -> Ints:
    """Return the fold of each row, (n,)."""
    return draw_folds(data.history.user, folds, np.random.default_rng([data.seed, 1]))


def cross_fit_propensity(data: TrainingData, settings: Settings, fold: Ints, trim: float) -> Propensity:
    """Return propensities by cross-fitting, with the kind of estimator that the settings name."""
    trees = settings.estimator != "logistic"
    return find_propensity(data.history, data.contexts.design(), fold, trim, trees)


def fit_outcomes(
    data: TrainingData, settings: Settings, sides: tuple[str, ...] = ("control", "treated")
) -> dict[str, Regression]:
    """Return models of the outcome without and with a coupon; learners of the same rows share them."""
    return {side: data.shared((settings, side), partial(_fit_side, data, settings, side)) for side in sides}


def _fit_side(data: TrainingData, settings: Settings, side: str) -> Regression:
    history, treated = data.history, side == "treated"
    rows = np.flatnonzero(history.treated == treated)
    sends = Sends(
        data.contexts.take(rows),
        data.coupons,
        history.coupon[rows],
        data.own[rows] & (not treated),
        history.treated[rows],
    )
    converted = history.converted[rows].astype(np.float64)
    return fit_regression(settings, data.encoder, sends, converted, history.weight[rows], seed=data.seed)


def expected_outcomes(models: dict[str, Regression], data: TrainingData) -> tuple[Floats, Floats]:
    """Return the probability of a conversion without and with each coupon, (n, c) each."""
    own = data.history.own_control
    control = models["control"].score(data.encoder, data.contexts, data.coupons, own, False)
    sent = models["treated"].score(data.encoder, data.contexts, data.coupons, own & False, True)
    return sigmoid(control), sigmoid(sent)


def score_arms(data: TrainingData, found: Propensity, control: Floats, sent: Floats) -> DoublyRobust:
    """Correct expected outcomes by the residuals of what happened.

    Weights are normalised by arm (Hajek), so a propensity known up to a factor will do.

    Parameters
    ----------
    data
        n rows and c coupons.
    found
        Their propensities.
    control, sent
        (n, c) expected outcome without and with each coupon.
    """
    history = data.history
    converted = history.converted[:, None].astype(np.float64)
    mine = history.coupon[:, None] == np.arange(len(data.coupons))
    nothing, coupon = ~history.treated[:, None], history.treated[:, None] & mine

    def score(expected: Floats, arm: Bools) -> Floats:
        corrected = expected + _hajek(arm & found.usable, found) * (converted - expected)
        return np.where(found.usable, corrected, np.nan)

    return DoublyRobust(score(control, nothing), score(sent, coupon), found)


def _hajek(got: Bools, found: Propensity) -> Floats:
    """Return weights whose sum over the rows that got an arm is the number of usable rows, (n, c)."""
    weight = np.where(got, found.weight[:, None], 0.0)
    return np.asarray(weight * (found.usable.sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12)))
