"""Counters while a ledger is open: what it holds, and what was decided since."""

from __future__ import annotations

from collections.abc import Mapping

from allocator.online.ledger import Entries
from allocator.online.plan import OnlinePlan
from allocator.online.records import MILLIONTHS, Reservation, to_cap

LARGEST = 10**18  # millionths that a ledger can hold of one row


class Caps:
    """What the guaranteed rows of a plan allow, by label in millionths.

    Parameters
    ----------
    plan
        Its rows.
    """

    def __init__(self, plan: OnlinePlan) -> None:
        rows = plan.guaranteed
        self.held = {row.label: _cap(row.at_most) for row in rows}
        self.expected = {row.label: _cap(row.at_most - row.margin) for row in rows if row.margin > 0}


def _cap(bound: float) -> int:
    return to_cap(min(bound, LARGEST / MILLIONTHS))


class Book:
    """Tells whether a coupon fits, and counts those that are given.

    Parameters
    ----------
    caps
        Of the plan.
    entries
        Of the open ledger; what it says is taken over once.
    """

    def __init__(self, caps: Caps, entries: Entries) -> None:
        self.held = dict(entries.held)
        self.expected = dict(entries.expected)
        self._caps = caps.held
        self._margins = caps.expected

    def too_little(self, held: Mapping[str, int], expected: Mapping[str, int]) -> str | None:
        """Return the label of a row that has too little left, None if all fits."""
        if (label := self.lacks(held)) is not None:
            return label
        for label, cap in self._margins.items():
            if self.expected.get(label, 0) + expected.get(label, 0) > cap:
                return label
        return self.overflows(expected)

    def overflows(self, expected: Mapping[str, int]) -> str | None:
        """Return the label of a row, guaranteed or not, of which a ledger cannot hold so much more."""
        for label, amount in expected.items():
            if abs(self.expected.get(label, 0) + amount) > LARGEST:
                return label
        return None

    def lacks(self, held: Mapping[str, int]) -> str | None:
        """Return the label of a row that cannot hold so much more, None if all can."""
        for label, amount in held.items():
            if self.held.get(label, 0) + amount > self._caps[label]:
                return label
        return None

    def says(self, label: str) -> str:
        """Return in words why nothing more fits a row."""
        if label not in self._caps:
            return f"limit '{label}' cannot be counted any further"
        left = self._caps[label] - self.held.get(label, 0)
        if label in self._margins:
            left = min(left, self._margins[label] - self.expected.get(label, 0))
        if left <= 0:
            return f"limit '{label}' is used up"
        return f"limit '{label}' has only {left / MILLIONTHS:,.6g} left"

    def add(self, held: Mapping[str, int], expected: Mapping[str, int]) -> None:
        """Count a coupon that is given."""
        _add(self.held, held, 1)
        _add(self.expected, expected, 1)

    def move(self, old: Reservation, new: Reservation) -> None:
        """Count what became of a reservation."""
        for counters, before, after in (
            (self.held, old.held, new.held),
            (self.expected, old.expected, new.expected),
        ):
            _add(counters, before, -1)
            _add(counters, after, 1)


def _add(counters: dict[str, int], amounts: Mapping[str, int], sign: int) -> None:
    for label, amount in amounts.items():
        counters[label] = counters.get(label, 0) + sign * amount
