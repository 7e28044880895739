"""Where counters and reservations are kept: the contract, and one that lives in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from allocator.online.records import Reservation


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
