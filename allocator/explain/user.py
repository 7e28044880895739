"""Why a user gets this coupon and not another: values, prices paid, reduced values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from allocator.campaign.task import Task
from allocator.errors import Finding, InputError
from allocator.plugins.attribution import UpliftView
from allocator.solution.pricer import Pricer
from allocator.wording import number


@dataclass(frozen=True)
class CouponView:
    """One coupon as the plan sees it for one user; value, cost and price in objective units."""

    coupon_id: str
    eligible: bool
    value: float
    cost: float
    price_paid: float
    reduced_value: float
    chosen: bool


@dataclass(frozen=True)
class Explanation:
    """One user's decision: the coupons, best first, the decision in words, and what drives the uplift.

    `uplift` is about the chosen coupons, or the best one if none is; `uplift_note` says why it is empty.
    """

    user_id: str
    groups: Mapping[str, str]
    coupons: tuple[CouponView, ...]
    words: tuple[str, ...]
    uplift: tuple[UpliftView, ...] = ()
    uplift_note: str = ""


@dataclass(frozen=True)
class Lot:
    """What chance decided for a user: the arm, the probability of what they got, what the plan would give."""

    arm: str
    propensity: float
    planned: str | None
    got: str | None

    def words(self) -> str:
        """Say what the lot did."""
        plan = self.planned or "nothing"
        if self.arm == "holdout":
            what = f"Held out by lot, so gets nothing; the plan gives {plan}"
        elif self.arm == "explore":
            what = f"Explores by lot, so gets {self.got}; the plan gives {plan}"
        else:
            what = f"Gets what the plan gives, {plan}"
        return f"{what} (arm {self.arm}; the probability of this was {self.propensity:.4g})."


def explain_user(
    task: Task,
    prices: Mapping[str, float],
    assigned: Mapping[str, list[str]],
    user_id: str,
    lot: Lot | None = None,
) -> Explanation:
    """Explain one user's assignment from the prices of a plan.

    Parameters
    ----------
    task
        The problem that the plan solves.
    prices
        Dual price by limit label.
    assigned
        Coupons by user id, of the plan.
    user_id
        The user.
    lot
        What chance decided for them, if it did: then the explanation is of what the plan gives.

    Raises
    ------
    InputError
        If there is no such user.
    """
    problem = task.problem
    found = np.flatnonzero(problem.user_ids == user_id)
    if len(found) == 0:
        raise InputError(Finding("there is no such user in this run", column="user", found=repr(user_id)))
    i = int(found[0])
    groups = {name: grouping.labels[grouping.codes[i]] for name, grouping in problem.groups.items()}
    value = problem.value[i].astype(np.float64)
    measures = {name: array[i] for name, array in problem.measures.items()}
    known = {label: price for label, price in prices.items() if price is not None}
    reduced = Pricer(problem, task.limits, known).reduced_values(value, measures, groups)
    cost = measures.get("cost", np.zeros(problem.n_coupons))
    mine = set(assigned.get(user_id, []) if lot is None else [lot.planned] if lot.planned else [])
    views = [
        CouponView(
            coupon_id=str(coupon),
            eligible=bool(np.isfinite(reduced[j])),
            value=float(value[j]),
            cost=float(cost[j]),
            price_paid=float(value[j] - reduced[j]),
            reduced_value=float(reduced[j]),
            chosen=str(coupon) in mine,
        )
        for j, coupon in enumerate(problem.coupon_ids)
    ]
    views.sort(key=lambda view: (-view.chosen, -view.reduced_value, view.coupon_id))
    words = _words(views, str(task.eligibility.reason[i]))
    if lot is not None:
        words.insert(0, lot.words())
    if "expected_value" in measures:
        words.append("The plan is pessimistic: each coupon counts at what it is worth at least.")
    return Explanation(user_id, groups, tuple(views), tuple(words))


def _words(views: list[CouponView], reason: str) -> list[str]:
    eligible = [view for view in views if view.eligible]
    if reason:
        return [f"Gets nothing: {reason}."]
    if not eligible:
        return ["Gets nothing: is not eligible for any coupon, or has no score."]
    chosen = [view for view in eligible if view.chosen]
    best_other = max((v for v in eligible if not v.chosen), key=lambda v: v.reduced_value, default=None)
    if not chosen:
        best = max(eligible, key=lambda v: v.reduced_value)
        return [
            f"Gets nothing: the best coupon, {best.coupon_id}, is worth {number(best.value)}, but what it "
            f"uses up of the limits is worth {number(best.price_paid)} elsewhere."
        ]
    words = []
    for view in chosen:
        words.append(
            f"Gets {view.coupon_id}: worth {number(view.value)}, less {number(view.price_paid)} for what it "
            f"uses up of the limits, leaves {number(view.reduced_value)}."
        )
    if best_other is not None:
        behind = chosen[-1].reduced_value - max(best_other.reduced_value, 0.0)
        runner = best_other.coupon_id if best_other.reduced_value > 0 else "nothing"
        words.append(f"The runner-up is {runner}, behind by {number(behind)}.")
        if behind < 0:
            words.append(
                "The user is one of the few whose choice was settled by whole numbers, not by prices."
            )
    return words
