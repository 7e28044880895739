"""Uplift by the values of a user column, observed beside predicted."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.plugins.evaluation import Estimate, Subgroup
from predictors.evaluation.estimates import Z
from predictors.evaluation.stack import Stack

Floats = NDArray[np.float64]

MOST_VALUES = 10
"""A numeric column with more values is cut into quarters."""
MISSING = "(missing)"


def subgroups(rows: Stack, columns: pl.DataFrame) -> tuple[Subgroup, ...]:
    """Return uplift by value of each column.

    P-values say whether a subgroup's uplift differs from that of all other rows; Holm's correction is
    over all subgroups of all columns. Intervals are of each subgroup alone.

    Parameters
    ----------
    rows
        n rows of all coupons.
    columns
        Columns of the user of each row, n rows.
    """
    found = []
    for column in columns.iter_columns():
        labels, values = bands(column)
        for value in values:
            inside = (labels == value).to_numpy()
            part, rest = rows.take(inside), rows.take(~inside)
            if part.two_sided:
                found.append(_subgroup(column.name, value, part, rest))
    adjusted = holm(np.array([group.p_value for group in found]))
    return tuple(replace(group, p_value=float(p)) for group, p in zip(found, adjusted, strict=True))


def bands(column: pl.Series) -> tuple[pl.Series, list[str]]:
    """Return a label for each row, and the labels in order: values, or quarters of many numbers."""
    if column.dtype.is_numeric() and column.n_unique() > MOST_VALUES:
        values = column.cast(pl.Float64).fill_nan(None)
        cuts = values.drop_nulls().quantile(0.25), values.drop_nulls().median(), values.quantile(0.75)
        edges = np.unique(np.array(cuts, dtype=np.float64))
        names = [
            f"up to {edges[0]:.3g}",
            *(f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)),
            f"over {edges[-1]:.3g}",
        ]
        codes = np.searchsorted(edges, values.fill_null(0.0).to_numpy(), side="left")
        labels = pl.Series(column.name, names).gather(codes).set(values.is_null(), None)
    else:
        values = column.unique().sort().drop_nulls()
        names = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
        labels = column.replace_strict(values, names, default=None, return_dtype=pl.String)
    return labels.fill_null(MISSING), [*names, MISSING]


def holm(p: Floats) -> Floats:
    """Return p-values adjusted for their number (Holm 1979); NaN stays and does not count."""
    adjusted, known = np.full(len(p), np.nan), np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def _subgroup(column: str, value: str, part: Stack, rest: Stack) -> Subgroup:
    observed = part.observed()
    return Subgroup(
        column=column,
        value=value,
        treated=int(part.treated.sum()),
        control=part.controls,
        predicted=part.predicted(),
        observed=observed,
        p_value=_p_value(observed, rest.observed()) if rest.two_sided else math.nan,
    )


def _p_value(one: Estimate, other: Estimate) -> float:
    """Return the two-sided p-value of a difference between estimates from different users."""
    error = math.hypot(one.high - one.low, other.high - other.low) / (2 * Z)
    if not error > 0:
        return math.nan
    return math.erfc(abs(one.value - other.value) / error / math.sqrt(2))
