"""What a sent coupon leads to beside a conversion: linear models of redemption and of revenue."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from predictors.features.encoder import Contexts, Coupons, Encoder
from predictors.history.training_data import TrainingData
from predictors.regressions.pairs import Pairs, join, only, split

Floats = NDArray[np.float64]

ITERATIONS = 300


class Basket:
    """Probability of redemption if a coupon is sent, and revenue of a conversion.

    `weights` holds the coefficients by name.
    """

    def __init__(self) -> None:
        self.weights: dict[str, Floats] = {}

    @classmethod
    def of(cls, data: TrainingData, regularisation: float, interaction_scale: float) -> Self:
        """Return one that is fitted."""
        found = cls()
        found.fit(data, regularisation, interaction_scale)
        return found

    def fit(self, data: TrainingData, regularisation: float, interaction_scale: float) -> None:
        """Fit redemption on treated rows, revenue on conversions."""
        history = data.history
        x, treated = data.contexts.design(), history.treated
        pairs = Pairs(data.encoder, data.coupons)
        columns, scales = pairs.columns(data.contexts, history.coupon, interaction_scale)
        redeemed = history.redeemed[treated]
        theta = np.zeros(1 + len(scales))
        theta[0] = np.log((redeemed.sum() + 0.5) / ((~redeemed).sum() + 0.5))
        if redeemed.any() and not redeemed.all():
            redemption = LogisticRegression(C=regularisation, max_iter=ITERATIONS)
            redemption.fit(columns[treated], redeemed)
            theta = np.r_[redemption.intercept_, redemption.coef_[0]]
        self.weights = split(theta, 0, scales, ("redemption_mean", "redemption"))

        bought = history.converted & (history.revenue > 0)
        theta = np.zeros(1 + x.shape[1] + len(scales))
        if bought.any():
            mean = history.revenue[history.converted].mean()
            design = join(x, only(columns, history.coupon >= 0))[history.converted]
            revenue = PoissonRegressor(alpha=0.1, max_iter=ITERATIONS)
            revenue.fit(design, history.revenue[history.converted] / mean)
            theta = np.r_[revenue.intercept_ + np.log(mean), revenue.coef_]
        self.weights |= split(theta, x.shape[1], scales, ("revenue", "revenue_coupon"))

    def score(self, encoder: Encoder, contexts: Contexts, coupons: Coupons) -> tuple[Floats, Floats]:
        """Return the logit of redemption and the log of revenue, (n_users, n_coupons) each."""
        x, pairs, weights = contexts.design(), Pairs(encoder, coupons), self.weights
        redemption = pairs.score(weights["redemption"], x, contexts) + weights["redemption_mean"]
        revenue = (weights["revenue"][0] + x @ weights["revenue"][1:])[:, None]
        return redemption, revenue + pairs.score(weights["revenue_coupon"], x, contexts)
