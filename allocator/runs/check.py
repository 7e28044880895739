"""All that can be known to be wrong with a run before its work begins; `run_campaign` starts with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from allocator.campaign import Campaign, read_campaign, read_config
from allocator.campaign.learnable import too_short
from allocator.campaign.messages import possible_briefs
from allocator.campaign.predictions import digest_of, find_predictions
from allocator.campaign.task import Task
from allocator.errors import AllocateError, InputError
from allocator.plugins import registry
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import CheckingCopyWriter, CopyWriter, PreparedPredictor
from allocator.progress import Progress, no_progress
from allocator.runs.expected import expected_task, known_clash, remarks
from allocator.runs.options import Options
from allocator.runs.problems import Problems
from allocator.runs.ready import check_names, ready_predictor, ready_writer
from allocator.runs.run_folder import begun
from allocator.whatif.scenario import check_scenarios


@dataclass(frozen=True)
class Checked:
    """What a run is of, as far as anybody can tell before in order.

    Parameters
    ----------
    campaign
        With the options applied, and with notes on what was found.
    given
        Ready predictions.
    trains
        Whether predictions are still to come, from a predictor that learns from the history.
    task
        What is to be solved; None where predictions are still to come.
    eligible_users
        Users who may get something.
    inputs
        What tells the run from others, for its folder.
    """

    campaign: Campaign
    given: Predictions | None
    trains: bool
    task: Task | None
    eligible_users: int
    inputs: dict[str, Any]


def check_campaign(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    options: Options | None = None,
    predictions: str | Path | None = None,
    predict: bool | None = None,
    copy: bool = True,
    thorough: bool = False,
    progress: Progress = no_progress,
) -> Checked:
    """Find all that `run_campaign` would refuse, or could not do, as far as that is known before its work.

    Parameters
    ----------
    folder, out, options, predictions, predict, copy, progress
        As for `run_campaign`.
    thorough
        Check also what this run has no use for: scenarios, names of plugins, and, where no training comes
        first, whether the limits clash.

    Raises
    ------
    InputError
        With every finding.
    PluginError
        If nothing is wrong but plugins that are missing, or that cannot do what is asked.
    InfeasibleError
        If no plan can keep the limits, whatever is predicted.
    """
    options, problems = options or Options(), Problems()
    predictions = None if predictions is None else Path(predictions)
    progress("read campaign", 0, 0)
    campaign = problems.collect(lambda: options.apply(read_campaign(folder, progress=progress)))
    if campaign is None:
        _check_names_alone(Path(folder), options, problems)
        problems.stop()
    assert campaign is not None
    problems.places = campaign.places
    given = problems.collect(find_predictions, predictions)
    trains = predict is not False and campaign.history is not None and predictions is None
    there = check_names(
        campaign.config, options, problems, predictor=trains or thorough, writer=copy or thorough
    )
    errors = True
    if trains and there[0]:
        try:
            predictor = ready_predictor(campaign)
            errors = not isinstance(predictor, PreparedPredictor) or predictor.estimates_errors
        except AllocateError as error:
            trains = predict is True or not _falls_back(campaign, error)
            if trains:
                problems.collect(_raise, error)
            else:
                note = f"nothing is predicted, and scores.csv is used: {'; '.join(str(error).splitlines())}"
                campaign = _with_notes(campaign, note)
    writer = problems.collect(ready_writer, campaign.config) if copy and there[1] else None
    digest = None if predictions is None else problems.collect(digest_of, predictions)
    inputs = inputs_of(campaign, options, {"predict": trains, "copy": copy, "predictions": digest})
    if out is not None:
        problems.collect(begun, Path(out), inputs)
    if thorough:
        problems.collect(check_scenarios, campaign)
    task = None
    if predictions is None or given is not None:
        progress("check", 0, 0)
        task = problems.collect(expected_task, campaign, given, trains, errors, options)
    notes = None if task is None else problems.collect(remarks, campaign, task)
    if task is not None and writer is not None:
        problems.collect(_check_messages, campaign, task, writer)
    problems.stop()
    assert task is not None
    assert notes is not None
    if (trains or thorough) and not options.least_violation:
        clash = known_clash(task, trains, options, campaign.config.seed, progress)
        if clash is not None:
            raise clash
    campaign = _with_notes(campaign, *notes)
    eligible = int(task.eligibility.allowed.any(axis=1).sum())
    return Checked(campaign, given, trains, None if trains else task, eligible, inputs)


def inputs_of(campaign: Campaign, options: Options, stages: dict[str, Any]) -> dict[str, Any]:
    """Return what a run is of, as its state and its manifest keep it."""
    return {
        "digests": campaign.digests,
        "as_of": campaign.as_of,
        "config": campaign.config.model_dump(mode="json", by_alias=True),
        "format": options.format,
        "least_violation": options.least_violation,
        "stages": stages,
    }


def _check_names_alone(folder: Path, options: Options, problems: Problems) -> None:
    """Check the names of plugins where the campaign cannot be read, if its configuration can."""
    try:
        config = read_config(folder)
    except InputError:
        return
    check_names(
        config, Options(), problems, predictor=options.predictor is None, writer=options.writer is None
    )


def _falls_back(campaign: Campaign, error: AllocateError) -> bool:
    """Return whether nothing is wrong but a history too short to learn from, beside ready scores."""
    short = too_short(campaign)
    return campaign.ready is not None and isinstance(error, InputError) and list(error.findings) == short


def _raise(error: AllocateError) -> None:
    raise error


def _with_notes(campaign: Campaign, *notes: str) -> Campaign:
    return replace(campaign, notes=(*campaign.notes, *map(campaign.places.named, notes)))


def _check_messages(campaign: Campaign, task: Task, writer: CopyWriter) -> None:
    """Ask the writer whether it could write every message that the plan may need."""
    if isinstance(writer, CheckingCopyWriter):
        with registry.blamed(registry.COPYWRITERS, campaign.config.copy_.writer):
            writer.check_briefs(possible_briefs(campaign, task))
