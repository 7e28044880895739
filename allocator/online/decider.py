"""Decides what users get as they arrive, from a plan's prices, within limits that are never overspent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.online.book import Book, Caps
from allocator.online.cells import Cells
from allocator.online.ledger import Entries, Ledger
from allocator.online.pacing import Pacer
from allocator.online.plan import OnlinePlan
from allocator.online.records import (
    MILLIONTHS,
    DecisionRequest,
    Outcome,
    Reservation,
    State,
    wrong_numbers,
)
from allocator.online.settling import Settlement, settle
from allocator.online.visit import Visit, why_nothing

Array = NDArray[np.float64]
Pacing = Literal["adaptive", "fixed"]

WEEK = 7 * 24 * 3600.0
EXPIRE_AT_ONCE = 64  # overdue reservations that one decision releases, besides one for each request


@dataclass(frozen=True)
class Standing:
    """How a row of the plan stands.

    Parameters
    ----------
    label, at_least, at_most, guaranteed
        As in `allocator.online.plan.PlanRow`.
    held
        Used, or held for coupons that may still be used; never above `at_most` where guaranteed. None for
        other rows.
    expected
        Used, and what is expected of coupons that may still be used.
    price
        By which decisions go now.
    """

    label: str
    at_least: float
    at_most: float
    guaranteed: bool
    held: float | None
    expected: float
    price: float


class Decider:
    """Decides for users one after another, or in batches. May be shared between threads.

    Every call opens the ledger once, for itself alone: what it reads cannot change before it has written,
    whatever other threads and processes do with the same ledger.

    Parameters
    ----------
    plan
        Limits and prices.
    ledger
        Keeps counters and reservations.
    clock
        Returns seconds since the epoch.
    hold_for
        Seconds until a coupon that was not used expires, and what is held for it is free again.
    pacing
        ``adaptive``: prices follow what is left and who is still to come. ``fixed``: they stay the plan's.
    """

    def __init__(
        self,
        plan: OnlinePlan,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.time,
        hold_for: float = WEEK,
        pacing: Pacing = "adaptive",
    ) -> None:
        if pacing not in ("adaptive", "fixed"):
            message = "must be adaptive or fixed"
            raise InputError(Finding(message, column="pacing", found=repr(pacing)))
        if isinstance(hold_for, bool) or not (isinstance(hold_for, int | float) and hold_for > 0):
            raise InputError(Finding("must be more than 0", column="hold_for", found=repr(hold_for)))
        self.plan = plan
        self._ledger = ledger
        self._clock = clock
        self._hold_for = hold_for
        self._cells = Cells(plan)
        self._prices = np.array([row.price for row in self._cells.rows])
        self._pacer = Pacer(plan, self._cells.rows) if pacing == "adaptive" else None
        self._caps = Caps(plan)
        self._columns = plan.group_columns
        self._measures = plan.measures
        self._counts_value = any(term.measure == "value" for row in plan.rows for term in row.terms)

    def decide(self, requests: Sequence[DecisionRequest]) -> list[list[Reservation]]:
        """Return what each request is given: its coupons, best first, or one reservation for nothing.

        A request that was decided before, in this batch or ever, gets the same answer again.

        Raises
        ------
        InputError
            If a request lacks a measure or a group column that a row needs, or has the id of another
            user's; then nothing was decided.
        """
        self._check(requests)
        users = [None if r.user_id is None else self._digest(r.user_id) for r in requests]
        with self._ledger.open(self.plan.plan_id) as entries:
            now = self._clock()
            self._expire(entries, now, EXPIRE_AT_ONCE + len(requests))
            known = entries.of_requests({request.request_id for request in requests})
            had = dict(entries.coupons_of_users({user for user in users if user is not None}))
            book = Book(self._caps, entries)
            pace = None if self._pacer is None else self._pacer.begin(entries.pacing)
            new: list[Reservation] = []
            for request, user in zip(requests, users, strict=True):
                if request.request_id in known:
                    _require_same_user(request, user, known[request.request_id][0])
                    continue
                has = 0 if user is None else had.get(user, 0)
                visit = self._visit(request, user, has, now)
                found = self._decide(visit, self._prices if pace is None else pace.prices, book)
                if pace is not None and self._outside(now) is None:
                    pace.see(now, visit.value, visit.cell, visit.use, book.expected)
                if user is not None:
                    had[user] = has + sum(r.state is State.HELD for r in found)
                known[request.request_id] = found
                new += found
            if new:
                entries.add(new)
                if pace is not None:
                    entries.set_pacing(pace.state())
        return [known[request.request_id] for request in requests]

    def settle(self, outcomes: Sequence[Outcome]) -> list[Settlement]:
        """Say what became of coupons that were given, and return how each outcome was taken.

        What was really used replaces what was held, as long as that fits the guaranteed limits; a coupon
        that will not be used frees what was held. An outcome told twice is answered twice alike.
        """
        with self._ledger.open(self.plan.plan_id) as entries:
            now = self._clock()
            known = entries.of_requests({outcome.request_id for outcome in outcomes})
            book = Book(self._caps, entries)
            return [
                settle(outcome, known, self._cells, book, entries, now, self.plan) for outcome in outcomes
            ]

    def expire(self, most: int = 1000) -> int:
        """Free what up to `most` overdue reservations hold, and return how many there were.

        Decisions do so, too; this is for times when nobody comes.
        """
        with self._ledger.open(self.plan.plan_id) as entries:
            return self._expire(entries, self._clock(), most)

    def standings(self) -> list[Standing]:
        """Return how every row with bounds stands."""
        with self._ledger.open(self.plan.plan_id) as entries:
            held, expected = dict(entries.held), dict(entries.expected)
            prices = self._prices if self._pacer is None else self._pacer.begin(entries.pacing).prices
        return [
            Standing(
                row.label,
                row.at_least,
                row.at_most,
                row.is_guaranteed,
                held.get(row.label, 0) / MILLIONTHS if row.is_guaranteed else None,
                expected.get(row.label, 0) / MILLIONTHS,
                price,
            )
            for row, price in zip(self._cells.rows, prices.tolist(), strict=True)
            if not row.is_open
        ]

    def _visit(self, request: DecisionRequest, user: str | None, has: int, now: float) -> Visit:
        """Work out what is open to the user, and what it would use."""
        cell = self._cells.of(request.groups)
        closed, value = self._closed(now, has), request.value
        if closed is not None:
            value = np.full(len(value), np.nan)
        elif cell.excluded is not None:
            value = np.where(cell.excluded, np.nan, value)
        return Visit(request, user, has, now, cell, value, cell.use(request.value, request.measures), closed)

    def _decide(self, visit: Visit, prices: Array, book: Book) -> list[Reservation]:
        """Give the best coupons that fit, and write them into the book."""
        reduced = (visit.value - prices[visit.cell.rows] @ visit.use).tolist()
        fewest, most = self.plan.per_user
        given: list[Reservation] = []
        full: str | None = None
        hold = self._hold(visit)
        # NaN, where a coupon is not open to the user, is never more than anything.
        for j in sorted(
            (j for j, worth in enumerate(reduced) if worth > -math.inf), key=lambda j: -reduced[j]
        ):
            has = visit.has + len(given)
            if has >= most or not (reduced[j] > 0 or has < fewest):
                break
            expected, held = visit.cell.to_expect(visit.use[:, j]), visit.cell.to_hold(hold[:, j])
            if (label := book.too_little(held, expected)) is not None:
                full = full or book.says(label)
                continue
            book.add(held, expected)
            reason = f"worth {reduced[j]:.4g} after the limits' prices" + (f"; {full}" if full else "")
            given.append(self._reserve(visit, len(given), j, expected, held, reason))
        return given or [self._nothing(visit, visit.closed or full or why_nothing(visit, reduced))]

    def _reserve(
        self,
        visit: Visit,
        position: int,
        coupon: int,
        expected: dict[str, int],
        held: dict[str, int],
        reason: str,
    ) -> Reservation:
        return Reservation(
            visit.request.request_id,
            position,
            self.plan.coupon_ids[coupon],
            visit.user,
            expected,
            held,
            State.HELD,
            reason,
            visit.now,
            visit.now + self._hold_for,
            {column: str(visit.request.groups[column]) for column in self._columns},
            self._amounts(visit.request, coupon),
        )

    def _nothing(self, visit: Visit, reason: str) -> Reservation:
        request_id, now = visit.request.request_id, visit.now
        return Reservation(request_id, 0, None, visit.user, {}, {}, State.NOTHING, reason, now, now)

    def _closed(self, now: float, has: int) -> str | None:
        """Return why nothing can be given to the user at all, or None."""
        most = self.plan.per_user[1]
        if has >= most:
            return f"the user has {most} {'coupon' if most == 1 else 'coupons'} already, the most allowed"
        return self._outside(now)

    def _outside(self, now: float) -> str | None:
        """Return why the plan does not run at this time, or None."""
        if self.plan.starts_at is not None and now < self.plan.starts_at:
            return "the plan has not started"
        if self.plan.ends_at is not None and now > self.plan.ends_at:
            return "the plan is over"
        return None

    def _hold(self, visit: Visit) -> Array:
        """Return what would be held for each coupon, as `Cell.use`."""
        if not visit.request.most:
            return visit.use
        return visit.cell.use(visit.request.value, self._most_of(visit.request))

    def _most_of(self, request: DecisionRequest) -> dict[str, Array]:
        """Return what is held of each measure: the most it may come to, and no less than expected."""
        most = {name: np.asarray(array) for name, array in request.measures.items()}
        for name, array in request.most.items():
            most[name] = np.fmax(most[name], array)
        return most

    def _amounts(self, request: DecisionRequest, coupon: int) -> dict[str, float]:
        """Return what is held of each measure for one coupon."""
        most = self._most_of(request) if request.most else request.measures
        amounts = {name: float(most[name][coupon]) for name in self._measures}
        if self._counts_value:
            amounts["value"] = float(request.value[coupon])
        return amounts

    def _expire(self, entries: Entries, now: float, most: int) -> int:
        overdue = entries.expired(now, most)
        for reservation in overdue:
            entries.replace(reservation, replace(reservation, state=State.EXPIRED, expected={}, held={}))
        return len(overdue)

    def _digest(self, user_id: str) -> str:
        """Return what stands for a user in the ledger: not the id, and another one in every plan."""
        return blake2b(f"{self.plan.plan_id}\0{user_id}".encode(), digest_size=16).hexdigest()

    def _check(self, requests: Sequence[object]) -> None:
        findings: list[Finding] = []
        for request in requests:
            if not isinstance(request, DecisionRequest):
                found = type(request).__name__
                findings.append(Finding("this is no DecisionRequest", column="requests", found=found))
                continue
            where = f"request '{request.request_id}'"
            findings += [
                Finding(f"{where}: a row needs this measure", column=name)
                for name in self._measures
                if name not in request.measures
            ]
            findings += [
                Finding(f"{where}: a row needs the user's label in this column", column=column)
                for column in self._columns
                if column not in request.groups
            ]
            findings += wrong_numbers(request, len(self.plan.coupon_ids), where)
        if findings:
            raise InputError(findings)


def _require_same_user(request: DecisionRequest, user: str | None, decided: Reservation) -> None:
    """Raise InputError rather than give a user what another got under the same request id."""
    if user is not None and decided.user is not None and user != decided.user:
        message = "this id was another user's; give every request an id of its own"
        raise InputError(Finding(message, column="request_id", found=repr(request.request_id)))
