"""How well uplift is sized: predicted beside observed, by quantile of the predicted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predictors.evaluation.estimates import difference_estimate
from predictors.evaluation.rows import by_row

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Bins = tuple[tuple[float, float, int], ...]
"""(predicted, observed, rows) of each bin, lowest predicted uplift first."""


@by_row
def calibration_bins(
    outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None, *, bins: int = 10
) -> Bins:
    """Return mean predicted and observed uplift and rows, by quantile of predicted uplift.

    The observed one is the weighted mean outcome of treated less control rows of the bin; a bin that
    lacks either is left out.

    Parameters
    ----------
    outcome, treated, uplift
        (n,) each.
    weight
        (n,) inverse propensity; 1 if None. Bins hold equal weight.
    bins
        How many; 10 are deciles.
    """
    weight = np.ones(len(outcome)) if weight is None else weight
    order = np.argsort(uplift, kind="stable")
    position = np.cumsum(weight[order]) / weight.sum()
    groups = np.minimum((position * bins).astype(int), bins - 1)
    found = []
    for group in range(bins):
        rows = order[groups == group]
        observed = difference_estimate(outcome[rows], treated[rows], weight[rows]).value
        if np.isfinite(observed):
            found.append((float(np.average(uplift[rows], weights=weight[rows])), observed, len(rows)))
    return tuple(found)


def calibration_error(bins: Bins) -> float:
    """Return the mean distance of predicted from observed uplift over the rows of all bins; NaN for none.

    An observed uplift is noisy, so even true predictions have an error, which falls with the number
    of rows.
    """
    total = sum(rows for _, _, rows in bins)
    if not total:
        return float("nan")
    return sum(abs(predicted - observed) * rows for predicted, observed, rows in bins) / total
