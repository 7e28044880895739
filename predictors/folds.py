"""Folds that hold like shares of each arm and outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.history import History

Ints = NDArray[np.int64]


def draw_stratified_folds(history: History, folds: int, rng: np.random.Generator) -> Ints:
    """Return a fold for each row, (n,), so that folds hold like shares of each arm and outcome."""
    users, first, position = np.unique(history.user, return_index=True, return_inverse=True)
    converted = np.bincount(position, history.converted, len(users)) > 0
    order = np.lexsort((rng.random(len(users)), converted, history.treated[first], history.coupon[first]))
    fold = np.empty(len(users), dtype=np.int64)
    fold[order] = np.arange(len(users)) % folds
    return fold[position]
