"""What a coupon is worth and what it costs, from predictions; docs/concepts/value.md derives each formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Objective
from allocator.campaign.eligibility import Eligibility
from allocator.campaign.measures import message_measures
from allocator.campaign.predictions import in_order_of
from allocator.campaign.schema import CHANNELS
from allocator.campaign.scores import ERROR
from allocator.errors import Finding, InputError
from allocator.plugins.predictions import Predictions
from allocator.solution.risk import redemption_cost

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Worth:
    """What each pair is worth and uses up, (n_users, n_coupons) each.

    Parameters
    ----------
    value
        Expected value, in currency or conversions; NaN where nothing is known of the pair.
    error
        Standard error of `value`; None if it is not known, or no plan asks for it.
    measures
        What limits count, by name.
    """

    value: Array
    error: Array | None
    measures: dict[str, Array]


def worth_of(
    campaign: Campaign,
    predictions: Predictions | None,
    allowed: Eligibility,
    factor: float = 1.0,
    expected: NDArray[np.floating] | None = None,
) -> Worth:
    """Return what each pair of a campaign is worth, and all that limits may count.

    Parameters
    ----------
    campaign, predictions
        Its scores count where there are no predictions.
    allowed
        Which pairs may be assigned; the value of the others is NaN.
    factor
        Every value is multiplied by it.
    expected
        (n_users, n_coupons) what each pair is worth for comparisons, where that is not its value; the
        measure ``expected_value``.

    Raises
    ------
    InputError
        If there are neither predictions nor scores, the predictions are of others, or a plan is to be
        pessimistic about errors that nobody knows.
    """
    if predictions is None:
        worth = _worth_of_scores(campaign)
    else:
        worth = _worth_of_predictions(campaign, in_order_of(campaign, predictions), allowed)
    objective = campaign.config.objective
    if objective.risk == "pessimistic":
        if (missing := missing_error(campaign, predictions)) is not None:
            raise InputError(missing)
        worth = pessimistic(worth, objective)
    may = allowed.allowed
    changed = worth.value if factor == 1.0 else worth.value * factor
    value = changed if may.all() else np.where(may, changed, np.nan)
    measures = worth.measures | _messages(campaign, allowed)
    if expected is not None:
        measures["expected_value"] = np.nan_to_num(expected)
    elif "expected_value" in measures:
        measures["expected_value"] = np.where(may, factor * measures["expected_value"], 0.0)
    return replace(worth, value=value, measures=measures)


def _messages(campaign: Campaign, allowed: Eligibility) -> dict[str, Array]:
    """Count messages: a coupon without a channel of its own counts where the user will get it."""
    names = message_measures(campaign.config.limits)
    return {name: (allowed.channel == code).astype(np.float64) for name, code in names.items()}


def _worth_of_predictions(campaign: Campaign, predictions: Predictions, allowed: Eligibility) -> Worth:
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
    scores = campaign.ready
    if scores is None or scores.without_error == 0:
        return None
    found = "no such column"
    if (empty := scores.without_error) < scores.height:
        found = f"{empty:,} of {scores.height:,} cells are empty"
    return Finding(
        f'{needs}; add it to every row of scores.csv as value_error, or set risk = "mean"',
        file="scores.csv",
        column="value_error",
        found=found,
    )


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


def _worth_of_scores(campaign: Campaign) -> Worth:
    scores = campaign.ready
    if scores is None:
        raise InputError(
            Finding(
                "there is nothing to solve with: provide scores.csv with value and cost, or history.csv and "
                "`allocate train` (or `allocate run`, which does everything)",
                file=str(campaign.folder),
            )
        )
    numbers = scores.of_coupons(campaign.coupons["active"].to_numpy())
    return Worth(numbers.pop("value"), numbers.pop(ERROR, None), numbers)
