"""Counters and reservations in the service's database: what a crash leaves is what was answered.

Opening a plan's entries locks the plan: the row of its ledger on PostgreSQL, the file on SQLite. Who waits
reads what the one before committed, so no two writers ever decide from the same counters, and no statement
can fail for having met another's.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from allocator.online.records import Reservation, State
from allocator.service.database import writing
from allocator.service.plans import ledger_tables as tables

PLANS_KEPT = 64  # plans whose counters stay in memory between one `open` and the next
IDS_AT_ONCE = 500  # in one query
FORGOTTEN_AT_ONCE = 250  # reservations deleted in one transaction, for which decisions wait
FORGET_PAUSE = 0.002
_ENCODE = json.JSONEncoder(separators=(",", ":")).encode


class SqlLedger:
    """A `allocator.online.ledger.Ledger` in a database; see `allocator.service.database.create_tables`.

    Threads and processes may share a database. Make the engine after a process forks, not before.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._plans: OrderedDict[str, _Plan] = OrderedDict()
        self._plans_lock = threading.Lock()

    @contextmanager
    def open(self, plan_id: str) -> Iterator[SqlEntries]:
        """Return the plan's entries for exclusive use: one transaction, committed whole or not at all.

        Raises
        ------
        allocator.service.database.UnavailableError
            If the database does not answer. When that happens at the commit, nobody knows whether it took
            place: ask again with the same request ids.
        """
        plan = self._plan(plan_id)
        with plan.lock:
            before, plan.counters = plan.counters, None
            with writing(self._engine) as connection:
                entries = SqlEntries(connection, plan_id, before)
                yield entries
                entries.write()
            plan.counters = entries.counters  # known to be committed

    def forget(self, plan_id: str) -> None:
        """Delete a plan's counters and reservations, for one that nobody decides on any more.

        Reservations go a few hundred at a time, with a pause that lets decisions on other plans in.
        """
        plan = self._plan(plan_id)
        with plan.lock:
            plan.counters = None
            some: dict[str, Any] = {"plan": plan_id, "most": FORGOTTEN_AT_ONCE}
            left = True
            while left:
                with writing(self._engine) as connection:
                    connection.execute(tables.READ_LEDGER, some)
                    left = connection.execute(tables.DELETE_SOME, some).rowcount > 0
                    if not left:
                        connection.execute(tables.DELETE_COUNTERS, some)
                        connection.execute(tables.DELETE_LEDGER, some)
                time.sleep(FORGET_PAUSE)
        with self._plans_lock:
            self._plans.pop(plan_id, None)

    def _plan(self, plan_id: str) -> _Plan:
        with self._plans_lock:
            plan = self._plans.setdefault(plan_id, _Plan())
            self._plans.move_to_end(plan_id)
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
            return plan


@dataclass
class _Counters:
    """What was last committed of a plan: still so while the database holds the same revision.

    The revision is random, so that no other history, such as a backup's, arrives at the same.
    """

    revision: int
    pacing: str | None
    held: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)


