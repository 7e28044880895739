"""A campaign from folder to result: check -> predict -> solve -> write copy -> save."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from allocator.campaign import Campaign, read_campaign
from allocator.campaign.languages import language_of
from allocator.campaign.messages import message_table, recipients
from allocator.campaign.predictions import digest_of, find_predictions, write_predictions
from allocator.campaign.schema import MESSAGE_MEASURES
from allocator.campaign.summary import skip_reasons, summarise, summarise_copy
from allocator.campaign.task import Task, build_task
from allocator.errors import AllocateError, Finding, InputError
from allocator.files import dump_json, write_table, write_text
from allocator.online.plan import OnlinePlan
from allocator.online.plan_file import PLAN_FILE
from allocator.plugins import registry
from allocator.plugins.copy import Copy
from allocator.plugins.evaluation import Evaluation
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import PreparedCopyWriter
from allocator.progress import Progress, no_progress
from allocator.report.plan import render_plan
from allocator.runs.options import Options
from allocator.runs.run_folder import RunFolder
from allocator.runs.stages import predict_campaign, solve_task, write_copy
from allocator.solution import Solution

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class RunResult:
    """Everything a run made: `texts` has one row a message text; `folder` is where all of it was saved."""

    campaign: Campaign
    task: Task
    solution: Solution
    predictions: Predictions | None
    evaluation: Evaluation | None
    texts: pl.DataFrame | None
    summary: dict[str, Any]
    folder: Path | None


def run_campaign(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    options: Options | None = None,
    predictions: Path | None = None,
    predict: bool = True,
    copy: bool = True,
    progress: Progress = no_progress,
) -> RunResult:
    """Do the whole job for a campaign folder.

    Parameters
    ----------
    folder
        The campaign folder.
    out
        Run folder; an unfinished run of the same inputs in it is continued. Nothing is saved if None.
    options
        Settings that override campaign.toml.
    predictions
        File or run folder with predictions to use instead of training.
    predict
        Train and predict if there is a history; otherwise scores.csv is used.
    copy
        Write messages.
    progress
        Called as ``progress(step, done, total)``; may raise to cancel.

    Raises
    ------
    AllocateError
        Bad input, infeasible limits, or a plugin that fails.
    """
    options = options or Options()
    progress("read campaign", 0, 0)
    campaign = options.apply(read_campaign(folder))
    predict = predict and campaign.history is not None and predictions is None
    stages = {
        "predict": predict,
        "copy": copy,
        "predictions": None if predictions is None else digest_of(predictions),
    }
    given = find_predictions(predictions)
    _try_plugins(campaign, predict, copy)
    run = None if out is None else RunFolder(Path(out), _inputs(campaign, options, stages))
    try:
        return _run_stages(campaign, run, options, given, predict, copy, progress)
    except AllocateError:
        if run is not None:
            run.abandon()
        raise


def check_campaign(folder: str | Path) -> Campaign:
    """Read a campaign folder and check also what reading alone does not: scenarios and plugins' names.

    Raises
    ------
    InputError
        With every finding.
    """
    from allocator.whatif.scenario import check_scenarios

    campaign = read_campaign(folder)
    findings = _unknown_plugins(campaign)
    try:
        check_scenarios(campaign)
    except InputError as error:
        findings += error.findings
    if findings:
        raise InputError(findings)
    return campaign


def _unknown_plugins(campaign: Campaign) -> list[Finding]:
    """Compare the names of the plugins with those installed; none is imported."""
    config = campaign.config
    asked = (
        ("predict.predictor", registry.PREDICTORS, config.predict.predictor),
        ("copy.writer", registry.COPYWRITERS, config.copy_.writer),
    )
    return [
        Finding(
            "no plugin of this name is installed",
            "campaign.toml",
            column=key,
            found=repr(name),
            expected="one of " + ", ".join(known),
        )
        for key, group, name in asked
        if name not in (known := registry.names(group))
    ]


def _try_plugins(campaign: Campaign, predict: bool, copy: bool) -> None:
    """Make each plugin that the run will use: what is wrong with one is found before the work."""
    settings, writing = campaign.config.predict, campaign.config.copy_
    if predict:
        registry.create(registry.PREDICTORS, settings.predictor, settings.options)
    if copy:
        writer = registry.create(registry.COPYWRITERS, writing.writer, writing.options)
        if isinstance(writer, PreparedCopyWriter):
            with registry.blamed(registry.COPYWRITERS, writing.writer):
                writer.prepare(sorted(set(map(language_of, writing.languages))))


def _run_stages(
    campaign: Campaign,
    run: RunFolder | None,
    options: Options,
    given: Predictions | None,
    predict: bool,
    copy: bool,
    progress: Progress,
) -> RunResult:
    seconds: dict[str, float] = {}
    evaluation, predicted = None, given
    if predict:
        with _timed(seconds, "predict"):
            evaluation, predicted = predict_campaign(campaign, run, progress)
    elif predicted is not None and run is not None:
        write_predictions(predicted, run.path / "predictions.parquet")
    with _timed(seconds, "solve"):
        task = build_task(campaign, predicted)
        solution = solve_task(
            campaign,
            task,
            threads=options.threads,
            engine=options.engine,
            device=options.solve_device,
            least_violation=options.least_violation,
            keep_interrupted=options.keep_interrupted,
            progress=progress,
        )
    copies: list[Copy] = []
    texts = None
    sent = recipients(campaign, task, solution.assignments())
    if copy:
        with _timed(seconds, "copy"):
            copies, texts = write_copy(campaign, sent, progress)
    summary = summarise(campaign, task, solution)
    if copy:
        summary["copy"] = summarise_copy(copies)
    if evaluation is not None:
        summary["evaluation"] = asdict(evaluation)
    if run is not None:
        progress("save", 0, 0)
        _save(run.path, campaign, task, solution, sent, texts, summary, options)
        run.write_manifest(seconds, campaign.folder)
    path = None if run is None else run.path
    return RunResult(campaign, task, solution, predicted, evaluation, texts, summary, path)


def resolved_toml(campaign: Campaign) -> str:
    """Return campaign.toml with every default and override written out."""
    import tomlkit

    settings = campaign.config.model_dump(mode="json", by_alias=True, exclude_none=True)
    settings["as_of"] = campaign.as_of
    return tomlkit.dumps(settings)


def _inputs(campaign: Campaign, options: Options, stages: dict[str, Any]) -> dict[str, Any]:
    settings = campaign.config.model_dump(mode="json", by_alias=True)
    return {
        "digests": campaign.digests,
        "as_of": campaign.as_of,
        "config": settings,
        "format": options.format,
        "least_violation": options.least_violation,
        "stages": stages,
    }


def _save(
    path: Path,
    campaign: Campaign,
    task: Task,
    solution: Solution,
    sent: pl.DataFrame,
    texts: pl.DataFrame | None,
    summary: dict[str, Any],
    options: Options,
) -> None:
    ending = options.format
    counted = [name for name in task.problem.measures if name in MESSAGE_MEASURES]  # channel says it
    assignments = solution.assignments().drop(counted)
    assignments = assignments.with_columns(sent["channel", "segment", "variant"])
    write_table(assignments, path / f"assignments.{ending}")
    reasons = skip_reasons(task, solution)
    left_out = [
        (user, reason) for user, reason in zip(task.problem.user_ids.tolist(), reasons, strict=True) if reason
    ]
    write_table(pl.DataFrame(left_out, schema=["user_id", "reason"], orient="row"), path / "skipped.csv")
    if texts is not None:
        write_table(texts, path / "copy.csv")
        write_table(message_table(sent, texts), path / f"messages.{ending}")
    write_text(path / "campaign.toml", resolved_toml(campaign))
    write_text(path / "prices.json", dump_json(solution.prices))
    if solution.utility is None:
        arrivals = campaign.config.online
        plan = OnlinePlan.from_solution(
            solution,
            _plan_id(campaign, solution),
            **arrivals.times(campaign.config.campaign.time_zone),
            profile=arrivals.profile,
        )
        write_text(path / PLAN_FILE, plan.to_json())
    write_text(path / "report.html", render_plan(summary, texts, charts=options.charts))
    write_text(path / "summary.json", dump_json(summary))


def _plan_id(campaign: Campaign, solution: Solution) -> str:
    """Return an id for the online plan: the campaign's name, and a digest of the plan's choices."""
    digest = hashlib.sha256(solution.choice.tobytes())
    digest.update(json.dumps([campaign.digests, dict(solution.prices)], sort_keys=True).encode())
    return f"{campaign.config.name}-{digest.hexdigest()[:12]}"


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 3)
