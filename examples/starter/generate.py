"""Write the starter campaign: synthetic customers of an invented shop, whose true uplift is known.

Everything follows from the seed, so running this again gives the committed files byte for byte::

    python examples/starter/generate.py            # over the committed files
    python examples/starter/generate.py /tmp/shop  # somewhere else

The story: 1,200 customers, six coupons. Over five test waves every customer was given, at random,
nothing (probability 0.4) or one of the coupons (0.1 each); ``history.csv`` tells what they did in
the 14 days after. ``users.csv`` was exported the day before the first wave, so no feature holds an
outcome. ``scores.csv`` is the true effect plus noise, for solving without a model, and
``truth/uplift.csv`` the true effect itself, which nothing but tests and benchmarks may read.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_USERS = 1_200
N_BROWSING = 6_500
AS_OF = dt.date(2026, 6, 1)
WAVES = tuple(dt.date(2026, 1, 12) + dt.timedelta(days=28 * wave) for wave in range(5))
OUTCOME_DAYS = 14
P_CONTROL, P_COUPON = 0.4, 0.1
MARGIN = 0.35
CATEGORIES = ("coffee", "snacks", "beauty", "home", "baby")

COUPONS = pl.DataFrame(
    [
        ("COFFEE15", "percent", 15.0, 10.0, 20.0, 120, "sms", "coffee", "CF15", "15% off coffee and tea"),
        ("SNACK5", "amount", 5.0, None, 25.0, 150, "sms", "snacks", "SNK5", "$5 off snacks"),
        ("BEAUTY20", "percent", 20.0, 15.0, 30.0, 110, "email", "beauty", "BTY20", "20% off beauty"),
        ("HOME10", "amount", 10.0, None, 60.0, 90, "sms", "home", "HOME10", "$10 off home and kitchen"),
        ("BABY8", "amount", 8.0, None, 40.0, 60, "sms", "baby", "BABY8", "$8 off baby care"),
        ("SHIPFREE", "free_shipping", 6.0, None, 15.0, None, "push", None, "SHIP0", "Free delivery"),
    ],
    orient="row",
    schema={
        "coupon_id": pl.String,
        "kind": pl.String,
        "value": pl.Float64,
        "max_discount": pl.Float64,
        "min_spend": pl.Float64,
        "inventory": pl.Int64,
        "channel": pl.String,
        "category": pl.String,
        "code": pl.String,
        "description": pl.String,
    },
).with_columns(
    currency=pl.lit("USD"),
    starts_at=pl.lit(AS_OF),
    ends_at=pl.lit(AS_OF + dt.timedelta(days=13)),
    per_user_limit=pl.lit(1),
)
PULL = np.array([0.085, 0.075, 0.10, 0.085, 0.075, 0.06])
"""Uplift of each coupon for a customer of average response."""
SWAY_BY_AGE = {"18-29": 1.5, "30-44": 1.15, "45-59": 0.8, "60+": 0.5}
SWAY_BY_REGION = {"north": 0.25, "south": 1.1, "east": 1.0, "west": 1.15}


@dataclass(frozen=True)
class Population:
    """The customers and what is true of them; rows are users, columns coupons or categories.

    Parameters
    ----------
    users
        ``users.csv``.
    affinity
        Interest in each category, mean 1, (n_users, 5).
    conversion
        Probability of an order in 14 days with no coupon, (n_users,).
    uplift, redemption
        Change of that probability, and probability of redeeming, if sent, (n_users, n_coupons).
    basket
        Expected order value, (n_users, n_coupons).
    """

    users: pl.DataFrame
    affinity: Array
    conversion: Array
    uplift: Array
    redemption: Array
    basket: Array


def draw_users(rng: Generator) -> pl.DataFrame:
    """Draw the customers' features, consents and holdout."""
    n = N_USERS
    orders = rng.negative_binomial(1.4, 0.4, n)
    basket = np.round(rng.lognormal(3.55, 0.42, n), 2)
    tenure = np.round(rng.gamma(2.0, 260.0, n)).astype(int) + 14
    standing = orders + tenure / 500 + rng.normal(0, 0.8, n)
    tier = np.select([standing > 5.2, standing > 2.6], ["gold", "silver"], "bronze")
    unknown_tenure = rng.random(n) < 0.04
    unknown_basket = (orders == 0) & (rng.random(n) < 0.5)
    return pl.DataFrame(
        {
            "user_id": [f"u{i:04d}" for i in range(1, n + 1)],
            "age_band": rng.choice(["18-29", "30-44", "45-59", "60+"], n, p=[0.27, 0.33, 0.24, 0.16]),
            "region": rng.choice(["north", "south", "east", "west"], n, p=[0.16, 0.3, 0.3, 0.24]),
            "tier": tier,
            "tenure_days": pl.Series(tenure).set(pl.Series(unknown_tenure), None),
            "orders_90d": orders,
            "avg_basket": pl.Series(basket).set(pl.Series(unknown_basket), None),
            "messages_7d": rng.poisson(1.0, n),
            "locale": np.where(rng.random(n) < 0.2, "zh", "en"),
            "holdout": (rng.random(n) < 0.05).astype(int),
            "consent_sms": (rng.random(n) < 0.88).astype(int),
            "consent_push": (rng.random(n) < 0.6).astype(int),
            "consent_email": (rng.random(n) < 0.78).astype(int),
        }
    )


