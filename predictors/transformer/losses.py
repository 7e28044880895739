"""What the uplift model is trained to do: agree with what happened, and with doubly robust scores.

The factual loss judges each row by the outcome it had, under the treatment it got, with the treated
and control sides balanced as in TARNet (Shalit, Johansson and Sontag, "Estimating Individual Treatment
Effect", ICML 2017) and rows weighted by inverse propensity.

The doubly robust loss compares the uplift of each row and coupon with a cross-fitted pseudo-outcome
(Kennedy, "Towards Optimal Doubly Robust Estimation of Heterogeneous Causal Effects", Electronic Journal
of Statistics 2023), while the factual loss goes on to teach the conversion without coupon. It is the
squared error over the variance of the pseudo-outcomes, so both losses are log likelihoods; a rare
conversion varies less, so its error counts for more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from predictors.transformer.batches import Rows, floats
from predictors.transformer.network import CouponBatch, Outputs, UpliftNetwork

REDEMPTION_WEIGHT, REVENUE_WEIGHT = 0.5, 0.1
REVENUE_LIMIT = 20.0
"""Largest revenue that the loss sees, in means; the level is corrected after training."""
PRECISION_LIMIT = 10.0
"""No pseudo-outcome counts so many times more, or less, than a usual one."""
COUPONS_AT_ONCE = 16
"""A step compares a row's uplift for so many coupons at most, drawn anew each time."""


@dataclass(frozen=True)
class PseudoOutcomes:
    """Doubly robust estimates of the uplift of n rows and c coupons.

    Parameters
    ----------
    effect, usable
        (n, c) the estimate, 0 where the row says nothing about the coupon; whether it does.
    variance
        Of the estimates about the mean of their coupon.
    spread
        p (1 - p) of a conversion at the usual rate p.
    """

    effect: Tensor
    usable: Tensor
    variance: float
    spread: float

    @classmethod
    def of(cls, effect: NDArray[np.float64], rate: float, device: torch.device) -> PseudoOutcomes:
        """Take estimates, NaN where there is none, and the share of rows that converted."""
        usable = np.isfinite(effect)
        known = np.where(usable, effect, 0.0)
        mean = known.sum(axis=0) / np.maximum(usable.sum(axis=0), 1)
        squares = np.where(usable, (effect - mean) ** 2, 0.0)
        variance = float(squares.sum() / max(usable.sum(), 1))
        spread = max(rate * (1.0 - rate), 1e-9)
        return cls(floats(known, device), floats(usable, device), max(variance, 1e-12), spread)


@dataclass(frozen=True)
class Objective:
    """The loss of some rows, as two parts: of conversion and uplift, and of redemption and revenue.

    Parameters
    ----------
    rows
        All rows.
    pseudo
        Pseudo-outcomes of the second stage; None for the factual loss alone.
    """

    rows: Rows
    pseudo: PseudoOutcomes | None = None

    def of(
        self,
        model: UpliftNetwork,
        index: Tensor,
        coupons: CouponBatch,
        *,
        asked: Tensor | None = None,
        linear_only: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the mean loss of b rows.

        Parameters
        ----------
        model
            To be judged.
        index
            (b,) positions of the rows.
        coupons
            All c coupons.
        asked
            Positions of the coupons whose pseudo-outcomes count; all if None.
        linear_only
            Judge the linear path alone, by the factual loss alone.
        """
        pair = self.rows.coupon[index][:, None]
        second = self.pseudo is not None and not linear_only
        if second:
            asked = torch.arange(len(coupons.numbers), device=pair.device) if asked is None else asked
            pair = torch.cat([pair, asked.expand(len(index), -1)], dim=1)
        # The linear fit needs full precision; steps of the network do not.
        half = self.rows.device.type == "cuda" and not linear_only
        with torch.autocast(self.rows.device.type, dtype=torch.bfloat16, enabled=half):
            output: Outputs = model(self.rows.users(index, pair), coupons, pair, linear_only)
        conversion, others = _factual(output, self.rows, index)
        if self.pseudo is not None and second and asked is not None:
            share = len(asked) / len(coupons.numbers)
            conversion = conversion + _doubly_robust(output, self.pseudo, index, asked) / share
        return conversion, others

    def draw(self, rng: np.random.Generator) -> Tensor | None:
        """Draw the coupons whose pseudo-outcomes count in a step; None for all."""
        coupons = len(self.rows.coupons.numbers)
        if self.pseudo is None or coupons <= COUPONS_AT_ONCE:
            return None
        asked = np.sort(rng.choice(coupons, COUPONS_AT_ONCE, replace=False))
        return torch.as_tensor(asked, device=self.rows.device)

    @property
    def pairs_a_row(self) -> int:
        """How many coupons a row is scored against where all count."""
        return 1 if self.pseudo is None else 1 + len(self.rows.coupons.numbers)


def _factual(output: Outputs, rows: Rows, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean loss of conversions, and that of redemptions and revenue."""
    treated, converted, weight = rows.treated[index], rows.converted[index], rows.weight[index]
    named = rows.named[index]  # where no coupon is named, no coupon has a part in the outcome
    baseline = torch.where(named, output.conversion[:, 0], output.control)
    logit = baseline + treated * output.effect[:, 0]
    conversion = weight * functional.binary_cross_entropy_with_logits(logit, converted, reduction="none")
    redemption = treated * functional.binary_cross_entropy_with_logits(
        output.redemption[:, 0], rows.redeemed[index], reduction="none"
    )
    # Poisson deviance in units of the mean: consistent for the mean, and steps stay bounded where
    # revenue is skewed (see also Santos Silva and Tenreyro, "The Log of Gravity", 2006).
    log_revenue = torch.where(named, output.revenue[:, 0], output.control_revenue)
    relative = log_revenue - rows.log_mean_revenue
    share = rows.revenue[index] * math.exp(-rows.log_mean_revenue)
    revenue = converted * (torch.exp(relative.clamp(max=5.0)) - share.clamp(max=REVENUE_LIMIT) * relative)
    return conversion.mean(), (REDEMPTION_WEIGHT * redemption + REVENUE_WEIGHT * revenue).mean()


def _doubly_robust(output: Outputs, pseudo: PseudoOutcomes, index: Tensor, asked: Tensor) -> Tensor:
    """Return the mean loss of uplift; the first column of the output is the row's own coupon."""
    before = output.conversion[:, 1:].detach()  # the factual loss alone teaches the baseline
    uplift = torch.sigmoid(before + output.effect[:, 1:]) - torch.sigmoid(before)
    at = index[:, None], asked[None, :]
    spread = torch.sigmoid(before) * torch.sigmoid(-before)
    precision = (pseudo.spread / spread.clamp(min=1e-9)).clamp(1 / PRECISION_LIMIT, PRECISION_LIMIT)
    squares = pseudo.usable[at] * precision * (uplift - pseudo.effect[at]) ** 2
    return squares.sum(dim=1).mean() / (2.0 * pseudo.variance)
