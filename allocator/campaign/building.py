"""Predictions or scores -> value and cost -> a problem and its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.eligibility import Eligibility, eligibility
from allocator.campaign.limit_tables import group_columns, labels_of, parse_limits
from allocator.campaign.run_folder import PREDICTED
from allocator.campaign.schema import CHANNELS, MESSAGE_MEASURES
from allocator.errors import Finding, InputError
from allocator.problem import Problem
from allocator.protocols import Predictions
from allocator.risk import redemption_cost
from allocator.rows import LimitLike, columns_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is solved for a campaign: the problem, its limits, and who may be sent what."""

    problem: Problem
    limits: tuple[LimitLike, ...]
    eligibility: Eligibility


def build_task(campaign: Campaign, predictions: Predictions | None, value_factor: float = 1.0) -> Task:
    """Build the problem of a campaign from predictions, or from its scores if there are none.

    Every value is multiplied by `value_factor`.

    Raises
    ------
    InputError
        If there are neither predictions nor scores, or a limit does not fit.
    """
    allowed = eligibility(campaign)
    if predictions is not None:
        predictions = _aligned(campaign, predictions)
        value, measures = value_of_predictions(campaign, predictions, allowed)
        if any("confidence" in table for table in campaign.config.limits):
            measures["cost_variance"] = _cost_variance(predictions)
    else:
        value, measures = _value_of_scores(campaign)
    value = np.where(allowed.allowed, value_factor * value, np.nan)
    measures |= _messages(campaign, allowed)
    limits = parse_limits(campaign.config.limits, campaign.users, campaign.coupons, measures)
    coupons = campaign.active_coupons
    columns = {*group_columns(limits), *report_columns(campaign)}
    problem = Problem(
        value,
        measures,
        user_ids=campaign.user_ids,
        coupon_ids=campaign.coupon_ids,
        groups={column: labels_of(campaign.users[column]) for column in sorted(columns)},
        coupon_groups={name: labels_of(coupons[name]) for name in ("channel", "category")},
    )
    return Task(problem, tuple(limits), allowed)


def _messages(campaign: Campaign, allowed: Eligibility) -> dict[str, Array]:
    """Return the measure ``messages_<channel>`` of each channel that a limit counts, by `channel` or by
    `measure`: a coupon without a channel of its own counts where the user will get it.
    """
    tables = campaign.config.limits
    channels, measures = ({table.get(key) for table in tables} for key in ("channel", "measure"))
    return {
        name: (allowed.channel == code).astype(np.float64)
        for code, (channel, name) in enumerate(zip(CHANNELS, MESSAGE_MEASURES, strict=True))
        if channel in channels or name in measures
    }


def report_columns(campaign: Campaign) -> list[str]:
    """Return the user columns that results are broken down by even if no limit uses them."""
    column = campaign.config.copy_.segment_by
    fair = columns_of(campaign.config.objective.by)
    return [*fair] if column is None else [column, *fair]


def value_of_predictions(
    campaign: Campaign, predictions: Predictions, allowed: Eligibility
) -> tuple[Array, dict[str, Array]]:
    """Turn predictions into value and cost, in currency (or conversions).

    Let *u* be uplift, *r* revenue of a conversion, *m* the margin. Cost is the expected discount
    plus the sending cost of the pair's channel. Value is, by ``[objective] maximize``:

    - ``incremental_conversions``: u
    - ``incremental_revenue``: u r
    - ``incremental_margin``: m u r (before the cost of the coupon, which the budget limits)
    - ``net_profit``: m u r - cost

    Returns
    -------
    tuple
        Value, and the measures ``cost``, ``conversions`` (u) and ``redemptions``; each
        (n_users, n_coupons).
    """
    objective = campaign.config.objective
    stated = {str(name): fee for name, fee in campaign.config.sending_cost.items()}
    fees = np.array([*(stated.get(name, 0.0) for name in CHANNELS), 0.0])
    cost = predictions.expected_cost + fees[allowed.channel]
    revenue = predictions.uplift * predictions.revenue
    value = {
        "incremental_conversions": predictions.uplift,
        "incremental_revenue": revenue,
        "incremental_margin": objective.margin * revenue,
        "net_profit": objective.margin * revenue - cost,
    }[objective.maximize]
    return value, {"cost": cost, "conversions": predictions.uplift, "redemptions": predictions.redemption}


