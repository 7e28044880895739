"""Turn the dunnhumby "Complete Journey" data into a campaign folder.

::

    python examples/complete_journey/build.py            # writes examples/complete_journey/campaign
    allocate run examples/complete_journey/campaign

The decision is the one the retailer faced on 30 October 2017, the first day of its campaign 18: the
largest of the year (1,133 of 2,469 households), late enough for ten months of behaviour and two
campaigns of the same kind behind it, and over before the data ends. README.md says which figures
come from the data and which are assumptions.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from aisles import GROUPS
from history import match_redemptions, read_history, summarise
from households import behaviour, demographics, purchases, segment
from source import Source, read_source

CAMPAIGN = 18
FIRST_DAY = dt.date(2017, 5, 8)
"""The history starts here. Behaviour features end the day before, so none holds an outcome."""
HOLDOUT = 0.1
STOCK_PER_HOUSEHOLD = 2
"""Coupons in stock for each household that the real campaign reached."""
STOCK_AT_LEAST = 50
BY_SMS = ("ANYPRODUCE", "ANYMEAT", "COUNTER", "BACON")
"""Fresh goods sell within days, so these go by text message; all else by e-mail."""
SENDING_COST = {"sms": 0.03, "email": 0.005}
SMS_CAPACITY = 200
BUDGET_SHARE = 0.4
MARGIN = 0.30

TOML = """\
# Regency Foods' autumn campaign, built by build.py from the Complete Journey data.
schema = 1
name = "regency-autumn"
currency = "USD"
seed = 7
as_of = {as_of}

[objective]
maximize = "incremental_margin"
margin = {margin:.2f}               # an assumption: the data holds prices, not costs

[predict.options]           # fewer folds than the default predictor's five, to be quick
folds = 3

[solve]
gap = 1e-3                  # one coupon more or less is about this much of a plan this small

[sending_cost]              # assumptions
sms = {sms}
email = {email}

[[limits]]
kind = "budget"
label = "total"
at_most = {budget}                # about 40% of what one coupon for every household would cost

[[limits]]
kind = "inventory"
label = "stock"             # each coupon's inventory in coupons.csv

[[limits]]
kind = "capacity"
label = "sms capacity"
channel = "sms"
at_most = {sms_capacity}

[[limits]]
kind = "floor"
label = "every income band"
by = "income_band"
at_least = 0.2
per_head = true             # at least a fifth of the households of each band

[[limits]]
kind = "parity"
label = "age fairness"
by = "age_band"
tolerance = 0.05

[copy]
brand = "Regency Foods"
tone = "warm"
channels = ["email", "sms"]
languages = ["en"]
segment_by = "segment"

[[scenarios]]
name = "budget -10%"
set = {{ "total.at_most" = {budget_less} }}

[[scenarios]]
name = "no meat coupon"
drop_coupons = ["ANYMEAT"]

[[scenarios]]
name = "half the uplift"
scale = {{ uplift = 0.5 }}
"""


def face_values(source: Source, as_of: dt.date) -> dict[str, float]:
    """Return each group's face value: the median discount of its redemptions before `as_of`."""
    median = (
        match_redemptions(source)
        .filter(pl.col("day") < as_of)
        .group_by("group")
        .agg(pl.col("coupon_disc").median())
        .sort("group")
    )
    return {group: round(20 * value) / 20 for group, value in median.iter_rows()}


def make_users(source: Source, rng: np.random.Generator) -> pl.DataFrame:
    """Return ``users.csv``: demographics, behaviour before `FIRST_DAY`, segment and holdout."""
    users = demographics(source).join(
        behaviour(source, FIRST_DAY).with_columns(segment()), on="household_id", maintain_order="left"
    )
    holdout = rng.random(len(users)) < HOLDOUT
    return users.rename({"household_id": "user_id"}).with_columns(holdout=pl.Series(holdout))


