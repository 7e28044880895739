"""Why a group of users gets what it gets: its coupons, the prices it pays, and why some get nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.summary import amount, reasons_for_nothing
from allocator.campaign.task import Task
from allocator.errors import Finding, InputError
from allocator.problem import Problem
from allocator.problem.labels import composed
from allocator.solver.model import compile_model
from allocator.wording import number, percentage

Array = NDArray[np.float64]
MOST_LABELS = 12
NAMED = 3


@dataclass(frozen=True)
class SegmentCoupon:
    """What one coupon does in the segment; value, cost and price are means of its users there."""

    coupon_id: str
    users: int
    share: float
    share_elsewhere: float
    value: float
    cost: float
    price_paid: float


@dataclass(frozen=True)
class SegmentPrice:
    """What one limit takes from the segment's value, in objective units; negative: it pays for them."""

    label: str
    paid: float


@dataclass(frozen=True)
class SegmentExplanation:
    """A group of users in a plan, beside all others.

    Parameters
    ----------
    column, label
        Which users.
    users, assigned, rate, rate_elsewhere
        How many there are and get a coupon; the shares, here and among all other users.
    value_per_user, value_elsewhere, spend_per_user, spend_elsewhere
        A head, of all users here and of all others.
    coupons
        Those that the segment gets, most users first.
    prices
        What each limit with a price takes or gives, the largest first.
    nothing
        Users who get nothing, by reason.
    words
        All that in a few sentences.
    """

    column: str
    label: str
    users: int
    assigned: int
    rate: float
    rate_elsewhere: float
    value_per_user: float
    value_elsewhere: float
    spend_per_user: float
    spend_elsewhere: float
    coupons: tuple[SegmentCoupon, ...]
    prices: tuple[SegmentPrice, ...]
    nothing: Mapping[str, int]
    words: tuple[str, ...]


def explain_segment(
    campaign: Campaign,
    task: Task,
    prices: Mapping[str, float],
    assigned: Mapping[str, list[str]],
    column: str,
    label: str,
    held_out: Collection[str] = (),
) -> SegmentExplanation:
    """Explain what the users with one label in a column of users.csv get.

    Parameters
    ----------
    campaign, task
        What was planned.
    prices, assigned
        Dual price by limit label, and coupons by user id, of the plan.
    column, label
        Which users.
    held_out
        Ids of users whom chance held out.

    Raises
    ------
    InputError
        If there is no such column, or nobody has the label.
    """
    inside = _members(campaign, column, label)
    problem = task.problem
    user, coupon = _pairs(problem, assigned)
    mine = inside[user]
    value, cost = (amount(problem, name, user, coupon) for name in ("value", "cost"))
    charges = _charges(task, prices, user, coupon)
    paid = sum(charges.values(), np.zeros(len(user)))
    n, others = int(inside.sum()), int((~inside).sum())
    here, there = np.unique(user[mine]).size, np.unique(user[~mine]).size
    given = np.zeros(problem.n_users, dtype=np.bool_)
    given[user] = True
    held = np.isin(problem.user_ids, list(held_out)) if held_out else None
    reasons = reasons_for_nothing(task, given, held)[inside]
    names, counts = np.unique(reasons[reasons != ""].astype(str), return_counts=True)
    found = SegmentExplanation(
        column=column,
        label=label,
        users=n,
        assigned=here,
        rate=here / n,
        rate_elsewhere=_over(there, others),
        value_per_user=float(value[mine].sum()) / n,
        value_elsewhere=_over(float(value[~mine].sum()), others),
        spend_per_user=float(cost[mine].sum()) / n,
        spend_elsewhere=_over(float(cost[~mine].sum()), others),
        coupons=_coupons(problem, coupon, mine, value, cost, paid),
        prices=_prices(charges, mine),
        nothing=dict(sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda pair: -pair[1])),
        words=(),
    )
    return SegmentExplanation(**{**vars(found), "words": tuple(_words(found))})


