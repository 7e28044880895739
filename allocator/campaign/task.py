"""Predictions or scores -> value and cost -> a problem and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.eligibility import Eligibility, eligibility
from allocator.campaign.limit_tables import group_columns, grouping_of, parse_limits
from allocator.campaign.predictions import PERHAPS_PREDICTED, PREDICTED
from allocator.campaign.schema import CHANNELS, MESSAGE_MEASURES
from allocator.campaign.worth import Worth, missing_error, pessimistic, worth_of_predictions
from allocator.errors import Finding, InputError
from allocator.limits.groups import columns_of
from allocator.limits.rows import LimitLike
from allocator.plugins.predictions import Predictions
from allocator.problem import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What is solved for a campaign: the problem, its limits, and who may be sent what.

    `notes` say what to know of the predictions behind it.
    """

    problem: Problem
    limits: tuple[LimitLike, ...]
    eligibility: Eligibility
    notes: tuple[str, ...] = ()


def build_task(
    campaign: Campaign,
    predictions: Predictions | None,
    value_factor: float = 1.0,
    expected: NDArray[np.floating] | None = None,
) -> Task:
    """Build the problem of a campaign from predictions, or from its scores if there are none.

    Parameters
    ----------
    campaign, predictions
        What to build of.
    value_factor
        Every value is multiplied by it.
    expected
        (n_users, n_coupons) what each pair is worth for comparisons, where that is not its value; the
        measure ``expected_value``.

    Raises
    ------
    InputError
        If there are neither predictions nor scores, or a limit does not fit.
    """
    allowed = eligibility(campaign)
    if predictions is not None:
        predictions = _aligned(campaign, predictions)
        worth = worth_of_predictions(campaign, predictions, allowed)
    else:
        worth = _worth_of_scores(campaign)
    objective = campaign.config.objective
    if objective.risk == "pessimistic":
        if (missing := missing_error(campaign, predictions)) is not None:
            raise InputError(missing)
        worth = pessimistic(worth, objective)
    value = worth.value
    value *= value_factor
    value[~allowed.allowed] = np.nan
    measures = worth.measures | _messages(campaign, allowed)
    if expected is not None:
        measures["expected_value"] = np.nan_to_num(expected)
    elif "expected_value" in measures:
        measures["expected_value"] = np.where(allowed.allowed, value_factor * measures["expected_value"], 0.0)
    limits = parse_limits(campaign.config.limits, campaign.users, campaign.coupons, measures)
    coupons = campaign.active_coupons
    columns = {*group_columns(limits), *report_columns(campaign)}
    problem = Problem(
        value,
        measures,
        user_ids=campaign.user_ids,
        coupon_ids=campaign.coupon_ids,
        groups={column: grouping_of(campaign.users[column]) for column in sorted(columns)},
        coupon_groups={name: grouping_of(coupons[name]) for name in ("channel", "category")},
    )
    return Task(problem, tuple(limits), allowed, () if predictions is None else predictions.notes)


def message_measures(tables: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the measures ``messages_<channel>`` that limits' tables count, by `channel` or by `measure`,
    and the place of each channel in `CHANNELS`.
    """
    channels, measures = ({table.get(key) for table in tables} for key in ("channel", "measure"))
    return {
        name: code
        for code, (channel, name) in enumerate(zip(CHANNELS, MESSAGE_MEASURES, strict=True))
        if channel in channels or name in measures
    }


def _messages(campaign: Campaign, allowed: Eligibility) -> dict[str, Array]:
    """Count messages: a coupon without a channel of its own counts where the user will get it."""
    names = message_measures(campaign.config.limits)
    return {name: (allowed.channel == code).astype(np.float64) for name, code in names.items()}


def report_columns(campaign: Campaign) -> list[str]:
    """Return the user columns that results are broken down by even if no limit uses them."""
    column = campaign.config.copy_.segment_by
    fair = columns_of(campaign.config.objective.by)
    return [*fair] if column is None else [column, *fair]


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
        for name in (*PREDICTED, *PERHAPS_PREDICTED)
        if getattr(predictions, name) is not None
    }
    return replace(predictions, user_ids=campaign.user_ids, coupon_ids=campaign.coupon_ids, **changes)


def _worth_of_scores(campaign: Campaign) -> Worth:
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
    names = [name for name in active.columns if name not in ("user_id", "coupon_id", "value")]
    if active["value_error"].null_count():  # not known, or not of every pair
        names.remove("value_error")
    problem = Problem.from_scores(
        active,
        measures=names,
        users={"user_id": campaign.user_ids},
        coupons={"coupon_id": campaign.coupon_ids},
    )
    measures = {name: np.asarray(array, np.float64) for name, array in problem.measures.items()}
    error = measures.pop("value_error", None)
    return Worth(np.asarray(problem.value, dtype=np.float64), error, measures)
