"""Where past sends contradict themselves: counted, named, and what is done about it."""

from __future__ import annotations

import polars as pl

from allocator.campaign.tables import FIRST_ROW, SHOWN
from allocator.errors import Finding
from allocator.wording import counted

FILE = "history.csv"
ROW = "row"  # where each row stands in the file
MOMENT = ("user_id", "sent_at")
FEW = 20  # rows that may all end alike by chance

_ordered, _treated, _redeemed = pl.col("converted"), pl.col("treated"), pl.col("redeemed")
_revenue, _discount = pl.col("revenue"), pl.col("discount")
_records_revenue, _records_discount = (_revenue > 0).any(), (_discount > 0).any()
CONTRADICTIONS: dict[str, pl.Expr] = {
    "redeemed without an order, though one redeems by ordering": _redeemed & ~_ordered,
    "with revenue, but no order": (_revenue > 0) & ~_ordered,
    "with an order, but no revenue": _ordered & (_revenue == 0) & _records_revenue,
    "with a discount above the revenue, which is before the discount": (
        _ordered & (_discount > _revenue) & _records_revenue
    ),
    "of controls that redeemed": _redeemed & ~_treated,
    "of controls with a discount": (_discount > 0) & ~_redeemed & ~_treated,
    "with a discount that was not redeemed": (_discount > 0) & ~_redeemed & _treated & _redeemed.any(),
    "redeemed without a discount": _redeemed & _ordered & (_discount == 0) & _records_discount,
}
"""What no row should say, and how such rows are found; `treated` is filled in."""

MOMENTS: dict[str, pl.Expr] = {
    "one send stands there again, word for word, {n}; each row counts as a send": pl.col("alike"),
    "one send has different outcomes, {n}; each row counts as a send": pl.col("otherwise"),
    "one user got several coupons at one moment, {n}; they share one outcome, so that their effects cannot "
    "be told apart, and each is credited with all of it": pl.col("coupons") > 1,
    "one user got a coupon and is a control at one moment, {n}; both rows count": pl.col("control"),
}
"""What no moment of one user should hold, and what is done about it."""


def numbered(history: pl.DataFrame) -> pl.DataFrame:
    """Return past sends with the row of the file that each stands in."""
    return history.with_row_index(ROW, offset=FIRST_ROW)


def of_one_moment(history: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of users who got something else at the same moment."""
    hashed = pl.struct(MOMENT).hash()  # many times faster than the moments, which decide among the few
    if history.select(hashed.n_unique()).item() == history.height:
        return history.clear()
    return history.filter(hashed.is_duplicated()).filter(pl.struct(MOMENT).is_duplicated())


def contradictions(history: pl.DataFrame) -> list[str]:
    """Return a sentence for each kind of row that contradicts itself."""
    counts = [rows.sum().alias(what) for what, rows in CONTRADICTIONS.items()]
    firsts = [pl.col(ROW).filter(rows).first().alias(what) for what, rows in CONTRADICTIONS.items()]
    found, first = (history.select(each).row(0, named=True) for each in (counts, firsts))
    notes = [
        f"{FILE}: {counted(n, 'row')} {what} (the first: row {first[what]})" for what, n in found.items() if n
    ]
    if notes:
        notes.append(
            f"{FILE}: rows that contradict themselves are used as they stand; correct or remove them"
        )
    return [*notes, *_all_alike(history)]


def _all_alike(history: pl.DataFrame) -> list[str]:
    """Say so if every outcome is the same: no effect can be seen in such a history."""
    ordered = history["converted"]
    if history.height < FEW or not (ordered.all() or not ordered.any()):
        return []
    who = (
        "everybody ordered, with a coupon or without"
        if ordered.all()
        else "nobody ordered, with a coupon or without"
    )
    return [f"{FILE}: {who}: what coupons do cannot be learnt from it"]


def shared_moments(together: pl.DataFrame) -> list[str]:
    """Return a sentence for each kind of moment at which one user got what shares one outcome."""
    coupon, arm = pl.col("coupon_id"), pl.struct("coupon_id", "treated")
    row = pl.struct(name for name in together.columns if name not in (ROW, *MOMENT))
    withheld = (~_treated & coupon.is_null()).any() | (arm.n_unique() > coupon.n_unique())
    moments = together.group_by(MOMENT).agg(
        pl.col(ROW).min(),
        coupons=coupon.filter(_treated).n_unique(),
        alike=row.is_duplicated().any(),
        otherwise=row.n_unique() > arm.n_unique(),
        control=_treated.any() & withheld,
    )
    notes = []
    for what, which in MOMENTS.items():
        n, first = moments.filter(which).select(pl.len(), pl.col(ROW).min()).row(0)
        if n:
            times = f"{counted(n, 'time')} (the first: row {first})"
            notes.append(f"{FILE}: {what.format(n=times)}")
    return notes


def impossible_propensities(history: pl.DataFrame) -> list[Finding]:
    """Refuse a probability of 0 of what a row got: it could not have got it."""
    rows = history.filter(pl.col("propensity") == 0)[ROW]
    message = "what a row got cannot have had the probability 0; propensity is that of what it got"
    findings = [Finding(message, FILE, row, "propensity", "0", "above 0") for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        more = f"and {len(rows) - SHOWN:,} more rows like this"
        findings.append(Finding(more, FILE, column="propensity"))
    return findings
