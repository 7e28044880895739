"""Means and differences with 95 % intervals, by influence functions summed within users."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import Estimate
from predictors.evaluation.rows import by_row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def estimate(value: float, influence: Floats, user: Ints | None = None) -> Estimate:
    """Return a value with its 95 % interval.

    The variance of a mean of influences; rows of one user are summed first, as they depend on each
    other (Liang and Zeger, "Longitudinal Data Analysis Using Generalized Linear Models", Biometrika
    1986). NaN bounds where there is but one user.

    Parameters
    ----------
    value
        The estimate.
    influence
        (n,) influence of each row on it, of mean 0.
    user
        (n,) whose row it is; each row its own if None.
    """
    n = len(influence)
    if user is not None:
        influence = np.asarray(np.bincount(np.unique(user, return_inverse=True)[1], influence), np.float64)
    groups = len(influence)
    if groups < 2:
        return Estimate(float(value), float("nan"), float("nan"))
    error = float(np.sqrt(np.sum(influence**2) * groups / (groups - 1)) / n)
    return Estimate(float(value), float(value - Z * error), float(value + Z * error))


@by_row
def mean_estimate(values: Floats, user: Ints | None = None) -> Estimate:
    """Return the mean of n values with its interval; NaN for none."""
    if not len(values):
        return Estimate(*[float("nan")] * 3)
    mean = float(np.mean(values))
    return estimate(mean, values - mean, user)


def ratio_estimate(values: Floats, weight: Floats, user: Ints | None = None) -> Estimate:
    """Return the weighted mean of n values (Hajek) with its interval; NaN where nothing has weight."""
    if not weight.sum() > 0:
        return Estimate(*[float("nan")] * 3)
    mean = float(np.average(values, weights=weight))
    return estimate(mean, weight / weight.mean() * (values - mean), user)


@by_row
def difference_estimate(
    outcome: Floats, treated: Bools, weight: Floats | None = None, user: Ints | None = None
) -> Estimate:
    """Return the weighted mean outcome of treated less control rows; NaN if a side is empty.

    Parameters
    ----------
    outcome, treated
        (n,) what came of it, and whether it was treated.
    weight
        (n,) inverse propensity; 1 if None.
    user
        (n,) whose row it is; each row its own if None.
    """
    weight = np.ones(len(outcome)) if weight is None else weight
    difference, influence = 0.0, np.zeros(len(outcome))
    for side, sign in ((treated, 1.0), (~treated, -1.0)):
        share = np.where(side, weight, 0.0)
        if not share.sum() > 0:
            return Estimate(*[float("nan")] * 3)
        mean = float(np.average(outcome, weights=share))
        difference += sign * mean
        influence += sign * share / share.mean() * (outcome - mean)
    return estimate(difference, influence, user)
