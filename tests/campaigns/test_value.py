"""What a coupon is worth and what it costs: every formula against customers who are drawn one by one."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import parse_config
from allocator.campaign.discounts import cost_variance, discount, discount_moments, expected_cost
from allocator.campaign.eligibility import eligibility
from allocator.campaign.task import build_task
from allocator.campaign.worth import worth_of
from allocator.plugins.predictions import Predictions
from allocator.whatif.scaling import scale_predictions

N = 200_000
SPREAD = 0.7
MARGIN = 0.35
FEE = 0.3
STRICT = 4.5  # standard errors; with about 60 comparisons, chance exceeds this once in 2,500 runs

COUPONS = pl.DataFrame(
    [
        ("CAPPED", "percent", 20.0, 10.0, None, "sms"),
        ("FLOOR", "percent", 15.0, None, 50.0, "sms"),
        ("BOTH", "percent", 20.0, 12.0, 40.0, None),
        ("AMOUNT", "amount", 10.0, None, 60.0, "email"),
        ("SMALL", "amount", 10.0, None, None, "email"),
        ("SHIP", "free_shipping", 4.0, None, 20.0, "email"),
    ],
    schema={
        "coupon_id": pl.String, "kind": pl.String, "value": pl.Float64, "max_discount": pl.Float64,
        "min_spend": pl.Float64, "channel": pl.String,
    },
    orient="row",
).with_columns(
    active=pl.lit(True),
    category=pl.lit(None, pl.String),
    starts_at=pl.lit(None, pl.Date),
    ends_at=pl.lit(None, pl.Date),
    inventory=pl.lit(None, pl.Int64),
    per_user_limit=pl.lit(None, pl.Int64),
)  # fmt: skip


def campaign_of(maximize: str = "incremental_margin", limits: str = "") -> Campaign:
    users = pl.DataFrame({"user_id": [f"u{i}" for i in range(N)]}).with_columns(
        holdout=pl.lit(False), messages_7d=pl.lit(0), locale=pl.lit("en")
    )
    config = parse_config(
        f'schema = 1\nname = "value"\n[objective]\nmaximize = "{maximize}"\nmargin = {MARGIN}\n'
        f"[sending_cost]\nsms = {FEE}\nemail = 0.01\n{limits}"
    )
    return Campaign(Path(), config, dt.date(2026, 6, 1), users, COUPONS, None, None, None, {})


def baskets(rng: np.random.Generator, mean: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Draw log-normal baskets of a mean, with the coefficient of variation SPREAD."""
    deviation = np.sqrt(np.log1p(SPREAD**2))
    return np.asarray(mean * np.exp(deviation * rng.standard_normal(shape) - deviation**2 / 2))


