"""A solved campaign in figures: what summary.json holds and the command line shows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from allocator.campaign.campaign import Campaign
from allocator.campaign.experimenting import BY_LOT, experiment_document
from allocator.campaign.reach import reach_of
from allocator.campaign.task import Task
from allocator.experiment.arms import HOLDOUT
from allocator.experiment.randomise import Randomised
from allocator.files import versions
from allocator.limits import Budget
from allocator.limits.groups import columns_of
from allocator.limits.rows import is_risky
from allocator.plugins.copy import Copy
from allocator.plugins.evaluation import Evaluation, restore
from allocator.problem import Problem
from allocator.problem.labels import Grouping
from allocator.solution import LimitUsage, Solution

SCHEMA_VERSION = 1
UNITS = {
    "incremental_margin": "margin",
    "incremental_revenue": "revenue",
    "incremental_conversions": "conversions",
    "net_profit": "profit",
}


def summarise(
    campaign: Campaign, task: Task, solution: Solution, randomised: Randomised | None = None
) -> dict[str, Any]:
    """Return the figures of a plan, without any time stamp: same input and seed, same summary.

    Where chance decided for some users, they are of what is sent, and `experiment` says what that costs.
    """
    problem = task.problem
    user, coupon = chosen_pairs(solution)
    value, spend = (float(amount(problem, name, user, coupon).sum()) for name in ("value", "cost"))
    risk = _risk(campaign, problem, user, coupon)
    expected = value if risk is None else risk["expected_value"]
    config = campaign.config
    return {
        "schema_version": SCHEMA_VERSION,
        "name": config.name,
        "currency": config.currency,
        "as_of": campaign.as_of,
        "maximize": config.objective.maximize,
        "method": solution.method,
        "status": str(solution.status),
        "interrupted": solution.interrupted,
        "broken_limits": _broken(solution),
        "objective": solution.objective,
        "bound": solution.bound,
        "bound_source": solution.bound_source,
        "gap": solution.gap,
        "unfit_by": list(solution.unfit_by),
        "fairness": _fairness(campaign, solution),
        "price_of_fairness": [] if randomised is not None else _price_of_fairness(task, solution),
        "users": problem.n_users,
        "coupons": problem.n_coupons,
        "eligible_users": int(task.eligibility.allowed.any(axis=1).sum()),
        "reach": reach_of(campaign, task.eligibility).document(),
        "assigned": len(user),
        "spend": spend,
        "budget": _budget(task),
        "value": value,
        "return": expected / spend if spend else None,
        "risk": risk,
        "measures": {name: float(amount(problem, name, user, coupon).sum()) for name in problem.measures},
        "limits": [limit_row(row) for row in solution.usage],
        "by_coupon": by_coupon(problem, user, coupon),
        "by_group": by_group(problem, problem.groups, user, coupon),
        "skipped": _count(skip_reasons(task, solution, randomised)),
        **({} if randomised is None else {"experiment": experiment_document(campaign, task, randomised)}),
        "notes": [*campaign.notes, *map(_unfit, solution.unfit_by)],
        "seed": solution.seed,
        "digests": campaign.digests,
        "versions": versions(),
    }


def _risk(campaign: Campaign, problem: Problem, user: Any, coupon: Any) -> dict[str, Any] | None:
    """Return how the plan is pessimistic, with what it is worth on average; None for a plan that is not."""
    table = campaign.config.objective
    if table.risk == "mean":
        return None
    expected = float(amount(problem, "expected_value", user, coupon).sum())
    return {"kind": table.risk, "confidence": table.confidence, "expected_value": expected}


def _fairness(campaign: Campaign, solution: Solution) -> dict[str, Any] | None:
    """Return what the fair objective reached: for max_min the smallest value a head over weight, for
    proportional the weighted geometric mean of the groups' values.
    """
    table = campaign.config.objective
    if table.fairness is None:
        return None
    return {
        "kind": table.fairness,
        "by": list(columns_of(table.by)),
        "utility": solution.utility,
        "utility_bound": solution.utility_bound,
    }


def _price_of_fairness(task: Task, solution: Solution) -> list[dict[str, Any]]:
    if solution.relaxed or is_risky(task.problem, task.limits):
        return []
    return [dataclasses.asdict(price) for price in solution.price_of_fairness()]


def summarise_copy(copies: Sequence[Copy]) -> dict[str, Any]:
    """Return how many messages were written, and by whom."""
    return {
        "texts": len(copies),
        "written_by": _count([copy.written_by for copy in copies]),
    }


def cautions(summary: Mapping[str, Any]) -> list[str]:
    """Return what to know before a plan is believed or sent: who was taken to consent, and why the
    predictions behind the figures may be wrong.
    """
    found = list((summary.get("reach") or {}).get("cautions", ()))
    if "predictor_cautions" not in summary and summary.get("evaluation"):  # of a run of a version before
        return [*found, *restore(Evaluation, summary["evaluation"]).cautions]
    return [*found, *summary.get("predictor_cautions", ())]


def skip_reasons(task: Task, solution: Solution, randomised: Randomised | None = None) -> list[str]:
    """Return for each user why they get nothing; empty text for those who get something."""
    given = np.asarray((solution.choice.reshape(task.problem.n_users, -1) >= 0).any(axis=1))
    held = None if randomised is None else randomised.arms == HOLDOUT
    reasons: list[str] = reasons_for_nothing(task, given, held).tolist()
    return reasons


def reasons_for_nothing(
    task: Task,
    given: np.ndarray[Any, np.dtype[np.bool_]],
    held: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
) -> np.ndarray[Any, Any]:
    """Return for each user why they get nothing, (n_users,).

    Empty where `given` says they get something; `held` says whom chance holds out.
    """
    best = np.fmax.reduce(task.problem.value, axis=1)  # NaN where nothing is eligible
    reasons = task.eligibility.reason.copy()
    open_ = (reasons == "") & ~given
    reasons[open_] = "others earn more from what the limits allow"
    reasons[open_ & (best <= 0)] = "no coupon is expected to earn anything"
    if (mean := task.problem.measures.get("expected_value")) is not None:
        hoped = np.max(np.where(task.problem.eligible(), mean, -np.inf), axis=1) > 0
        reasons[open_ & (best <= 0) & hoped] = "no coupon is sure enough to earn anything"
    reasons[open_ & np.isnan(best)] = "has no score for any coupon"
    if held is not None:
        reasons[held] = BY_LOT
    reasons[given] = ""
    return reasons


def chosen_pairs(
    solution: Solution,
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return user and coupon indices of all assignments."""
    choice = solution.choice.reshape(solution.problem.n_users, -1)
    user, slot = np.nonzero(choice >= 0)
    return user, choice[user, slot].astype(np.int64)


