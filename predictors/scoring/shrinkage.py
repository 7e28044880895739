"""Estimates of several coupons drawn towards what they have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Correction:
    """What has to be added to a model's uplift so that coupons have the effect they were seen to have.

    Parameters
    ----------
    change, error
        (c + 1,) the correction of each coupon's average, and its standard error. The first is for a
        coupon that the history does not know.
    """

    change: Floats
    error: Floats


def pooled_mean(gap: Floats, variance: Floats) -> float:
    """Return the precision-weighted mean of estimates."""
    precision = 1.0 / variance
    return float(precision @ gap / precision.sum()) if precision.sum() > 0 else 0.0


def shrink(gap: Floats, variance: Floats, spread: float = 0.0) -> Correction:
    """Shrink each gap, known with a variance (inf: not at all), to their precision-weighted mean.

    The variance between coupons is that of DerSimonian and Laird ("Meta-Analysis in Clinical
    Trials", 1986), at least ``spread ** 2``.
    """
    pooled, precision = pooled_mean(gap, variance), 1.0 / variance
    total = precision.sum()
    if total == 0:
        return Correction(np.zeros(len(gap) + 1), np.ones(len(gap) + 1))
    excess = precision @ (gap - pooled) ** 2 - (np.count_nonzero(precision) - 1)
    room = total - precision @ precision / total
    between = max(excess / room if room > 0 else 0.0, spread**2, 1e-12)
    own = between * precision / (between * precision + 1.0)
    change = pooled + own * (gap - pooled)
    error = np.sqrt((1.0 - own) * between + (1.0 - own) ** 2 / total)
    return Correction(np.r_[pooled, change], np.r_[np.sqrt(between + 1.0 / total), error])
