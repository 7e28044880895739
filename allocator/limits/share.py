"""A share: which part of a total may fall to some users and coupons."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_fields
from allocator.limits.groups import By, check_by, groups_of
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import Coupons, Users, select
from allocator.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of a measure's total that falls to some users and coupons stays within bounds.

    ``Share(label="north", users={"region": "north"}, at_least=0.2)``: at least a fifth of the spend
    goes to the north. ``Share(label="regions", by="region", at_least=0.1)``: at least a tenth to each
    region; several columns make a row for each combination, as in `Floor`.
    """

    label: str
    measure: str = "cost"
    by: By | None = None
    users: Users | None = None
    coupons: Coupons | None = None
    at_least: float | None = None
    at_most: float | None = None
    penalty: float | None = None

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, self.at_least, self.at_most, self.penalty)
        check_by(self.label, self.by, self.users)
        if self.users is None and self.coupons is None and self.by is None:
            message = f"share '{self.label}' must name users or coupons, or columns to group by"
            raise InputError(Finding(message, column="users"))
        for bound in (self.at_least, self.at_most):
            if bound is not None and not 0 <= bound <= 1:
                raise InputError(
                    Finding(f"share '{self.label}' must lie between 0 and 1", found=f"{bound:g}")
                )

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem: part - share x total has a sign."""
        sides = [s for s in (("at_least", self.at_least), ("at_most", self.at_most)) if s[1] is not None]
        result = []
        for group in groups_of(problem, self.label, self.by, self.users):
            users = {**(self.users or {}), **group.users}
            part = select(problem, self.label, self.measure, users, self.coupons)
            for side, share in sides:
                total = select(problem, self.label, self.measure, None, None, weight=-float(share or 0.0))
                label = group.label if len(sides) == 1 else f"{group.label}[{side}]"
                least, most = (0.0, None) if side == "at_least" else (None, 0.0)
                result.append(row(label, [part, total], least, most, self.penalty))
        return result
