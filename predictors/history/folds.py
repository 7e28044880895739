"""Folds that hold like shares of each arm and outcome."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.history.history import History, users_by_stratum

Ints = NDArray[np.int64]


def draw_stratified_folds(history: History, folds: int, rng: np.random.Generator) -> Ints:
    """Return a fold for each row, (n,), so that folds hold like shares of each arm and outcome."""
    order, position = users_by_stratum(history, rng)
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % folds
    return fold[position]
