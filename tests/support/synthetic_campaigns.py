"""Synthetic campaigns whose true uplift is known."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import parse_config

AS_OF = dt.date(2026, 6, 1)
SENT = dt.datetime(2026, 5, 1, 9)
N_USERS = 5000


def coupon_table(*rows):
    """Rows are (coupon_id, kind, value, category)."""
    table = pl.DataFrame(rows, schema=["coupon_id", "kind", "value", "category"], orient="row")
    return table.with_columns(
        pl.col("value").cast(pl.Float64),
        max_discount=pl.lit(None, pl.Float64),
        currency=pl.lit("EUR"),
        min_spend=pl.lit(20.0),
        starts_at=pl.lit(None, pl.Date),
        ends_at=pl.lit(None, pl.Date),
        inventory=pl.lit(None, pl.Int64),
        per_user_limit=pl.lit(None, pl.Int64),
        channel=pl.lit("email"),
        code=pl.lit(None, pl.String),
        description=pl.lit(None, pl.String),
        active=pl.lit(True),
    )


COUPONS = coupon_table(
    ("TEN", "percent", 10, "tea"), ("FIVE", "amount", 5, "toys"), ("SHIP", "free_shipping", 4, None)
)


def make_campaign(named_controls=False, propensity=True, n=N_USERS, seed=3):
    """Return a campaign and its true uplift, (n, 3); one randomised send a user."""
    rng = np.random.default_rng(seed)
    spend, segment = rng.normal(size=n), rng.choice(["a", "b", "c"], n)
    likes_tea = rng.random(n) < 0.5
    base = 0.1 + 0.1 * (spend > 0)
    truth = np.column_stack(
        [0.04 + 0.26 * (spend > 0), 0.02 + 0.3 * (segment == "b"), np.full(n, 0.05) + 0.2 * likes_tea]
    )
    ids = [f"u{i}" for i in range(n)]
    users = pl.DataFrame(
        {
            "user_id": ids,
            "spend": pl.Series(spend).set(pl.Series(rng.random(n) < 0.02), None),
            "segment": segment,
            "consent_email": np.ones(n, bool),
            "holdout": np.zeros(n, bool),
        }
    )
    if named_controls:
        coupon, treated, chance = rng.integers(0, 3, n), rng.random(n) < 0.5, np.full(n, 0.5)
        base = base + 0.15 * (coupon == 1)
    else:
        arm = rng.choice(4, n, p=[0.4, 0.2, 0.2, 0.2]) - 1
        treated, coupon, chance = arm >= 0, np.maximum(arm, 0), np.where(arm >= 0, 0.2, 0.4)
    p = base + np.where(treated, truth[np.arange(n), coupon], 0.0)
    converted = rng.random(n) < p
    redeemed = converted & treated & (rng.random(n) < 0.7)
    name = COUPONS["coupon_id"].gather(coupon)
    history = pl.DataFrame(
        {
            "user_id": ids,
            "coupon_id": name if named_controls else name.set(pl.Series(~treated), None),
            "treated": treated,
            "sent_at": [SENT] * n,
            "propensity": pl.Series(chance) if propensity else pl.Series([None] * n, dtype=pl.Float64),
            "converted": converted,
            "redeemed": redeemed,
            "revenue": np.where(converted, rng.gamma(4.0, 10.0, n), 0.0),
            "discount": np.where(redeemed, 4.0, 0.0),
        }
    )
    rows = np.repeat(np.arange(n), 2)
    events = pl.DataFrame(
        {
            "user_id": [ids[i] for i in rows],
            "at": [SENT - dt.timedelta(days=float(d)) for d in rng.uniform(1, 60, 2 * n)],
            "kind": rng.choice(["view", "purchase"], 2 * n),
            "item": pl.Series([None] * (2 * n), dtype=pl.String),
            "category": np.where(likes_tea[rows], "tea", "toys"),
            "amount": rng.gamma(2.0, 5.0, 2 * n),
        }
    )
    config = parse_config('schema = 1\nname = "test"\ncurrency = "EUR"')
    return Campaign(Path(), config, AS_OF, users, COUPONS, history, events, None, {}), truth
