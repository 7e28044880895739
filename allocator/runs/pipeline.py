"""A campaign from folder to result: check -> predict -> solve -> write copy -> save."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.experimenting import arm_table
from allocator.campaign.messages import recipients
from allocator.campaign.predictions import write_predictions
from allocator.campaign.summary import summarise, summarise_copy
from allocator.campaign.task import Task, build_task
from allocator.errors import AllocateError, Finding, InputError, PluginError
from allocator.plugins.evaluation import Evaluation
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress
from allocator.runs.check import Checked, check_campaign
from allocator.runs.opening import saved_plan
from allocator.runs.options import Options
from allocator.runs.run_folder import MESSAGES, PLAN, RunFolder
from allocator.runs.saving import save_messages, save_plan
from allocator.runs.stages import plan_task, predict_campaign, write_copy
from allocator.solution import Solution


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
    predictions: str | Path | None = None,
    predict: bool | None = None,
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
        Train and predict, if there is a history; otherwise scores.csv is used. None is True, but takes
        scores.csv, with a note, where the history is too short to learn from.
    copy
        Write messages.
    progress
        Called as ``progress(step, done, total)``; may raise to cancel.

    Raises
    ------
    AllocateError
        Bad input, infeasible limits, or a plugin that fails: all that `check_campaign` finds, before the
        work. What fails later leaves the stages that are done in the run folder, for a next call.
    """
    options = options or Options()
    checked = check_campaign(
        folder, out, options=options, predictions=predictions, predict=predict, copy=copy, progress=progress
    )
    run = None if out is None else RunFolder(Path(out), checked.inputs)
    try:
        return _run_stages(checked, run, options, copy, progress)
    except AllocateError:
        if run is not None:
            run.abandon()
        raise


def _run_stages(
    checked: Checked, run: RunFolder | None, options: Options, copy: bool, progress: Progress
) -> RunResult:
    seconds: dict[str, float] = {}
    campaign, evaluation, predicted = checked.campaign, None, checked.given
    if checked.trains:
        with _timed(seconds, "predict"):
            evaluation, predicted = predict_campaign(campaign, run, progress)
    elif predicted is not None and run is not None:
        write_predictions(predicted, run.path / "predictions.parquet")
    with _timed(seconds, PLAN):
        task = checked.task or build_task(campaign, predicted)
        solution, summary, arms = _plan(campaign, task, run, options, progress)
        summary["predictor_cautions"] = [] if predicted is None else list(predicted.cautions)
    sent = recipients(campaign, task, solution.assignments())
    if run is not None and not run.done(PLAN):
        progress("save", 0, 0)
        save_plan(run.path, campaign, task, solution, sent, arms, summary, options.format)
        run.finish(PLAN)
    texts = None
    if copy:
        with _timed(seconds, MESSAGES), _plan_kept(run):
            copies, texts = write_copy(campaign, sent, progress)
        summary["copy"] = summarise_copy(copies)
    if evaluation is not None:
        summary["evaluation"] = asdict(evaluation)
    if run is not None:
        progress("save", 0, 0)
        save_messages(run.path, campaign, sent, texts, arms, summary, options)
        run.write_manifest(seconds, campaign.folder)
    path = None if run is None else run.path
    return RunResult(campaign, task, solution, predicted, evaluation, texts, summary, path)


def _plan(
    campaign: Campaign, task: Task, run: RunFolder | None, options: Options, progress: Progress
) -> tuple[Solution, dict[str, Any], pl.DataFrame | None]:
    """Solve, or take the plan that an earlier call of the same run has made; with its figures and arms."""
    if run is not None and run.done(PLAN):
        return saved_plan(run.path, campaign, task)
    solution, randomised = plan_task(
        campaign,
        task,
        threads=options.threads,
        engine=options.engine,
        device=options.solve_device,
        least_violation=options.least_violation,
        keep_interrupted=options.keep_interrupted,
        progress=progress,
    )
    arms = None if randomised is None else arm_table(campaign, randomised)
    return solution, summarise(campaign, task, solution, randomised), arms


@contextmanager
def _plan_kept(run: RunFolder | None) -> Iterator[None]:
    """Say, where messages cannot be written, that the plan is safe, and how to go on."""
    try:
        yield
    except (InputError, PluginError) as error:
        if run is None:
            raise
        run.fail(MESSAGES, str(error).replace("\n", "; "))
        kept = (
            f"The plan is made and saved in {run.path}; only its messages are missing. The same command with "
            "the same --out writes them, also with another --writer."
        )
        if isinstance(error, PluginError):
            raise PluginError(f"{error} {kept}") from error
        raise InputError([*error.findings, Finding(kept, str(run.path))]) from error


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 3)
