"""An exclusion: users who never get some coupons."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_fields
from allocator.limits.rows import Row, row
from allocator.limits.scope import Coupons, Users, term
from allocator.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Exclude:
    """These users never get these coupons."""

    label: str = "exclude"
    users: Users | None = None
    coupons: Coupons | None = None

    def __post_init__(self) -> None:
        read_fields(self)
        if self.users is None and self.coupons is None:
            raise InputError(Finding(f"exclusion '{self.label}' must name users or coupons", column="users"))

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: the count is at most 0."""
        return [row(self.label, [term(problem, self, "count")], None, 0.0, None)]
