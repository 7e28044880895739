"""Judge a campaign's predictor, a saved model, ready predictions and plans on the past sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.history_checks import FILE as PAST_SENDS
from allocator.campaign.predictions import find_predictions
from allocator.errors import Finding, InputError
from allocator.limits.groups import columns_of
from allocator.plugins import registry
from allocator.plugins.evaluation import Evaluation
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import Evaluator, Predictor
from allocator.progress import Progress, no_progress
from allocator.runs.assignments import read_plan
from allocator.runs.models import load_model, unseen_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVALUATOR = "history"
FLATTERED = (
    "The model has learnt from these very sends, so the figures flatter it. "
    "Leave out --model to judge the predictor by users that it did not see."
)
UNKNOWN = (
    "Whether these predictions were learnt from these very sends is not known; if they were, the figures "
    "flatter them. They are set against all past sends as they are, whenever those were."
)


def evaluate_campaign(
    campaign: Campaign,
    *,
    model: Path | None = None,
    predictions: Path | None = None,
    plans: Sequence[Path] = (),
    by: Sequence[str] | None = None,
    progress: Progress = no_progress,
) -> Evaluation:
    """Compare predictions and plans with the campaign's past sends.

    Parameters
    ----------
    campaign
        With a history that holds treated and control rows.
    model
        A folder of `allocate train`: judged on users and sends that it did not see, or, where there are
        none, on all, which the report says.
    predictions
        Instead: a file of `allocate predict`, or a run folder. If neither is given, the campaign's
        predictor is trained, and judged by users that it did not see.
    plans
        Run folders, or files with ``user_id`` and ``coupon_id``, to value.
    by
        Columns of users to show subgroups of; those that limits and objective group by if None.

    Raises
    ------
    InputError
        With everything that is wrong with history, plans and columns.
    """
    history = _history(campaign)
    columns, assigned = _checked(campaign, plans, by)
    source: Predictor | Predictions | None = None
    rows: NDArray[np.bool_] | None = None
    name, held_out, notes = campaign.config.predict.predictor, True, []
    if model is not None:
        source, name = load_model(model, campaign.config.predict.device)
        rows = unseen_rows(history, model)
        held_out = _two_sided(history, rows)
        if held_out:
            others = "the others were seen in training" if not rows.all() else "none was seen in training"
            notes.append(f"Judged on {rows.sum():,} of {len(rows):,} past sends: {others}.")
        else:
            rows = None
            notes.append(FLATTERED)
    elif (found := find_predictions(predictions)) is not None:
        source, name, held_out = found, f"predictions {predictions}", False
        campaign, left_out = _covered(campaign, history, found)
        notes += [UNKNOWN, *left_out]
    evaluator: Evaluator = registry.create(registry.EVALUATORS, EVALUATOR, {})
    with registry.blamed(registry.EVALUATORS, EVALUATOR, progress) as report:
        evaluation = evaluator.evaluate(
            campaign, source, rows=rows, plans=assigned, by=columns, progress=report
        )
    if assigned:
        notes.append(
            "A plan made from predictions that learnt from these sends looks better here than it will be."
        )
    doubts = [note for note in campaign.notes if note.startswith(PAST_SENDS)]
    return replace(evaluation, predictor=name, held_out=held_out, notes=(*notes, *doubts, *evaluation.notes))


def _history(campaign: Campaign) -> pl.DataFrame:
    if campaign.history is None:
        raise InputError(
            Finding(
                "evaluation compares with past sends; add history.csv with treated and control rows",
                file=str(campaign.folder / "history.csv"),
            )
        )
    return campaign.history


def _checked(
    campaign: Campaign, plans: Sequence[Path], by: Sequence[str] | None
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Return the columns to group by and the plans; raise everything that is wrong with them at once."""
    findings: list[Finding] = []
    if by is None:
        columns = _grouped(campaign)
    else:
        columns = list(dict.fromkeys(by))
        wrong = [campaign.labels.apart("--by", column) for column in columns]
        findings += [replace(finding, file=None) for finding in wrong if finding is not None]
    assigned = {}
    for path in plans:
        try:
            assigned[str(path)] = read_plan(path, campaign)
        except InputError as error:
            findings += error.findings
    if findings:
        raise InputError(findings)
    return columns, assigned


def _grouped(campaign: Campaign) -> list[str]:
    """Return the columns that limits and objective group users by."""
    tables = [limit.get("by") for limit in campaign.config.limits]
    names = [name for by in (*tables, campaign.config.objective.by) for name in columns_of(by)]
    sets = campaign.config.sets  # no groups that rows of the history could be split into
    return [name for name in dict.fromkeys(names) if name in campaign.users.columns and name not in sets]


def _two_sided(history: pl.DataFrame, rows: NDArray[np.bool_]) -> bool:
    """Return whether some rows hold both treated and control rows."""
    treated = history["treated"].fill_null(history["coupon_id"].is_not_null()).to_numpy().astype(bool)[rows]
    return bool(treated.any() and not treated.all())


def _covered(
    campaign: Campaign, history: pl.DataFrame, predictions: Predictions
) -> tuple[Campaign, list[str]]:
    """Leave out the past sends of users and coupons that the predictions do not have."""
    users = pl.Series(predictions.user_ids.tolist(), dtype=pl.String).implode()
    coupons = pl.Series(predictions.coupon_ids.tolist(), dtype=pl.String).implode()
    about = pl.col("coupon_id").is_null() | pl.col("coupon_id").is_in(coupons)
    kept = history.filter(pl.col("user_id").is_in(users) & about)
    if kept["coupon_id"].null_count() == kept.height:
        raise InputError(
            Finding(
                "no past send is of a coupon and a user in these predictions, so nothing can be compared; "
                "leave out --predictions to judge the predictor itself",
                file="history.csv",
                column="coupon_id",
            )
        )
    lost = history.height - kept.height
    note = (
        f"{lost:,} of {history.height:,} past sends are of users or coupons that the predictions do not have."
    )
    return replace(campaign, history=kept), [note] if lost else []
