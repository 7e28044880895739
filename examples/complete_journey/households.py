"""What is known of each household before a day: demographics and shopping behaviour."""

from __future__ import annotations

import datetime as dt

import polars as pl
from source import Source

AGE = {"19-24": "19-34", "25-34": "19-34", "35-44": "35-44", "45-54": "45-54", "55-64": "55+", "65+": "55+"}
INCOME = {
    "Under 15K": "under 35K", "15-24K": "under 35K", "25-34K": "under 35K",
    "35-49K": "35-74K", "50-74K": "35-74K",
}  # fmt: skip
SHARES = {
    "share_grocery": ["GROCERY", "FROZEN GROCERY", "NUTRITION"],
    "share_fresh": ["PRODUCE", "MEAT", "MEAT-PCKGD", "SEAFOOD", "SEAFOOD-PCKGD", "SALAD BAR"],
    "share_counter": ["DELI", "PASTRY", "FLORAL", "CHEF SHOPPE"],
    "share_care": ["DRUG GM", "COSMETICS"],
}


def demographics(source: Source) -> pl.DataFrame:
    """Return demographics of every household; two in three are not described."""
    described = source.demographics.select(
        "household_id",
        age_band=pl.col("age").replace_strict(AGE),
        income_band=pl.col("income").replace_strict(INCOME, default="75K and over"),
        home_ownership="home_ownership",
        marital_status="marital_status",
        household_size="household_size",
        kids_count="kids_count",
    )
    return source.households.join(
        described, on="household_id", how="left", maintain_order="left"
    ).with_columns(pl.col("age_band", "income_band").fill_null("unknown"))


def behaviour(source: Source, until: dt.date) -> pl.DataFrame:
    """Return behaviour of every household on the days before `until`, that day not included."""
    before = source.transactions.filter(pl.col("day") < until)
    spend = pl.col("sales_value").sum()
    recent = pl.col("sales_value").filter(pl.col("day") >= until - dt.timedelta(days=56)).sum()
    weeks_before = ((until - dt.date(2017, 1, 1)).days - 56) / 7
    share = {
        name: pl.col("sales_value").filter(pl.col("department").is_in(departments)).sum() / spend
        for name, departments in SHARES.items()
    }
    gross = pl.col("sales_value").sum() + pl.col("retail_disc").sum()
    shopped = before.group_by("household_id").agg(
        recency_days=(pl.lit(until) - pl.col("day").max()).dt.total_days(),
        trips=pl.col("basket_id").n_unique(),
        spend=spend.round(2),
        basket_mean=(spend / pl.col("basket_id").n_unique()).round(2),
        stores=pl.col("store_id").n_unique(),
        categories=pl.col("product_category").n_unique(),
        weekend_share=(pl.col("day").dt.weekday() >= 6).mean().round(3),
        discount_share=(pl.col("retail_disc").sum() / gross).round(3),
        private_label_share=pl.col("brand").eq_missing(pl.lit("Private")).mean().round(3),
        coupon_share=(pl.col("coupon_disc") > 0).mean().round(4),
        # Weekly spend of the last eight weeks, over that of the weeks before them.
        spend_trend=((recent / 8 + 1) / ((spend - recent) / weeks_before + 1)).log().round(3),
        **{name: expression.round(3) for name, expression in share.items()},
    )
    started = source.campaigns.filter(pl.col("starts") < until).select("campaign_id")
    received = (
        source.targeted.join(started, on="campaign_id").group_by("household_id").len("campaigns_received")
    )
    redeemed = (
        source.redemptions.filter(pl.col("day") < until).group_by("household_id").len("coupons_redeemed")
    )
    return (
        source.households.join(shopped, on="household_id", how="left", maintain_order="left")
        .join(received, on="household_id", how="left", maintain_order="left")
        .join(redeemed, on="household_id", how="left", maintain_order="left")
        .with_columns(pl.col("trips", "spend", "campaigns_received", "coupons_redeemed").fill_null(0))
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )


def segment() -> pl.Expr:
    """Return thirds of the households by how often they shop."""
    rank = pl.col("trips").rank("ordinal") / pl.len()
    return (
        pl.when(rank > 2 / 3).then(pl.lit("loyal")).when(rank > 1 / 3).then(pl.lit("regular"))
        .otherwise(pl.lit("occasional")).alias("segment")
    )  # fmt: skip


def purchases(source: Source, until: dt.date) -> pl.DataFrame:
    """Return one event a basket before `until`: its amount, and the aisle most was spent on."""
    return (
        source.transactions.filter(pl.col("day") < until)
        .group_by("household_id", "basket_id", "aisle")
        .agg(pl.col("at").min(), pl.col("sales_value").sum().round(2))
        .sort("household_id", "basket_id", "sales_value", "aisle", descending=[False, False, True, False])
        .group_by("household_id", "basket_id", maintain_order=True)
        .agg(
            pl.col("at").min(), category=pl.col("aisle").first(), amount=pl.col("sales_value").sum().round(2)
        )
        .sort("household_id", "at", "basket_id")
        .select(
            user_id="household_id",
            at=pl.col("at"),
            kind=pl.lit("purchase"),
            category="category",
            amount="amount",
        )
    )
