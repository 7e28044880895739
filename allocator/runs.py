"""Finished runs and trained models on disk: open, verify, continue from them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator import plugins
from allocator.campaign import Campaign, Config, parse_config, read_campaign
from allocator.campaign.building import Task, build_task
from allocator.campaign.messages import message_table, recipients
from allocator.campaign.run_folder import (
    MANIFEST,
    STATE,
    dump_json,
    find_predictions,
    restore_ids,
    versions,
    write_folder,
    write_table,
    write_text,
)
from allocator.campaign.schema import REVIEWED_COPY
from allocator.campaign.summary import summarise_copy
from allocator.errors import Finding, InputError
from allocator.protocols import Evaluation, Predictions, Progress, no_progress
from allocator.seen import write_seen
from allocator.solution import Solution, Status

if TYPE_CHECKING:
    from allocator.protocols import Predictor
    from allocator.solver.certificate import Certificate

MODEL = "model.json"
ORIGIN = "origin.json"


@dataclass(frozen=True)
class OpenRun:
    """A finished run with its campaign: `assigned` holds the coupons of each user who got some."""

    campaign: Campaign
    predictions: Predictions | None
    task: Task
    summary: dict[str, Any]
    prices: dict[str, float]
    assignments: pl.DataFrame
    assigned: dict[str, list[str]]


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, finished or not."""
    return (folder / MANIFEST).is_file() or (folder / STATE).is_file()


def is_model(folder: Path) -> bool:
    """Return whether a folder holds a predictor of ``allocate train``."""
    return (folder / MODEL).is_file()


def open_run(folder: Path, campaign_folder: Path | None = None) -> OpenRun:
    """Open a finished run together with the campaign it was made from.

    Raises
    ------
    InputError
        If the run is unfinished, or the campaign's files are gone or have changed since.
    """
    if not (folder / MANIFEST).is_file():
        message = (
            "the run is unfinished; call `allocate run` again with this --out"
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
                Finding("the file has changed since the run; run again", file=str(source / name))
                for name in changed
            ]
        )
    campaign = replace(campaign, config=config, as_of=config.as_of or campaign.as_of)
    stored = folder / "predictions.parquet"
    predictions = find_predictions(stored) if stored.is_file() else None
    task = build_task(campaign, predictions)
    assigned: dict[str, list[str]] = defaultdict(list)
    for user, coupon in assignments.select("user_id", "coupon_id").iter_rows():
        assigned[user].append(coupon)
    return OpenRun(campaign, predictions, task, summary, prices, assignments, dict(assigned))


