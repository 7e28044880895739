"""What a coupon takes off a basket, in currency: of one basket, and of a basket that is not yet known.

All three kinds are one formula, ``rate x clip(basket, low, high)``: a percentage between the minimum
spend and the basket at which the cap is reached, an amount, and a fee that is waived whatever the basket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[np.float64]

TINY = 1e-12  # the least basket, so that its logarithm is finite


def discount(coupons: pl.DataFrame, basket: Array) -> Array:
    """Return the discount of each coupon on a basket that redeems it.

    A redeemed coupon implies that its minimum spend was met, so a basket below it counts as the
    minimum spend. Percent: ``basket * value / 100``, at most `max_discount`. Amount: `value`, at
    most the basket. Free shipping: `value`, the shipping fee that is waived.

    Parameters
    ----------
    coupons
        Frame with ``kind, value, max_discount, min_spend``; n_coupons rows.
    basket
        Basket before the discount, in currency, (n_users, n_coupons) or broadcastable to it.

    Returns
    -------
    numpy.ndarray
        Discount in currency, (n_users, n_coupons).
    """
    rate, low, high = _terms(coupons)
    return np.asarray(rate * np.clip(basket, low, high))


def discount_moments(coupons: pl.DataFrame, basket: Array, spread: float = 0.0) -> tuple[Array, Array]:
    """Return mean and mean square of the discount on a basket of which only the mean is known.

    A cap or a minimum spend bends the discount, so the discount of the mean basket is not the mean
    discount (Jensen's inequality). Baskets are taken as log-normal, for which both moments have a
    closed form: the mean is the price of a call spread in the formula of Black ("The Pricing of
    Commodity Contracts", Journal of Financial Economics 1976).

    Parameters
    ----------
    coupons
        As in `discount`.
    basket
        Expected basket before the discount, in currency, (n_users, n_coupons).
    spread
        Coefficient of variation of one user's basket: its standard deviation over its mean.

    Returns
    -------
    tuple
        Mean in currency, and mean square in currency squared, (n_users, n_coupons) each.
    """
    rate, low, high = _terms(coupons)
    mean, square = np.empty((2, *np.broadcast_shapes(np.shape(basket), rate.shape)))
    baskets = np.broadcast_to(basket, mean.shape)
    for j in range(len(rate)):
        mean[..., j], square[..., j] = _clipped(baskets[..., j], spread, low[j], high[j])
    return rate * mean, rate**2 * square


def expected_cost(coupons: pl.DataFrame, redemption: Array, basket: Array, spread: float = 0.0) -> Array:
    """Return redemption probability times expected discount, (n_users, n_coupons), in currency."""
    cost: Array = redemption * discount_moments(coupons, basket, spread)[0]
    return cost


def cost_variance(coupons: pl.DataFrame, redemption: Array, basket: Array, spread: float = 0.0) -> Array:
    """Return the variance of the discount given away, (n_users, n_coupons), in currency squared.

    Nothing is given away unless the coupon is redeemed, and then as much as the basket says:
    with *q* the redemption probability and *d* the discount, ``q E[d^2] - (q E[d])^2``.
    """
    mean, square = discount_moments(coupons, basket, spread)
    return np.asarray(np.maximum(redemption * square - (redemption * mean) ** 2, 0.0))


def _terms(coupons: pl.DataFrame) -> tuple[Array, Array, Array]:
    """Return rate, and the lowest and highest basket that counts, of each coupon, (n_coupons,) each."""
    kind = coupons["kind"].to_numpy()
    value = coupons["value"].to_numpy().astype(np.float64)
    floor = coupons["min_spend"].fill_null(0.0).to_numpy()
    cap = coupons["max_discount"].fill_null(np.inf).to_numpy()
    rate = np.where(kind == "percent", value / 100.0, 1.0)
    most = np.where(kind == "percent", cap, np.minimum(value, cap))
    high = np.divide(most, rate, out=np.full(len(rate), np.inf), where=rate > 0)
    low = np.where(kind == "free_shipping", high, np.minimum(floor, high))
    return rate, low, high


def _clipped(mean: Array, spread: float, low: float, high: float) -> tuple[Array, Array]:
    """Return E[X] and E[X^2] of X = clip(B, low, high), where B is log-normal around `mean`."""
    if spread <= 0 or low == high:
        fixed = np.clip(mean, low, high)
        return fixed, fixed**2
    from scipy.special import ndtr

    mean, variance = np.maximum(mean, TINY), np.log1p(spread**2)
    deviation = np.sqrt(variance)
    with np.errstate(divide="ignore"):
        from_low, from_high = np.log(low / mean), np.log(high / mean)
    moments = [low**power * ndtr((from_low + 0.5 * variance) / deviation) for power in (1, 2)]
    for i, power in enumerate((1, 2)):
        whole = mean**power * np.exp(0.5 * power * (power - 1) * variance)
        shift = (0.5 - power) * variance
        moments[i] += whole * (ndtr((from_high + shift) / deviation) - ndtr((from_low + shift) / deviation))
        if np.isfinite(high):
            moments[i] += high**power * ndtr(-(from_high + 0.5 * variance) / deviation)
    return moments[0], moments[1]