@dataclass
class _Plan:
    """A plan in this process: its threads queue here, not at the database."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    counters: _Counters | None = None


class SqlEntries:
    """One plan's counters and reservations inside a transaction that holds its lock."""

    def __init__(self, connection: sa.Connection, plan_id: str, before: _Counters | None) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name
        self._plan = {"plan": plan_id}
        self.counters = self._read(before)
        self._pacing = self.counters.pacing
        self._touched: set[str] = set()
        self._added: list[Reservation] = []
        self._changed: list[tuple[Reservation, Reservation]] = []
        self._is_changed = False

    @property
    def held(self) -> Mapping[str, int]:
        """By row label, in millionths: what is used or may still be used."""
        return MappingProxyType(self.counters.held)

    @property
    def expected(self) -> Mapping[str, int]:
        """By row label, in millionths: what was used, and what is expected of open reservations."""
        return MappingProxyType(self.counters.expected)

    @property
    def pacing(self) -> dict[str, Any] | None:
        """What the pacer wrote last."""
        return None if self._pacing is None else dict(json.loads(self._pacing))

    def set_pacing(self, state: dict[str, Any]) -> None:
        """Keep the pacer's state beside the counters."""
        self._pacing = _to_json(state)

    def of_requests(self, request_ids: Iterable[str]) -> dict[str, list[Reservation]]:
        """Return the reservations of those requests that were decided, by position."""
        found: dict[str, list[Reservation]] = {}
        for row in self._rows(tables.OF_REQUESTS[self._dialect], request_ids):
            found.setdefault(row.request_id, []).append(_to_reservation(row))
        for of_request in found.values():
            of_request.sort(key=attrgetter("position"))
        return found

    def coupons_of_users(self, users: Iterable[str]) -> dict[str, int]:
        """Return how many coupons each user holds or used; users without any are left out."""
        found = self._rows(tables.OF_USERS[self._dialect], users)
        return {row.wanted: row.coupons for row in found if row.coupons}

    def expired(self, now: float, most: int) -> list[Reservation]:
        """Return up to `most` held reservations whose time is over, oldest first."""
        self._write_reservations()
        found = self._connection.execute(tables.EXPIRED, self._plan | {"now": now, "most": most})
        return [_to_reservation(row) for row in found]

    def add(self, reservations: Sequence[Reservation]) -> None:
        """Write new reservations, and add what they hold and expect to the counters."""
        self._is_changed = True
        for reservation in reservations:
            self._count(reservation, 1)
        self._added.extend(reservations)

    def replace(self, old: Reservation, new: Reservation) -> None:
        """Write what became of a reservation, and move the counters by the difference."""
        self._is_changed = True
        self._count(old, -1)
        self._count(new, 1)
        self._changed.append((old, new))

    def write(self) -> None:
        """Send what is still to be written; the commit makes it one with what was sent before."""
        self._write_reservations()
        counters = self.counters
        if self._touched:
            held, expected = counters.held, counters.expected
            self._execute(
                tables.WRITE_COUNTERS[self._dialect],
                [
                    {
                        "plan_id": self._plan["plan"],
                        "label": label,
                        "held": held.get(label, 0),
                        "expected": expected.get(label, 0),
                    }
                    for label in sorted(self._touched)
                ],
            )
        if self._is_changed or self._pacing != counters.pacing:
            counters.revision, counters.pacing = secrets.randbits(63), self._pacing
            values = {"revision": counters.revision, "pacing": counters.pacing}
            self._connection.execute(tables.WRITE_LEDGER, self._plan | values)

    def _read(self, before: _Counters | None) -> _Counters:
        """Lock the plan, and return its counters: those from before if they are still so."""
        locked = self._connection.execute(tables.READ_LEDGER, self._plan).one_or_none()
        if locked is None:
            new = {"plan_id": self._plan["plan"], "revision": 0, "pacing": None}
            self._connection.execute(tables.NEW_LEDGER[self._dialect], new)
            locked = self._connection.execute(tables.READ_LEDGER, self._plan).one()
        if before is not None and before.revision == locked.revision:
            return before
        found = _Counters(locked.revision, locked.pacing)
        for row in self._connection.execute(tables.READ_COUNTERS, self._plan):
            found.held[row.label], found.expected[row.label] = row.held, row.expected
        return found

    def _rows(self, statement: sa.Select[Any], ids: Iterable[str]) -> Iterator[sa.Row[Any]]:
        self._write_reservations()
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), IDS_AT_ONCE):
            some = {"ids": wanted[start : start + IDS_AT_ONCE]}
            yield from self._connection.execute(statement, self._plan | some)

    def _count(self, reservation: Reservation, sign: int) -> None:
        for total, part in (
            (self.counters.held, reservation.held),
            (self.counters.expected, reservation.expected),
        ):
            self._touched.update(part)
            for label, amount in part.items():
                total[label] = total.get(label, 0) + sign * amount

    def _write_reservations(self) -> None:
        if self._added:
            plan_id = self._plan["plan"]
            values = [
                {"plan_id": plan_id, "request_id": new.request_id, "position": new.position} | _content(new)
                for new in self._added
            ]
            try:
                self._execute(tables.ADD, values)
            except IntegrityError:
                raise ValueError("a request that is decided already was decided again") from None
            self._added = []
        if self._changed:
            self._change(self._changed)
            self._changed = []

    def _change(self, changes: Sequence[tuple[Reservation, Reservation]]) -> None:
        found = self._execute(
            tables.CHANGE,
            [
                _content(new)
                | self._plan
                | {"request": old.request_id, "place": old.position, "was": old.state.value}
                for old, new in changes
            ],
        )
        if found != len(changes):
            raise ValueError("a reservation to be replaced is not in the ledger, or no longer in that state")

    def _execute(self, statement: sa.Executable, values: list[dict[str, Any]]) -> int:
        """Execute a statement for each; return how many rows it met."""
        if len(values) == 1:  # costs less than a list of one
            return self._connection.execute(statement, values[0]).rowcount
        return self._connection.execute(statement, values).rowcount


def _content(reservation: Reservation) -> dict[str, Any]:
    """Return the columns other than the key."""
    return {
        "coupon_id": reservation.coupon_id,
        "user_digest": reservation.user,
        "expected": _to_json(reservation.expected),
        "held": _to_json(reservation.held),
        "state": reservation.state.value,
        "reason": reservation.reason,
        "decided_at": reservation.decided_at,
        "expires_at": reservation.expires_at,
        "groups": _to_json(reservation.groups),
        "measures": _to_json(reservation.measures),
    }


def _to_reservation(row: sa.Row[Any]) -> Reservation:
    return Reservation(
        request_id=row.request_id,
        position=row.position,
        coupon_id=row.coupon_id,
        user=row.user_digest,
        expected=json.loads(row.expected),
        held=json.loads(row.held),
        state=State(row.state),
        reason=row.reason,
        decided_at=row.decided_at,
        expires_at=row.expires_at,
        groups=json.loads(row.groups),
        measures=json.loads(row.measures),
    )


def _to_json(content: Mapping[str, Any]) -> str:
    return _ENCODE(content if isinstance(content, dict) else dict(content))
