"""The problem that a run will solve, as far as it is known before anything is predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

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

SHARES = ("conversions", "redemptions")
"""Measures that are probabilities, whatever is predicted."""


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
    problems.collect(_check_groups, campaign, task, trains)
    problems.findings = [_placed(finding, options) for finding in problems.findings]
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

    return find_clash(
        task.problem, task.limits, known, SHARES, seed=seed, threads=options.threads, progress=report
    )


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
    left, eligible = left_by_exclusions(task.problem, task.limits), task.problem.eligible().any(axis=1)
    if not left.any():
        message = "these limits leave nobody a coupon, so there is nothing to decide"
        raise InputError(Finding(message, FILE, column="limits", found=forbidding))
    gone = coupons[may & valued & ~left.any(axis=0)].tolist()
    notes += [f"nobody may get coupon '{coupon}': the limits ({forbidding}) allow none" for coupon in gone]
    if lost := int((eligible & ~left.any(axis=1)).sum()):
        of_all = f"{lost:,} of {int(eligible.sum()):,}"
        notes.append(f"the limits ({forbidding}) leave {of_all} eligible users no coupon")
    return notes


def _placed(finding: Finding, options: Options) -> Finding:
    """Say of a setting of the solver where it stands: in campaign.toml, or on the command line."""
    if finding.file is not None or finding.column not in ("method", "gap", "time_limit"):
        return finding
    if getattr(options, finding.column) is not None:
        return replace(finding, column=f"--{finding.column.replace('_', '-')}")
    return replace(finding, file=FILE, column=f"solve.{finding.column}")


def _unknown(campaign: Campaign, errors: bool) -> Predictions:
    """Return predictions that say nothing: one zero, seen everywhere."""
    users, coupons = campaign.user_ids, campaign.coupon_ids
    zero = np.broadcast_to(np.zeros(()), (len(users), len(coupons)))
    return Predictions(users, coupons, zero, zero, zero, zero, zero, zero if errors else None)


def _nobody(campaign: Campaign, task: Task) -> Iterator[Finding]:
    """Yield why there is nothing to decide, if nobody may get anything."""
    if not task.eligibility.allowed.any():
        why = Counter(task.eligibility.reason.tolist())
        reasons = [f"{count:,} {reason}" for reason, count in why.most_common() if reason]
        contact = map(str, (*campaign.contact.consent, *campaign.contact.holdout))
        found = "; ".join([*reasons, *contact])
        yield Finding("nobody may get anything, so there is nothing to decide", "users.csv", found=found)
    elif not task.problem.eligible().any():
        message = "there is no value for any user and coupon that may be sent, so there is nothing to decide"
        yield Finding(message, "scores.csv", column="value")


def _check_groups(campaign: Campaign, task: Task, trains: bool) -> None:
    """Raise InputError if a fair objective has a group in which no coupon is worth anything to anybody."""
    objective = campaign.config.objective.fair()
    if objective is None:
        return
    problem, findings = task.problem, []
    worth = left_by_exclusions(problem, task.limits)
    if not trains:
        worth &= problem.value > 0
    someone = worth.any(axis=1)
    for group in fair_groups(problem, objective)[0]:
        inside = someone.copy()
        for column, label in group.users.items():
            grouping = problem.groups[column]
            inside &= grouping.codes == grouping.labels.index(label)
        if not inside.any():
            message = f"no coupon that may be sent to group '{name_of(group)}' can be worth anything to it"
            by = ", ".join(columns_of(objective.by))
            message += "; leave the group out of the campaign"
            findings.append(Finding(message, FILE, column="objective.by", found=by))
    if findings:
        raise InputError(findings)