def _members(campaign: Campaign, column: str, label: str) -> NDArray[np.bool_]:
    users = campaign.users
    if column not in users.columns or column == "user_id":
        known = ", ".join(name for name in users.columns if name != "user_id")
        raise InputError(
            Finding("users have no such column", column="segment", found=repr(column), expected=known)
        )
    grouping = campaign.labels.grouping(column)
    codes = grouping.having(composed(label))
    if not codes:
        names = grouping.names
        shown = ", ".join(names[:MOST_LABELS]) + (", ..." if len(names) > MOST_LABELS else "")
        message = f"no user has this '{column}'"
        raise InputError(Finding(message, column="segment", found=repr(label), expected=f"one of {shown}"))
    return np.isin(grouping.codes, list(codes))


def _pairs(
    problem: Problem, assigned: Mapping[str, list[str]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    row = {name: i for i, name in enumerate(problem.user_ids.tolist())}
    column = {name: j for j, name in enumerate(problem.coupon_ids.tolist())}
    pairs = [(row[user], column[coupon]) for user, coupons in assigned.items() for coupon in coupons]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _charges(
    task: Task, prices: Mapping[str, float], user: NDArray[np.int64], coupon: NDArray[np.int64]
) -> dict[str, Array]:
    """Return what each pair pays to each row that has a price, (n_pairs,) by label."""
    model = compile_model(task.problem, task.limits)
    users, places = np.unique(user, return_inverse=True)
    used = model.coefficients(model.gather(users), places, coupon).tocsr()
    return {
        label: price * used[[i]].toarray().ravel()
        for i, label in enumerate(model.labels)
        if (price := prices.get(label))
    }


def _coupons(
    problem: Problem,
    coupon: NDArray[np.int64],
    mine: NDArray[np.bool_],
    value: Array,
    cost: Array,
    paid: Array,
) -> tuple[SegmentCoupon, ...]:
    n = problem.n_coupons
    count, elsewhere = np.bincount(coupon[mine], minlength=n), np.bincount(coupon[~mine], minlength=n)
    value, cost, paid = (
        np.bincount(coupon[mine], each[mine], n) / np.maximum(count, 1) for each in (value, cost, paid)
    )
    rows = [
        SegmentCoupon(
            str(problem.coupon_ids[j]), int(count[j]), _over(count[j], count.sum()),
            _over(elsewhere[j], elsewhere.sum()), float(value[j]), float(cost[j]), float(paid[j]),
        )
        for j in range(n)
        if count[j]
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (-row.users, row.coupon_id)))


def _prices(charges: Mapping[str, Array], mine: NDArray[np.bool_]) -> tuple[SegmentPrice, ...]:
    rows = [SegmentPrice(label, float(charge[mine].sum())) for label, charge in charges.items()]
    return tuple(sorted((row for row in rows if row.paid), key=lambda row: (-abs(row.paid), row.label)))


def _words(found: SegmentExplanation) -> list[str]:
    against = f"{percentage(found.rate_elsewhere)} of all others"
    words = [
        f"{found.assigned:,} of {found.users:,} users with {found.column} {found.label} get a coupon "
        f"({percentage(found.rate)}; {against}), worth {number(found.value_per_user)} a head (others "
        f"{number(found.value_elsewhere)}) at a cost of {number(found.spend_per_user)} "
        f"({number(found.spend_elsewhere)})."
    ]
    liked = max(found.coupons, key=lambda row: row.share - row.share_elsewhere, default=None)
    if liked is not None and liked.share - liked.share_elsewhere > 0.02:
        words.append(
            f"Its own coupon is {liked.coupon_id}: {percentage(liked.share)} of its coupons, "
            f"{percentage(liked.share_elsewhere)} elsewhere."
        )
    taking = [f"'{row.label}' {number(row.paid)}" for row in found.prices if row.paid > 0][:NAMED]
    giving = [f"'{row.label}' {number(-row.paid)}" for row in found.prices if row.paid < 0][:NAMED]
    if taking:
        words.append(f"What it uses of the limits is worth most at {', '.join(taking)} elsewhere.")
    if giving:
        words.append(f"It is given more than it earns because of {', '.join(giving)}.")
    if found.nothing:
        reason, count = next(iter(found.nothing.items()))
        words.append(f"Most who get nothing ({count:,}): {reason}.")
    return words


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