def _cost_variance(predictions: Predictions) -> Array:
    """Return the variance of each pair's discount, which is given away only if the coupon is redeemed."""
    redeemed = predictions.redemption
    amount = np.divide(
        predictions.expected_cost, redeemed, out=np.zeros_like(predictions.expected_cost), where=redeemed > 0
    )
    return redemption_cost(redeemed, amount)["cost_variance"]


def scale_predictions(predictions: Predictions, factors: dict[str, float]) -> Predictions:
    """Return predictions with some of them multiplied, probabilities kept below 1.

    The expected cost follows the redemption probability, and the factor for ``cost``.
    """
    uplift = predictions.uplift * factors.get("uplift", 1.0)
    conversion = np.clip(predictions.conversion * factors.get("conversion", 1.0), 0.0, 1.0)
    redemption = np.clip(predictions.redemption * factors.get("redemption", 1.0), 0.0, 1.0)
    share = np.divide(
        redemption, predictions.redemption, out=np.ones_like(redemption), where=predictions.redemption > 0
    )
    return replace(
        predictions,
        conversion=conversion,
        uplift=np.clip(uplift, -conversion, 1.0 - conversion),
        redemption=redemption,
        revenue=predictions.revenue * factors.get("revenue", 1.0),
        expected_cost=predictions.expected_cost * share * factors.get("cost", 1.0),
    )


def _aligned(campaign: Campaign, predictions: Predictions) -> Predictions:
    """Return the predictions in the campaign's order of users and coupons.

    Raises
    ------
    InputError
        If they are of other users or coupons.
    """
    labels = (
        ("user_id", campaign.user_ids, predictions.user_ids),
        ("coupon_id", campaign.coupon_ids, predictions.coupon_ids),
    )
    if all(np.array_equal(mine, theirs) for _, mine, theirs in labels):
        return predictions
    findings = []
    for name, mine, theirs in labels:
        if not np.array_equal(np.sort(mine), np.sort(theirs)):
            message = "the predictions are of other users or coupons than the campaign; predict again"
            found, expected = f"{len(theirs):,} labels", f"the {len(mine):,} of the campaign"
            findings.append(Finding(message, "predictions", column=name, found=found, expected=expected))
    if findings:
        raise InputError(findings)
    order = [np.argsort(theirs)[np.argsort(np.argsort(mine))] for _, mine, theirs in labels]
    changes = {
        name: getattr(predictions, name)[np.ix_(*order)]
        for name in (*PREDICTED, "uplift_error")
        if getattr(predictions, name) is not None
    }
    return replace(predictions, user_ids=campaign.user_ids, coupon_ids=campaign.coupon_ids, **changes)


def _value_of_scores(campaign: Campaign) -> tuple[Array, dict[str, Array]]:
    scores = campaign.scores
    if scores is None:
        raise InputError(
            Finding(
                "there is nothing to solve with: provide scores.csv with value and cost, or history.csv and "
                "`allocate train` (or `allocate run`, which does everything)",
                file=str(campaign.folder),
            )
        )
    active = scores.filter(scores["coupon_id"].is_in(campaign.active_coupons["coupon_id"].implode()))
    names = [name for name in scores.columns if name not in ("user_id", "coupon_id", "value")]
    problem = Problem.from_scores(
        active["user_id"].to_numpy(),
        active["coupon_id"].to_numpy(),
        active["value"].to_numpy(),
        {name: active[name].to_numpy() for name in names},
        user_ids=campaign.user_ids,
        coupon_ids=campaign.coupon_ids,
    )
    return np.asarray(problem.value, dtype=np.float64), {
        k: np.asarray(v, np.float64) for k, v in problem.measures.items()
    }
