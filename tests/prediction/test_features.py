"""Features from raw tables: right figures, nothing from the future, clear words about what is missing."""

import dataclasses
import datetime as dt
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.campaign.reading import read_campaign
from allocator.errors import InputError
from predictors.features.encoder import Encoder
from predictors.features.log import Log
from predictors.features.past_redemption import OUTCOME_DAYS
from predictors.features.timeline import DAY, seconds
from support.synthetic_campaigns import make_campaign

DAY_0 = dt.datetime(2026, 1, 1)
USERS = [f"u{i}" for i in range(40)]
CATEGORIES = ("tea", "toys")
CUT = DAY_0 + dt.timedelta(days=200)
ARRAYS = ("numeric", "categorical", "event_kind", "event_category", "event_numbers", "affinity")


def random_events(rng, n):
    return pl.DataFrame(
        {
            "user_id": rng.choice(USERS, n),
            "at": [DAY_0 + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 300 * DAY, n)],
            "kind": rng.choice(["view", "search", "cart", "purchase"], n),
            "item": pl.Series([None] * n, dtype=pl.String),
            "category": pl.Series(rng.choice([*CATEGORIES, ""], n)).replace("", None),
            "amount": pl.Series(rng.gamma(2.0, 10.0, n).round(2)).set(pl.Series(rng.random(n) < 0.1), None),
        }
    )


def random_orders(rng, n):
    discount = np.where(rng.random(n) < 0.4, rng.gamma(1.0, 3.0, n).round(2), 0.0)
    return pl.DataFrame(
        {
            "user_id": rng.choice(USERS, n),
            "at": [DAY_0 + dt.timedelta(seconds=int(s)) for s in rng.integers(0, 300 * DAY, n)],
            "order_id": pl.Series([f"o{i}" for i in range(n)]).set(pl.Series(rng.random(n) < 0.2), None),
            "category": rng.choice(CATEGORIES, n),
            "amount": rng.gamma(2.0, 10.0, n).round(2),
            "discount": discount,
        }
    )


def random_history(rng, n):
    treated = rng.random(n) < 0.6
    return pl.DataFrame(
        {
            "user_id": rng.choice(USERS, n),
            "coupon_id": pl.Series(rng.choice(["TEN", "FIVE"], n)).set(pl.Series(~treated), None),
            "treated": treated,
            "sent_at": [DAY_0 + dt.timedelta(days=int(d)) for d in rng.integers(50, 300, n)],
            "propensity": np.full(n, 0.3),
            "converted": rng.random(n) < 0.3,
            "redeemed": treated & (rng.random(n) < 0.4),
            "revenue": rng.gamma(2.0, 10.0, n),
            "discount": np.zeros(n),
        }
    )


def features_at(cut, categories=CATEGORIES, **tables):
    """Return the features of all users at one moment, as a frame with their ids."""
    log = Log(pl.Series("user_id", USERS), **tables)
    time = np.full(len(USERS), seconds(pl.Series([cut]))[0])
    found = log.behaviour().features(np.arange(len(USERS)), time, categories)
    return pl.DataFrame({"user_id": USERS, **found})


def grouped(table, **figures):
    """Return figures by user, one row for each of `USERS`."""
    by_user = table.group_by("user_id").agg(**figures)
    return pl.DataFrame({"user_id": USERS}).join(by_user, on="user_id", how="left", maintain_order="left")


def same(found, expected):
    np.testing.assert_allclose(
        found.cast(pl.Float64).to_numpy(), expected.cast(pl.Float64).to_numpy(), rtol=1e-9, atol=1e-9
    )


def days_before_cut(expression):
    return (pl.lit(CUT) - expression).dt.total_seconds() / DAY


