"""What a job does: read its request, solve, and write the result beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from allocator.campaign import Campaign, read_campaign
from allocator.campaign.building import Task, build_task
from allocator.campaign.config import Scenario, toml_finding
from allocator.campaign.run_folder import atomically
from allocator.campaign.summary import summarise
from allocator.comparison import compare
from allocator.errors import Finding, InputError
from allocator.frontier import Sweep, trace_frontier
from allocator.online.plan import OnlinePlan
from allocator.pipeline import Options
from allocator.protocols import Progress
from allocator.scenario import check_scenarios, solve_scenarios
from allocator.service.campaigns import find_campaign
from allocator.service.documents import REQUEST, dump, parse
from allocator.service.inline import campaign_of
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
from allocator.stages import solve_task

SOLVE, WHATIF = "solve", "whatif"
REQUEST_FILE, RESULT_FILE, PLAN_FILE = "request.json", "result.json", "plan.json"


@dataclass(frozen=True)
class Work:
    """One job to do, as it travels to a worker process.

    Parameters
    ----------
    job, kind
        Its id, and `SOLVE` or `WHATIF`.
    jobs
        Folder with a folder for each job.
    campaigns
        Folder of the campaigns that callers may name.
    max_time_limit, threads
        As in `allocator.service.settings.Settings`.
    """

    job: str
    kind: str
    jobs: Path
    campaigns: Path | None
    max_time_limit: float
    threads: int

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return self.jobs / self.job

    def do(self, progress: Progress) -> None:
        """Write the result of the job's request.

        Raises
        ------
        AllocateError
            If the request is wrong, or has no plan.
        """
        body = (self.folder / REQUEST_FILE).read_bytes()
        result = self._solve(body, progress) if self.kind == SOLVE else self._whatif(body, progress)
        write_bytes(self.folder / RESULT_FILE, dump(result))

    def _solve(self, body: bytes, progress: Progress) -> dict[str, Any]:
        request = parse(solve_request, body)
        progress("read", 0, 0)
        campaign = self._campaign(request, body)
        task = build_task(campaign, None)
        solution = solve_task(
            campaign, task, threads=self.threads, progress=progress,
            least_violation=request.on_infeasible == "least_violation",
        )  # fmt: skip
        progress("save", 0, 0)
        plan = self._write_plan(solution)
        return {
            "job": self.job,
            "plan": plan,
            **summarise(campaign, task, solution),
            "seconds": solution.seconds,
            "prices": dict(solution.prices),
            "certificate": {"valid": solution.certificate.valid, **asdict(solution.certificate)},
            "assignments": solution.assignments().to_dict(as_series=False),
        }

    def _campaign(self, request: InlineProblem | NamedCampaign, body: bytes) -> Campaign:
        check_time_limit(request.time_limit, self.max_time_limit)
        if isinstance(request, InlineProblem):
            return self._within_time(campaign_of(request, body))
        return self._named(request.campaign, request)

    def _named(self, name: str, settings: SolveSettings | WhatIf) -> Campaign:
        campaign = read_campaign(find_campaign(self.campaigns, name))
        return self._within_time(_with_settings(campaign, settings))

    def _within_time(self, campaign: Campaign) -> Campaign:
        """Lower a campaign's own time limit to what the service allows, and say so."""
        solve = campaign.config.solve
        if solve.time_limit <= self.max_time_limit:
            return campaign
        note = (
            f"The time limit of {solve.time_limit:g} s is lowered to the service's {self.max_time_limit:g} s."
        )
        config = campaign.config.model_copy(
            update={"solve": solve.model_copy(update={"time_limit": self.max_time_limit})}
        )
        return replace(campaign, config=config, notes=(*campaign.notes, note))

    def _write_plan(self, solution: Solution) -> str | None:
        """Keep what deciding at request time needs; a plan for a fair objective has no such thing."""
        if solution.utility is not None:
            return None
        plan = OnlinePlan.from_solution(solution, self.job)
        write_bytes(self.folder / PLAN_FILE, plan.to_json().encode())
        return self.job

    def _whatif(self, body: bytes, progress: Progress) -> dict[str, Any]:
        request = parse(whatif_request, body)
        check_time_limit(request.time_limit, self.max_time_limit)
        progress("read", 0, 0)
        campaign = self._base(request)
        asked = _scenarios(request)

        def solve(campaign: Campaign, task: Task, start: Solution | None) -> Solution:
            return solve_task(campaign, task, start, threads=self.threads)

        head = {"job": self.job, "name": campaign.config.name, "currency": campaign.config.currency}
        if request.sweeps:
            frontier = trace_frontier(
                campaign, None, [Sweep(sweep.path, tuple(sweep.values)) for sweep in request.sweeps], solve,
                scenario=asked[0] if asked else None, floor=request.floor, progress=progress,
            )  # fmt: skip
            return head | asdict(frontier)
        scenarios = [*(campaign.config.scenarios if request.own_scenarios else []), *asked]
        if not scenarios:
            raise InputError(Finding("there are no scenarios; give some, or sweeps", REQUEST))
        check_scenarios(campaign, scenarios)
        results = solve_scenarios(campaign, None, scenarios, solve, progress)
        return head | {"scenarios": compare(campaign, results)}

    def _base(self, request: CampaignWhatIf | JobWhatIf) -> Campaign:
        if isinstance(request, CampaignWhatIf):
            return self._named(request.campaign, request)
        body = (self.jobs / request.job / REQUEST_FILE).read_bytes()  # the service has checked whose it is
        return _with_settings(self._campaign(parse(solve_request, body), body), request)


def check_time_limit(time_limit: float | None, most: float) -> None:
    """Raise InputError for a time limit that the service does not grant."""
    if time_limit is not None and time_limit > most:
        message = "this service solves no longer than that"
        raise InputError(
            Finding(message, REQUEST, None, "time_limit", f"{time_limit:g}", f"at most {most:g}")
        )


def check_whatif(request: CampaignWhatIf | JobWhatIf) -> None:
    """Raise InputError with what is wrong with a what-if whatever it is of."""
    findings = []
    if request.sweeps and len(request.scenarios) > 1:
        message = "sweeps are of the campaign or of one scenario"
        findings.append(Finding(message, REQUEST, column="scenarios", found=str(len(request.scenarios))))
    if request.floor is not None and len(request.sweeps) != 1:
        findings.append(Finding("a floor is found along one sweep", REQUEST, column="floor"))
    try:
        _scenarios(request)
    except InputError as error:
        findings += error.findings
    if findings:
        raise InputError(findings)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    atomically(path, lambda temporary: temporary.write_bytes(content))


def _with_settings(campaign: Campaign, settings: SolveSettings | WhatIf) -> Campaign:
    chosen: dict[str, Any] = {
        name: getattr(settings, name) for name in ("seed", "method", "gap", "time_limit")
    }
    return Options(**chosen).apply(campaign)


def _scenarios(request: WhatIf) -> list[Scenario]:
    from pydantic import ValidationError

    scenarios, findings = [], []
    for i, table in enumerate(request.scenarios, start=1):
        try:
            scenarios.append(Scenario.model_validate(table))
        except ValidationError as error:
            details = error.errors(include_url=False)
            findings += [toml_finding(detail, REQUEST, f"scenarios[{i}]") for detail in details]
    if findings:
        raise InputError(findings)
    return scenarios
