"""What passes between a caller, the decider and the ledger.

Amounts are whole millionths of a limit's unit: sums of them are exact in any order, so a counter can be
compared with its limit to the last unit. An amount rounds up, a limit down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding

Array = NDArray[np.float64]

MILLIONTHS = 1_000_000
NOISE = 0.0005  # of a millionth: what float arithmetic may add to an amount or take away


def to_amount(quantity: float) -> int:
    """Return a quantity in millionths, rounded up, but for the noise of float arithmetic."""
    return math.ceil(quantity * MILLIONTHS - NOISE)


def to_cap(bound: float) -> int:
    """Return an upper bound in millionths, rounded down, but for the noise of float arithmetic."""
    return math.floor(bound * MILLIONTHS + NOISE)


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One user who is here now.

    Parameters
    ----------
    request_id
        The caller's own, unique within a plan: the same id gets the same answer again.
    value
        (n_coupons,) expected incremental value, in the plan's order of coupons; NaN where not eligible.
    measures
        Each (n_coupons,): what the limits count, as expected.
    groups
        The user's label in each group column that the plan's limits use.
    user_id
        Whose coupons count towards the plan's `per_user`, over all requests; None: nobody's.
    most
        Each (n_coupons,): the most that a measure may come to, where that is more than expected, such as
        a coupon's face value. This much is held until the coupon is used or expires.
    """

    request_id: str
    value: Array
    measures: Mapping[str, Array]
    groups: Mapping[str, str] = field(default_factory=dict)
    user_id: str | None = None
    most: Mapping[str, Array] = field(default_factory=dict)


def wrong_numbers(request: DecisionRequest, n_coupons: int, where: str) -> Iterator[Finding]:
    """Yield a finding for each array of a request that is not one number for each coupon."""
    value = request.value
    if not _is_row(value, n_coupons) or np.isinf(value).any():
        message = f"{where}: there must be a number for each coupon, NaN where it is not open"
        yield Finding(message, column="value", found=_form(value), expected=f"({n_coupons},)")
        return
    for kind in ("measures", "most"):
        for name, amounts in getattr(request, kind).items():
            if not _is_row(amounts, n_coupons):
                message = f"{where}: there must be a number for each coupon"
                expected = f"({n_coupons},)"
                yield Finding(message, column=f"{kind}.{name}", found=_form(amounts), expected=expected)
            elif not np.isfinite(amounts).all() and (~np.isfinite(amounts) & ~np.isnan(value)).any():
                message = f"{where}: the measure is missing or infinite where value is given"
                yield Finding(message, column=f"{kind}.{name}")


def _is_row(array: object, n: int) -> bool:
    return isinstance(array, np.ndarray) and array.shape == (n,) and array.dtype.kind in "fiu"


def _form(array: object) -> str:
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__


class State(StrEnum):
    """What became of a reservation."""

    NOTHING = "nothing"
    """No coupon was given."""
    HELD = "held"
    """Given; not used yet, and not expired."""
    USED = "used"
    RELEASED = "released"
    """Given back by an outcome that says it will not be used."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a request was given, one for each coupon; with `coupon_id` None, that it was given nothing.

    Parameters
    ----------
    position
        0 for the best coupon of the request, 1 for the next.
    user
        A digest of the user's id, or None.
    expected, held
        By row label in millionths: what the coupon is expected to use of a row, and what is held of it.
        Rows that it does not use are left out. Once used, both are what was really used; once released or
        expired, both are empty.
    reason
        Why this, in a few words.
    decided_at, expires_at
        Seconds since the epoch.
    groups
        The user's label in each group column that the plan's rows name, to count what was really used.
    measures
        What was held of each measure, or once used, what it really came to.
    """

    request_id: str
    position: int
    coupon_id: str | None
    user: str | None
    expected: Mapping[str, int]
    held: Mapping[str, int]
    state: State
    reason: str
    decided_at: float
    expires_at: float
    groups: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a coupon that was given.

    Parameters
    ----------
    request_id
        Of the decision.
    coupon_id
        Which of the request's coupons; None where it got only one.
    used
        Whether it was used; if not, what is held for it is free again.
    measures
        What it really came to, such as the discount; what is not named counts as it is held.
    """

    request_id: str
    coupon_id: str | None
    used: bool
    measures: Mapping[str, float] = field(default_factory=dict)