def _read_outputs(
    folder: Path,
) -> tuple[dict[str, Any], Config, dict[str, Any], dict[str, float], pl.DataFrame]:
    """Return manifest, resolved configuration, summary, prices and assignments.

    Raises
    ------
    InputError
        Naming the first file that someone removed or spoilt.
    """
    name = MANIFEST
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        name = "campaign.toml"
        config = parse_config((folder / name).read_text(encoding="utf-8"))
        name = "summary.json"
        summary = json.loads((folder / name).read_text(encoding="utf-8"))
        summary["objective"] + summary["bound"]
        name = "prices.json"
        prices = json.loads((folder / name).read_text(encoding="utf-8"))
        name = "assignments"
        return manifest, config, summary, prices, _read_assignments(folder)
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
    from allocator.solver.certificate import certify

    run = open_run(folder, campaign_folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    changed = [
        f"{name} is not the file that the run wrote"
        for name, digest in manifest["files"].items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]
    choice, unknown = _choice(run)
    if unknown:
        changed.append(f"{unknown:,} assignments name a user or coupon that the campaign does not have")
    certificate = certify(
        run.task.problem, run.task.limits, choice, run.prices, run.summary["objective"], run.summary["bound"]
    )
    return certificate, changed


def plan_of_run(run: OpenRun) -> Solution:
    """Return the plan of a run as it was solved; its certificate is worked out again."""
    from allocator.solver.certificate import certify

    summary, task = run.summary, run.task
    choice = _choice(run)[0].astype(np.int16)
    if task.problem.per_user[1] == 1:
        choice = choice[:, 0]
    fairness = summary["fairness"] or {}
    return Solution(
        task.problem, task.limits, Status(summary["status"]), choice, summary["objective"], summary["bound"],
        summary["bound_source"], run.prices,
        certify(task.problem, task.limits, choice, run.prices, summary["objective"], summary["bound"]),
        summary["method"], 0.0, summary["seed"], fairness.get("utility"), fairness.get("utility_bound"),
        summary["interrupted"],
    )  # fmt: skip


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


def require_new(path: Path, option: str = "--out") -> None:
    """Raise InputError if there is a file, or a folder with something in it; `option` names another."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "folder is not empty" if path.is_dir() else "file is already there"
        raise InputError(
            Finding(f"the {what} and is not written over; name another with {option}", file=str(path))
        )


def require_table(path: Path) -> None:
    """Raise InputError if `path` cannot become a new CSV or Parquet file."""
    require_new(path)
    findings = []
    if path.suffix not in (".csv", ".parquet"):
        message = "the file's ending says in which form it is written"
        findings.append(Finding(message, str(path), found=repr(path.suffix), expected=".csv or .parquet"))
    findings += _no_folder(path, "--out")
    if findings:
        raise InputError(findings)


def require_page(path: Path, option: str = "--out") -> None:
    """Raise InputError if `path` cannot become a new file; `option` names another."""
    require_new(path, option)
    if findings := _no_folder(path, option):
        raise InputError(findings)


def _no_folder(path: Path, option: str) -> list[Finding]:
    if path.parent.is_dir():
        return []
    return [Finding(f"there is no such folder; make it, or name another with {option}", str(path.parent))]


def save_model(folder: Path, campaign: Campaign, predictor: Predictor, evaluation: Evaluation) -> None:
    """Save a trained predictor with its evaluation and what it was trained on."""
    require_new(folder)
    about = {
        "predictor": campaign.config.predict.predictor, "seed": campaign.config.seed,
        "digests": campaign.digests, "versions": versions(),
    }  # fmt: skip

    def fill(target: Path) -> None:
        (target / "predictor").mkdir()
        predictor.save(target / "predictor")
        write_seen(campaign.history, target)
        write_text(target / "evaluation.json", dump_json(asdict(evaluation)))
        write_text(target / MODEL, dump_json(about))

    folder.parent.mkdir(parents=True, exist_ok=True)
    write_folder(folder, fill)


def load_model(folder: Path, device: str = "auto") -> tuple[Predictor, str]:
    """Load a predictor that `save_model` saved; return it with the name of its plugin."""
    if not is_model(folder):
        raise InputError(
            Finding(
                "there is no trained model here", file=str(folder), expected="a folder of `allocate train`"
            )
        )
    name = json.loads((folder / MODEL).read_text(encoding="utf-8"))["predictor"]
    return _load_predictor(folder, name, device), name


def find_predictor(folder: Path, config: Config, model: Path | None = None) -> tuple[Predictor, str] | None:
    """Load the predictor of a run or of a folder of ``allocate train``, with the name of its plugin.

    Parameters
    ----------
    folder
        The run or the folder.
    config
        Of the campaign; names the run's predictor, and the device.
    model
        Another folder of ``allocate train`` to take instead.

    Returns
    -------
    tuple or None
        None for a run that was made from scores or ready predictions.
    """
    device, name = config.predict.device, config.predict.predictor
    if model is not None or is_model(folder):
        return load_model(model or folder, device)
    if not (folder / "predictor").is_dir():
        return None
    return _load_predictor(folder, name, device), name


def _load_predictor(folder: Path, name: str, device: str) -> Predictor:
    cls = plugins.load(plugins.PREDICTORS, name)
    with plugins.blamed(plugins.PREDICTORS, name):
        predictor: Predictor = cls.load(folder / "predictor", device=device)
    return predictor


def write_copy_of_run(
    folder: Path,
    out: Path,
    *,
    writer: str | None = None,
    campaign_folder: Path | None = None,
    progress: Progress = no_progress,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Write the messages of a finished run into a new folder; return the texts and their counts."""
    from allocator.pipeline import Options
    from allocator.stages import write_copy

    require_new(out)
    run = open_run(folder, campaign_folder)
    campaign = Options(writer=writer).apply(run.campaign)
    sent = recipients(campaign, run.task, run.assignments)
    copies, texts = write_copy(campaign, sent, progress)

    def fill(target: Path) -> None:
        write_table(texts, target / "copy.csv")
        write_table(message_table(sent, texts), target / "messages.csv")
        origin = {"run": os.path.relpath(folder.resolve(), out.resolve()), "writer": writer}
        write_text(target / ORIGIN, dump_json(origin))

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder(out, fill)
    return texts, summarise_copy(copies)


def _read_assignments(folder: Path) -> pl.DataFrame:
    """Read the assignments; an id that was defused for spreadsheets gets its own form back."""
    parquet = folder / "assignments.parquet"
    if parquet.is_file():
        return pl.read_parquet(parquet)
    text = {"user_id": pl.String, "coupon_id": pl.String}
    return restore_ids(pl.read_csv(folder / "assignments.csv", schema_overrides=text))
