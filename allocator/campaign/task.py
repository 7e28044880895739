"""Predictions or scores -> value and cost -> a problem and its limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.eligibility import Eligibility, eligibility
from allocator.campaign.grouping import coupon_groups, group_columns
from allocator.campaign.limit_tables import parse_limits
from allocator.campaign.worth import worth_of
from allocator.limits.groups import columns_of
from allocator.limits.rows import LimitLike
from allocator.plugins.predictions import Predictions
from allocator.problem import Problem
from allocator.problem.labels import Grouping


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
    worth = worth_of(campaign, predictions, allowed, value_factor, expected)
    limits = parse_limits(campaign.config.limits, campaign.labels, campaign.coupons, worth.measures)
    problem = Problem(
        worth.value,
        worth.measures,
        user_ids=campaign.user_ids,
        coupon_ids=campaign.coupon_ids,
        groups=_user_groups(campaign, limits),
        coupon_groups=coupon_groups(campaign.active_coupons),
    )
    return Task(problem, tuple(limits), allowed, () if predictions is None else predictions.notes)


def _user_groups(campaign: Campaign, limits: Iterable[LimitLike]) -> dict[str, Grouping]:
    """Return the groups of users by each column that limits group by or that results are broken down by."""
    config = campaign.config
    columns = {*group_columns(limits), *columns_of(config.objective.by)}
    if config.copy_.segment_by is not None:
        columns.add(config.copy_.segment_by)
    return {column: campaign.labels.grouping(column) for column in sorted(columns)}
