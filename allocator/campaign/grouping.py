"""Columns that users and coupons are grouped by: which are needed, whether they serve, and the groups."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import FILE
from allocator.errors import Finding
from allocator.limits.groups import columns_of
from allocator.limits.rows import LimitLike
from allocator.problem.labels import MISSING, Grouping, code_type

MOST_GROUPS = 500


def group_columns(limits: Iterable[LimitLike]) -> list[str]:
    """Return the user columns that limits group by.

    A plugin's limit names them in `by`, in the keys of `users`, or in `group_columns`.
    """
    columns: set[str] = set()
    for limit in limits:
        by = getattr(limit, "by", None)
        columns |= set(columns_of(by)) if isinstance(by, str | list | tuple) else set()
        columns |= set(getattr(limit, "users", None) or {})
        columns |= set(getattr(limit, "group_columns", ()))
    return sorted(columns)


def grouping_of(column: pl.Series) -> Grouping:
    """Return the groups of a user or coupon column; whole numbers lose their decimal point.

    As `Grouping.from_labels`, at the speed of a column.
    """
    if column.dtype == pl.Float64 and (column.drop_nulls() % 1 == 0).all():
        column = column.cast(pl.Int64)
    text = column.cast(pl.String).fill_null(MISSING)
    labels = text.unique().sort()
    codes = text.cast(pl.Enum(labels)).to_physical().to_numpy()
    return Grouping(codes.astype(code_type(len(labels))), tuple(labels.to_list()))


def column_finding(place: str, column: str, users: pl.DataFrame) -> Finding | None:
    """Return why users cannot be grouped by a column, as a key of campaign.toml asks; None if they can."""
    if column not in users.columns or column == "user_id":
        known = ", ".join(name for name in users.columns if name != "user_id")
        return Finding(
            "users have no such column to group by",
            FILE,
            column=place,
            found=repr(column),
            expected=f"one of {known}",
        )
    distinct = users[column].n_unique()
    if distinct > MOST_GROUPS:
        message = (
            f"'{column}' has {distinct:,} different values, too many to group by; add a column with bands"
        )
        return Finding(message, FILE, column=place, found=repr(column))
    return None


def user_groups(campaign: Campaign, limits: Iterable[LimitLike]) -> dict[str, Grouping]:
    """Return the groups of users by each column that limits group by or that results are broken down by."""
    config = campaign.config
    columns = {*group_columns(limits), *columns_of(config.objective.by)}
    if config.copy_.segment_by is not None:
        columns.add(config.copy_.segment_by)
    return {column: grouping_of(campaign.users[column]) for column in sorted(columns)}


def coupon_groups(coupons: pl.DataFrame) -> dict[str, Grouping]:
    """Return the groups of coupons that limits can name."""
    return {name: grouping_of(coupons[name]) for name in ("channel", "category")}
