"""Past sends as arrays: who got what, with which chance, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.learnable import few_users
from allocator.campaign.propensity_checks import LEAST_PROPENSITY
from allocator.errors import Finding, InputError
from predictors.features.timeline import seconds

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

WEIGHT_LIMIT = 1.0 / LEAST_PROPENSITY
"""Largest inverse-propensity weight; larger ones trade a little bias for much variance."""

BALANCE_LIMIT = 10.0
"""Largest factor by which one side is weighted up to balance the other."""


@dataclass(frozen=True)
class History:
    """Rows of ``history.csv``; every array but the last two is (n_rows,).

    Parameters
    ----------
    row
        Position in ``campaign.history``.
    user, time
        Position in ``campaign.users``; when it was sent, in seconds.
    coupon
        Position in `coupons`, -1 where a control row names none.
    treated, converted, redeemed, revenue
        What was done and what came of it.
    weight
        Inverse propensity, at most `WEIGHT_LIMIT`; 1 where none is recorded.
    coupons
        The coupons that occur here, as rows of ``campaign.coupons``.
    own_control
        (n_coupons,) whether control rows name the coupon. Then outcomes are about that coupon's
        products, and so is the conversion without coupon.
    """

    row: Ints
    user: Ints
    time: Ints
    coupon: Ints
    treated: Bools
    converted: Bools
    redeemed: Bools
    revenue: Floats
    weight: Floats
    coupons: pl.DataFrame
    own_control: Bools
    notes: tuple[str, ...] = ()
    randomised: bool = False

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Ints) -> History:
        """Return some of the rows."""
        names = ("row", "user", "time", "coupon", "treated", "converted", "redeemed", "revenue", "weight")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def balanced(self) -> Floats:
        """Return row weights of mean 1 with which treated and control rows weigh the same in total."""
        weight = self.weight / self.weight.mean()
        ratio = weight[~self.treated].sum() / weight[self.treated].sum()
        weight = np.where(self.treated, weight * np.clip(ratio, 1 / BALANCE_LIMIT, BALANCE_LIMIT), weight)
        return np.asarray(weight / weight.mean())

    def control_of(self, coupon: int) -> Bools:
        """Return which rows are control rows of a coupon, (n_rows,)."""
        named = coupon if self.own_control[coupon] else -1
        return np.asarray(~self.treated & (self.coupon == named))


def decision_time(campaign: Campaign) -> int:
    """Return the start of the campaign's `as_of` day in seconds: only earlier events count."""
    return int(seconds(pl.Series([campaign.start_of()]))[0])


def read_history(campaign: Campaign) -> History:
    """Turn ``campaign.history`` into arrays.

    ``propensity`` is the probability with which the row got what it got: its coupon if treated,
    nothing if control.

    Raises
    ------
    InputError
        No history, no treated row or no control row, or too few users of either.
    """
    table = campaign.history
    if table is None or table.is_empty():
        raise InputError(
            Finding(
                "there are no past sends to learn from; add history.csv to train a predictor, "
                "or scores.csv to use predictions you already have",
                file="history.csv",
            )
        )
    users = campaign.users.select("user_id").with_row_index("user")
    table = table.join(users, on="user_id", how="left", maintain_order="left")
    in_time = (table["sent_at"] < campaign.start_of(later=1)).to_numpy()
    known = table["user"].is_not_null().to_numpy() & in_time
    notes = []
    if not known.all():
        notes.append(f"{int((~known).sum()):,} history rows of unknown users or after as_of were left out.")
    if not known.any():
        raise InputError(
            Finding(
                "none of the past sends can be learnt from: they are of users that are not in users.csv, or "
                f"after as_of ({campaign.as_of})",
                file="history.csv",
                found=f"{len(known):,} past sends",
            )
        )
    table = table.filter(pl.Series(known))
    coupons = campaign.coupons.filter(
        pl.col("coupon_id").is_in(table["coupon_id"].drop_nulls().unique().implode())
    )
    codes = coupons.select("coupon_id").with_row_index("coupon")
    table = table.join(codes, on="coupon_id", how="left", maintain_order="left")
    treated = table["treated"].fill_null(table["coupon_id"].is_not_null()).to_numpy().astype(bool)
    coupon = table["coupon"].cast(pl.Int64).fill_null(-1).to_numpy().astype(np.int64)
    user = table["user"].to_numpy().astype(np.int64)
    _check_arms(treated, coupon, user)
    weight, with_propensity = _weights(table["propensity"])
    if not with_propensity:
        notes.append(
            "history.csv records no propensities, so past sends were not randomised as far as we know: "
            "uplift may partly reflect who was chosen. Add a propensity column if they were."
        )
    redeemed = table["redeemed"].fill_null(False).to_numpy().astype(bool)
    converted = table["converted"].to_numpy().astype(bool)
    if not redeemed[treated].any():
        notes.append("No past redemption is recorded: every conversion with a coupon counts as a redemption.")
        redeemed = converted & treated
    return History(
        row=np.flatnonzero(known),
        user=user,
        time=seconds(table["sent_at"]),
        coupon=coupon,
        treated=treated,
        converted=converted,
        redeemed=redeemed,
        revenue=table["revenue"].fill_null(0.0).to_numpy().astype(np.float64),
        weight=weight,
        coupons=coupons,
        own_control=np.isin(np.arange(len(coupons)), coupon[~treated]),
        notes=tuple(notes),
        randomised=with_propensity,
    )


