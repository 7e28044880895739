"""How many of a coupon may be sent, and how many may be redeemed: columns of coupons.csv as limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl

from allocator.limits import Inventory
from allocator.wording import counted

KIND = "inventory"
SENDS, REDEMPTIONS = "count", "redemptions"
COLUMNS = {SENDS: "inventory", REDEMPTIONS: "max_redemptions"}
"""The column that states how much of a measure there is of each coupon."""
LABELS = {SENDS: "inventory", REDEMPTIONS: "redemptions"}


def stock_of(coupons: pl.DataFrame, measure: str = SENDS) -> dict[str, float]:
    """Return how much of a measure there is of each active coupon that states it."""
    column = COLUMNS.get(measure, "")
    if column not in coupons.columns:
        return {}
    stocked = coupons.filter(pl.col("active") & pl.col(column).is_not_null())
    return {str(coupon): float(stock) for coupon, stock in stocked.select("coupon_id", column).iter_rows()}


def measure_of(table: Mapping[str, Any]) -> str:
    """Return what an inventory's table counts."""
    return str(table.get("measure", SENDS))


def undeclared_stocks(
    tables: Sequence[Mapping[str, Any]], coupons: pl.DataFrame, measures: Collection[str]
) -> dict[str, Inventory]:
    """Return limits of the stocks that coupons.csv states and no table does, by the column that does.

    Where nobody knows how many sends are redeemed (`measures` lack it), each may be: a limit on redemptions
    then counts sends.
    """
    declared = {measure_of(table) for table in tables if table.get("kind") == KIND}
    found = {}
    for measure, column in COLUMNS.items():
        stock = stock_of(coupons, measure)
        if stock and measure not in declared:
            counted = measure if measure == SENDS or measure in measures else SENDS
            found[column] = Inventory(stock, measure=counted, label=LABELS[measure])
    return found


def stock_notes(coupons: pl.DataFrame, scored: Collection[str], history: pl.DataFrame | None) -> list[str]:
    """Return what to know of limits on redemptions: what they count, and what they do not.

    `scored` are the columns of the scores; empty if there are none.
    """
    limited = stock_of(coupons, REDEMPTIONS)
    if not limited:
        return []
    notes = []
    if scored and REDEMPTIONS not in scored:
        notes.append(
            "scores.csv has no column 'redemptions', so that with its scores each send counts against "
            "max_redemptions as if it were redeemed"
        )
    if history is not None:
        used = history.filter(pl.col("redeemed") & pl.col("coupon_id").is_in(list(limited)))
        notes += [
            f"coupon '{coupon}' was redeemed {counted(n, 'time')} in history.csv; its max_redemptions of "
            f"{limited[coupon]:,.0f} is taken for what is left"
            for coupon, n in used.group_by("coupon_id").len().sort("coupon_id").iter_rows()
        ]
    return notes
