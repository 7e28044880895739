"""A floor: at least so much of a measure for some users, or for each group of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from allocator.limits.fields import read_fields
from allocator.limits.groups import By, check_by, groups_of
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import Coupons, Users, select
from allocator.problem import Problem


@dataclass(frozen=True)
class Floor:
    """At least so much of a measure, for some users or for each group of them.

    Parameters
    ----------
    at_least
        The bound; with `per_head`, for each user of the group, so that 0.1 of ``count`` means that
        at least 10 % of the group's users get a coupon.
    by
        A group column: one row for each of its labels, labelled ``label[group]``; or several columns: one
        for each combination among the users, ``label[east, 18-24]``. A group without users has no row.
    """

    at_least: float
    label: str = field(default="floor", kw_only=True)
    measure: str = field(default="count", kw_only=True)
    by: By | None = field(default=None, kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    per_head: bool = field(default=False, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, self.at_least, None, self.penalty)
        check_by(self.label, self.by, self.users)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        result = []
        for group in groups_of(problem, self.label, self.by, self.users):
            users = {**(self.users or {}), **group.users}
            part = select(problem, self.label, self.measure, users, self.coupons)
            bound = self.at_least * (group.size if self.per_head else 1)
            result.append(row(group.label, [part], bound, None, self.penalty))
        return result
