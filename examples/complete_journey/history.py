"""The earlier campaigns as history: who was sent what, what they did, and how likely the sending was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
from households import behaviour, demographics
from numpy.typing import NDArray
from source import Source

DAY = dt.timedelta(days=1)
OVERLAP = (0.1, 0.9)
"""Households whose chance of being targeted lies outside have too few counterparts and are left out;
the rule of thumb of Crump, Hotz, Imbens and Mitnik (Biometrika, 2009)."""


def read_history(
    source: Source, campaign_ids: list[int], face: dict[str, float], progress: Callable[[str], None]
) -> pl.DataFrame:
    """Return one row a household, campaign and coupon group; the columns of `campaign_history`."""
    parts = []
    for campaign_id in campaign_ids:
        parts.append(campaign_history(source, campaign_id, face))
        progress(f"  campaign {campaign_id}: {len(parts[-1]):,} rows")
    return pl.concat(parts).sort("sent_at", "coupon_id", "household_id", maintain_order=True)


def campaign_history(source: Source, campaign_id: int, face: dict[str, float]) -> pl.DataFrame:
    """Return the rows of one campaign.

    Besides the columns of ``history.csv`` there is ``bought_before``: bought the same products in as
    many days before the campaign, where a coupon can have had no effect.
    """
    campaign = source.campaigns.row(by_predicate=pl.col("campaign_id") == campaign_id, named=True)
    coupons = source.coupons.filter(pl.col("campaign_id") == campaign_id)
    start, end = campaign["starts"], campaign["ends"]
    bought = window_purchases(source, coupons, start, end)
    before = window_purchases(source, coupons, start - (end - start) - DAY, start - DAY).rename(
        {"revenue": "spent_before"}
    )
    redeemed = window_redemptions(source, campaign_id, coupons, face)
    targeting = estimate_targeting(source, campaign_id, start).filter(
        pl.col("p_treated").is_between(*OVERLAP)
    )
    groups = coupons.select("group").unique().sort("group")
    return (
        targeting.join(groups, how="cross")
        .join(reached_otherwise(source, campaign_id, start, end), on=["household_id", "group"], how="anti")
        .join(bought, on=["household_id", "group"], how="left", maintain_order="left")
        .join(before, on=["household_id", "group"], how="left", maintain_order="left")
        .join(redeemed, on=["household_id", "group"], how="left", maintain_order="left")
        .with_columns(redeemed=pl.col("discount").is_not_null() & pl.col("treated"))
        .select(
            "household_id",
            coupon_id="group",
            treated="treated",
            sent_at=pl.lit(start),
            propensity=pl.when("treated").then("p_treated").otherwise(1 - pl.col("p_treated")).round(4),
            converted=pl.col("revenue").is_not_null() | pl.col("redeemed"),
            redeemed="redeemed",
            revenue=pl.col("revenue").fill_null(0.0).round(2),
            discount=pl.when("redeemed").then("discount").otherwise(0.0).round(2),
            bought_before=pl.col("spent_before").is_not_null(),
        )
    )


def reached_otherwise(source: Source, campaign_id: int, start: dt.date, end: dt.date) -> pl.DataFrame:
    """Return the households and groups that another campaign reached in the window.

    Neither arm keeps them: they would be controls that had the coupon, or treated twice.
    """
    others = source.campaigns.filter(
        pl.col("campaign_id") != campaign_id, pl.col("starts") <= end, pl.col("ends") >= start
    )
    return (
        source.targeted.join(others, on="campaign_id", how="semi")
        .join(source.coupons.select("campaign_id", "group").unique(), on="campaign_id")
        .select("household_id", "group")
        .unique()
    )


def window_purchases(source: Source, coupons: pl.DataFrame, start: dt.date, end: dt.date) -> pl.DataFrame:
    """Return what each household spent in the window on the products of each group's coupons."""
    return (
        source.transactions.filter(pl.col("day").is_between(start, end))
        .join(coupons.select("product_id", "group").unique(), on="product_id")
        .group_by("household_id", "group")
        .agg(revenue=pl.col("sales_value").sum())
    )


