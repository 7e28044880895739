"""Predictions and scores multiplied by a scenario's factors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.plugins.predictions import Predictions

Array = NDArray[np.float64]


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
        left = share * (variance + given**2) - (share * given) ** 2
        changes["cost_variance"] = dearer**2 * np.maximum(left, 0.0)  # rounding may leave less than nothing
    return changes


def scale_scores(campaign: Campaign, factors: dict[str, float]) -> Campaign:
    """Return a campaign with its scores multiplied by factors of value, uplift and cost.

    Scores carry no single prediction but uplift, which value is proportional to.
    """
    if campaign.ready is None or not factors:
        return campaign
    value, cost = factors.get("value", 1.0) * factors.get("uplift", 1.0), factors.get("cost", 1.0)
    scaled = {"value": value, "value_error": value, "cost": cost, "cost_variance": cost**2}
    return replace(campaign, ready=campaign.ready.scaled(scaled))
