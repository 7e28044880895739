"""What orders are worth and what coupons take off them, beyond the expected basket: as past sends showed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.discounts import cost_variance, expected_cost
from predictors.history.history import History
from predictors.scoring.shrinkage import shrink

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW = 10.0
"""So many usual orders are added to those that were seen."""
USUAL_SPREAD = 0.5
"""Standard deviation of the logarithm of a usual basket around its expectation."""


@dataclass(frozen=True)
class Spending:
    """What a predictor's baskets leave open; the first entry of a tuple is for a coupon never sent.

    Parameters
    ----------
    spread
        Coefficient of variation of a basket around its expectation.
    lifts
        (n_coupons + 1,) logarithm of the basket of an order with the coupon over that of one without.
    taken
        (n_coupons + 1,) discount recorded over discount expected from the coupon's terms: below 1
        where, for example, a coupon only takes something off part of the basket.
    """

    spread: float
    lifts: tuple[float, ...]
    taken: tuple[float, ...]

    @classmethod
    def fit(cls, history: History, revenue: Floats, discount: Floats) -> Self:
        """Learn from orders.

        Parameters
        ----------
        history
            n rows.
        revenue
            (n, c) expected basket of an order with each coupon, by a model that did not see the row.
        discount
            (n,) what was recorded as taken off, in currency.
        """
        spread = _spread(history, revenue)
        return cls(spread, _lifts(history, revenue, spread), _taken(history, revenue, discount, spread))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return what `dataclasses.asdict` wrote."""
        return cls(data["spread"], tuple(data["lifts"]), tuple(data["taken"]))

    def baseline_revenue(self, revenue: Floats, known: Ints) -> Floats:
        """Return the expected basket of an order if nothing is sent, (n_users, n_coupons).

        Parameters
        ----------
        revenue
            (n_users, n_coupons) if the coupon is sent.
        known
            (n_coupons,) position of each coupon in the tuples.
        """
        return np.asarray(revenue * np.exp(-np.asarray(self.lifts)[known]))

    def cost(
        self, coupons: pl.DataFrame, redemption: Floats, revenue: Floats, known: Ints
    ) -> tuple[Floats, Floats]:
        """Return mean and variance of the discount given away if a coupon is sent; shapes as above."""
        taken = np.asarray(self.taken)[known]
        mean = expected_cost(coupons, redemption, revenue, self.spread)
        return taken * mean, taken**2 * cost_variance(coupons, redemption, revenue, self.spread)


def _orders(history: History) -> NDArray[np.bool_]:
    return np.asarray(history.converted & (history.revenue > 0))


def _spread(history: History, revenue: Floats) -> float:
    """Return the spread of orders that no minimum spend has lifted: those without a redeemed coupon."""
    residuals = []
    for treated in (False, True):
        rows = _orders(history) & (history.treated == treated) & ~history.redeemed
        expected = revenue[rows, np.maximum(history.coupon[rows], 0)]
        residual = np.log(history.revenue[rows] / expected)
        residuals.append(residual - residual.mean() if len(residual) else residual)
    together = np.concatenate(residuals)
    variance = (together @ together + FEW * USUAL_SPREAD**2) / (len(together) + FEW)
    return float(np.sqrt(np.expm1(variance)))


def _lifts(history: History, revenue: Floats, spread: float) -> tuple[float, ...]:
    """Compare how far orders with and without each coupon are from what was expected of them.

    The comparison is of ratios, so that users of small and large baskets may have been mixed
    differently; what a coupon differs from the others is shrunk as far as it may be chance.
    """
    orders, n_coupons = _orders(history), revenue.shape[1]
    gap, variance = np.zeros(n_coupons), np.full(n_coupons, np.inf)
    for j in range(n_coupons):
        sides = (history.treated & (history.coupon == j) & orders, history.control_of(j) & orders)
        counts = [side.sum() for side in sides]
        if min(counts) < 2:
            continue
        sent, alone = (np.log(history.revenue[side].sum() / revenue[side, j].sum()) for side in sides)
        gap[j], variance[j] = sent - alone, spread**2 * sum(1.0 / count for count in counts)
    return tuple(float(change) for change in shrink(gap, variance).change)


def _taken(history: History, revenue: Floats, discount: Floats, spread: float) -> tuple[float, ...]:
    """Return recorded over expected discounts; 1 where none are recorded."""
    n_coupons: int = revenue.shape[1]
    redeemed = history.redeemed & history.treated
    if not discount[redeemed].sum() > 0:
        return (1.0,) * (n_coupons + 1)
    expected = expected_cost(history.coupons, np.ones((1, 1)), revenue, spread)

    def ratio(rows: NDArray[np.bool_]) -> float:
        awaited = expected[rows, history.coupon[rows]]
        usual = FEW * (awaited.mean() if len(awaited) else 1.0)
        return float((discount[rows].sum() + usual) / (awaited.sum() + usual)) if usual > 0 else 1.0

    each = (ratio(redeemed & (history.coupon == j)) for j in range(n_coupons))
    return (ratio(redeemed), *each)