@pytest.mark.parametrize("seed", range(3))
def test_recency_frequency_and_money_are_those_of_a_group_by(seed):
    events = random_events(np.random.default_rng(seed), 600)
    found = features_at(CUT, events=events)
    before = events.filter(pl.col("at") < CUT)
    bought = before.filter(pl.col("kind") == "purchase")
    half_year = bought.filter(pl.col("at") >= CUT - dt.timedelta(days=180))
    paid = pl.col("amount").fill_null(0.0).sum()
    recent = grouped(half_year, n=pl.len(), spend=paid).fill_null(0)
    same(found["events.purchase_180d"], recent["n"].log1p())
    same(found["events.spend_180d"], recent["spend"].log1p())
    ever = grouped(bought, last=days_before_cut(pl.col("at").max()), mean=paid / pl.len())
    same(found["events.days_since_purchase"], ever["last"].log1p())
    same(found["purchases.mean_amount"], ever["mean"].log1p())
    first = grouped(before, first=days_before_cut(pl.col("at").min()))["first"]
    same(found["events.days_since_first"], first.log1p())
    tea = grouped(half_year, share=pl.col("amount").filter(pl.col("category") == "tea").sum() / paid)
    same(found["purchases.share_in tea"], tea["share"].fill_nan(None))


@pytest.mark.parametrize("seed", range(3))
def test_price_sensitivity_is_that_of_a_group_by(seed):
    rng = np.random.default_rng(seed)
    orders, events = random_orders(rng, 400), random_events(rng, 300)
    found = features_at(CUT, events=events, orders=orders)
    expected = grouped(
        orders.filter(pl.col("at") < CUT),
        share=(pl.col("discount") > 0).mean(),
        depth=pl.col("discount").sum() / (pl.col("discount") + pl.col("amount")).sum(),
        mean=pl.col("amount").mean(),
    )
    same(found["purchases.discounted_share"], expected["share"])
    same(found["purchases.discount_depth"], expected["depth"])
    same(found["purchases.mean_amount"], expected["mean"].log1p())  # not the purchases among the events
    views = grouped(
        events.filter(
            (pl.col("kind") == "view")
            & pl.col("at").is_between(CUT - dt.timedelta(days=30), CUT, closed="left")
        ),
        n=pl.len(),
    )
    same(found["events.view_30d"], views["n"].fill_null(0).log1p())


def test_lines_of_one_order_are_one_purchase():
    lines = {"user_id": "u1", "at": CUT - dt.timedelta(days=3), "order_id": "o1", "category": "tea"}
    orders = pl.DataFrame([{**lines, "amount": 6.0, "discount": d} for d in (0.0, 1.0, 1.0)])
    found = features_at(CUT, orders=orders).row(1, named=True)
    assert np.expm1(found["events.purchase_30d"]) == pytest.approx(1)
    assert np.expm1(found["purchases.mean_amount"]) == pytest.approx(18)
    assert found["purchases.discounted_share"] == 1
    assert found["purchases.discount_depth"] == pytest.approx(2 / 20)


@pytest.mark.parametrize("seed", range(3))
def test_past_redemption_counts_sends_whose_outcome_was_known(seed):
    history = random_history(np.random.default_rng(seed), 400)
    found = features_at(CUT, history=history)
    sent = history.filter(pl.col("treated") & (pl.col("sent_at") < CUT))
    settled = sent.filter(pl.col("sent_at") + pl.duration(days=OUTCOME_DAYS) < CUT)
    recent = grouped(sent.filter(pl.col("sent_at") >= CUT - dt.timedelta(days=180)), n=pl.len())
    same(found["sends.count_180d"], recent["n"].fill_null(0).log1p())
    last = grouped(sent, last=days_before_cut(pl.col("sent_at").max()))
    same(found["sends.days_since_send"], last["last"].log1p())
    same(found["sends.redeemed_share"], grouped(settled, share=pl.col("redeemed").mean())["share"])
    redeemed = settled.filter(pl.col("redeemed"))
    last = grouped(redeemed, last=days_before_cut(pl.col("sent_at").max()))
    same(found["sends.days_since_redemption"], last["last"].log1p())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(60, 290), data=st.data())