def draw_population(rng: Generator) -> Population:
    """Draw customers and their true response to each coupon."""
    users = draw_users(rng)
    affinity = rng.dirichlet(np.full(len(CATEGORIES), 1.2), N_USERS) * len(CATEGORIES)
    orders = users["orders_90d"].to_numpy()
    tier = users["tier"].to_numpy()
    logit = -2.0 + 0.55 * np.log1p(orders) + 0.35 * (tier == "gold") + rng.normal(0, 0.25, N_USERS)
    conversion = 1 / (1 + np.exp(-logit))

    typical = users["avg_basket"].fill_null(30.0).to_numpy()
    columns = [CATEGORIES.index(c) if c else None for c in COUPONS["category"]]
    interest = np.column_stack(
        [affinity[:, c] if c is not None else np.clip(50.0 / typical, 0.4, 2.0) for c in columns]
    )
    # Who buys anyway moves little, and after too many messages one more does harm.
    by_age = users["age_band"].replace_strict(SWAY_BY_AGE).to_numpy()
    by_region = users["region"].replace_strict(SWAY_BY_REGION).to_numpy()
    room = np.clip(1.5 - 2.5 * conversion, 0.05, None)
    tired = 0.02 * np.maximum(users["messages_7d"].to_numpy() - 2, 0)
    uplift = PULL * (0.3 + 0.8 * interest) * (by_age * by_region * room)[:, None] - tired[:, None]
    uplift = np.clip(uplift, 0.02 - conversion[:, None], 0.9 - conversion[:, None])

    keen = np.clip(0.25 + 0.2 * interest, 0.2, 0.85)
    redemption = (conversion[:, None] + uplift) * keen
    spend = COUPONS["min_spend"].to_numpy()
    basket = typical[:, None] + keen * np.maximum(spend - typical[:, None], 0.0)
    return Population(users, affinity, conversion, uplift, redemption, basket)


def discount(coupon: NDArray[np.int64], basket: Array) -> Array:
    """Return what `coupon` (row of COUPONS) takes off `basket`; shapes broadcast."""
    kind = COUPONS["kind"].to_numpy()[coupon]
    value = COUPONS["value"].to_numpy()[coupon]
    cap = COUPONS["max_discount"].fill_null(np.inf).to_numpy()[coupon]
    return np.minimum(np.where(kind == "percent", basket * value / 100, value), cap)


def draw_history(rng: Generator, population: Population) -> pl.DataFrame:
    """Draw the five randomised test waves and their outcomes, one row a customer and wave."""
    n_coupons = len(COUPONS)
    rows = N_USERS * len(WAVES)
    user = np.tile(np.arange(N_USERS), len(WAVES))
    arm = rng.choice(n_coupons + 1, rows, p=[P_CONTROL] + [P_COUPON] * n_coupons) - 1
    sent, coupon = arm >= 0, np.maximum(arm, 0)

    chance = population.conversion[user] + np.where(sent, population.uplift[user, coupon], 0.0)
    converted = rng.random(rows) < chance
    redeems = rng.random(rows) < population.redemption[user, coupon] / np.maximum(chance, 1e-9)
    redeemed = converted & sent & redeems
    typical = population.users["avg_basket"].fill_null(30.0).to_numpy()[user]
    basket = typical * rng.lognormal(-0.03, 0.25, rows)
    basket = np.where(redeemed, np.maximum(basket, COUPONS["min_spend"].to_numpy()[coupon]), basket)
    return pl.DataFrame(
        {
            "user_id": population.users["user_id"].gather(user),
            "coupon_id": COUPONS["coupon_id"].gather(coupon).set(pl.Series(~sent), None),
            "sent_at": np.repeat(np.array(WAVES, dtype="datetime64[D]"), N_USERS),
            "propensity": np.where(sent, P_COUPON, P_CONTROL),
            "converted": converted.astype(int),
            "redeemed": redeemed.astype(int),
            "revenue": np.round(np.where(converted, basket, 0.0), 2),
            "discount": np.round(np.where(redeemed, discount(coupon, basket), 0.0), 2),
        }
    )


