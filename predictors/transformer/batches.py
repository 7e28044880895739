"""Users, coupons and history rows as tensors on a device."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from predictors.features.encoder import Contexts, Coupons
from predictors.history.history import History
from predictors.history.training_data import TrainingData
from predictors.transformer.network import CouponBatch, UserBatch

Floats = NDArray[np.float64]


class Rows:
    """History rows and what was known of their users.

    Parameters
    ----------
    data
        n rows and c coupons.
    descriptions
        (c, size) the coupons' descriptions as numbers.
    weight
        (n,) of each row in the factual loss.
    device
        Where the tensors are.
    """

    def __init__(
        self, data: TrainingData, descriptions: NDArray[np.float32], weight: Floats, device: torch.device
    ) -> None:
        history = data.history
        self.device = device
        self._users = user_batch(data.contexts, data.contexts.affinity, device)
        self._slot = torch.as_tensor(data.coupons.slot, device=device)
        self.coupons = coupon_batch(data.coupons, history.own_control, descriptions, device)
        self.coupon = torch.as_tensor(np.maximum(history.coupon, 0), device=device)
        self.named = torch.as_tensor(history.coupon >= 0, device=device)
        self.treated = floats(history.treated, device)
        self.converted = floats(history.converted, device)
        self.redeemed = floats(history.redeemed, device)
        self.revenue = floats(history.revenue, device)
        self.log_mean_revenue = log_mean_revenue(history)
        self.weight = floats(weight, device)

    def users(self, rows: Tensor, pair: Tensor) -> UserBatch:
        """Return the features of the users of b rows, with their interest in (b, k) coupons."""
        values = {
            field.name: getattr(self._users, field.name)[rows]
            for field in fields(UserBatch)
            if field.name != "affinity"
        }
        return UserBatch(**values, affinity=self._users.affinity[rows[:, None], self._slot[pair]])


def user_batch(contexts: Contexts, affinity: NDArray[np.float32], device: torch.device) -> UserBatch:
    """Put contexts on the device; `affinity` is (n, k, AFFINITY)."""
    names = ("numeric", "categorical", "event_kind", "event_category", "event_numbers")
    tensors = {name: torch.as_tensor(getattr(contexts, name), device=device) for name in names}
    return UserBatch(**tensors, affinity=torch.as_tensor(affinity, device=device))


def coupon_batch(
    coupons: Coupons, own_control: NDArray[np.bool_], descriptions: NDArray[np.float32], device: torch.device
) -> CouponBatch:
    """Put coupons on the device."""
    return CouponBatch(
        torch.as_tensor(coupons.numbers, device=device),
        torch.as_tensor(coupons.texts, device=device),
        torch.as_tensor(descriptions, device=device),
        floats(own_control, device),
    )


def floats(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """Return numbers in single precision."""
    return torch.as_tensor(np.asarray(values, dtype=np.float32), device=device)


def log_mean_revenue(history: History) -> float:
    """Return the log of the mean revenue of a conversion; 0 if there is no revenue."""
    bought = history.revenue[history.converted]
    return float(np.log(bought.mean())) if bought.any() else 0.0
