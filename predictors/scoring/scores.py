"""Scores of users against coupons, and the predictions a campaign needs from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.predictions import Predictions
from predictors.regressions.links import sigmoid

if TYPE_CHECKING:
    from allocator.campaign import Campaign
    from predictors.scoring.spending import Spending

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Probabilities and revenue for n users and c coupons, (n, c) each.

    `uplift_error` is the standard error of the uplift, where it is known.
    """

    conversion: Floats
    uplift: Floats
    redemption: Floats
    revenue: Floats
    uplift_error: Floats | None = None

    @classmethod
    def from_logits(
        cls, conversion: Floats, effect: Floats, redemption: Floats, log_revenue: Floats
    ) -> Scores:
        """Turn logits into probabilities; the uplift is what the coupon adds to the conversion."""
        baseline = sigmoid(conversion)
        return cls(
            conversion=baseline,
            uplift=sigmoid(conversion + effect) - baseline,
            redemption=sigmoid(redemption),
            revenue=np.exp(np.clip(log_revenue, -20.0, 20.0)),
        )

    @classmethod
    def stack(cls, parts: list[Scores], coupons: int) -> Scores:
        """Join the scores of consecutive users."""
        empty = [np.zeros((0, coupons))]
        names = [field.name for field in fields(cls)]
        if any(part.uplift_error is None for part in parts):
            names.remove("uplift_error")
        return cls(*(np.concatenate(empty + [getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: NDArray[np.int64]) -> Scores:
        """Return some of the users."""
        return Scores(
            conversion=self.conversion[rows],
            uplift=self.uplift[rows],
            redemption=self.redemption[rows],
            revenue=self.revenue[rows],
            uplift_error=None if self.uplift_error is None else self.uplift_error[rows],
        )

    def predictions(
        self, campaign: Campaign, spending: Spending, known: NDArray[np.int64], start: int = 0
    ) -> Predictions:
        """Add labels, costs and baskets.

        Parameters
        ----------
        campaign
            Its users from `start` on are the rows, its active coupons the columns.
        spending, known
            What past orders showed; (c,) which entry each coupon has there.
        start
            The user of the first row.
        """
        cost, variance = spending.cost(campaign.active_coupons, self.redemption, self.revenue, known)
        users = campaign.users["user_id"][start : start + len(self.uplift)]
        return Predictions(
            user_ids=np.asarray(users.to_list(), dtype=np.str_),
            coupon_ids=campaign.coupon_ids,
            conversion=self.conversion,
            uplift=self.uplift,
            redemption=self.redemption,
            revenue=self.revenue,
            expected_cost=cost,
            uplift_error=self.uplift_error,
            baseline_revenue=spending.baseline_revenue(self.revenue, known),
            cost_variance=variance,
        )