def draw_events(rng: Generator, population: Population, history: pl.DataFrame) -> pl.DataFrame:
    """Draw what customers looked at in the half year before the decision, and what they ordered."""
    start = WAVES[0] - dt.timedelta(days=42)
    activity = 0.4 + population.conversion * 4
    user = rng.choice(N_USERS, N_BROWSING, p=activity / activity.sum())
    browsing = pl.DataFrame(
        {
            "user_id": population.users["user_id"].gather(user),
            "at": np.datetime64(start, "D") + rng.integers(0, (AS_OF - start).days, N_BROWSING),
            "kind": rng.choice(["view", "search", "cart"], N_BROWSING, p=[0.66, 0.19, 0.15]),
            "category": draw_categories(rng, population.affinity[user]),
            "amount": np.full(N_BROWSING, np.nan),
        }
    ).with_columns(pl.col("amount").fill_nan(None))
    orders = history.filter(pl.col("converted") == 1)
    buyer = orders["user_id"].str.slice(1).cast(pl.Int64).to_numpy() - 1
    purchases = pl.DataFrame(
        {
            "user_id": orders["user_id"],
            "at": orders["sent_at"].to_numpy() + rng.integers(1, OUTCOME_DAYS + 1, len(orders)),
            "kind": ["purchase"] * len(orders),
            "category": draw_categories(rng, population.affinity[buyer]),
            "amount": orders["revenue"],
        }
    )
    return pl.concat([browsing, purchases]).sort("user_id", "at", "kind", "category", "amount")


def draw_categories(rng: Generator, affinity: Array) -> list[str]:
    """Draw one category for each row of `affinity`, in proportion to it."""
    cumulative = np.cumsum(affinity / affinity.sum(axis=1, keepdims=True), axis=1)
    drawn = (rng.random((len(affinity), 1)) > cumulative).sum(axis=1)
    return [CATEGORIES[i] for i in np.minimum(drawn, len(CATEGORIES) - 1)]


def pairs(population: Population) -> pl.DataFrame:
    """Return every customer and coupon with the truth about them, user by user."""
    coupon = np.tile(np.arange(len(COUPONS)), N_USERS)
    cost = population.redemption.ravel() * discount(coupon, population.basket.ravel())
    return pl.DataFrame(
        {
            "user_id": population.users["user_id"].gather(np.repeat(np.arange(N_USERS), len(COUPONS))),
            "coupon_id": COUPONS["coupon_id"].gather(coupon),
            "uplift": population.uplift.ravel(),
            "redemption": population.redemption.ravel(),
            "basket": population.basket.ravel(),
            "cost": cost,
        }
    )


def draw_scores(rng: Generator, population: Population) -> pl.DataFrame:
    """Return noisy predictions of margin and cost for the pairs that consent and holdout allow."""
    noisy = pairs(population).with_columns(
        uplift=pl.col("uplift") + rng.normal(0, 0.008, N_USERS * len(COUPONS)),
        cost=pl.col("cost") * rng.lognormal(-0.005, 0.1, N_USERS * len(COUPONS)),
    )
    users = population.users.unpivot(
        ["consent_sms", "consent_push", "consent_email"], index=["user_id", "holdout"], value_name="consent"
    ).with_columns(channel=pl.col("variable").str.strip_prefix("consent_"))
    return (
        noisy.join(COUPONS.select("coupon_id", "channel"), on="coupon_id", maintain_order="left")
        .join(users, on=["user_id", "channel"], maintain_order="left")
        .filter((pl.col("consent") == 1) & (pl.col("holdout") == 0))
        .select(
            "user_id",
            "coupon_id",
            value=(pl.col("uplift") * pl.col("basket") * MARGIN).round(3),
            cost=pl.col("cost").round(3),
        )
    )


def build(seed: int) -> dict[str, pl.DataFrame]:
    """Return every file of the campaign by its path in the folder."""
    rng = Generator(PCG64(seed))
    population = draw_population(rng)
    history = draw_history(rng, population)
    truth = pairs(population).select(
        "user_id", "coupon_id", pl.col("uplift").round(4), pl.col("redemption").round(4)
    )
    return {
        "users.csv": population.users,
        "coupons.csv": COUPONS,
        "history.csv": history,
        "events.csv": draw_events(rng, population, history),
        "scores.csv": draw_scores(rng, population),
        "truth/uplift.csv": truth,
    }


def main() -> None:
    """Write the files and say how large they are."""
    parser = argparse.ArgumentParser(description="Write the starter campaign's CSV files.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where to write")
    parser.add_argument("--seed", type=int, default=7, help="the committed files use 7")
    arguments = parser.parse_args()
    for name, frame in build(arguments.seed).items():
        path = arguments.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_csv(path)
        print(f"{name}: {len(frame):,} rows, {path.stat().st_size / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