def assigned_by_user(solution: Solution) -> dict[str, list[str]]:
    """Return the coupons of each user who gets some, by user id."""
    problem = solution.problem
    found: dict[str, list[str]] = {}
    for user, coupon in zip(*(pairs.tolist() for pairs in chosen_pairs(solution)), strict=True):
        found.setdefault(str(problem.user_ids[user]), []).append(str(problem.coupon_ids[coupon]))
    return found


def amount(problem: Problem, name: str, user: Any, coupon: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return value or a measure of each chosen pair, (n_pairs,)."""
    if name not in problem.measures and name != "value":
        return np.zeros(len(user))
    return np.asarray(problem.measure(name)[user, coupon], dtype=np.float64)


def by_coupon(problem: Problem, user: Any, coupon: Any) -> list[dict[str, Any]]:
    """Return what each coupon does in a plan, from the pairs of `chosen_pairs`."""
    coupons = Grouping(np.arange(problem.n_coupons, dtype=np.int32), tuple(problem.coupon_ids))
    return _by(problem, coupons, coupon, user, coupon)


def by_group(
    problem: Problem, groups: Mapping[str, Grouping], user: Any, coupon: Any
) -> dict[str, list[dict[str, Any]]]:
    """Return what each group of users gets in a plan, by column."""
    return {
        column: _by(problem, grouping, grouping.codes[user], user, coupon, grouping.sizes())
        for column, grouping in groups.items()
    }


def _by(
    problem: Problem, grouping: Grouping, code: Any, user: Any, coupon: Any, sizes: Any = None
) -> list[dict[str, Any]]:
    n = len(grouping.labels)
    count = grouping.by_name(np.bincount(code, minlength=n))
    # What a pessimistic plan is worth on average, too, so that all tables add up and compare.
    worth = "expected_value" if "expected_value" in problem.measures else "value"
    value = grouping.by_name(np.bincount(code, amount(problem, worth, user, coupon), n))
    spend = grouping.by_name(np.bincount(code, amount(problem, "cost", user, coupon), n))
    sizes = None if sizes is None else grouping.by_name(sizes)
    rows = []
    for g, label in enumerate(grouping.names):
        row = {
            "label": str(label),
            "assigned": int(count[g]),
            "value": float(value[g]),
            "spend": float(spend[g]),
        }
        if sizes is not None:
            row["users"] = int(sizes[g])
            row["rate"] = float(count[g] / sizes[g]) if sizes[g] else 0.0
        rows.append(row)
    return rows


def limit_row(row: LimitUsage) -> dict[str, Any]:
    """Return a row of a limit as the summary holds it."""
    return {
        "label": row.label, "used": row.used, "at_least": row.at_least, "at_most": row.at_most,
        "slack": row.slack, "price": row.price, "binding": row.binding,
    }  # fmt: skip


def _broken(solution: Solution) -> dict[str, float]:
    """Return by how much the plan breaks each hard limit that it does not keep."""
    checks = solution.certificate.rows
    return {row.label: row.violation for row in checks if row.violation > 0 and not row.soft}


def _unfit(label: str) -> str:
    """Say that a limit rules some pairs out by itself."""
    return (
        f"Some coupons need more of '{label}' for one user than all others can leave: they fit no plan, "
        "and the bound does not count them."
    )


def _budget(task: Task) -> float | None:
    """Return the first limit of the whole spend."""
    return next(
        (
            limit.at_most
            for limit in task.limits
            if isinstance(limit, Budget)
            and limit.measure == "cost"
            and limit.users is None
            and limit.coupons is None
        ),
        None,
    )


def _count(items: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(filter(None, items)).items()))
