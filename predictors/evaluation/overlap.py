"""Whether every arm was sent to comparable users: propensities by arm, and balance of features."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.plugins.evaluation import ArmOverlap, Balance
from predictors.history.history import History
from predictors.history.propensity import Propensity

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MOST_LEVELS = 20


def arm_overlap(history: History, propensity: Propensity) -> tuple[ArmOverlap, ...]:
    """Return the propensities of the rows of each arm, nothing first."""
    arms = []
    usable = propensity.usable
    if (~history.treated).any():
        arms.append(
            _overlap(
                "nothing", ~history.treated, propensity, np.asarray(usable.any(axis=1)), ~history.treated
            )
        )
    for coupon, name in enumerate(history.coupons["coupon_id"]):
        sent = history.treated & (history.coupon == coupon)
        if sent.any():
            about = sent | history.control_of(coupon)
            arms.append(_overlap(name, sent, propensity, usable[:, coupon], about))
    return tuple(arms)


def _overlap(name: str, sent: Bools, propensity: Propensity, usable: Bools, about: Bools) -> ArmOverlap:
    quantiles = np.quantile(1.0 / propensity.weight[sent], QUANTILES)
    return ArmOverlap(name, int(sent.sum()), tuple(quantiles.tolist()), float(usable[about].mean()))


def balance(users: pl.DataFrame, treated: Bools, weight: Floats) -> tuple[Balance, ...]:
    """Return how each feature differs between treated and control rows, the most different first.

    Standardised mean differences: Austin, "Balance Diagnostics for Comparing the Distribution of
    Baseline Covariates Between Treatment Groups in Propensity-Score Matched Samples", Statistics in
    Medicine 2009. Of a text column, each of its values is a feature (of a column with more than 20
    values none is).

    Parameters
    ----------
    users
        Features of the user of each row, n rows.
    treated, weight
        (n,) whether the row was treated, and its inverse propensity, 0 if it is not comparable.
    """
    if treated.all() or not treated.any():
        return ()
    found = [
        Balance(
            name,
            standardised_difference(values, treated, np.ones(len(values))),
            standardised_difference(values, treated, weight),
        )
        for name, values in _features(users)
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.weighted), one.feature)))


def standardised_difference(values: Floats, treated: Bools, weight: Floats) -> float:
    """Return the mean of treated less that of control rows, in standard deviations; missing left out.

    The standard deviation is that of the unweighted rows of both sides, so that weights do not move
    the yardstick. 0 where the values are all equal.
    """
    known = np.isfinite(values)
    means, variances = [], []
    for side in (treated & known, ~treated & known):
        if not weight[side].sum() > 0:
            return 0.0
        means.append(np.average(values[side], weights=weight[side]))
        variances.append(values[side].var())
    deviation = np.sqrt(np.mean(variances))
    return float((means[0] - means[1]) / deviation) if deviation > 0 else 0.0


def _features(users: pl.DataFrame) -> list[tuple[str, Floats]]:
    features = []
    for column in users.drop("user_id", strict=False).iter_columns():
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            features.append((column.name, column.cast(pl.Float64).fill_null(float("nan")).to_numpy()))
        elif column.dtype == pl.String and column.n_unique() <= MOST_LEVELS:
            for level in column.drop_nulls().unique().sort():
                features.append((f"{column.name} = {level}", _is(column, level)))
    return [
        (name, values)
        for name, values in features
        if np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf)
    ]


def _is(column: pl.Series, level: str) -> Floats:
    return (column == level).fill_null(False).cast(pl.Float64).to_numpy()
