"""Rows that show the uplift of a coupon: those that got it, and those that got nothing instead."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.evaluation import Estimate
from predictors.evaluation.estimates import difference_estimate
from predictors.history import History

if TYPE_CHECKING:
    from predictors.propensity import Propensity

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

    def take(self, rows: NDArray[np.int64] | Bools) -> Stack:
        """Return some of the rows."""
        return Stack(*(getattr(self, field.name)[rows] for field in fields(self)))

    def observed(self) -> Estimate:
        """Return the weighted mean outcome of treated less control rows; NaN if a side is empty."""
        return difference_estimate(self.outcome, self.treated, self.weight, self.user)

    def predicted(self) -> float:
        """Return the mean predicted uplift."""
        return float(np.average(self.uplift, weights=self.weight))


def stack(history: History, coupon: int, uplift: Floats, propensity: Propensity | None = None) -> Stack:
    """Return the rows about one coupon.

    Parameters
    ----------
    history
        n rows.
    coupon
        Position in ``history.coupons``.
    uplift
        (n,) its predicted uplift.
    propensity
        Of the n rows; the recorded ones if None.
    """
    treated = history.treated & (history.coupon == coupon)
    about = treated | history.control_of(coupon)
    if propensity is not None:
        about &= propensity.usable[:, coupon]
    weight = history.weight if propensity is None else propensity.weight
    rows = np.flatnonzero(about)
    outcome = history.converted[rows].astype(np.float64)
    return Stack(outcome, treated[rows], uplift[rows], weight[rows], rows, history.user[rows])


def join(stacks: list[Stack]) -> Stack:
    """Put stacks one below the other, each with as much treated weight as it has treated rows.

    Every coupon gets the same ratio of control to treated weight: with another mix of coupons on the
    two sides, a difference between coupons would pass for uplift.
    """
    whole = np.concatenate([part.treated for part in stacks])
    controls = len(np.unique(np.concatenate([part.row[~part.treated] for part in stacks])))
    ratio = controls / max(int(whole.sum()), 1)
    parts = [_levelled(part, ratio) for part in stacks]
    return Stack(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Stack)))


def _levelled(part: Stack, ratio: float) -> Stack:
    sent = part.treated.sum()
    treated = part.weight * sent / part.weight[part.treated].sum()
    control = part.weight * sent * ratio / part.weight[~part.treated].sum()
    return replace(part, weight=np.where(part.treated, treated, control))
