"""Reopen a run and write its report: the plan, and what-ifs of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from allocator.campaign.campaign import Campaign
from allocator.campaign.experimenting import experiment_caution
from allocator.campaign.task import Task
from allocator.files import require_page, write_text
from allocator.limits.rows import is_risky
from allocator.progress import Progress, no_progress
from allocator.report.plan import WhatIfs, render_plan, report_document
from allocator.runs.copy import read_copy
from allocator.runs.new_coupons import coupon_predictor
from allocator.runs.opening import OpenRun, open_run, plan_of_run
from allocator.runs.stages import solve_task
from allocator.solution import Solution, Status
from allocator.whatif.comparison import compare
from allocator.whatif.frontier import Sweep, check_sweeps, trace_frontier
from allocator.whatif.scenario import check_scenarios, solve_scenarios
from allocator.whatif.sensitivity import Sensitivity, sensitivity


def report_run(
    folder: Path,
    out: Path,
    *,
    campaign_folder: Path | None = None,
    scenarios: bool = False,
    sweeps: Sequence[Sequence[Sweep]] = (),
    floor: float | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the report of a finished run, with how far its prices hold and the what-ifs asked for.

    Parameters
    ----------
    folder
        Of the run.
    out
        The page; a new file.
    campaign_folder
        Where the campaign is now, if not where the run was made from.
    scenarios
        Solve the scenarios of campaign.toml and set them beside the plan.
    sweeps
        One or two at a time: for each the frontier is traced.
    floor
        Find along each single sweep where one more unit earns less than this.
    threads
        Worker threads; all cores unless given.
    progress
        Called as ``progress(step, done, total)``.

    Returns
    -------
    dict
        Every figure of the page: those of ``summary.json``, then ``scenarios, frontiers, sensitivity``.

    Raises
    ------
    InputError
        If `out` is there, the run cannot be opened, or a sweep or scenario is wrong.
    """
    require_page(out)
    run = open_run(folder, campaign_folder)
    if scenarios:
        check_scenarios(run.campaign)
    for each in sweeps:
        check_sweeps(run.campaign, each, floor=floor if len(each) == 1 else None)
    plan = plan_of_run(run)
    predict = coupon_predictor(folder, run.campaign.config)

    def solve(campaign: Campaign, task: Task, start: Solution | None) -> Solution:
        return solve_task(campaign, task, start, threads=threads)

    def known(campaign: Campaign, task: Task, start: Solution | None) -> Solution:
        own = start is None and run.arms is None  # the base is the run's own, but where chance has decided
        return plan if own else solve(campaign, task, start)

    rows: list[dict[str, Any]] = []
    if scenarios and run.campaign.config.scenarios:
        asked = run.campaign.config.scenarios
        results = solve_scenarios(run.campaign, run.predictions, asked, known, progress, predict)
        rows = compare(run.campaign, results)
    frontiers = [
        trace_frontier(
            run.campaign, run.predictions, each, solve,
            floor=floor if len(each) == 1 else None, progress=progress, predict=predict,
        )
        for each in sweeps
    ]  # fmt: skip
    whatifs = WhatIfs(rows, frontiers, _sensitivity(run, plan, threads))
    copy = folder / "copy.csv"
    summary = dict(run.summary)
    if rows or frontiers:
        summary["notes"] = [*summary["notes"], *map(_of_what_ifs, experiment_caution(run.campaign))]
    write_text(out, render_plan(summary, read_copy(copy) if copy.is_file() else None, whatifs))
    return report_document(summary, whatifs)


def _of_what_ifs(caution: str) -> str:
    return f"Scenarios and frontiers: {caution}."


def _sensitivity(run: OpenRun, plan: Solution, threads: int | None) -> Sensitivity | None:
    """Return how far prices hold; None for plans whose prices do not say it."""
    alone = run.arms is None and plan.utility is None and plan.status is not Status.LEAST_VIOLATING
    return sensitivity(plan, threads) if alone and not is_risky(plan.problem, run.task.limits) else None
