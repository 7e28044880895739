"""Whether a history is long enough to learn from."""

from __future__ import annotations

import datetime as dt

import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.errors import Finding

FEWEST_USERS = 20
"""Users with a coupon, and users without one, below which nothing can be both learnt and judged."""


def few_users(treated: int, control: int) -> list[Finding]:
    """Return a finding for each arm of so many users that is too small to learn from."""
    return [
        Finding(
            f"too few users who {arm} coupon to learn from: some learn, and others judge what was learnt",
            "history.csv",
            column="user_id",
            found=f"{users:,}",
            expected=f"{FEWEST_USERS} or more, better some hundreds",
        )
        for arm, users in (("got a", treated), ("got no", control))
        if users < FEWEST_USERS
    ]


def too_short(campaign: Campaign) -> list[Finding]:
    """Return why a history with both arms is too short to learn from; nothing if it is not."""
    history = campaign.history
    if history is None:
        return []
    until = dt.datetime.combine(campaign.as_of + dt.timedelta(days=1), dt.time())
    treated = pl.col("treated").fill_null(pl.col("coupon_id").is_not_null())
    counts = dict(
        history.filter(pl.col("sent_at") < until)
        .group_by(treated.alias("arm"))
        .agg(pl.col("user_id").n_unique())
        .iter_rows()
    )
    return few_users(counts[True], counts[False]) if len(counts) == 2 else []
