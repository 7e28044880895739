"""Columns that users and coupons are grouped by: which are needed, whether they serve, and the groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from allocator.campaign.cell_types import MOST_COUNT
from allocator.campaign.config import FILE, Config
from allocator.errors import Finding
from allocator.limits.groups import columns_of
from allocator.limits.rows import LimitLike
from allocator.problem.label_sets import LabelSets
from allocator.problem.labels import MISSING, Grouping, code_type, composed

MOST_GROUPS = 500
MOST_SETS = 10_000  # distinct sets of labels: each is a row of the solver's tables


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


@dataclass(frozen=True)
class UserLabels:
    """The columns of users as labels: spelled as the file has them, or taken apart where they are sets.

    Parameters
    ----------
    users
        As of a campaign.
    spellings
        Of columns of numbers, how the file spells each number, where that is not how a number is written
        here: ``{"size": {12.5: "12.50"}}``.
    separators
        Columns whose cells hold several labels, and what stands between them.
    """

    users: pl.DataFrame
    spellings: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)

    def grouping(self, column: str) -> Grouping:
        """Return the groups of a column."""
        text = self.text(column)
        if column in self.separators:
            return LabelSets.of(grouping_of(text), self.separators[column])
        return grouping_of(text)

    def text(self, column: str) -> pl.Series:
        """Return a column as text, as it is spelled in the file; whole numbers lose their decimal point."""
        values = self.users[column]
        if spelled := self.spellings.get(column):
            return values.replace_strict(spelled, default=None, return_dtype=pl.String)
        return as_text(values)

    def finding(self, place: str, column: str) -> Finding | None:
        """Return why users cannot be grouped by a column, as `place` asks; None if they can."""
        if (missing := self.missing(place, column)) is not None:
            return missing
        distinct = self.users[column].n_unique()
        if column not in self.separators:
            if distinct <= MOST_GROUPS:
                return None
            message = (
                f"'{column}' has {distinct:,} different values, too many to group by; add a column with bands"
            )
            return Finding(message, FILE, column=place, found=repr(column))
        if distinct <= MOST_SETS or (distinct := len(self.grouping(column).labels)) <= MOST_SETS:
            return None
        message = (
            f"'{column}' has {distinct:,} different sets of labels, too many to group by; add a column with "
            "the labels that matter here"
        )
        return Finding(message, FILE, column=place, found=repr(column))

    def missing(self, place: str, column: str) -> Finding | None:
        """Return a finding if users have no such column to group by."""
        if column in self.users.columns and column != "user_id":
            return None
        known = ", ".join(name for name in self.users.columns if name != "user_id")
        message = "users have no such column to group by"
        return Finding(message, FILE, column=place, found=repr(column), expected=f"one of {known}")

    def apart(self, place: str, column: str) -> Finding | None:
        """Return why users cannot be split by a column, each into one group; None if they can."""
        if (wrong := self.finding(place, column)) is not None or column not in self.separators:
            return wrong
        message = "a user may have several labels of this column, and needs one group here"
        return Finding(message, FILE, column=place, found=repr(column))


def label_findings(labels: UserLabels, config: Config) -> list[Finding]:
    """Return what is wrong with the columns that campaign.toml splits users by, or takes apart."""
    found = [labels.missing(f"sets.{column}", column) for column in labels.separators]
    found += [labels.apart("objective.by", column) for column in columns_of(config.objective.by)]
    if config.copy_.segment_by is not None:
        found.append(labels.apart("copy.segment_by", config.copy_.segment_by))
    return [finding for finding in found if finding is not None]


def grouping_of(column: pl.Series) -> Grouping:
    """Return the groups of a user or coupon column; whole numbers lose their decimal point.

    As `Grouping.from_labels`, at the speed of a column.
    """
    text = as_text(column).fill_null(MISSING)
    spelled = text.unique().sort()
    names = spelled.map_elements(composed, pl.String) if _has_accents(spelled) else spelled
    labels = names.unique().sort()
    place = names.cast(pl.Enum(labels)).to_physical()
    codes = place.gather(text.cast(pl.Enum(spelled)).to_physical()).to_numpy()
    return Grouping(codes.astype(code_type(len(labels))), tuple(labels.to_list()))


def as_text(column: pl.Series) -> pl.Series:
    """Return a column as text; whole numbers lose their decimal point."""
    if column.dtype == pl.Float64:
        known = column.drop_nulls()
        if ((known % 1 == 0) & (known.abs() < MOST_COUNT)).all():
            column = column.cast(pl.Int64)
    return column.cast(pl.String)


def _has_accents(labels: pl.Series) -> bool:
    return bool((labels.str.len_bytes() != labels.str.len_chars()).any())


def coupon_groups(coupons: pl.DataFrame) -> dict[str, Grouping]:
    """Return the groups of coupons that limits can name."""
    return {name: grouping_of(coupons[name]) for name in ("channel", "category")}
