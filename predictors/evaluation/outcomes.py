"""What coupons do to each outcome that past sends record, not only to conversions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.plugins.evaluation import CONVERSIONS, OutcomeUplift
from predictors.evaluation.stack import Stack, join

Floats = NDArray[np.float64]

OUTCOMES = ("clicked", "converted", "redeemed", "revenue")
ALL_COUPONS = "all coupons"


def outcome_uplifts(
    found: Mapping[int, Stack], sends: pl.DataFrame, names: list[str], currency: str
) -> tuple[OutcomeUplift, ...]:
    """Return the observed uplift of each outcome that is recorded, all coupons together first.

    Parameters
    ----------
    found
        The rows about each coupon, by its position.
    sends
        The past sends that the rows are positions in.
    names
        Of the coupons.
    currency
        In which revenue is.
    """
    groups = {ALL_COUPONS: join(list(found.values()))}
    groups |= {names[coupon]: rows for coupon, rows in found.items()}
    return tuple(
        uplift
        for outcome in OUTCOMES
        if outcome in sends.columns and sends[outcome].cast(pl.Float64).fill_null(0.0).sum() > 0
        for uplift in _uplifts(outcome, groups, sends, currency)
    )


def _uplifts(
    outcome: str, groups: Mapping[str, Stack], sends: pl.DataFrame, currency: str
) -> Iterator[OutcomeUplift]:
    """Yield one entry a group; who was sent nothing clicked and redeemed nothing, and no revenue is none."""
    values = sends[outcome].cast(pl.Float64).to_numpy()
    for name, rows in groups.items():
        value = values[rows.row]
        value = np.where(np.isnan(value) & (~rows.treated | (outcome == "revenue")), 0.0, value)
        known = replace(rows, outcome=value).take(np.isfinite(value))
        sides = (known.take(side) for side in (~known.treated, known.treated))
        alone, sent = (
            float(np.average(side.outcome, weights=side.weight)) if side.weight.sum() > 0 else float("nan")
            for side in sides
        )
        unit = currency if outcome == "revenue" else CONVERSIONS
        yield OutcomeUplift(outcome, name, unit, alone, sent, known.observed())
