"""What a model learns from: rows of a history, encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from predictors.features import Contexts, Coupons, Encoder
from predictors.history import History

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingData:
    """n rows of a history with what was known of their users, and c coupons.

    Parameters
    ----------
    encoder
        Made `contexts` and `coupons`.
    history, contexts
        One entry a row, in the same order.
    coupons
        One entry for each of ``history.coupons``.
    seed
        Of everything that training draws.
    """

    encoder: Encoder
    history: History
    contexts: Contexts
    coupons: Coupons
    seed: int

    def __len__(self) -> int:
        return len(self.history)

    def take(self, rows: Ints) -> TrainingData:
        """Return some of the rows."""
        return replace(self, history=self.history.take(rows), contexts=self.contexts.take(rows))

    @property
    def own(self) -> Bools:
        """Whether a row's outcome is about the products of the coupon it names, sent or not, (n,)."""
        return (self.history.coupon >= 0) & self.history.own_control[self.history.coupon]

    @property
    def observed(self) -> Bools:
        """Which coupons each row shows the outcome with, or without, (n, c)."""
        mine = self.history.coupon[:, None] == np.arange(len(self.coupons))
        return np.where(self.history.treated[:, None], mine, True)
