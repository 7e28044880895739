"""Finished runs and trained models on disk: open, verify, continue from them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign import Campaign, Config, parse_config, read_campaign
from allocator.campaign.experimenting import ARM_COLUMNS
from allocator.campaign.predictions import find_predictions
from allocator.campaign.schema import REVIEWED_COPY
from allocator.campaign.task import Task, build_task
from allocator.errors import Finding, InputError
from allocator.explain.user import Lot
from allocator.files import sha256_of
from allocator.plugins.predictions import Predictions
from allocator.runs.assignments import read_assignments
from allocator.runs.run_folder import MANIFEST, STATE, why_unfinished
from allocator.solution import Solution, Status

if TYPE_CHECKING:
    from allocator.certificate import Certificate


@dataclass(frozen=True)
class OpenRun:
    """A finished run with its campaign: `assigned` holds the coupons of each user who got some.

    `assignments` has a row, too, for each user whom chance held out.
    """

    campaign: Campaign
    predictions: Predictions | None
    task: Task
    summary: dict[str, Any]
    prices: dict[str, float]
    assignments: pl.DataFrame
    assigned: dict[str, list[str]]

    @property
    def given(self) -> pl.DataFrame:
        """The assignments of users who got something."""
        return self.assignments.drop_nulls("coupon_id")

    @property
    def arms(self) -> pl.DataFrame | None:
        """The arms of users who got something or were held out, as of `arm_table`; None without them."""
        return arms_of(self.assignments)

    @property
    def held_out(self) -> set[str]:
        """Whom chance held out."""
        arms = self.arms
        return set() if arms is None else set(arms.filter(pl.col("arm") == "holdout")["user_id"])


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, finished or not."""
    return (folder / MANIFEST).is_file() or (folder / STATE).is_file()


def open_run(folder: Path, campaign_folder: Path | None = None) -> OpenRun:
    """Open a finished run together with the campaign it was made from.

    Raises
    ------
    InputError
        If the run is unfinished, or the campaign's files are gone or have changed since.
    """
    if not (folder / MANIFEST).is_file():
        message = (
            why_unfinished(folder)
            if is_run(folder)
            else "there is no run here; a run folder comes from `allocate run` or `allocate solve --out`"
        )
        raise InputError(Finding(message, file=str(folder)))
    manifest, config, summary, prices, assignments = _read_outputs(folder)
    source = campaign_folder or folder / manifest["campaign"]
    if not source.is_dir():
        raise InputError(
            Finding("the campaign folder of this run is not there; name it with --campaign", file=str(source))
        )
    campaign = read_campaign(source, as_of=config.as_of)
    changed = [
        name
        for name, digest in manifest["inputs"]["digests"].items()
        if campaign.digests.get(name) != digest and not name.startswith(REVIEWED_COPY.name)
    ]
    if changed:
        raise InputError(
            [
                Finding(
                    "the file has changed since the run; run again"
                    if (source / name).exists()
                    else "the table has changed since the run, or is read from elsewhere; run again",
                    file=str(source / name) if (source / name).exists() else name,
                )
                for name in changed
            ]
        )
    campaign = replace(campaign, config=config, as_of=config.as_of or campaign.as_of)
    stored = folder / "predictions.parquet"
    predictions = find_predictions(stored) if stored.is_file() else None
    task = build_task(campaign, predictions)
    return OpenRun(campaign, predictions, task, summary, prices, assignments, _by_user(assignments))


def saved_plan(
    folder: Path, campaign: Campaign, task: Task
) -> tuple[Solution, dict[str, Any], pl.DataFrame | None]:
    """Read the plan of an unfinished run whose messages are still to be written, its figures and its arms.

    Raises
    ------
    InputError
        Naming the first file that someone removed or spoilt.
    """
    *_, summary, prices, assignments = _read_outputs(folder, finished=False)
    run = OpenRun(campaign, None, task, summary, prices, assignments, _by_user(assignments))
    return plan_of_run(run), summary, run.arms


def lot_of(run: OpenRun, user_id: str) -> Lot | None:
    """Return what chance decided for a user of a run; None where it decided nothing."""
    arms = run.arms
    if arms is None:
        return None
    found = arms.with_columns(got=run.assignments["coupon_id"]).filter(pl.col("user_id") == user_id)
    if found.is_empty():
        return None
    row = found.row(0, named=True)
    return Lot(row["arm"], row["propensity"], row["planned_coupon_id"], row["got"])


