"""Small plans and requests for the tests of online decisions."""

from __future__ import annotations

import numpy as np

from allocator.limits.row_tables import NamedTerm
from allocator.online import DecisionRequest, OnlinePlan, PlanRow

COUPONS = ("A", "B", "C")


class Clock:
    """Time that the test moves."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def row(label: str, measure: str = "cost", coupons=COUPONS, users=None, weight=1.0, **bounds) -> PlanRow:
    return PlanRow(
        label=label,
        terms=(NamedTerm(measure, weight, users or {}, tuple(coupons)),),
        rate=1.0,
        worth=1.0,
        **bounds,
    )


def small_plan(total=10.0, stock=4, east=6.0, per_user=(0, 1), **changes) -> OnlinePlan:
    """A budget, a stock of coupon A, a budget of the east."""
    fields = {
        "plan_id": "spring",
        "coupon_ids": COUPONS,
        "per_user": per_user,
        "groups": {"region": ("east", "west")},
        "rows": (
            row("total", at_most=total),
            row("stock[A]", "count", ["A"], at_most=stock),
            row("east budget", users={"region": ("east",)}, at_most=east),
        ),
        "users": 10,
        "objective": 20.0,
    } | changes
    return OnlinePlan(**fields)


def request(request_id, value=(3.0, 2.0, 1.0), cost=(2.0, 1.0, 0.5), region="west", user=None, most=None):
    return DecisionRequest(
        str(request_id),
        np.array(value, dtype=float),
        {"cost": np.array(cost, dtype=float)},
        {"region": region},
        user,
        {} if most is None else {"cost": np.array(most, dtype=float)},
    )
