"""Whether the probabilities that past sends state can be those of what was sent.

By inverse propensity the rows that got an arm stand for all that could have got it: over the rows of an arm,
1 / propensity adds up to about the number of rows of the waves that had it (Horvitz and Thompson, "A
Generalization of Sampling Without Replacement From a Finite Universe", JASA 1952).
"""

from __future__ import annotations

import polars as pl

from allocator.campaign.history_checks import FILE, MOMENT, ROW
from allocator.wording import SHOWN, counted

LEAST_PROPENSITY = 0.05
"""Lower propensities count as this, so that no row weighs more than 20: a little bias for less variance."""
FAR = 0.25  # share by which a sum may be off before it is said
CHANCE = 4.0  # and standard deviations
LEAST_EXPECTED = 10.0  # a wave that should have had so many of an arm, and has none, did not have the arm
NOTHING = "nothing"


def propensity_notes(history: pl.DataFrame, together: pl.DataFrame) -> list[str]:
    """Return what is doubtful about stated propensities: some missing, some cut, sums that cannot be.

    Parameters
    ----------
    history, together
        All rows, and those `of_one_moment`.
    """
    stated = history.filter(pl.col("propensity") > 0)
    if stated.is_empty():
        return []
    notes = []
    if missing := history["propensity"].null_count():
        notes.append(_missing(history, missing))
    if cut := int((stated["propensity"] < LEAST_PROPENSITY).sum()):
        least, bound = stated.select(pl.col("propensity").min()).item(), f"{LEAST_PROPENSITY:g}"
        notes.append(
            f"{FILE}: {counted(cut, 'row')} with a propensity below {bound} (down to {least:.2g}) count as "
            f"if it were {bound}, so that none weighs more than {1 / LEAST_PROPENSITY:g} rows"
        )
    return notes if missing else notes + _sums(stated, together)


def _missing(history: pl.DataFrame, missing: int) -> str:
    empty, treated = pl.col("propensity").is_null(), pl.col("treated")
    controls, sends, median = history.select(
        controls=(empty & ~treated).sum(), sends=(empty & treated).sum(), median=pl.col("propensity").median()
    ).row(0)
    return (
        f"{FILE}: {missing:,} of {history.height:,} rows state no propensity ({controls:,} controls, "
        f"{sends:,} sends); they count with the median of the others, {median:.3g}"
    )


def _sums(stated: pl.DataFrame, together: pl.DataFrame) -> list[str]:
    """Say where 1 / propensity does not add up to the rows that could have got an arm."""
    later = together.filter(~pl.struct(MOMENT).is_first_distinct())[ROW]
    first = ~pl.col(ROW).is_in(later.implode()) if len(later) else pl.lit(True)
    stated = stated.select("coupon_id", "treated", "propensity", day=pl.col("sent_at").dt.date(), first=first)
    arms = _arms(stated, pl.col("propensity"))
    apart = pl.col("sum") - pl.col("rows")
    off = arms.filter(
        ((apart / pl.col("rows")).abs() > FAR) & (apart.abs() > CHANCE * pl.col("variance").sqrt())
    )
    if off.is_empty():
        return []
    shown = ", ".join(
        f"{_quoted(row['arm'])} {row['sum']:,.0f} for {row['rows']:,.0f} rows"
        for row in off.head(SHOWN).iter_rows(named=True)
    )
    more = f" and {off.height - SHOWN} more" if off.height > SHOWN else ""
    return [
        f"{FILE}: propensities do not fit the shares of what was sent. Over the rows of an arm, "
        "1 / propensity should add up to about the number that could have got it, and it does not: "
        f"{shown}{more}. propensity is the probability of what the row got (of nothing, for a control)."
        f"{_guess(stated, arms)} They are used as they stand, and what weighs by them is off"
    ]


def _quoted(arm: str) -> str:
    return arm if arm == NOTHING else f"'{arm}'"


def _arms(stated: pl.DataFrame, propensity: pl.Expr) -> pl.DataFrame:
    """Return for each ``arm``, by name, the ``sum`` of 1 / propensity, its ``variance``, and the ``rows`` of
    the days that had the arm; all that a user got at one moment is one.

    Where controls name the coupon that was withheld, a coupon and its controls are an experiment of their
    own.
    """
    weight, coupon, n = 1 / propensity, pl.col("coupon_id"), pl.col("n")
    days = stated.group_by("day", "coupon_id", "treated").agg(
        n=pl.len(),
        moments=pl.col("first").sum(),
        sum=weight.sum(),
        variance=(weight * (weight - 1)).sum(),
    )
    own = days.filter(~pl.col("treated"))["coupon_id"].drop_nulls().unique()
    named = coupon.is_in(own.implode()).fill_null(False)
    days = days.with_columns(
        moments=pl.when(named).then(n).otherwise("moments"),
        about=pl.when(named).then(coupon).otherwise(pl.lit("")),
        arm=pl.when("treated").then(coupon).otherwise(pl.lit(NOTHING)),
    ).with_columns(wave=pl.col("moments").sum().over("about", "day"), whole=n.sum().over("about"))
    arms = days.group_by("about", "arm").agg(
        n.sum(),
        pl.col("sum").sum(),
        pl.col("variance").sum(),
        pl.col("whole").first(),
        had=pl.col("wave").sum(),
    )
    # Days without the arm count too where chance alone may have kept it away.
    small = (
        arms.join(days.select("about", "day", "wave").unique(), on="about")
        .filter(pl.col("wave") * n / pl.col("whole") < LEAST_EXPECTED)
        .join(days, on=["about", "day", "arm"], how="anti")
        .group_by("about", "arm")
        .agg(by_chance=pl.col("wave").sum())
    )
    arms = arms.join(small, on=["about", "arm"], how="left")
    return arms.with_columns(rows=pl.col("had") + pl.col("by_chance").fill_null(0)).sort("arm", "about")


def _guess(stated: pl.DataFrame, arms: pl.DataFrame) -> str:
    """Say what else the column may hold, where the sums would fit that."""
    propensity, control = pl.col("propensity"), pl.col("arm") == NOTHING
    if (stated["propensity"] == 1).all():
        return " Where all are 1, nothing was left to chance, and there is nothing to compare."
    turned = pl.when(pl.col("treated")).then(propensity).otherwise(1 - propensity)
    other = _arms(stated.filter(turned > 0), turned)
    if _fits(other.filter(control)) and not _fits(arms.filter(control)):
        return " Controls would fit with 1 - propensity: the column may hold that of being treated."
    sends = arms.filter(~control)
    if sends.height > 1 and _fits(sends.select(pl.col("sum").sum(), pl.col("rows").max())):
        return " Sends would fit if it were the probability of any coupon, instead of this one."
    return ""


def _fits(arms: pl.DataFrame) -> bool:
    return bool(((arms["sum"] / arms["rows"] - 1).abs() <= FAR).all())
