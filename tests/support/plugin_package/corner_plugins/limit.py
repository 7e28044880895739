"""A limit kind that Allocate does not have."""

from __future__ import annotations

from dataclasses import dataclass, field

from allocator.limits.groups import each_group
from allocator.limits.rows import Row, row
from allocator.limits.scope import select
from allocator.problem import Problem


@dataclass(frozen=True)
class AtMostEach:
    """At most so many coupons for each group of a column."""

    by: str
    at_most: float
    label: str = field(default="at most each", kw_only=True)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit: one row a group."""
        return [
            row(label, [select(problem, self.label, "count", users, None)], None, self.at_most, None)
            for label, users in each_group(problem, self.label, self.by)
        ]