def test_nothing_at_or_after_the_send_changes_a_feature(seed, days, data):
    rng = np.random.default_rng(seed)
    cut = DAY_0 + dt.timedelta(days=days)
    tables = {
        "events": random_events(rng, 120),
        "orders": random_orders(rng, 80) if data.draw(st.booleans()) else None,
        "history": random_history(rng, 80),
    }
    before = features_at(cut, **tables)
    change = data.draw(st.sampled_from(["add", "drop", "alter"]))
    other = {}
    for name, make in (("events", random_events), ("orders", random_orders), ("history", random_history)):
        table, time = tables[name], "sent_at" if name == "history" else "at"
        if table is None:
            other[name] = None
            continue
        # An outcome is known only so long after its send.
        known = cut - dt.timedelta(days=OUTCOME_DAYS) if name == "history" else cut
        past, later = table.filter(pl.col(time) < cut), table.filter(pl.col(time) >= cut)
        if name == "history":
            fresh = (pl.col(time) >= known) & (pl.col(time) < cut)
            flip = pl.when(fresh).then(~pl.col("redeemed")).otherwise(pl.col("redeemed"))
            past = past.with_columns(redeemed=flip)
        if change == "add":
            added = make(rng, 60).with_columns(pl.max_horizontal(pl.col(time), pl.lit(cut)).alias(time))
            later = pl.concat([later, added])
        elif change == "drop":
            later = later.head(0)
        elif len(later):
            later = make(rng, len(later)).with_columns(later[time])
        # In another order of rows too: within one moment, the file's order counts, and is kept.
        other[name] = pl.concat([later, past])
    after = features_at(cut, **other)
    assert before.equals(after, null_equal=True)


def test_a_later_send_changes_no_training_row_and_no_fitted_encoder():
    campaign, _ = make_campaign(n=400)
    late = campaign.history["sent_at"].max() + dt.timedelta(days=1)
    more = campaign.events.with_columns(
        at=pl.lit(late), category=pl.lit("new"), amount=pl.lit(1e6), kind=pl.lit("purchase")
    )
    again = campaign.history.with_columns(sent_at=pl.lit(late), redeemed=pl.lit(True))
    both = dataclasses.replace(
        campaign,
        events=pl.concat([campaign.events, more]),
        history=pl.concat([campaign.history, again]),
    )
    user, time = np.arange(400), np.full(400, seconds(campaign.history["sent_at"][:1])[0])
    encoders = [
        Encoder.fit(c, Log.of(c).behaviour(), user, time, campaign.coupons, 8) for c in (campaign, both)
    ]
    assert encoders[0].to_json() == encoders[1].to_json()
    coupons = encoders[0].coupons(campaign.coupons)
    one, two = (encoders[0].contexts(c, Log.of(c).behaviour(), user, time, coupons) for c in (campaign, both))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.fixture(scope="module")
def encoded():
    """Return a campaign with orders and earlier sends, and an encoder of it."""
    campaign, _ = make_campaign(n=400)
    rng = np.random.default_rng(0)
    orders = random_orders(rng, 600).with_columns(
        user_id=pl.Series(rng.choice(campaign.users["user_id"].to_numpy(), 600)),
    )
    earlier = campaign.history.with_columns(pl.col("sent_at") - pl.duration(days=60))
    campaign = dataclasses.replace(campaign, orders=orders, history=pl.concat([earlier, campaign.history]))
    user, time = np.arange(400), np.full(400, seconds(pl.Series([CUT]))[0])
    return campaign, Encoder.fit(campaign, Log.of(campaign).behaviour(), user, time, campaign.coupons, 8)


def test_an_encoder_survives_json(encoded):
    _, encoder = encoded
    assert Encoder.from_json(json.loads(json.dumps(encoder.to_json()))) == encoder
    names = {feature.name for feature in encoder.numeric}
    assert names >= {"spend", "sends.redeemed_share", "purchases.discount_depth", "purchases.share_in tea"}


def test_another_schema_is_refused_by_column(encoded):
    campaign, encoder = encoded
    users = campaign.users.rename({"spend": "spent"}).with_columns(segment=pl.lit(1.5))
    with pytest.raises(InputError) as error:
        encoder.check(users)
    assert {finding.column for finding in error.value.findings} == {"spend", "segment"}
    assert all("train again" in str(finding) for finding in error.value.findings)


def test_what_differs_from_training_is_said(encoded):
    campaign, encoder = encoded
    assert encoder.notes(campaign) == ()
    users = campaign.users.with_columns(
        segment=pl.when(pl.int_range(pl.len()) < 40).then(pl.lit("z")).otherwise("segment"),
        spend=pl.lit(None, pl.Float64),
    )
    other = dataclasses.replace(campaign, users=users, events=None, orders=None, history=None)
    notes = "\n".join(encoder.notes(other))
    assert "segment: 10% of the values" in notes
    assert "'z'" in notes
    assert "spend: the column is empty" in notes
    assert "no orders.csv" in notes
    assert "no history.csv" in notes


