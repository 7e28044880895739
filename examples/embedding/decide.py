"""Request-time decisions: a plan made over night, then one user after another as they arrive.

The plan gives prices; each decision is the best coupon after them, paced over the campaign, within counters
of budget and stock that are never overspent. Here counters live in this process. To share them between
processes and survive a crash, ask `allocate serve` over HTTP instead (http_client.py).
"""

from __future__ import annotations

import numpy as np

from allocator import Budget, Inventory, Problem, solve
from allocator.online import Decider, MemoryLedger, OnlinePlan, Outcome, RequestReader

COUPONS = ["TEN", "SHIP"]
DAY = 24 * 3600.0


def plan_ahead(seed: int = 7) -> OnlinePlan:
    """Return the plan of a day, from a forecast of who will come."""
    rng = np.random.default_rng(seed)
    forecast = Problem(
        rng.gamma(2.0, 1.0, (5_000, 2)), {"cost": rng.uniform(0.5, 5.0, (5_000, 2))}, coupon_ids=COUPONS
    )
    solution = solve(forecast, [Budget(3_000, label="total"), Inventory({"SHIP": 400})])
    return OnlinePlan.from_solution(solution, "today", starts_at=0.0, ends_at=DAY)


class Shop:
    """Gives coupons to visitors; may be shared between threads."""

    def __init__(self, plan: OnlinePlan) -> None:
        self.now = 0.0  # a clock of its own, so that the example has a day in a second
        self.decider = Decider(plan, MemoryLedger(), clock=lambda: self.now, hold_for=3600.0)
        self.reader = RequestReader(plan)

    def visit(
        self, visit_id: str, user_id: str, value: dict[str, float], cost: dict[str, float]
    ) -> str | None:
        """Return the visitor's coupon, if any; the same visit gets the same answer, however often it asks."""
        request = self.reader.read(visit_id, value, {"cost": cost}, user_id=user_id)
        ((reservation, *_),) = self.decider.decide([request])
        return reservation.coupon_id

    def bought(self, visit_id: str, discount: float | None) -> None:
        """Say what a coupon really cost, or None: it was not used, and is free for others."""
        used = discount is not None
        self.decider.settle([Outcome(visit_id, None, used, {"cost": discount} if used else {})])


def main() -> None:
    """Let twice as many come as were forecast."""
    rng, shop = np.random.default_rng(8), Shop(plan_ahead())
    given = 0
    for k in range(10_000):
        shop.now = DAY * k / 10_000
        value = dict(zip(COUPONS, rng.gamma(2.0, 1.0, 2).tolist(), strict=True))
        cost = dict(zip(COUPONS, rng.uniform(0.5, 5.0, 2).tolist(), strict=True))
        coupon = shop.visit(f"visit-{k}", f"user-{k}", value, cost)
        if coupon is not None:
            given += 1
            shop.bought(f"visit-{k}", cost[coupon] if rng.random() < 0.6 else None)
    print(f"{given:,} of 10,000 visitors got a coupon")
    for row in shop.decider.standings():
        print(f"  {row.label}: {row.held:,.2f} of {row.at_most:,.0f} used or held, price {row.price:.3f}")


if __name__ == "__main__":
    main()