def make_coupons(source: Source, face: dict[str, float]) -> pl.DataFrame:
    """Return ``coupons.csv``: the campaign's groups, and past groups that history refers to."""
    campaign = source.campaigns.row(by_predicate=pl.col("campaign_id") == CAMPAIGN, named=True)
    reach = source.targeted.filter(pl.col("campaign_id") == CAMPAIGN).height
    current = source.coupons.filter(pl.col("campaign_id") == CAMPAIGN)["group"].unique().to_list()
    demand = dict(
        source.redemptions.filter(pl.col("day") < campaign["starts"], pl.col("group").is_in(current))
        .group_by("group")
        .len()
        .iter_rows()
    )
    rows = []
    for name, (category, description) in GROUPS.items():
        active = name in current
        share = demand.get(name, 0) / sum(demand.values())
        stock = max(round(STOCK_PER_HOUSEHOLD * reach * share), STOCK_AT_LEAST)
        rows.append(
            {
                "coupon_id": name,
                "kind": "amount",
                "value": face[name],
                "currency": "USD",
                "starts_at": campaign["starts"] if active else None,
                "ends_at": campaign["ends"] if active else None,
                "inventory": stock if active else None,
                "per_user_limit": 1,
                "channel": "sms" if name in BY_SMS else "email",
                "category": category,
                "code": f"{name}{CAMPAIGN}",
                "description": description,
                "active": active,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def set_budget(users: pl.DataFrame, coupons: pl.DataFrame, history: pl.DataFrame) -> int:
    """Return a share of what one coupon of average cost for every household outside holdout costs."""
    cost = (
        history.filter("treated")
        .group_by("coupon_id")
        .agg(pl.col("discount").mean())
        .join(coupons.filter("active").select("coupon_id", "channel"), on="coupon_id")
        .select(pl.col("discount") + pl.col("channel").replace_strict(SENDING_COST))
    )
    households = int((~users["holdout"]).sum())
    return round(BUDGET_SHARE * households * float(cost["discount"].mean()))


def write(folder: Path, name: str, content: pl.DataFrame | str) -> None:
    """Write one file whole or not at all, and say what it holds."""
    path, part = folder / name, folder / f".{name}.part"
    if isinstance(content, str):
        part.write_text(content, encoding="utf-8")
    else:
        content.write_csv(part, datetime_format="%Y-%m-%dT%H:%M:%S")
    part.replace(path)
    rows = "" if isinstance(content, str) else f"{len(content):>8,} rows"
    print(f"{name:14} {rows:>13} {path.stat().st_size / 1e6:8.2f} MB")


def build(folder: Path, seed: int) -> None:
    """Build the campaign in `folder`."""
    begun = time.perf_counter()

    def progress(text: str) -> None:
        print(f"{time.perf_counter() - begun:5.1f} s  {text}", file=sys.stderr)

    progress("read 1.47 million purchases")
    source = read_source()
    as_of: dt.date = source.campaigns.filter(pl.col("campaign_id") == CAMPAIGN)["starts"][0]
    earlier = source.campaigns.filter(pl.col("starts") >= FIRST_DAY, pl.col("ends") < as_of)

    progress("describe households and coupons")
    face = face_values(source, as_of)
    users = make_users(source, np.random.default_rng(seed))
    coupons = make_coupons(source, face)

    progress(f"read {len(earlier)} earlier campaigns and estimate who was likely to be targeted")
    history = read_history(source, earlier["campaign_id"].sort().to_list(), face, progress)
    budget = set_budget(users, coupons, history)

    progress("write the campaign folder")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "users.csv", users)
    write(folder, "coupons.csv", coupons)
    write(folder, "history.csv", history.rename({"household_id": "user_id"}).drop("bought_before"))
    write(folder, "events.csv", purchases(source, as_of))
    write(
        folder,
        "campaign.toml",
        TOML.format(
            as_of=as_of, margin=MARGIN, budget=budget, budget_less=round(0.9 * budget, 1),
            sms_capacity=SMS_CAPACITY, **SENDING_COST,
        ),
    )  # fmt: skip
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print("\nThe log by coupon: share treated, share of those that redeemed, share of controls that")
        print("bought, difference between the arms (plain, weighted by propensity), and the weighted")
        print("difference before the campaign, which would be 0 under perfect balance:")
        print(summarise(history))
    progress(f"done: {folder}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(__file__).parent / "campaign", help="where to write"
    )
    parser.add_argument("--seed", type=int, default=7, help="draws the holdout")
    arguments = parser.parse_args()
    build(arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
