"""What a coupon is worth and what it costs, from predictions; docs/value.md derives each formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Objective
from allocator.campaign.eligibility import Eligibility
from allocator.campaign.schema import CHANNELS
from allocator.errors import Finding
from allocator.plugins.predictions import Predictions
from allocator.solution.risk import redemption_cost

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Worth:
    """What each pair is worth and uses up, (n_users, n_coupons) each.

    Parameters
    ----------
    value
        Expected value, in currency or conversions; NaN where nothing is known of the pair. An array of
        its own.
    error
        Standard error of `value`; None if it is not known, or no plan asks for it.
    measures
        What limits count, by name.
    """

    value: Array
    error: Array | None
    measures: dict[str, Array]


def worth_of_predictions(campaign: Campaign, predictions: Predictions, allowed: Eligibility) -> Worth:
    """Turn predictions into value and cost, in currency (or conversions).

    With *c* the conversion if nothing is sent, *u* the uplift, *b* the basket of a conversion with the
    coupon and *b0* without it, and *m* the margin, a customer's expected purchases change by
    ``(c + u) b - c b0 = u b + c (b - b0)``. Cost is the expected discount plus the sending cost of the
    pair's channel; it counts every redemption, also of those who would have bought anyway. Value is,
    by ``[objective] maximize``:

    - ``incremental_conversions``: u
    - ``incremental_revenue``: u b + c (b - b0)
    - ``incremental_margin``: m (u b + c (b - b0)), before the cost of the coupon, which the budget limits
    - ``net_profit``: m (u b + c (b - b0)) - cost

    The error of value is that of the uplift, times what one more conversion is worth.

    Returns
    -------
    Worth
        With the measures ``cost``, ``conversions`` (u), ``redemptions`` and, if a limit asks for it,
        ``cost_variance``.
    """
    objective = campaign.config.objective
    stated = {str(name): fee for name, fee in campaign.config.sending_cost.items()}
    fees = np.array([*(stated.get(name, 0.0) for name in CHANNELS), 0.0])
    cost = fees[allowed.channel]
    cost += predictions.expected_cost
    value = _value(objective, predictions, cost)
    measures = {"cost": cost, "conversions": predictions.uplift, "redemptions": predictions.redemption}
    if any("confidence" in table for table in campaign.config.limits):
        measures["cost_variance"] = _cost_variance(predictions)
    error = _value_error(objective, predictions) if objective.risk == "pessimistic" else None
    return Worth(value, error, measures)


def _value(objective: Objective, predictions: Predictions, cost: Array) -> Array:
    """Return the value of each pair, in a new array."""
    if objective.maximize == "incremental_conversions":
        return predictions.uplift.copy()
    value = predictions.uplift * predictions.revenue
    if predictions.baseline_revenue is not None:
        dearer = predictions.revenue - predictions.baseline_revenue
        dearer *= predictions.conversion
        value += dearer
    if objective.maximize != "incremental_revenue":
        value *= objective.margin
    if objective.maximize == "net_profit":
        value -= cost
    return value


def pessimistic(worth: Worth, objective: Objective) -> Worth:
    """Return what each pair is worth at the lower quantile of its error; the mean becomes a measure.

    Parameters
    ----------
    worth
        With an error.
    objective
        Its `confidence` is the probability with which a pair is worth more than its value says, if
        errors are normal.
    """
    assert worth.error is not None, "missing_error finds this first"
    lower = worth.value - NormalDist().inv_cdf(objective.confidence) * worth.error
    return replace(worth, value=lower, measures={**worth.measures, "expected_value": worth.value})


def missing_error(campaign: Campaign, predictions: Predictions | None) -> Finding | None:
    """Return what is missing for a plan that is pessimistic about its values, None if nothing is."""
    needs = 'risk = "pessimistic" needs the standard error of each value'
    if predictions is not None:
        if predictions.uplift_error is not None:
            return None
        return Finding(
            f"{needs}, and these predictions bring no uplift_error; predict with a predictor that "
            'estimates it, such as auto, or set risk = "mean"',
            file="predictions",
            column="uplift_error",
        )
    scores = campaign.scores
    if scores is None or scores["value_error"].null_count() == 0:
        return None
    found = "no such column"
    if (empty := scores["value_error"].null_count()) < scores.height:
        found = f"{empty:,} of {scores.height:,} cells are empty"
    return Finding(
        f'{needs}; add it to every row of scores.csv as value_error, or set risk = "mean"',
        file="scores.csv",
        column="value_error",
        found=found,
    )


def scale_predictions(predictions: Predictions, factors: dict[str, float]) -> Predictions:
    """Return predictions with some of them multiplied, probabilities kept below 1.

    Errors follow what they are the errors of. The expected cost follows the redemption probability,
    and the factor for ``cost``; it does not follow ``revenue``, since what an amount takes off does not.
    """
    if all(factor == 1.0 for factor in factors.values()):
        return predictions
    changes: dict[str, Any] = {}
    for name in ("conversion", "redemption"):
        if factors.get(name, 1.0) != 1.0:
            changes[name] = np.clip(getattr(predictions, name) * factors[name], 0.0, 1.0)
    uplift, conversion = factors.get("uplift", 1.0), changes.get("conversion", predictions.conversion)
    if uplift != 1.0 or "conversion" in changes:
        changes["uplift"] = _between(-conversion, predictions.uplift * uplift, 1.0 - conversion)
    if uplift != 1.0 and predictions.uplift_error is not None:
        changes["uplift_error"] = predictions.uplift_error * uplift
    for name in ("revenue", "baseline_revenue"):
        if factors.get("revenue", 1.0) != 1.0 and (basket := getattr(predictions, name)) is not None:
            changes[name] = basket * factors["revenue"]
    changes |= _scaled_cost(predictions, changes.get("redemption"), factors)
    return replace(predictions, **changes)


def _between(lowest: Array, amount: Array, highest: Array) -> Array:
    """Return an amount no lower and no higher than may be, in its own place."""
    np.maximum(amount, lowest, out=amount)
    return np.minimum(amount, highest, out=amount)


def _scaled_cost(
    predictions: Predictions, redemption: Array | None, factors: dict[str, float]
) -> dict[str, Array]:
    """Return expected cost and its variance where a factor moves them; `redemption` is new, or None."""
    dearer, was = factors.get("cost", 1.0), predictions.redemption
    if redemption is None and dearer == 1.0:
        return {}
    share = 1.0 if redemption is None else np.divide(redemption, was, out=np.ones_like(was), where=was > 0)
    given, variance = predictions.expected_cost, predictions.cost_variance
    changes = {"expected_cost": given * share * dearer}
    if variance is not None:
        changes["cost_variance"] = dearer**2 * (share * (variance + given**2) - (share * given) ** 2)
    return changes


def _value_error(objective: Objective, predictions: Predictions) -> Array | None:
    error = predictions.uplift_error
    if error is None or objective.maximize == "incremental_conversions":
        return error
    margin = 1.0 if objective.maximize == "incremental_revenue" else objective.margin
    return margin * predictions.revenue * error


def _cost_variance(predictions: Predictions) -> Array:
    """Return the variance of each pair's discount, which is given away only if the coupon is redeemed."""
    if predictions.cost_variance is not None:
        return predictions.cost_variance
    redeemed = predictions.redemption
    amount = np.divide(
        predictions.expected_cost, redeemed, out=np.zeros_like(predictions.expected_cost), where=redeemed > 0
    )
    return redemption_cost(redeemed, amount)["cost_variance"]
