"""What a model says before calibration."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Logits:
    """What a model says before calibration, (n_users, n_coupons) each; `revenue` is its log."""

    conversion: Floats
    effect: Floats
    redemption: Floats
    revenue: Floats

    @classmethod
    def stack(cls, parts: list[Logits], coupons: int) -> Logits:
        """Join the logits of consecutive users."""
        empty = [np.zeros((0, coupons))]
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate(empty + [getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: NDArray[np.int64]) -> Logits:
        """Return some of the users."""
        return Logits(*(getattr(self, field.name)[rows] for field in fields(self)))
