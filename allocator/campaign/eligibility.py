"""Who may be sent what, on which channel, and why the others get nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.schema import CHANNELS

NO_CHANNEL = -1


@dataclass(frozen=True)
class Eligibility:
    """Which pairs may be assigned.

    Parameters
    ----------
    channel
        (n_users, n_coupons) int8: the channel of each pair as an index into `CHANNELS`,
        -1 where the user may not get the coupon.
    reason
        (n_users,) why a user may get nothing at all; empty text for the others.
    """

    channel: NDArray[np.int8]
    reason: NDArray[np.object_]

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Where a coupon may be given."""
        return np.asarray(self.channel != NO_CHANNEL)


def eligibility(campaign: Campaign) -> Eligibility:
    """Apply holdout, message pressure, consent, end dates and per-user limits.

    A coupon that starts after the day of the decision may be given: the campaign's notes name it.
    """
    users, coupons = campaign.users, campaign.active_coupons
    consent = consents(campaign)
    channel = np.full((users.height, coupons.height), NO_CHANNEL, np.int8)
    preferred = _preferred_channel(campaign, consent)
    for j, name in enumerate(coupons["channel"]):
        if name is None:
            channel[:, j] = preferred
        else:
            code = CHANNELS.index(name)
            channel[consent[:, code], j] = code
    reason = np.full(users.height, "", dtype=np.object_)  # a pointer each, not 80 letters
    reason[(channel == NO_CHANNEL).all(axis=1)] = "no consent for any channel of this campaign"
    channel[:, _not_running(coupons, campaign.as_of)] = NO_CHANNEL
    channel[_used_up(campaign)] = NO_CHANNEL
    none_left = (channel == NO_CHANNEL).all(axis=1) & (reason == "")
    reason[none_left] = "has used up every coupon, or none runs any more"
    pressure = campaign.config.eligibility.max_messages_7d
    if pressure is not None:
        reason[(users["messages_7d"] >= pressure).to_numpy()] = (
            f"already got {pressure} or more messages in 7 days"
        )
    reason[users["holdout"].to_numpy()] = "in the holdout (control group)"
    channel[reason != ""] = NO_CHANNEL
    return Eligibility(channel, reason)


def consents(campaign: Campaign) -> NDArray[np.bool_]:
    """Return (n_users, n_channels) consent.

    Without any consent column everyone counts as consenting; with some, a channel without a column
    has no consent.
    """
    users = campaign.users
    stated = any(name.startswith("consent_") for name in users.columns)
    columns = [
        users[f"consent_{name}"].to_numpy()
        if f"consent_{name}" in users.columns
        else np.full(users.height, not stated)
        for name in CHANNELS
    ]
    return np.stack(columns, axis=1).astype(np.bool_)


def _preferred_channel(campaign: Campaign, consent: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return each user's first consented channel, in the order of ``[copy] channels``."""
    preferred = np.full(len(consent), NO_CHANNEL, np.int8)
    for name in reversed(campaign.config.copy_.channels):
        code = CHANNELS.index(name)
        preferred[consent[:, code]] = code
    return preferred


def _not_running(coupons: pl.DataFrame, as_of: dt.date) -> NDArray[np.bool_]:
    ended = (coupons["ends_at"] < as_of).fill_null(False)
    return ended.to_numpy()


def _used_up(campaign: Campaign) -> NDArray[np.bool_]:
    """Return (n_users, n_coupons) where past redemptions reached the coupon's per-user limit."""
    coupons = campaign.active_coupons
    used = np.zeros((campaign.users.height, coupons.height), np.bool_)
    used[:, (coupons["per_user_limit"] == 0).fill_null(False).to_numpy()] = True
    limited = coupons.filter(coupons["per_user_limit"].is_not_null())
    if campaign.history is None or limited.height == 0:
        return used
    past = pl.col("sent_at") < campaign.start_of(later=1)
    redeemed = campaign.history.filter(past & pl.col("redeemed")).group_by("user_id", "coupon_id").len()
    over = redeemed.join(limited.select("coupon_id", "per_user_limit"), on="coupon_id").filter(
        pl.col("len") >= pl.col("per_user_limit")
    )
    row = {user: i for i, user in enumerate(campaign.users["user_id"])}
    column = {coupon: j for j, coupon in enumerate(coupons["coupon_id"])}
    for user, coupon in over.select("user_id", "coupon_id").iter_rows():
        used[row[user], column[coupon]] = True
    return used