def match_redemptions(source: Source) -> pl.DataFrame:
    """Return each redemption with the coupon discount of its purchase, null where none is recorded."""
    redemption = source.redemptions.with_row_index("redemption")
    paid = (
        redemption.join(source.coupons, on=["campaign_id", "coupon_upc", "group"])
        .join(
            source.transactions.filter(pl.col("coupon_disc") > 0).select(
                "household_id", "product_id", "day", "coupon_disc"
            ),
            on=["household_id", "product_id", "day"],
        )
        .group_by("redemption")
        .agg(coupon_disc=pl.col("coupon_disc").max())
    )
    return redemption.join(paid, on="redemption", how="left", maintain_order="left")


def window_redemptions(
    source: Source, campaign_id: int, coupons: pl.DataFrame, face: dict[str, float]
) -> pl.DataFrame:
    """Return the discount of each household and group that redeemed, at face value where unrecorded."""
    return (
        match_redemptions(source)
        .filter(pl.col("campaign_id") == campaign_id)
        .with_columns(pl.col("coupon_disc").fill_null(pl.col("group").replace_strict(face)))
        .group_by("household_id", "group")
        .agg(discount=pl.col("coupon_disc").sum())
    )


def estimate_targeting(source: Source, campaign_id: int, start: dt.date) -> pl.DataFrame:
    """Estimate each household's chance of being targeted from what was known before the campaign.

    Cross-fitted logistic regression with an L2 penalty: no household's estimate saw its own row.

    Returns
    -------
    polars.DataFrame
        ``household_id, treated, p_treated``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    targeted = source.targeted.filter(pl.col("campaign_id") == campaign_id)["household_id"]
    households = source.households.with_columns(treated=pl.col("household_id").is_in(targeted.implode()))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1_000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    features = targeting_features(source, campaign_id, start)
    chance = cross_val_predict(
        model, features, households["treated"].to_numpy(), cv=folds, method="predict_proba"
    )
    return households.with_columns(p_treated=pl.Series(chance[:, 1]))


def targeting_features(source: Source, campaign_id: int, start: dt.date) -> NDArray[np.float64]:
    """Return the numbers a targeting rule may have looked at, all from before `start`."""
    coupons = source.coupons.filter(pl.col("campaign_id") == campaign_id)
    on_offer = (
        source.transactions.filter(pl.col("day") < start)
        .join(coupons.select("product_id").unique(), on="product_id", how="semi")
        .group_by("household_id")
        .agg(on_offer=pl.col("sales_value").sum())
    )
    skewed = ["recency_days", "trips", "spend", "basket_mean", "categories", "on_offer", "coupons_redeemed"]
    plain = [
        "campaigns_received", "stores", "weekend_share", "discount_share", "private_label_share",
        "coupon_share", "spend_trend", "share_grocery", "share_fresh", "share_counter", "share_care",
    ]  # fmt: skip
    known = demographics(source)
    frame = (
        behaviour(source, start)
        .join(on_offer, on="household_id", how="left", maintain_order="left")
        .with_columns(pl.col("recency_days").fill_null((start - dt.date(2017, 1, 1)).days))
        .select(
            pl.col(skewed).fill_null(0).cast(pl.Float64).log1p(), pl.col(plain).fill_null(0).cast(pl.Float64)
        )
    )
    dummies = (
        known.select("age_band", "income_band", "household_size", "kids_count")
        .fill_null("unknown")
        .to_dummies()
    )
    return np.hstack([frame.to_numpy(), dummies.to_numpy().astype(np.float64)])


def summarise(history: pl.DataFrame) -> pl.DataFrame:
    """Return by group what the log says: plainly, and weighted by the inverse propensity.

    ``before`` is the weighted difference in ``bought_before``; it would be 0 if the weights balanced
    the two arms perfectly.
    """
    weight = 1 / pl.col("propensity")

    def difference(column: str, by: pl.Expr) -> pl.Expr:
        arms = []
        for arm in (pl.col("treated"), ~pl.col("treated")):
            arms.append((pl.col(column) * by).filter(arm).sum() / by.filter(arm).sum())
        return (arms[0] - arms[1]).round(3)

    return (
        history.group_by("coupon_id")
        .agg(
            rows=pl.len(),
            treated=pl.col("treated").mean().round(3),
            redeemed=pl.col("redeemed").filter("treated").mean().round(4),
            bought=pl.col("converted").filter(~pl.col("treated")).mean().round(3),
            plain=difference("converted", pl.lit(1.0) + 0 * weight),
            weighted=difference("converted", weight),
            before=difference("bought_before", weight),
        )
        .sort("coupon_id")
    )
