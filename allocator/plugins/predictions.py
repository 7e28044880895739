"""What a predictor gives back: what each coupon is expected to do to each user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What each coupon is expected to do to each user.

    Rows follow `user_ids`, columns follow `coupon_ids`; every array is (n_users, n_coupons) float. What is
    None is not known. A basket is what the customer's order is worth before the coupon's discount.

    Parameters
    ----------
    user_ids, coupon_ids
        The labels of rows and columns.
    conversion
        Probability of a conversion if nothing is sent.
    uplift
        Change of that probability if the coupon is sent.
    redemption
        Probability that the coupon is redeemed if it is sent.
    revenue
        Expected basket of a conversion if the coupon is sent, in the campaign's currency.
    expected_cost
        Expected discount given away if the coupon is sent, in currency; without sending cost.
    uplift_error
        Standard error of `uplift`.
    baseline_revenue
        Expected basket of a conversion if nothing is sent; taken as `revenue` if None.
    cost_variance
        Variance of the discount given away, in currency squared; if None, what `redemption` and
        `expected_cost` say of it, as if every redeemed coupon of a pair took off the same.
    notes
        Sentences a planner should read before using the numbers.
    cautions
        What must be known before plans that rest on the numbers are believed, as the evaluation of the
        predictor says it: `allocator.plugins.evaluation.Evaluation.cautions`.
    """

    user_ids: NDArray[np.str_]
    coupon_ids: NDArray[np.str_]
    conversion: NDArray[np.float64]
    uplift: NDArray[np.float64]
    redemption: NDArray[np.float64]
    revenue: NDArray[np.float64]
    expected_cost: NDArray[np.float64]
    uplift_error: NDArray[np.float64] | None = None
    baseline_revenue: NDArray[np.float64] | None = None
    cost_variance: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    @classmethod
    def join(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the predictions of consecutive users, of at least one part, as one."""
        joined: dict[str, Any] = {}
        for entry in fields(cls):
            values = [getattr(part, entry.name) for part in parts]
            if entry.name == "notes":
                joined[entry.name] = tuple(note for notes in values for note in notes)
            elif entry.name == "cautions":
                joined[entry.name] = tuple(dict.fromkeys(text for texts in values for text in texts))
            elif entry.name == "coupon_ids" or values[0] is None:
                joined[entry.name] = values[0]
            else:
                joined[entry.name] = np.concatenate(values)
        return cls(**joined)
