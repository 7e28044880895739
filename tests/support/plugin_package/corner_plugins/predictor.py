"""A predictor that expects the same of every user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.discounts import expected_cost
from allocator.plugins.evaluation import ArmEvaluation, Evaluation
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress

FILE = "rates.json"


class AveragePredictor:
    """Uplift is each coupon's conversion rate less that of control; `shrink` pulls it towards 0."""

    def __init__(self, *, shrink: float = 1.0) -> None:
        self.shrink = shrink
        self.rates: dict[str, float] = {}

    def fit(
        self, campaign: Campaign, *, seed: int, device: str = "auto", progress: Progress = no_progress
    ) -> Evaluation:
        """Count."""
        history = campaign.history
        assert history is not None
        progress("count", 0, 1)
        sent, control = history.filter(pl.col("treated")), history.filter(~pl.col("treated"))
        self.rates = {
            "control": _mean(control["converted"]),
            "redeemed": _mean(sent["redeemed"]),
            "revenue": _mean(history.filter(pl.col("converted"))["revenue"]),
        }
        for (coupon,), rows in sent.group_by("coupon_id"):
            self.rates[f"coupon {coupon}"] = _mean(rows["converted"])
        observed = _mean(sent["converted"]) - self.rates["control"]
        arm = ArmEvaluation("all coupons", len(sent), len(control), 0.0, observed, observed)
        return Evaluation("average", len(history), 0, (arm,), ())

    def predict(self, campaign: Campaign, *, progress: Progress = no_progress) -> Predictions:
        """Say the same of everyone."""
        users, coupons = campaign.user_ids, campaign.coupon_ids
        every = np.ones((len(users), len(coupons)))
        control = self.rates["control"]
        uplift = [self.shrink * (self.rates.get(f"coupon {c}", control) - control) for c in coupons]
        redemption, revenue = every * self.rates["redeemed"], every * self.rates["revenue"]
        cost = expected_cost(campaign.active_coupons, redemption, revenue)
        return Predictions(users, coupons, every * control, every * uplift, redemption, revenue, cost)

    def save(self, folder: Path) -> None:
        """Write the rates."""
        (folder / FILE).write_text(json.dumps({"shrink": self.shrink, "rates": self.rates}))

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """Read the rates."""
        saved: dict[str, Any] = json.loads((folder / FILE).read_text())
        predictor = cls(shrink=saved["shrink"])
        predictor.rates = saved["rates"]
        return predictor


def _mean(column: pl.Series) -> float:
    return float(column.cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
