"""The problem that a run will solve, as far as it is known before anything is predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from allocator.campaign import Campaign
from allocator.campaign.config import FILE
from allocator.campaign.schema import MESSAGE_MEASURES
from allocator.campaign.task import Task, build_task
from allocator.errors import Finding, InfeasibleError, InputError
from allocator.limits.groups import columns_of
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress
from allocator.runs.options import Options
from allocator.runs.problems import Problems
from allocator.solver.clash import find_clash, left_by_exclusions
from allocator.solver.fair_groups import fair_groups, name_of
from allocator.solver.pricing import EngineSettings
from allocator.solver.settings import check_settings, check_statement


def expected_task(
    campaign: Campaign, given: Predictions | None, trains: bool, errors: bool, options: Options
) -> Task:
    """Return the task of a run; where its predictions are still to come, with nothing for each of them.

    Parameters
    ----------
    campaign, options
        Of the run.
    given
        Ready predictions; without them scores.csv is used, if nothing is trained.
    trains
        Whether predictions are still to come.
    errors
        Whether those will bring the standard error of uplift.

    Raises
    ------
    InputError
        With all that `build_task` and `solve` would refuse, and if nobody may get anything.
    """
    task = build_task(campaign, _unknown(campaign, errors) if trains else given)
    problems = Problems(list(_nobody(campaign, task)))
    config, where = campaign.config, EngineSettings(options.engine, options.solve_device, options.threads)
    fair, solve = config.objective.fair(), config.solve
    on_clash = "least_violation" if options.least_violation else "raise"
    problems.collect(
        check_settings, solve.method, fair, None, solve.gap, solve.time_limit, config.seed, where, on_clash
    )
    problems.collect(check_statement, task.problem, task.limits, fair, solve.method)
    problems.collect(_check_groups, campaign, task)
    problems.stop()
    return task


def known_clash(
    task: Task, trains: bool, options: Options, seed: int, progress: Progress = no_progress
) -> InfeasibleError | None:
    """Return which limits no plan can keep, whatever is predicted; None if nothing of the kind is proven."""
    measures = task.problem.measures
    known = [name for name in measures if not trains or name in MESSAGE_MEASURES]
    if not trains:
        known.append("value")

    def report(step: str, done: int, total: int) -> None:
        progress("check", 0, 0)

    return find_clash(task.problem, task.limits, known, seed=seed, threads=options.threads, progress=report)


def remarks(campaign: Campaign, task: Task) -> list[str]:
    """Say which coupons nobody may get, and whom exclusions leave nothing.

    Raises
    ------
    InputError
        If exclusions leave nobody anything.
    """
    coupons = task.problem.coupon_ids
    may, valued = (of.any(axis=0) for of in (task.eligibility.allowed, task.problem.eligible()))
    notes = [
        f"nobody may get coupon '{coupon}': who could has used it up, or nobody agreed to its channel"
        for coupon in coupons[~may].tolist()
    ]
    notes += [
        f"nobody may get coupon '{coupon}': scores.csv has no value of it for anybody who could"
        for coupon in coupons[may & ~valued].tolist()
    ]
    rows = [(limit.label, row) for limit in task.limits for row in limit.rows(task.problem)]
    forbidding = ", ".join(dict.fromkeys(f"'{label}'" for label, row in rows if row.is_exclusion))
    if not forbidding:
        return notes
    left = left_by_exclusions(task.problem, task.limits)
    if not left.users:
        message = "these limits leave nobody a coupon, so there is nothing to decide"
        raise InputError(Finding(message, FILE, column="limits", found=forbidding))
    gone = coupons[may & valued & ~left.coupons].tolist()
    notes += [f"nobody may get coupon '{coupon}': the limits ({forbidding}) allow none" for coupon in gone]
    if left.users < left.users_before:
        lost = f"{left.users_before - left.users:,} of {left.users_before:,}"
        notes.append(f"the limits ({forbidding}) leave {lost} eligible users no coupon")
    return notes


def _unknown(campaign: Campaign, errors: bool) -> Predictions:
    """Return predictions that say nothing: one zero, seen everywhere."""
    users, coupons = campaign.user_ids, campaign.coupon_ids
    zero = np.broadcast_to(np.zeros(()), (len(users), len(coupons)))
    return Predictions(users, coupons, zero, zero, zero, zero, zero, zero if errors else None)


def _nobody(campaign: Campaign, task: Task) -> Iterator[Finding]:
    """Yield why there is nothing to decide, if nobody may get anything."""
    if not task.eligibility.allowed.any():
        why = Counter(task.eligibility.reason.tolist())
        found = "; ".join(f"{count:,} {reason}" for reason, count in why.most_common() if reason)
        yield Finding("nobody may get anything, so there is nothing to decide", "users.csv", found=found)
    elif not task.problem.eligible().any():
        message = "there is no value for any user and coupon that may be sent, so there is nothing to decide"
        yield Finding(message, "scores.csv", column="value")


def _check_groups(campaign: Campaign, task: Task) -> None:
    """Raise InputError if a fair objective has a group in which nobody may get anything."""
    objective = campaign.config.objective.fair()
    if objective is None:
        return
    problem, someone = task.problem, task.problem.eligible().any(axis=1)
    findings = []
    for group in fair_groups(problem, objective)[0]:
        inside = someone.copy()
        for column, label in group.users.items():
            grouping = problem.groups[column]
            inside &= grouping.codes == grouping.labels.index(label)
        if not inside.any():
            message = (
                f"nobody in group '{name_of(group)}' may get anything; leave the group out of the campaign"
            )
            place = "objective.by"
            findings.append(Finding(message, FILE, column=place, found=", ".join(columns_of(objective.by))))
    if findings:
        raise InputError(findings)
