"""Rows that show the uplift of a coupon: those that got it, and those that got nothing instead."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import Estimate
from predictors.evaluation.estimates import difference_estimate
from predictors.evaluation.strata import same_days
from predictors.history.history import History

if TYPE_CHECKING:
    from predictors.history.propensity import Propensity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Stack:
    """Treated and control rows of one coupon, or of several one below the other; (n,) each.

    Parameters
    ----------
    outcome, treated
        Whether the row converted, and whether it got the coupon.
    uplift
        What was predicted.
    weight
        Inverse propensity.
    row
        Position in the history; a control row occurs once for each coupon it is a control of.
    user
        Whose row it is.
    """

    outcome: Floats
    treated: Bools
    uplift: Floats
    weight: Floats
    row: Ints
    user: Ints

    def __len__(self) -> int:
        return len(self.row)

    @property
    def two_sided(self) -> bool:
        """Whether there are treated and control rows."""
        return bool(self.treated.any() and not self.treated.all())

    @property
    def controls(self) -> int:
        """Number of control rows, each counted once."""
        return len(np.unique(self.row[~self.treated]))

    def take(self, rows: NDArray[np.int64] | Bools) -> Stack:
        """Return some of the rows."""
        return Stack(*(getattr(self, field.name)[rows] for field in fields(self)))

    def observed(self) -> Estimate:
        """Return the weighted mean outcome of treated less control rows; NaN if a side is empty."""
        return difference_estimate(self.outcome, self.treated, self.weight, self.user)

    def predicted(self) -> float:
        """Return the mean predicted uplift."""
        return float(np.average(self.uplift, weights=self.weight))


def stacks(history: History, uplift: Floats, propensity: Propensity | None = None) -> dict[int, Stack]:
    """Return the rows about each coupon that has treated and control rows, by its position.

    Parameters
    ----------
    history
        n rows and c coupons.
    uplift
        (n, c) predicted uplift.
    propensity
        Of the n rows; the recorded ones if None.
    """
    usable = same_days(history)
    if propensity is not None:
        usable &= propensity.usable
    weight = history.weight if propensity is None else propensity.weight
    converted = history.converted.astype(np.float64)
    found = {}
    for coupon in range(len(history.coupons)):
        treated = history.treated & (history.coupon == coupon)
        row = np.flatnonzero((treated | history.control_of(coupon)) & usable[:, coupon])
        part = Stack(converted[row], treated[row], uplift[row, coupon], weight[row], row, history.user[row])
        if part.two_sided:
            found[coupon] = part
    return found


def join(stacks: list[Stack]) -> Stack:
    """Put stacks one below the other, each with as much treated weight as it has treated rows.

    Every coupon gets the same ratio of control to treated weight: with another mix of coupons on the
    two sides, a difference between coupons would pass for uplift.
    """
    plain = _concatenated(stacks)
    ratio = plain.controls / int(plain.treated.sum())
    return _concatenated([_levelled(part, ratio) for part in stacks])


def _concatenated(parts: list[Stack]) -> Stack:
    return Stack(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Stack)))


def _levelled(part: Stack, ratio: float) -> Stack:
    sent = part.treated.sum()
    treated = part.weight * sent / part.weight[part.treated].sum()
    control = part.weight * sent * ratio / part.weight[~part.treated].sum()
    return replace(part, weight=np.where(part.treated, treated, control))
