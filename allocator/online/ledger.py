"""Where counters and reservations are kept: the contract, and one that lives in memory."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any, Protocol

from allocator.online.records import Reservation, State


class Entries(Protocol):
    """One plan's counters and reservations, while nobody else can change them.

    Everything written becomes visible and durable together when the context ends, or not at all if it
    ends with an exception.
    """

    @property
    def held(self) -> Mapping[str, int]:
        """By row label, in millionths: what is used or may still be used, as of now, changes included."""
        ...

    @property
    def expected(self) -> Mapping[str, int]:
        """By row label, in millionths: what was used, and what is expected of open reservations."""
        ...

    @property
    def pacing(self) -> dict[str, Any] | None:
        """What the pacer wrote last (a JSON object), None at first."""
        ...

    def set_pacing(self, state: dict[str, Any]) -> None:
        """Keep the pacer's state beside the counters."""
        ...

    def of_requests(self, request_ids: Iterable[str]) -> dict[str, list[Reservation]]:
        """Return the reservations of those requests that were decided, by position."""
        ...

    def coupons_of_users(self, users: Iterable[str]) -> dict[str, int]:
        """Return how many coupons each user holds or used; users without any are left out."""
        ...

    def expired(self, now: float, most: int) -> list[Reservation]:
        """Return up to `most` held reservations whose time is over, oldest first."""
        ...

    def add(self, reservations: Sequence[Reservation]) -> None:
        """Write new reservations, and add what they hold and expect to the counters."""
        ...

    def replace(self, old: Reservation, new: Reservation) -> None:
        """Write what became of a reservation, and move the counters by the difference."""
        ...


class Ledger(Protocol):
    """Keeps counters and reservations of plans. Methods may be called from any thread or process."""

    def open(self, plan_id: str) -> AbstractContextManager[Entries]:
        """Return the plan's entries for exclusive use; a plan not seen before starts with none."""
        ...


class MemoryLedger:
    """Keeps counters and reservations in this process; they end with it.

    May be shared between threads. A reservation is kept for good, so that its request gets the same answer
    again.
    """

    def __init__(self) -> None:
        self._plans: defaultdict[str, _Plan] = defaultdict(_Plan)
        self._lock = Lock()

    @contextmanager
    def open(self, plan_id: str) -> Iterator[Entries]:
        """Return the plan's entries for exclusive use; a plan not seen before starts with none."""
        with self._lock:
            plan = self._plans[plan_id]
        with plan.lock:
            try:
                yield plan
            except BaseException:
                plan.undo()
                raise
            finally:
                plan.done.clear()


class _Plan:
    """One plan's entries, in dictionaries; what a context did is noted, to be undone if it fails."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.held: Counter[str] = Counter()
        self.expected: Counter[str] = Counter()
        self.done: list[tuple[Reservation | None, Reservation | None, dict[str, Any] | None]] = []
        self._pacing: dict[str, Any] | None = None
        self._requests: dict[str, dict[int, Reservation]] = {}
        self._users: Counter[str] = Counter()
        self._due: list[tuple[float, str, int]] = []

    @property
    def pacing(self) -> dict[str, Any] | None:
        return self._pacing

    def set_pacing(self, state: dict[str, Any]) -> None:
        self.done.append((None, None, self._pacing))
        self._pacing = state

    def of_requests(self, request_ids: Iterable[str]) -> dict[str, list[Reservation]]:
        return {
            request_id: [found[position] for position in sorted(found)]
            for request_id in request_ids
            if (found := self._requests.get(request_id))
        }

    def coupons_of_users(self, users: Iterable[str]) -> dict[str, int]:
        return {user: count for user in users if (count := self._users.get(user, 0))}

    def expired(self, now: float, most: int) -> list[Reservation]:
        found: dict[tuple[str, int], Reservation] = {}
        while self._due and self._due[0][0] <= now and len(found) < most:
            _, request_id, position = heapq.heappop(self._due)
            reservation = self._requests.get(request_id, {}).get(position)
            if reservation is not None and reservation.state is State.HELD:
                found[request_id, position] = reservation
        for reservation in found.values():  # due until it is replaced
            self._note_due(reservation)
        return list(found.values())

    def add(self, reservations: Sequence[Reservation]) -> None:
        for reservation in reservations:
            if reservation.position in self._requests.get(reservation.request_id, {}):
                raise ValueError(f"request '{reservation.request_id}' is decided already")
            self._change(None, reservation)
            self.done.append((None, reservation, None))

    def replace(self, old: Reservation, new: Reservation) -> None:
        if self._requests.get(old.request_id, {}).get(old.position) != old:
            raise ValueError(f"request '{old.request_id}' has changed meanwhile")
        self._change(old, new)
        self.done.append((old, new, None))

    def undo(self) -> None:
        """Take back what was done since the entries were opened, the last first."""
        for old, new, pacing in reversed(self.done):
            if new is None:
                self._pacing = pacing
            else:
                self._change(new, old)

    def _change(self, old: Reservation | None, new: Reservation | None) -> None:
        if old is not None:
            self._count(old, -1)
            if new is None:
                positions = self._requests[old.request_id]
                del positions[old.position]
                if not positions:
                    del self._requests[old.request_id]
        if new is not None:
            self._count(new, 1)
            self._requests.setdefault(new.request_id, {})[new.position] = new
            if new.state is State.HELD:
                self._note_due(new)

    def _count(self, reservation: Reservation, sign: int) -> None:
        for label, amount in reservation.held.items():
            self.held[label] += sign * amount
        for label, amount in reservation.expected.items():
            self.expected[label] += sign * amount
        if reservation.user is not None and reservation.state in (State.HELD, State.USED):
            self._users[reservation.user] += sign

    def _note_due(self, reservation: Reservation) -> None:
        heapq.heappush(self._due, (reservation.expires_at, reservation.request_id, reservation.position))
