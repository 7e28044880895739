"""Doubly robust scores of rows and coupons, as `doubly_robust` works them out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.history.propensity import Propensity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DoublyRobust:
    """Scores of n rows and c coupons, NaN where the row says nothing about the coupon.

    Parameters
    ----------
    control, sent
        (n, c) score of the outcome without and with the coupon; unbiased, and far outside [0, 1]
        for a row that got an unlikely arm.
    propensity
        Weights, comparable pairs and notes on overlap.
    """

    control: Floats
    sent: Floats
    propensity: Propensity

    @property
    def effect(self) -> Floats:
        """Pseudo-outcome of the uplift, (n, c)."""
        return np.asarray(self.sent - self.control)

    def take(self, rows: Ints) -> DoublyRobust:
        """Return some of the rows."""
        return DoublyRobust(self.control[rows], self.sent[rows], self.propensity.take(rows))
