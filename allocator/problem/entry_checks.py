"""Checks of every value and measure of a problem, batch by batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding
from allocator.problem.batch import Batch

AT_ONCE = 65_536  # users checked at once: masks of a part stay small and in the cache

NEGATIVE_COST = "cost is negative"
EXPECTED = {
    NEGATIVE_COST: "at least 0: add what an assignment earns to value, or count it in a measure of another "
    "name, which may be negative"
}


class EntryChecks:
    """Collects what is wrong with the entries of a problem.

    Parameters
    ----------
    fewest
        Coupons that each user must get.
    """

    def __init__(self, fewest: int) -> None:
        self.fewest = fewest
        self._wrong: dict[tuple[str, str], tuple[int, int, int]] = {}  # message, column: count, first place
        self._short: tuple[int, int] | None = None  # how many users have too few coupons, and the first

    def see(self, batch: Batch) -> None:
        """Check a batch of consecutive users."""
        for part in batch.parts(AT_ONCE):
            assert isinstance(part.users, slice)
            self._see_value(part.value, part.users.start)
            for name, measure in part.measures.items():
                self._see_measure(name, measure, part.value, part.users.start)

    def findings(self, id_of: Callable[[int], str]) -> list[Finding]:
        """Return one finding for each kind of wrong entry; `id_of` names a user."""
        findings = [
            Finding(
                message,
                column=column,
                found=f"{count:,} entries, first at user {user}, coupon {coupon}",
                expected=EXPECTED.get(message),
            )
            for (message, column), (count, user, coupon) in self._wrong.items()
        ]
        if self._short is not None:
            count, user = self._short
            many = f"{count:,} users are eligible for fewer than {self.fewest} coupons"
            findings.append(Finding(f"{many}, for example '{id_of(user)}'", column="per_user"))
        return findings

    def _see_value(self, value: NDArray[np.floating], start: int) -> None:
        if not _all_finite(value):
            message = "value has infinite entries; use NaN where a user is not eligible"
            self._note(message, "value", np.isinf(value), start)
        if self.fewest > 0:
            short = (~np.isnan(value)).sum(axis=1) < self.fewest
            if short.any():
                count, first = self._short or (0, start + int(np.argmax(short)))
                self._short = count + int(short.sum()), first

    def _see_measure(
        self, name: str, measure: NDArray[np.floating], value: NDArray[np.floating], start: int
    ) -> None:
        if not _all_finite(measure):
            message = "the measure is missing or infinite where value is given"
            self._note(message, name, ~np.isfinite(measure) & ~np.isnan(value), start)
        if name == "cost" and not measure.min() >= 0:
            negative = np.isfinite(measure) & (measure < 0) & ~np.isnan(value)
            self._note(NEGATIVE_COST, name, negative, start)

    def _note(self, message: str, column: str, bad: NDArray[np.bool_], start: int) -> None:
        if bad.any():
            user, coupon = (int(k) for k in np.argwhere(bad)[0])
            count, *first = self._wrong.get((message, column), (0, start + user, coupon))
            self._wrong[message, column] = (count + int(bad.sum()), first[0], first[1])


def _all_finite(array: NDArray[np.floating]) -> bool:
    """Return whether there is neither NaN nor infinity, False also where a sum overflows: one quick look."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()))
