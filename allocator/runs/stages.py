"""The stages of a run, each a function of its own: train, predict, solve, write copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.config import FILE
from allocator.campaign.experimenting import draw_of, placed
from allocator.campaign.messages import briefs, copy_table
from allocator.campaign.predictions import checked_predictions, read_predictions, write_predictions
from allocator.campaign.task import Task
from allocator.errors import Finding, InputError, PluginError
from allocator.experiment.randomise import Randomised, randomise_with
from allocator.files import dump_json, write_folder, write_text
from allocator.limits.rows import LimitLike
from allocator.plugins import registry
from allocator.plugins.copy import Copy
from allocator.plugins.evaluation import Evaluation, restore
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import PartwisePredictor, ResumablePredictor
from allocator.progress import Progress, no_progress
from allocator.runs.ready import ready_predictor
from allocator.runs.run_folder import RunFolder
from allocator.solution import Solution

if TYPE_CHECKING:
    from allocator.plugins.protocols import Predictor
    from allocator.solver.pricing.settings import Kind


def predict_campaign(
    campaign: Campaign, run: RunFolder | None, progress: Progress = no_progress
) -> tuple[Evaluation | None, Predictions]:
    """Train on the campaign's history and predict; a run folder keeps both for a later resume.

    It also keeps how far a training got, until the predictor is saved.
    """
    if run is not None and run.done("predict"):
        return read_evaluation(run.path / "evaluation.json"), read_predictions(
            run.path / "predictions.parquet"
        )
    checkpoint = None if run is None else run.checkpoint
    predictor, evaluation = train_campaign(campaign, progress, checkpoint)
    predictions = predict_with(predictor, campaign, campaign.config.predict.predictor, progress)
    predictions = replace(predictions, cautions=evaluation.cautions)
    if run is not None:
        write_folder(run.path / "predictor", predictor.save)
        write_text(run.path / "evaluation.json", dump_json(asdict(evaluation)))
        write_predictions(predictions, run.path / "predictions.parquet")
        shutil.rmtree(run.checkpoint, ignore_errors=True)
        run.finish("predict")
    return evaluation, predictions


def predict_with(
    predictor: Predictor, campaign: Campaign, name: str, progress: Progress = no_progress
) -> Predictions:
    """Predict, and check what came back, as `predict_in_parts` does."""
    return Predictions.join(list(predict_in_parts(predictor, campaign, name, progress)))


def predict_in_parts(
    predictor: Predictor, campaign: Campaign, name: str, progress: Progress = no_progress
) -> Iterator[Predictions]:
    """Predict some users at a time where the predictor can, else all at once.

    Yields
    ------
    Predictions
        Of consecutive users: (n_users, n_coupons) finite numbers, as float64.

    Raises
    ------
    PluginError
        If the predictor fails, or returns anything else.
    """
    with registry.blamed(registry.PREDICTORS, name, progress) as report:
        if isinstance(predictor, PartwisePredictor):
            parts = predictor.predict_parts(campaign, progress=report)
        else:
            parts = iter([predictor.predict(campaign, progress=report)])
        for part in parts:
            yield _checked(part, name)


def _checked(predictions: Predictions, name: str) -> Predictions:
    try:
        return checked_predictions(predictions)
    except InputError as error:
        wrong = "; ".join(f"'{finding.column}': {finding.message}" for finding in error.findings)
        raise PluginError(f"The predictor '{name}' returned bad predictions: {wrong}.") from error


def train_campaign(
    campaign: Campaign, progress: Progress = no_progress, checkpoint: Path | None = None
) -> tuple[Predictor, Evaluation]:
    """Train the campaign's predictor on its history; go on from a checkpoint folder, if it can.

    Raises
    ------
    InputError
        If the campaign has no history.
    PluginError
        If the predictor cannot be loaded.
    """
    if campaign.history is None:
        raise InputError(
            Finding(
                "training needs history.csv with past sends and a control group", file=str(campaign.folder)
            )
        )
    settings = campaign.config.predict
    predictor = ready_predictor(campaign)
    if isinstance(predictor, ResumablePredictor):
        predictor.checkpoint = checkpoint
    with registry.blamed(registry.PREDICTORS, settings.predictor, progress) as report:
        evaluation = predictor.fit(
            campaign, seed=campaign.config.seed, device=settings.device, progress=report
        )
    return predictor, evaluation


def solve_task(
    campaign: Campaign,
    task: Task,
    warm_start: Solution | None = None,
    *,
    threads: int | None = None,
    engine: Kind = "auto",
    device: str | None = None,
    least_violation: bool = False,
    keep_interrupted: bool = False,
    progress: Progress = no_progress,
) -> Solution:
    """Solve a campaign's task with the settings of its ``[solve]`` table.

    Ctrl-C raises KeyboardInterrupt, as everywhere else, unless `keep_interrupted` asks for the best plan
    so far.
    """
    from allocator.solver.solve import solve

    settings = campaign.config.solve
    fairness = campaign.config.objective.fair()
    solution = solve(
        task.problem,
        task.limits,
        objective=fairness,
        method=settings.method,
        gap=settings.gap,
        time_limit=settings.time_limit,
        seed=campaign.config.seed,
        threads=threads,
        engine=engine,
        device=device,
        warm_start=warm_start if fairness is None and settings.method in ("auto", "decomposition") else None,
        on_infeasible="least_violation" if least_violation else "raise",
        progress=progress,
    )
    if solution.interrupted and not keep_interrupted:
        raise KeyboardInterrupt
    return solution


def plan_task(
    campaign: Campaign, task: Task, *, least_violation: bool = False, **settings: Any
) -> tuple[Solution, Randomised | None]:
    """Solve as `solve_task` does, and let chance decide where the campaign has an experiment.

    Returns
    -------
    tuple
        What is sent, and the experiment that it is of; None without one.

    Raises
    ------
    InputError
        If limits leave no room for chance, or clashing limits are to be broken by chance, too.
    """
    draw = draw_of(campaign, task)
    if draw is None:
        return solve_task(campaign, task, least_violation=least_violation, **settings), None
    if least_violation:
        raise InputError(clash_of_wishes())

    def solve(limits: tuple[LimitLike, ...], start: Solution | None) -> Solution:
        return solve_task(campaign, replace(task, limits=limits), start, **settings)

    try:
        found = randomise_with(task.problem, task.limits, draw, solve)
    except InputError as error:
        raise placed(error) from error
    return found.sent, found


def clash_of_wishes() -> Finding:
    """Say that limits cannot be broken least and hold for every draw."""
    message = (
        "limits that clash cannot be broken least and hold for whatever chance decides; set holdout and "
        "explore to 0 for a plan of least violation"
    )
    return Finding(message, FILE, column="experiment")


def write_copy(
    campaign: Campaign, sent: pl.DataFrame, progress: Progress = no_progress
) -> tuple[list[Copy], pl.DataFrame]:
    """Write every message that the recipients need; return the copies, and them as a table."""
    settings = campaign.config.copy_
    writer = registry.create(registry.COPYWRITERS, settings.writer, settings.options)
    asked = briefs(campaign, sent)
    with registry.blamed(registry.COPYWRITERS, settings.writer, progress) as report:
        copies: list[Copy] = list(writer.write(asked, seed=campaign.config.seed, progress=report))
        return copies, copy_table(copies, asked, settings.writer)


def read_evaluation(path: Path) -> Evaluation:
    """Read an evaluation that a run saved; what JSON wrote as null was NaN."""
    try:
        evaluation: Evaluation = restore(Evaluation, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        message = f"this is not what the run wrote; delete the folder, or name another with --out: {error}"
        raise InputError(Finding(message, str(path))) from error
    return evaluation
