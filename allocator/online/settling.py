"""What became of coupons that were given: counts what was really used, and frees the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from allocator.online.book import Book
from allocator.online.cells import Cells
from allocator.online.ledger import Entries
from allocator.online.plan import OnlinePlan
from allocator.online.records import Outcome, Reservation, State

MOST_AMOUNT = 1e12  # of a measure: counters in millionths are whole numbers of 64 bits


class Answer(StrEnum):
    """How an outcome was taken."""

    SETTLED = "settled"
    """As told, now or before."""
    UNKNOWN = "unknown"
    """No such coupon was given."""
    CONFLICT = "conflict"
    """It contradicts what was told before."""
    REFUSED = "refused"
    """What was used does not fit a limit; the coupon stays as it was."""
    INVALID = "invalid"
    """An amount cannot be counted."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an outcome was taken.

    Parameters
    ----------
    outcome
        What was told.
    answer
        How it was taken.
    message
        Why, in a sentence.
    reservation
        As it stands now; None where the coupon is unknown.
    """

    outcome: Outcome
    answer: Answer
    message: str
    reservation: Reservation | None = None


def settle(
    outcome: Outcome,
    known: dict[str, list[Reservation]],
    cells: Cells,
    book: Book,
    entries: Entries,
    now: float,
    plan: OnlinePlan,
) -> Settlement:
    """Take one outcome, and write it into the open ledger.

    Parameters
    ----------
    outcome
        What became of a coupon.
    known
        The reservations of the requests that outcomes name; brought up to date.
    cells, book, entries, now, plan
        Of the decider, while the ledger is open.
    """
    found = _find(outcome, known)
    if isinstance(found, Settlement):
        return found
    if wrong := _wrong_amounts(outcome, plan):
        return Settlement(outcome, Answer.INVALID, wrong, found)
    if not outcome.used:
        new = replace(found, state=State.RELEASED, expected={}, held={})
        if found.state is State.USED:
            return Settlement(outcome, Answer.CONFLICT, "the coupon was used, as was told before", found)
    else:
        new = _used(found, outcome, cells)
        if found.state is State.RELEASED:
            message = "the coupon was given back, as was told before"
            return Settlement(outcome, Answer.CONFLICT, message, found)
        if found.state is State.USED and new != found:
            message = "the coupon was used, but with other amounts, as was told before"
            return Settlement(outcome, Answer.CONFLICT, message, found)
        if found.state is not State.USED and (why := _no_room(found, new, book, entries, plan)):
            return Settlement(outcome, Answer.REFUSED, why, found)
    if new != found:
        entries.replace(found, new)
        book.move(found, new)
        positions = known[found.request_id]
        positions[positions.index(found)] = new
    return Settlement(outcome, Answer.SETTLED, f"the coupon is {new.state}", new)


def _find(outcome: Outcome, known: Mapping[str, list[Reservation]]) -> Reservation | Settlement:
    """Return the reservation that an outcome is about, or why there is none."""
    given = [r for r in known.get(outcome.request_id, []) if r.coupon_id is not None]
    if not given:
        message = "no such request was decided" if outcome.request_id not in known else "it was given nothing"
        return Settlement(outcome, Answer.UNKNOWN, message)
    about = [r for r in given if outcome.coupon_id in (None, r.coupon_id)]
    names = ", ".join(f"'{r.coupon_id}'" for r in given)
    if not about:
        return Settlement(outcome, Answer.UNKNOWN, f"the request was given {names}")
    if len(about) > 1:
        return Settlement(outcome, Answer.INVALID, f"name one of the request's coupons: {names}")
    return about[0]


def _wrong_amounts(outcome: Outcome, plan: OnlinePlan) -> str | None:
    counted = {term.measure for row in plan.guaranteed for term in row.terms}
    for name, amount in outcome.measures.items():
        if name not in plan.measures and name != "value":
            known = ", ".join((*plan.measures, "value"))
            return f"the plan counts no measure '{name}' (expected one of {known})"
        if not (math.isfinite(amount) and abs(amount) <= MOST_AMOUNT):
            return f"'{name}' must be a number of at most {MOST_AMOUNT:g}"
        if amount < 0 and name in counted:
            return f"'{name}' must be 0 or more"
    return None


def _used(found: Reservation, outcome: Outcome, cells: Cells) -> Reservation:
    """Return the reservation with what was really used."""
    measures = dict(found.measures)
    measures |= {name: float(amount) for name, amount in outcome.measures.items()}
    cell = cells.of(found.groups)
    use = cell.use_of_one(cells.place[str(found.coupon_id)], measures)
    held = cell.to_hold(use)
    return replace(found, state=State.USED, expected=cell.to_expect(use), held=held, measures=measures)


def _no_room(
    found: Reservation, new: Reservation, book: Book, entries: Entries, plan: OnlinePlan
) -> str | None:
    """Return why what was used does not fit, None if it does. What is held already fits."""
    more = {
        label: amount - found.held.get(label, 0)
        for label, amount in new.held.items()
        if amount > found.held.get(label, 0)
    }
    if (label := book.lacks(more)) is not None:
        return f"more was used than was held, and {book.says(label)}"
    change = {label: amount - found.expected.get(label, 0) for label, amount in new.expected.items()}
    if (label := book.overflows(change)) is not None:
        return book.says(label)
    if found.state is State.EXPIRED and found.user is not None:
        has = entries.coupons_of_users([found.user]).get(found.user, 0)
        if has >= plan.per_user[1]:
            return "the coupon had expired, and the user has another by now"
    return None
