"""Decides on one request after another, for tests of ledgers; as a program, in a process of its own."""

from __future__ import annotations

import sys

import numpy as np

from allocator.limits.row_tables import NamedTerm
from allocator.online.decider import Decider
from allocator.online.ledger import Ledger
from allocator.online.plan import OnlinePlan
from allocator.online.plan_rows import PlanRow
from allocator.online.records import MILLIONTHS, DecisionRequest, Reservation, State
from allocator.service.database import connect, create_tables
from allocator.service.plans.sql_ledger import SqlLedger

PLAN = "spring"
ROW = "stock of C1"
COST = 3 * MILLIONTHS


def unit(
    request_id: str, *, user: str | None = None, position: int = 0, expires_at: float = 2e9
) -> Reservation:
    """Return a reservation of one unit."""
    held, expected = {ROW: MILLIONTHS, "budget": COST}, {ROW: MILLIONTHS, "budget": COST // 2}
    return Reservation(
        request_id, position, "C1", user, expected, held, State.HELD, "the best", 1e9, expires_at,
        groups={"region": "north"}, measures={"cost": 3.0},
    )  # fmt: skip


def nothing(request_id: str) -> Reservation:
    return Reservation(request_id, 0, None, None, {}, {}, State.NOTHING, "no stock is left", 1e9, 1e9)


def decider(ledger: Ledger, cap: int) -> Decider:
    """Return one that gives each user the coupon, at a cost of 3, while one of CAP is left."""
    rows = (
        PlanRow(label=ROW, terms=(NamedTerm("count", 1.0, {}, ("C1",)),), at_most=cap),
        PlanRow(label="budget", terms=(NamedTerm("cost", 1.0, {}, ("C1",)),), at_most=4 * cap),
    )
    plan = OnlinePlan(
        plan_id=PLAN, coupon_ids=("C1",), per_user=(0, 1), groups={}, rows=rows, users=cap, objective=cap
    )
    return Decider(plan, ledger, pacing="fixed")


def is_given(by: Decider, request_id: str) -> bool:
    """Decide on a request of a user of its own."""
    cost = {"cost": np.array([3.0])}
    request = DecisionRequest(request_id, np.array([5.0]), cost, user_id=f"user of {request_id}")
    [[reservation]] = by.decide([request])
    return reservation.state is State.HELD


def main() -> None:
    """Once told to, decide on NUMBER requests, naming each with what it got once that is committed."""
    url, name, number, cap = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    engine = connect(url)
    create_tables(engine)
    by = decider(SqlLedger(engine), cap)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    for i in range(number):
        print(f"{name}-{i}", int(is_given(by, f"{name}-{i}")), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
