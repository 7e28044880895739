"""What past sends say about every arm: expected outcomes, propensities, and the rows they hold for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from predictors.evaluation.strata import same_days
from predictors.history.doubly_robust import (
    FOLDS,
    TRIM,
    cross_fit_propensity,
    draw_cross_fit,
    expected_outcomes,
    fit_outcomes,
)
from predictors.history.history import History
from predictors.history.propensity import Propensity
from predictors.history.training_data import TrainingData
from predictors.regressions.estimators import Settings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Counterfactual:
    """n past sends, and what models that did not see them expect of each of c coupons, and of nothing.

    Arms are counted by coupon; nothing is -1, the last column.

    Parameters
    ----------
    history
        The rows.
    arm
        (n,) what each got.
    propensity
        Of what they got.
    usable
        (n, c + 1) whether the row says something about the arm.
    conversion, revenue, spend
        (n, c + 1) expected outcome; the last two in currency.
    spent
        (n,) what the row's coupon cost.
    """

    history: History
    arm: Ints
    propensity: Propensity
    usable: Bools
    conversion: Floats
    revenue: Floats
    spend: Floats
    spent: Floats

    def __len__(self) -> int:
        return len(self.arm)

    def resolved(self, plan: Ints) -> Ints:
        """Return the arm of each row under a plan of coupons for users, (n,).

        A row that is about one coupon is about nothing if the plan has another for its user.
        """
        history = self.history
        named = (history.coupon >= 0) & history.own_control[history.coupon]
        return np.where(named & (plan != history.coupon), -1, plan)

    def scores(self, outcome: Floats, expected: Floats) -> Floats:
        """Return the doubly robust score of each row and arm, (n, c + 1), NaN where it is not usable."""
        scores = expected.copy()
        rows = np.arange(len(self))
        got = expected[rows, self.arm]
        scores[rows, self.arm] += self.propensity.weight * (outcome - got)
        return np.where(self.usable, scores, np.nan)


def counterfactual(
    data: TrainingData, spent: Floats, step: Callable[[], None] = lambda: None
) -> Counterfactual:
    """Fit the models by cross-fitting; no row is judged by a model that saw its user.

    Parameters
    ----------
    data
        n rows and c coupons.
    spent
        (n,) what each row's coupon cost, in currency.
    step
        Called after each fold.
    """
    history = data.history
    fold = draw_cross_fit(data, FOLDS)
    found = cross_fit_propensity(data, Settings(), fold, TRIM)
    found = replace(found, usable=found.usable & same_days(history))
    control, sent = (np.zeros(found.usable.shape) for _ in range(2))
    for part in range(FOLDS):
        rows = np.flatnonzero(fold == part)
        models = fit_outcomes(data.take(np.flatnonzero(fold != part)), Settings())
        control[rows], sent[rows] = expected_outcomes(models, data.take(rows))
        step()
    arm = np.where(history.treated, history.coupon, -1)
    own = np.maximum(history.coupon, 0)
    about = np.where(history.own_control[own] & (history.coupon >= 0), own, np.argmax(found.usable, axis=1))
    conversion = np.column_stack([sent, control[np.arange(len(arm)), about]])
    weight, converted = found.weight, history.converted
    basket = _means(history.revenue, arm, weight * converted, conversion.shape[1])
    return Counterfactual(
        history=history,
        arm=arm,
        propensity=found,
        usable=np.column_stack([found.usable, found.usable.any(axis=1)]),
        conversion=conversion,
        revenue=conversion * basket,
        spend=np.broadcast_to(_means(spent, arm, weight, conversion.shape[1]), conversion.shape),
        spent=spent,
    )


def _means(values: Floats, arm: Ints, weight: Floats, arms: int) -> Floats:
    """Return the weighted mean of values by arm, nothing last; of all rows for an arm without weight."""
    place = np.where(arm < 0, arms - 1, arm)
    total, sums = (np.bincount(place, w, arms) for w in (weight, weight * values))
    overall = sums.sum() / max(total.sum(), 1e-12)
    return np.where(total > 0, sums / np.maximum(total, 1e-12), overall)
