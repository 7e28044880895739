"""What a worker process does: read a job's request, solve, and write the result beside it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from allocator.campaign import Campaign, read_campaign
from allocator.campaign.experimenting import arm_table, experiment_caution, with_arms
from allocator.campaign.reach import cautions_of
from allocator.campaign.summary import summarise
from allocator.campaign.task import Task, build_task
from allocator.errors import Finding, InputError
from allocator.online.plan import OnlinePlan
from allocator.online.plan_file import PLAN_FILE
from allocator.progress import Progress
from allocator.runs.options import Options
from allocator.runs.stages import plan_task, solve_task
from allocator.service.campaigns import find_campaign
from allocator.service.documents import REQUEST, dump, parse
from allocator.service.inline import campaign_of
from allocator.service.jobs.job_request import (
    REQUEST_FILE,
    RESULT_FILE,
    SOLVE,
    JobRequest,
    check_time_limit,
    scenarios_of,
    write_bytes,
)
from allocator.service.schemas.solve import (
    CampaignWhatIf,
    InlineProblem,
    JobWhatIf,
    NamedCampaign,
    SolveSettings,
    WhatIf,
    solve_request,
    whatif_request,
)
from allocator.solution import Solution
from allocator.whatif.comparison import compare
from allocator.whatif.frontier import Sweep, trace_frontier
from allocator.whatif.scenario import check_scenarios, solve_scenarios


def do(job: JobRequest, progress: Progress) -> None:
    """Write the result of a job's request beside it.

    Raises
    ------
    AllocateError
        If the request is wrong, or has no plan.
    """
    body = (job.folder / REQUEST_FILE).read_bytes()
    result = _solve(job, body, progress) if job.kind == SOLVE else _whatif(job, body, progress)
    write_bytes(job.folder / RESULT_FILE, dump(result))


def _solve(job: JobRequest, body: bytes, progress: Progress) -> dict[str, Any]:
    request = parse(solve_request, body)
    progress("read", 0, 0)
    campaign = _campaign(job, request, body)
    task = build_task(campaign, None)
    solution, randomised = plan_task(
        campaign, task, threads=job.threads, progress=progress,
        least_violation=request.on_infeasible == "least_violation",
    )  # fmt: skip
    progress("save", 0, 0)
    arms = None if randomised is None else arm_table(campaign, randomised)
    plan = _write_plan(job, campaign, solution) if arms is None else None
    assignments = solution.assignments()
    return {
        "job": job.job_id,
        "plan": plan,
        **summarise(campaign, task, solution, randomised),
        "seconds": solution.seconds,
        "prices": dict(solution.prices),
        "certificate": {"valid": solution.certificate.valid, **asdict(solution.certificate)},
        "assignments": (assignments if arms is None else with_arms(assignments, arms)).to_dict(
            as_series=False
        ),
    }


def _campaign(job: JobRequest, request: InlineProblem | NamedCampaign, body: bytes) -> Campaign:
    check_time_limit(request.time_limit, job.max_time_limit)
    if isinstance(request, InlineProblem):
        return _within_time(job, campaign_of(request, body))
    return _named(job, request.campaign, request)


def _named(job: JobRequest, name: str, settings: SolveSettings | WhatIf) -> Campaign:
    campaign = read_campaign(find_campaign(job.campaigns, name))
    return _within_time(job, _with_settings(campaign, settings))


def _within_time(job: JobRequest, campaign: Campaign) -> Campaign:
    """Lower a campaign's own time limit to what the service allows, and say so."""
    solve = campaign.config.solve
    if solve.time_limit <= job.max_time_limit:
        return campaign
    note = f"The time limit of {solve.time_limit:g} s is lowered to the service's {job.max_time_limit:g} s."
    config = campaign.config.model_copy(
        update={"solve": solve.model_copy(update={"time_limit": job.max_time_limit})}
    )
    return replace(campaign, config=config, notes=(*campaign.notes, note))


def _write_plan(job: JobRequest, campaign: Campaign, solution: Solution) -> str | None:
    """Keep what deciding at request time needs; a plan for a fair objective has no such thing."""
    if solution.utility is not None:
        return None
    arrivals = campaign.config.online
    plan = OnlinePlan.from_solution(
        solution, job.job_id, **arrivals.times(campaign.config.campaign.time_zone), profile=arrivals.profile
    )
    write_bytes(job.folder / PLAN_FILE, plan.to_json().encode())
    return job.job_id


def _whatif(job: JobRequest, body: bytes, progress: Progress) -> dict[str, Any]:
    request = parse(whatif_request, body)
    check_time_limit(request.time_limit, job.max_time_limit)
    progress("read", 0, 0)
    campaign = _base(job, request)
    asked = scenarios_of(request)

    def solve(campaign: Campaign, task: Task, start: Solution | None) -> Solution:
        return solve_task(campaign, task, start, threads=job.threads)

    config, cautions = campaign.config, (*cautions_of(campaign), *experiment_caution(campaign))
    head = {"job": job.job_id, "name": config.name, "currency": config.currency, "cautions": cautions}
    if request.sweeps:
        frontier = trace_frontier(
            campaign, None, [Sweep(sweep.path, tuple(sweep.values)) for sweep in request.sweeps], solve,
            scenario=asked[0] if asked else None, floor=request.floor, progress=progress,
        )  # fmt: skip
        return head | asdict(frontier)
    scenarios = [*(config.scenarios if request.own_scenarios else []), *asked]
    if not scenarios:
        raise InputError(Finding("there are no scenarios; give some, or sweeps", REQUEST))
    check_scenarios(campaign, scenarios)
    results = solve_scenarios(campaign, None, scenarios, solve, progress)
    return head | {"scenarios": compare(campaign, results)}


def _base(job: JobRequest, request: CampaignWhatIf | JobWhatIf) -> Campaign:
    if isinstance(request, CampaignWhatIf):
        return _named(job, request.campaign, request)
    try:
        body = (job.jobs / request.job / REQUEST_FILE).read_bytes()  # the service has checked whose it is
    except FileNotFoundError:
        message = "the job that this is about was deleted meanwhile"
        raise InputError(Finding(message, REQUEST, column="job")) from None
    return _with_settings(_campaign(job, parse(solve_request, body), body), request)


def _with_settings(campaign: Campaign, settings: SolveSettings | WhatIf) -> Campaign:
    chosen: dict[str, Any] = {
        name: getattr(settings, name) for name in ("seed", "method", "gap", "time_limit")
    }
    return Options(**chosen).apply(campaign)