def test_nulls_and_empty_tables_are_missing_values(encoded):
    campaign, encoder = encoded
    empty = dataclasses.replace(
        campaign, events=campaign.events.head(0), orders=campaign.orders.head(0), history=None
    )
    user, time = np.arange(400), np.full(400, seconds(pl.Series([CUT]))[0])
    coupons = encoder.coupons(campaign.coupons)
    contexts = encoder.contexts(empty, Log.of(empty).behaviour(), user, time, coupons)
    names = [feature.name for feature in encoder.numeric]
    assert np.isnan(contexts.numeric[:, names.index("purchases.mean_amount")]).all()
    assert np.isnan(contexts.numeric[:, names.index("sends.redeemed_share")]).all()
    assert np.isfinite(contexts.numeric[:, names.index("events.purchase_30d")]).all()
    assert (contexts.event_kind == 0).all()


def test_a_few_earlier_sends_are_no_feature():
    campaign, _ = make_campaign(n=400)
    few = campaign.history.filter(pl.col("treated")).head(20)
    few = few.with_columns(pl.col("sent_at") - pl.duration(days=60), redeemed=pl.lit(True))
    campaign = dataclasses.replace(campaign, history=pl.concat([few, campaign.history]))
    user, time = np.arange(400), np.full(400, seconds(campaign.history["sent_at"][-1:])[0])
    encoder = Encoder.fit(campaign, Log.of(campaign).behaviour(), user, time, campaign.coupons, 8)
    assert not [feature.name for feature in encoder.numeric if feature.name.startswith("sends.")]


FILES = {
    "campaign.toml": 'schema = 1\nname = "t"\ncurrency = "EUR"\nas_of = 2026-06-01\n',
    "users.csv": "user_id,age\na,30\nb,40\n",
    "coupons.csv": "coupon_id,kind,value\nC,percent,10\n",
    "events.csv": "user_id,at,kind,amount\na,2026-01-01,purchase,5\na,2026-01-02,view,\n",
}


def write(folder, **files):
    for name, text in {**FILES, **{name.replace("_", "."): text for name, text in files.items()}}.items():
        (folder / name).write_text(text)
    return folder


def test_orders_are_read_with_the_names_of_common_exports(tmp_path):
    text = (
        "customer_id,order_date,basket_id,total,discount_amount\na,2026-01-03,7,12.5,2\nx,2026-01-03,8,1,0\n"
    )
    campaign = read_campaign(write(tmp_path, orders_csv=text))
    assert campaign.orders.rows(named=True) == [
        {
            "user_id": "a",
            "at": dt.datetime(2026, 1, 3),
            "order_id": "7",
            "category": None,
            "amount": 12.5,
            "discount": 2.0,
        }
    ]
    assert any("1 rows of users that are not in users.csv" in note for note in campaign.notes)
    assert any("1 purchases are not used, because orders.csv" in note for note in campaign.notes)
    behaviour = Log.of(campaign).behaviour()
    found = behaviour.features(np.array([0]), seconds(pl.Series([dt.date(2026, 1, 5)])), ())
    assert np.expm1(found["events.purchase_30d"][0]) == pytest.approx(1)
    assert np.expm1(found["purchases.mean_amount"][0]) == pytest.approx(12.5)


def test_orders_may_be_parquet(tmp_path):
    orders = pl.DataFrame({"user_id": ["a"], "at": [dt.datetime(2026, 1, 3, 4)], "amount": [3.0]})
    orders.write_parquet(write(tmp_path) / "orders.parquet")
    assert read_campaign(tmp_path).orders["discount"].to_list() == [0.0]


def test_bad_orders_are_named_row_by_row(tmp_path):
    text = "user_id,at,amount,discount\na,yesterday,5,0\nb,2026-01-01,-3,0\nb,2026-01-01,,x\n"
    with pytest.raises(InputError) as error:
        read_campaign(write(tmp_path, orders_csv=text))
    found = {(finding.file, finding.row, finding.column) for finding in error.value.findings}
    assert found == {
        ("orders.csv", 2, "at"),
        ("orders.csv", 3, "amount"),
        ("orders.csv", 4, "amount"),
        ("orders.csv", 4, "discount"),
    }
