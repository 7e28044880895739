"""Encoded users, each at its moment: the arrays that every model reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Contexts:
    """What is known of n users, each at its moment.

    Parameters
    ----------
    numeric
        (n, n_numeric), standardised, NaN where missing.
    categorical
        (n, n_categorical) indices.
    event_kind, event_category
        (n, max_events) indices; kind 0 is "no event".
    event_numbers
        (n, max_events, 2): log amount and log age, about unit scale.
    affinity
        (n, n_slots, AFFINITY): interest in each of the coupons' categories; `Coupons.slot` says
        which. The last slot is "no category", all zero.
    category_sizes
        Number of indices of each categorical feature.
    """

    numeric: Float32
    categorical: Ints
    event_kind: Ints
    event_category: Ints
    event_numbers: Float32
    affinity: Float32
    category_sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numeric)

    def take(self, rows: Ints) -> Contexts:
        """Return some of the users."""
        names = ("numeric", "categorical", "event_kind", "event_category", "event_numbers", "affinity")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def design(self) -> NDArray[np.float64]:
        """Return one matrix for linear models: numbers (0 if missing), missing flags, one-hot texts."""
        missing = np.isnan(self.numeric)
        parts = [np.where(missing, 0.0, self.numeric), missing]
        for column, size in zip(self.categorical.T, self.category_sizes, strict=True):
            parts.append(column[:, None] == np.arange(size))
        return np.concatenate(parts, axis=1, dtype=np.float64)
