"""The logistic link and its inverse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + exp(-logit)) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def logit(probability: Floats) -> Floats:
    """Return log(p / (1 - p)); p is kept off 0 and 1."""
    p = np.clip(probability, 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(p / (1.0 - p)))
