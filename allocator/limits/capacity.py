"""A capacity: at most so many messages, over all or on one channel."""

from __future__ import annotations

from dataclasses import dataclass, field

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_fields
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import Coupons, Users, select
from allocator.problem import Problem


@dataclass(frozen=True)
class Capacity:
    """At most so many messages, over all coupons or on one channel.

    A channel's messages are the measure ``messages_<channel>`` where the problem has it, as a
    campaign's has; else the assignments of the coupons whose ``channel`` group it is.
    """

    at_most: float
    label: str = field(default="capacity", kw_only=True)
    channel: str | None = field(default=None, kw_only=True)
    users: Users | None = field(default=None, kw_only=True)
    coupons: Coupons | None = field(default=None, kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, None, self.at_most, self.penalty)
        if self.channel is not None and self.coupons is not None:
            raise InputError(
                Finding(
                    f"limit '{self.label}' names a channel and coupons; name one of them", column="channel"
                )
            )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        measure, coupons = "count", self.coupons
        if self.channel is not None:
            measure = f"messages_{self.channel}"
            if measure not in problem.measures:
                measure, coupons = "count", {"channel": self.channel}
        part = select(problem, self.label, measure, self.users, coupons)
        return [row(self.label, [part], None, self.at_most, self.penalty)]
