"""What a coupon takes off a basket, in currency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

Array = NDArray[np.float64]


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
        Basket in currency, (n_users, n_coupons) or broadcastable to it.

    Returns
    -------
    numpy.ndarray
        Discount in currency, (n_users, n_coupons).
    """
    kind = coupons["kind"].to_numpy()
    value = coupons["value"].to_numpy()
    floor = coupons["min_spend"].fill_null(0.0).to_numpy()
    cap = coupons["max_discount"].fill_null(np.inf).to_numpy()
    redeemed = np.maximum(basket, floor)
    off = np.where(kind == "percent", redeemed * value / 100.0, value)
    off = np.minimum(off, cap)
    return np.asarray(np.where(kind == "free_shipping", off, np.minimum(off, redeemed)))


def expected_cost(coupons: pl.DataFrame, redemption: Array, basket: Array) -> Array:
    """Return redemption probability times discount, (n_users, n_coupons), in currency."""
    cost: Array = redemption * discount(coupons, basket)
    return cost