def split_users(history: History, share: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Split rows by user, so that no user is on both sides; stratified by arm and outcome.

    Users are sorted by stratum (coupon and treatment of their first row, ever converted), shuffled
    within it, and taken at equal steps.

    Returns
    -------
    tuple
        Rows of the larger part and rows of the part with `share` of the users.
    """
    order, position = users_by_stratum(history, rng)
    steps = np.floor(np.arange(len(order) + 1) * share + 0.5)
    held_out = np.zeros(len(order), dtype=bool)
    held_out[order] = np.diff(steps) > 0
    return np.flatnonzero(~held_out[position]), np.flatnonzero(held_out[position])


def users_by_stratum(history: History, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Sort users by arm (coupon and treatment of their first row) and outcome, shuffled within each.

    Returns
    -------
    tuple
        The users in that order, and which user each row is of.
    """
    users, first, position = np.unique(history.user, return_index=True, return_inverse=True)
    converted = np.bincount(position, history.converted, len(users)) > 0
    order = np.lexsort((rng.random(len(users)), converted, history.treated[first], history.coupon[first]))
    return order, position


def _check_arms(treated: Bools, coupon: Ints, user: Ints) -> None:
    if not treated.any():
        raise InputError(
            Finding(
                "no past send is treated; uplift compares users with and without a coupon", file="history.csv"
            )
        )
    if treated.all():
        raise InputError(
            Finding(
                "there are no control rows, and uplift compares users with and without a coupon; "
                "add rows for users who got nothing (empty coupon_id, or treated = 0)",
                file="history.csv",
                column="treated",
            )
        )
    lost = sorted(set(coupon[treated]) - set(coupon[~treated]))
    if lost and -1 not in coupon[~treated]:
        raise InputError(
            Finding(
                f"{len(lost)} past coupons have no control rows; add control rows that name them, "
                "or rows with an empty coupon_id for users who got nothing",
                file="history.csv",
                column="coupon_id",
            )
        )
    if few := few_users(*(len(np.unique(user[rows])) for rows in (treated, ~treated))):
        raise InputError(few)


def _weights(propensity: pl.Series) -> tuple[Floats, bool]:
    """Return inverse-propensity weights and whether any propensity is recorded."""
    values = propensity.cast(pl.Float64).to_numpy()
    recorded = np.isfinite(values)
    if not recorded.any():
        return np.ones(len(values)), False
    typical = float(np.median(values[recorded]))
    values = np.where(recorded, values, typical)
    return np.minimum(1.0 / np.maximum(values, 1e-9), WEIGHT_LIMIT), True
