"""A return floor: value is at least so many times cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from allocator.limits.fields import read_fields
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import Coupons, Users, select
from allocator.problem import Problem


@dataclass(frozen=True)
class ReturnFloor:
    """Value is at least `at_least` times cost, over some users and coupons."""

    at_least: float
    label: str = field(default="return floor", kw_only=True)
    cost: str = field(default="cost", kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, self.at_least, None, self.penalty)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: value - at_least x cost >= 0."""
        earned = select(problem, self.label, "value", self.users, self.coupons)
        spent = select(problem, self.label, self.cost, self.users, self.coupons, weight=-self.at_least)
        return [row(self.label, [earned, spent], 0.0, None, self.penalty)]
