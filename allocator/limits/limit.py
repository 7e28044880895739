"""The general limit: a measure over some users and coupons, within bounds."""

from __future__ import annotations

from dataclasses import dataclass

from allocator.limits.fields import read_fields
from allocator.limits.rows import Row, check_bounds, row
from allocator.limits.scope import Coupons, Users, term
from allocator.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The general limit: at least and at most so much of a measure, over some users and coupons.

    Parameters
    ----------
    label
        The name that every message, price and table uses.
    measure
        ``count``, ``value`` or a measure of the problem.
    users, coupons
        Where it counts; everywhere unless given.
    at_least, at_most
        Bounds, in units of the measure.
    penalty
        Makes the limit soft: objective units lost for each unit of violation.
    """

    label: str
    measure: str = "cost"
    users: Users | None = None
    coupons: Coupons | None = None
    at_least: float | None = None
    at_most: float | None = None
    penalty: float | None = None

    def __post_init__(self) -> None:
        read_fields(self)
        check_bounds(self.label, self.at_least, self.at_most, self.penalty)

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        part = term(problem, self, self.measure)
        return [row(self.label, [part], self.at_least, self.at_most, self.penalty)]