def arms_of(assignments: pl.DataFrame) -> pl.DataFrame | None:
    """Return the columns of arms of a run's assignments; None where chance decided nothing."""
    if not set(ARM_COLUMNS) <= set(assignments.columns):
        return None
    return assignments.select("user_id", *ARM_COLUMNS)


def _by_user(assignments: pl.DataFrame) -> dict[str, list[str]]:
    assigned: dict[str, list[str]] = defaultdict(list)
    for user, coupon in assignments.select("user_id", "coupon_id").drop_nulls().iter_rows():
        assigned[user].append(coupon)
    return dict(assigned)


def _read_outputs(
    folder: Path, *, finished: bool = True
) -> tuple[dict[str, Any], Config, dict[str, Any], dict[str, float], pl.DataFrame]:
    """Return manifest (empty before the end), resolved configuration, summary, prices and assignments.

    Raises
    ------
    InputError
        Naming the first file that someone removed or spoilt.
    """
    name = MANIFEST
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8")) if finished else {}
        if finished:
            str(manifest["campaign"]), dict(manifest["inputs"]["digests"]), dict(manifest["files"])
        name = "campaign.toml"
        config = parse_config((folder / name).read_text(encoding="utf-8"))
        name = "summary.json"
        summary = json.loads((folder / name).read_text(encoding="utf-8"))
        summary["objective"] + summary["bound"]
        name = "prices.json"
        prices = json.loads((folder / name).read_text(encoding="utf-8"))
        name = "assignments"
        return manifest, config, summary, prices, read_assignments(folder)
    except (OSError, ValueError, LookupError, TypeError, pl.exceptions.PolarsError) as error:
        message = f"the run cannot be opened, because this file is not what the run wrote: {error}"
        raise InputError(Finding(message, file=str(folder / name))) from error


def verify_run(folder: Path, campaign_folder: Path | None = None) -> tuple[Certificate, list[str]]:
    """Check a finished run: its files against the manifest, its assignments against the certificate.

    Returns
    -------
    tuple
        The certificate, and a sentence for each file that was changed or is missing.
    """
    run = open_run(folder, campaign_folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    changed = [
        f"{name} is not the file that the run wrote"
        for name, digest in manifest["files"].items()
        if not (folder / name).is_file() or sha256_of(folder / name) != digest
    ]
    choice, unknown = _choice(run)
    if unknown:
        changed.append(f"{unknown:,} assignments name a user or coupon that the campaign does not have")
    return _certified(run, choice), changed


def plan_of_run(run: OpenRun) -> Solution:
    """Return the plan of a run as it was solved; its certificate is worked out again."""
    summary, task = run.summary, run.task
    choice = _choice(run)[0].astype(np.int16)
    if task.problem.per_user[1] == 1:
        choice = choice[:, 0]
    fairness = summary["fairness"] or {}
    return Solution(
        task.problem, task.limits, Status(summary["status"]), choice, summary["objective"], summary["bound"],
        summary["bound_source"], run.prices, _certified(run, choice),
        summary["method"], 0.0, summary["seed"], fairness.get("utility"), fairness.get("utility_bound"),
        summary["interrupted"], unfit_by=_unfit_by(run),
    )  # fmt: skip


def _certified(run: OpenRun, choice: NDArray[np.integer]) -> Certificate:
    """Check assignments against what the run states of them."""
    from allocator.certificate import certify

    task, summary = run.task, run.summary
    return certify(
        task.problem, task.limits, choice, run.prices, summary["objective"], summary["bound"],
        unfit_by=_unfit_by(run),
    )  # fmt: skip


def _unfit_by(run: OpenRun) -> tuple[str, ...]:
    return tuple(run.summary.get("unfit_by", ()))  # earlier versions did not say


def _choice(run: OpenRun) -> tuple[NDArray[np.int64], int]:
    """Return each user's coupons by index, and how many assignments name a user or coupon not known."""
    problem = run.task.problem
    row = {user: i for i, user in enumerate(problem.user_ids.tolist())}
    column = {coupon: j for j, coupon in enumerate(problem.coupon_ids.tolist())}
    most = max([problem.per_user[1], *(len(coupons) for coupons in run.assigned.values())])
    choice = np.full((problem.n_users, most), -1, np.int64)
    unknown = 0
    for user, coupons in run.assigned.items():
        for slot, coupon in enumerate(coupons):
            if user in row and coupon in column:
                choice[row[user], slot] = column[coupon]
            else:
                unknown += 1
    return choice, unknown
