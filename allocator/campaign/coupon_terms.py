"""Terms of coupons that cannot be meant, or hardly can: what is refused, and what is pointed out."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from allocator.campaign.stocks import COLUMNS
from allocator.campaign.tables import FIRST_ROW
from allocator.errors import Finding
from allocator.wording import listed

FILE = "coupons.csv"
LEAST_PERCENT, MOST_PERCENT = 1.0, 95.0
TERMS = ("kind", "value", "max_discount", "min_spend", "starts_at", "ends_at", "category")
"""What a code does at the till."""

Row = dict[str, Any]


def term_findings(coupons: pl.DataFrame) -> Iterator[Finding]:
    """Yield the terms that cannot be meant, of each row alone and of rows together."""
    for i, row in enumerate(coupons.iter_rows(named=True), start=FIRST_ROW):
        if row["kind"] == "percent" and row["value"] < LEAST_PERCENT:
            message = f"{_name(row)} takes off less than 1 percent; write 15 for 15 percent"
            yield Finding(message, FILE, i, "value", f"{row['value']:g}", "1 to 100")
    yield from _shared_codes(coupons)
    yield from _no_stock(coupons)


def _shared_codes(coupons: pl.DataFrame) -> Iterator[Finding]:
    """Find active coupons of other terms whose codes a till takes for one: tills do not tell case apart."""
    first: dict[str, Row] = {}
    for i, row in enumerate(coupons.iter_rows(named=True), start=FIRST_ROW):
        if not row["active"] or row["code"] is None:
            continue
        other = first.setdefault(_as_typed(row["code"]), row)
        if _terms(other) != _terms(row):
            both = f"{_name(row)} has the code of {_name(other)} and other terms"
            message = f"{both}; the till cannot tell them apart"
            yield Finding(message, FILE, i, "code", repr(row["code"]), f"another code than {other['code']!r}")


def _no_stock(coupons: pl.DataFrame) -> Iterator[Finding]:
    active = coupons.filter("active")
    for column in set(COLUMNS.values()) & set(coupons.columns):
        if active.height and (active[column] == 0).all() and not active[column].has_nulls():
            message = f"{column} is 0 for every coupon, so nothing can be sent; leave it empty for no limit"
            yield Finding(message, FILE, column=column, found="0")


def term_notes(coupons: pl.DataFrame, as_of: dt.date) -> list[str]:
    """Return what is worth a second look in the terms of the active coupons, a sentence a kind."""
    active = coupons.filter("active").rows(named=True)
    notes = [
        f"coupon '{row['coupon_id']}' starts on {row['starts_at']}, after the day of the decision ({as_of})"
        for row in active
        if row["starts_at"] is not None and row["starts_at"] > as_of
    ]
    for what, holds in DOUBTFUL:
        if names := [row["coupon_id"] for row in active if holds(row)]:
            notes.append(f"coupons.csv: {what}: {listed(names)}")
    return [*notes, *_one_code(active)]


def _one_code(active: list[Row]) -> Iterator[str]:
    """Yield codes that stand for several coupons of the same terms: redemptions cannot be told apart."""
    sharing: dict[str, list[str]] = {}
    for row in active:
        if row["code"] is not None:
            sharing.setdefault(_as_typed(row["code"]), []).append(row["coupon_id"])
    for names in sharing.values():
        if len(names) > 1:
            yield f"coupons.csv: one code is that of {listed(names)}: whose redemption it was cannot be told"


def _fixed(row: Row) -> bool:
    return bool(row["kind"] != "percent")


def _over(row: Row, column: str, bound: float) -> bool:
    return row[column] is not None and bool(row[column] > bound)


def _zero(column: str) -> Callable[[Row], bool]:
    return lambda row: row.get(column) == 0


DOUBTFUL: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    (
        f"more than {MOST_PERCENT:g} percent off",
        lambda row: not _fixed(row) and _over(row, "value", MOST_PERCENT),
    ),
    ("nothing is taken off", lambda row: _fixed(row) and row["value"] == 0),
    (
        "max_discount is above what is taken off, and never matters",
        lambda row: _fixed(row) and _over(row, "max_discount", row["value"]),
    ),
    (
        "max_discount is below value, so that less is taken off than value says",
        lambda row: _fixed(row) and row["max_discount"] is not None and row["max_discount"] < row["value"],
    ),
    (
        "the discount is more than the least basket that may redeem it (min_spend)",
        lambda row: (
            row["kind"] == "amount" and _over(row, "min_spend", 0) and row["min_spend"] < row["value"]
        ),
    ),
    *(
        (f"{column} is 0, so that nobody gets it (empty: no limit)", _zero(column))
        for column in ("inventory", "max_redemptions", "per_user_limit")
    ),
)


def _as_typed(code: str) -> str:
    return unicodedata.normalize("NFKC", code).casefold().strip()


def _terms(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] or None for name in TERMS)  # a minimum of 0 is none


def _name(row: Row) -> str:
    return f"coupon '{row['coupon_id']}'"