def topped_up(latent: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the mean of max(basket, floor), from 128 equally likely baskets of each mean."""
    from scipy.special import ndtri

    deviation = np.sqrt(np.log1p(SPREAD**2))
    total = np.zeros_like(latent)
    for quantile in (np.arange(128) + 0.5) / 128:
        total += np.maximum(latent * np.exp(deviation * ndtri(quantile) - deviation**2 / 2), floor)
    return np.asarray(total / 128)


class World:
    """Customers whose chances are known, and what each coupon does to each, drawn one by one."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        shape = (N, len(COUPONS))
        conversion = np.repeat(rng.uniform(0.05, 0.4, (N, 1)), len(COUPONS), axis=1)
        uplift = rng.uniform(-0.04, 0.3, shape)
        if_converted = rng.uniform(0.3, 0.95, shape)
        redemption = (conversion + uplift) * if_converted
        wanted = np.repeat(rng.uniform(15, 90, (N, 1)), len(COUPONS), axis=1)
        latent = wanted * rng.uniform(0.9, 1.3, shape)
        floor = COUPONS["min_spend"].fill_null(0.0).to_numpy()

        bought = rng.random(shape) < conversion
        converted = rng.random(shape) < conversion + uplift
        redeemed = converted & (rng.random(shape) < if_converted)
        basket = baskets(rng, latent, shape)
        basket = np.where(redeemed, np.maximum(basket, floor), basket)
        given = redeemed * discount(COUPONS, basket)
        fee = np.where(COUPONS["channel"].fill_null("sms") == "sms", FEE, 0.01)

        revenue = converted * basket - bought * baskets(rng, wanted, shape)
        self.given, self.redeemed, self.cost = given, redeemed, given + fee
        self.realised = {
            "incremental_conversions": converted.astype(float) - bought,
            "incremental_revenue": revenue,
            "incremental_margin": MARGIN * revenue,
            # What the books say: what is left of sales, less what was taken off and what sending cost.
            "net_profit": MARGIN * revenue - given - fee,
        }
        self.latent, self.redemption = latent, redemption
        self.predictions = Predictions(
            user_ids=np.array([f"u{i}" for i in range(N)]),
            coupon_ids=COUPONS["coupon_id"].to_numpy().astype(str),
            conversion=conversion,
            uplift=uplift,
            redemption=redemption,
            # Of all orders with the coupon, those that were topped up to the minimum spend among them.
            revenue=latent + if_converted * (topped_up(latent, floor) - latent),
            expected_cost=expected_cost(COUPONS, redemption, latent, SPREAD),
            baseline_revenue=wanted,
            cost_variance=cost_variance(COUPONS, redemption, latent, SPREAD),
        )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def off_by(realised: np.ndarray, formula: np.ndarray) -> np.ndarray:
    """Return by how many standard errors the mean of each column differs from the formula's, (n_coupons,)."""
    difference = realised - formula
    error = difference.std(axis=0) / np.sqrt(len(difference))
    return np.asarray(np.abs(difference.mean(axis=0)) / error)


@pytest.mark.parametrize(
    "maximize", ["incremental_conversions", "incremental_revenue", "incremental_margin", "net_profit"]
)
def test_value_and_cost_are_what_customers_bring_and_take_on_average(world: World, maximize: str) -> None:
    campaign = campaign_of(maximize)
    worth = worth_of(campaign, world.predictions, eligibility(campaign))
    assert off_by(world.realised[maximize], worth.value).max() < STRICT
    assert off_by(world.cost, worth.measures["cost"]).max() < STRICT
    assert off_by(world.redeemed.astype(float), worth.measures["redemptions"]).max() < STRICT


def test_the_simulation_tells_wrong_formulas_apart(world: World) -> None:
    p = world.predictions
    only_new = p.uplift * p.revenue  # forgets that those who buy anyway buy more, or less
    assert off_by(world.realised["incremental_revenue"], only_new).min() > 2 * STRICT
    bent = [0, 1, 2]  # the coupons with a cap or a floor that many baskets are near
    of_mean_basket = world.redemption * discount(COUPONS, world.latent)
    assert off_by(world.given, of_mean_basket)[bent].min() > 2 * STRICT
    only_new_redeem = np.maximum(p.uplift, 0) / (p.conversion + p.uplift) * p.expected_cost
    assert off_by(world.given, only_new_redeem).min() > 2 * STRICT


def test_without_a_baseline_basket_the_coupon_leaves_baskets_as_they_are(world: World) -> None:
    campaign = campaign_of("incremental_revenue")
    same = replace(world.predictions, baseline_revenue=None)
    value = worth_of(campaign, same, eligibility(campaign)).value
    np.testing.assert_array_equal(value, same.uplift * same.revenue)


def test_the_variance_of_the_discount_is_that_of_many_customers_alike() -> None:
    rng = np.random.default_rng(4)
    draws, mean, chance = 400_000, 45.0, 0.3
    redeemed = rng.random((draws, 1)) < chance
    given = redeemed * discount(COUPONS, baskets(rng, np.array(mean), (draws, 1)))
    one = np.array([[mean]])
    expected = expected_cost(COUPONS, np.array([[chance]]), one, SPREAD)[0]
    variance = cost_variance(COUPONS, np.array([[chance]]), one, SPREAD)[0]
    np.testing.assert_allclose(given.mean(axis=0), expected, rtol=0.01)
    np.testing.assert_allclose(given.var(axis=0), variance, rtol=0.015)
    certain = chance * (1 - chance) * (expected / chance) ** 2  # as if every redeemed one took off the same
    assert (variance[[0, 1, 2]] > 1.02 * certain[[0, 1, 2]]).all()


@pytest.mark.parametrize("shape", ["lognormal", "gamma"])
@pytest.mark.parametrize("mean", [20.0, 50.0, 90.0])
def test_the_expected_discount_hardly_depends_on_the_shape_of_baskets(shape: str, mean: float) -> None:
    rng = np.random.default_rng(8)
    draws = (
        baskets(rng, np.array(mean), (200_000, 1))
        if shape == "lognormal"
        else mean * rng.gamma(SPREAD**-2, SPREAD**2, (200_000, 1))
    )
    found = discount_moments(COUPONS, np.array([[mean]]), SPREAD)[0][0]
    np.testing.assert_allclose(found, discount(COUPONS, draws).mean(axis=0), rtol=0.06)


def test_no_spread_is_the_discount_of_the_mean_basket() -> None:
    basket = np.array([[0.0], [10.0], [55.0], [300.0]])
    mean, square = discount_moments(COUPONS, basket)
    np.testing.assert_array_equal(mean, discount(COUPONS, basket))
    np.testing.assert_allclose(square, mean**2)
    near = discount_moments(COUPONS, basket, 1e-4)[0]
    np.testing.assert_allclose(near, mean, atol=1e-2)
    assert np.isfinite(near).all()


def test_discounts_of_single_baskets() -> None:
    baskets_of = np.array([[30.0], [200.0]])
    assert discount(COUPONS, baskets_of).tolist() == [
        [6.0, 7.5, 8.0, 10.0, 10.0, 4.0],
        [10.0, 30.0, 12.0, 10.0, 10.0, 4.0],
    ]
    assert discount(COUPONS, np.array([[3.0]]))[0, 4] == 3.0  # an amount takes off no more than the basket


def test_a_budget_with_a_confidence_counts_the_spread_of_baskets(world: World) -> None:
    limits = '[[limits]]\nkind = "budget"\nlabel = "total"\nat_most = 100\nconfidence = 0.95\n'
    task = build_task(campaign_of(limits=limits), world.predictions)
    np.testing.assert_array_equal(task.problem.measure("cost_variance"), world.predictions.cost_variance)


def test_factors_scale_what_they_name_and_its_error(world: World) -> None:
    p = replace(world.predictions, uplift_error=np.full(world.redemption.shape, 0.01))
    half = scale_predictions(p, {"uplift": 0.5, "revenue": 2.0, "redemption": 0.5, "cost": 3.0})
    np.testing.assert_allclose(half.uplift_error, 0.005)
    np.testing.assert_array_equal(half.baseline_revenue, 2 * p.baseline_revenue)
    np.testing.assert_allclose(half.expected_cost, 1.5 * p.expected_cost)
    again = 9 * cost_variance(COUPONS, p.redemption / 2, world.latent, SPREAD)
    np.testing.assert_allclose(half.cost_variance, again)
