"""Parity: no group fares much better or worse than all users together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_fields
from allocator.limits.groups import By, check_by, groups_of
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import select
from allocator.problem import Problem

Rate = Literal["assigned", "benefit"]


@dataclass(frozen=True)
class Parity:
    """No group fares much better or worse than all users together.

    Parameters
    ----------
    by
        The group column, or several: then each combination of labels among the users is a group.
    tolerance
        Largest absolute difference between a group's rate and the rate of all users.
    rate
        ``assigned``: share of users who get a coupon (coupons a head where `per_user` allows more
        than one). ``benefit``: value a head, in objective units.
    """

    by: By
    tolerance: float
    label: str = field(default="parity", kw_only=True)
    rate: Rate = field(default="assigned", kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, None, self.tolerance, self.penalty)
        check_by(self.label, self.by)
        if self.rate not in get_args(Rate):
            expected = " or ".join(get_args(Rate))
            message = f"parity '{self.label}' has no such rate"
            raise InputError(Finding(message, None, None, "rate", repr(self.rate), expected))
        if self.tolerance < 0:
            raise InputError(
                Finding(f"parity '{self.label}' needs a tolerance of at least 0", column="tolerance")
            )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem; rows are in users, so that a price is a price per user."""
        measure = "count" if self.rate == "assigned" else "value"
        result = []
        for group in groups_of(problem, self.label, self.by):
            part = select(problem, self.label, measure, group.users, None)
            total = select(problem, self.label, measure, None, None, weight=-group.size / problem.n_users)
            room = self.tolerance * group.size
            result.append(row(group.label, [part, total], -room, room, self.penalty))
        return result
