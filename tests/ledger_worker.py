"""Decides on one request after another, for tests of ledgers; as a program, in a process of its own."""

from __future__ import annotations

import sys
import time

from allocator.online.ledger import Ledger
from allocator.online.records import MILLIONTHS, Reservation, State
from allocator.service.database import connect, create_tables
from allocator.service.sql_ledger import SqlLedger

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


def take(ledger: Ledger, request_id: str, cap: int) -> bool:
    """Reserve a unit if one of CAP is left; a request that was decided before gets the same again."""
    with ledger.open(PLAN) as entries:
        before = entries.of_requests([request_id]).get(request_id)
        if before:
            return before[0].state is State.HELD
        is_left = entries.held.get(ROW, 0) + MILLIONTHS <= cap * MILLIONTHS
        time.sleep(0.001)  # lets another in, if the lock would
        entries.add([unit(request_id) if is_left else nothing(request_id)])
        entries.set_pacing({"decided": (entries.pacing or {"decided": 0})["decided"] + 1})
    return is_left


def main() -> None:
    """Once told to, decide on NUMBER requests, naming each with what it got once that is committed."""
    url, name, number, cap = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    engine = connect(url)
    create_tables(engine)
    ledger = SqlLedger(engine)
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    for i in range(number):
        print(f"{name}-{i}", int(take(ledger, f"{name}-{i}", cap)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
