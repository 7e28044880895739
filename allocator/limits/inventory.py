"""A stock: at most so many of each coupon, sent or redeemed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from allocator.limits.fields import read_fields, read_numbers
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import select
from allocator.problem import Problem


@dataclass(frozen=True)
class Inventory:
    """At most so many users for each coupon: ``Inventory({"C1": 900})``. One price for each coupon.

    With ``measure="redemptions"``, at most so many expected redemptions: what a shop's *use limit* means, of
    which few sends use up one.
    """

    at_most: Mapping[str, float]
    measure: str = field(default="count", kw_only=True)
    label: str = field(default="inventory", kw_only=True)
    penalty: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        read_fields(self, at_most=read_numbers)
        for coupon, stock in self.at_most.items():
            check_bounds(f"{self.label}[{coupon}]", None, stock, self.penalty)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        return [
            row(
                f"{self.label}[{coupon}]",
                [select(problem, self.label, self.measure, None, [coupon])],
                None,
                stock,
                self.penalty,
            )
            for coupon, stock in self.at_most.items()
        ]
