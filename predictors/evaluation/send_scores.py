"""Scores of past sends: each user as it was on the day of the send."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.instants import local_times
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import Predictor
from allocator.progress import Progress, no_progress
from predictors.features.timeline import DAY, seconds
from predictors.history.history import History
from predictors.scoring.scores import Scores

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_DAYS = 60
"""Sends of more days are scored as of the first day of each of so many periods."""


@dataclass(frozen=True)
class SendScores:
    """What was predicted for n past sends and c coupons, (n, c) each.

    Parameters
    ----------
    conversion, uplift, redemption, revenue
        As in `Predictions`.
    value
        What the coupon adds to the expected revenue, in currency.
    cost
        Expected discount, in currency.
    """

    conversion: Floats
    uplift: Floats
    redemption: Floats
    revenue: Floats
    value: Floats
    cost: Floats

    @classmethod
    def of(cls, predictions: Predictions, users: Ints, coupon_ids: list[str]) -> Self:
        """Return the predictions of some users (positions), against these coupons."""
        names = predictions.coupon_ids.tolist()
        here = np.ix_(users, [names.index(name) for name in coupon_ids])
        conversion, uplift, revenue = (
            array[here] for array in (predictions.conversion, predictions.uplift, predictions.revenue)
        )
        before = revenue if predictions.baseline_revenue is None else predictions.baseline_revenue[here]
        return cls(
            conversion=conversion,
            uplift=uplift,
            redemption=predictions.redemption[here],
            revenue=revenue,
            value=(conversion + uplift) * revenue - conversion * before,
            cost=predictions.expected_cost[here],
        )

    @classmethod
    def join(cls, parts: list[Self], rows: list[Ints]) -> Self:
        """Return the parts as one, each at its rows."""
        order = np.argsort(np.concatenate(rows))
        return cls(
            *(np.concatenate([getattr(part, field.name) for part in parts])[order] for field in fields(cls))
        )

    def scores(self) -> Scores:
        """Return what `evaluate` compares with the history."""
        return Scores(self.conversion, self.uplift, self.redemption, self.revenue)


def score_sends(
    predictor: Predictor, campaign: Campaign, history: History, progress: Progress = no_progress
) -> SendScores:
    """Predict each row's user, as of its day, against ``history.coupons``.

    Only the events and sends before that day are shown to the predictor.
    """
    day = _periods(_local_days(campaign, history.time))
    days, parts, found = np.unique(day), [], []
    names = history.coupons["coupon_id"].to_list()
    for done, today in enumerate(days):
        progress("score past sends", done, len(days))
        rows = np.flatnonzero(day == today)
        users, place = np.unique(history.user[rows], return_inverse=True)
        predictions = predictor.predict(_as_of(campaign, int(today), users, history.coupons))
        parts.append(rows)
        found.append(SendScores.of(predictions, place, names))
    progress("score past sends", len(days), len(days))
    return SendScores.join(found, parts)


def ready_scores(predictions: Predictions, campaign: Campaign, history: History) -> SendScores:
    """Return ready predictions of each row's user; all its users and coupons must be among them."""
    place = {user: position for position, user in enumerate(predictions.user_ids.tolist())}
    users = campaign.users["user_id"].to_list()
    rows = np.array([place[users[user]] for user in history.user], dtype=np.int64)
    return SendScores.of(predictions, rows, history.coupons["coupon_id"].to_list())


def _local_days(campaign: Campaign, time: Ints) -> Ints:
    """Return the day of each moment in the campaign's time zone, since 1970."""
    there = local_times(pl.from_epoch(pl.Series(time), "s"), campaign.config.campaign.time_zone)
    return seconds(there) // DAY


def _periods(day: Ints) -> Ints:
    """Return the day as of which each row is scored: its own, or an earlier one if days are many."""
    days = np.unique(day)
    if len(days) <= MOST_DAYS:
        return day
    starts = days[np.linspace(0, len(days), MOST_DAYS, endpoint=False).astype(int)]
    return np.asarray(starts[np.searchsorted(starts, day, side="right") - 1])


def _as_of(campaign: Campaign, day: int, users: Ints, coupons: pl.DataFrame) -> Campaign:
    today = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    past = campaign.history
    if past is not None:
        past = past.filter(pl.col("sent_at") < replace(campaign, as_of=today).start_of())
    return replace(_with_coupons(campaign, coupons), as_of=today, users=campaign.users[users], history=past)


def _with_coupons(campaign: Campaign, coupons: pl.DataFrame) -> Campaign:
    return replace(campaign, coupons=coupons.with_columns(active=pl.lit(True)))
