"""What a run did: its outcomes read, checked against what was sent, and read out."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.formats import Place, source_of_file
from allocator.campaign.schema import CHANNELS, OUTCOMES
from allocator.campaign.table_context import TableContext
from allocator.campaign.table_reading import read_table
from allocator.errors import Finding, InputError
from allocator.files import restore_ids
from allocator.readout.effects import LEVEL
from allocator.readout.readout import Readout, read_out
from allocator.runs.opening import OpenRun, open_run
from allocator.runs.outcome_files import rows_of, without_time
from allocator.runs.run_folder import MANIFEST
from allocator.wording import counted

WINDOW_DAYS = 30.0
"""For how long outcomes are watched where no coupon says until when it is valid."""
PROMISED = {"promised_value": "value", "promised_cost": "cost", "promised_redemptions": "redemptions"}


@dataclass(frozen=True)
class RunReadout:
    """A readout with what it is of."""

    name: str
    currency: str
    wave: str
    readout: Readout


def readout_run(
    folder: Path,
    files: Sequence[Path],
    *,
    campaign_folder: Path | None = None,
    groups: Sequence[str] = (),
    window: float | None = None,
    time_zone: str | None = None,
    level: float = LEVEL,
) -> RunReadout:
    """Read out what a finished run with an experiment did.

    Parameters
    ----------
    folder
        The run that was sent.
    files
        With the columns of ``outcomes.csv``; several, late ones among them, are taken together.
    campaign_folder
        The campaign's, where it has moved.
    groups
        User columns to tell effects by.
    window
        Days for which outcomes are watched after the send; until the last coupon ends unless given.
    time_zone
        Of times that state none.
    level
        Of intervals, such as 0.95.

    Raises
    ------
    InputError
        With all that is wrong with the files, or if the run was edited or chance decided nothing in it.
    """
    findings = [
        Finding("there is no such file", str(path)) for path in files if not path.is_file()
    ] + _settings(window, level)
    if findings:
        raise InputError(findings)
    run = open_run(folder, campaign_folder)
    _require_unedited(folder)
    if run.arms is None:
        message = (
            "chance decided nothing in this run, so what its coupons did cannot be told from what would have "
            "happened anyway; add [experiment] to campaign.toml before the next send"
        )
        raise InputError(Finding(message, str(folder)))
    labels = run.campaign.labels
    if wrong := [finding for name in groups if (finding := labels.apart("--by", name)) is not None]:
        raise InputError(wrong)
    outcomes, notes = _read(run, files, time_zone)
    sent = _sent(run)
    rows = sent.join(outcomes, on="user_id", how="left", maintain_order="left")
    notes += _compliance(run, outcomes)
    if any(run.campaign.config.sending_cost.values()):
        notes.append("promised spend holds the cost of sending; the discounts that came do not")
    elapsed, more = _elapsed(run, rows, window)
    users = _places(run, rows["user_id"])
    rows = rows.with_columns(**{name: labels.text(name).gather(users) for name in groups})
    table, objective = run.campaign.config.experiment, run.campaign.config.objective
    assert table is not None
    units = None if table.unit == "user_id" else _units(run, table.unit, users)
    found = read_out(
        rows,
        objective=objective.maximize,
        margin=objective.margin,
        currency=run.campaign.config.currency,
        covariates=_covariates(run, rows, users, table.strata),
        units=units,
        groups=groups,
        elapsed=elapsed,
        level=level,
        notes=[*notes, *more],
    )
    return RunReadout(run.campaign.config.name, run.campaign.config.currency, table.wave, found)


def _settings(window: float | None, level: float) -> list[Finding]:
    findings = []
    if window is not None and not window > 0:
        findings.append(Finding("must be more than 0 days", column="--window", found=f"{window:g}"))
    if not 0.5 <= level < 1:
        findings.append(Finding("is no level", None, None, "--level", f"{level:g}", "0.5 to 1, such as 0.95"))
    return findings


def _require_unedited(folder: Path) -> None:
    """Raise InputError if what was sent, or promised, is not what the run wrote."""
    digests = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    findings = [
        Finding("this is not the file that the run wrote; see `allocate check`", str(folder / name))
        for name, digest in digests.items()
        if name.partition(".")[0] in ("assignments", "summary", "campaign")
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]
    if findings:
        raise InputError(findings)


def _sent(run: OpenRun) -> pl.DataFrame:
    """Return a row each user to whom the plan gave a coupon and whom it then got, or chance held out."""
    arms, problem = run.arms, run.task.problem
    assert arms is not None
    rows = arms.filter(pl.col("arm") != "explore").drop_nulls("planned_coupon_id")
    users = _places(run, rows["user_id"])
    place = {coupon: j for j, coupon in enumerate(problem.coupon_ids.tolist())}
    coupons = np.array([place[name] for name in rows["planned_coupon_id"]], np.int64)
    known = {"value", *problem.measures}
    promised = {**PROMISED, "promised_value": "expected_value" if "expected_value" in known else "value"}
    numbers = {
        column: np.asarray(problem.measure(name)[users, coupons], np.float64)
        if name in known
        else pl.lit(None, pl.Float64)
        for column, name in promised.items()
    }
    channels = run.task.eligibility.channel[users, coupons]
    channel = pl.Series("channel", CHANNELS).gather(channels.astype(np.int64))
    return rows.select("user_id", "arm", "planned_coupon_id").with_columns(channel=channel, **numbers)


def _read(run: OpenRun, files: Sequence[Path], time_zone: str | None) -> tuple[pl.DataFrame, list[str]]:
    """Return one row a user, the one observed longest, and notes."""
    frames, notes, findings = [], [], []
    zone = time_zone or run.campaign.config.campaign.time_zone
    names = [column.name for column in OUTCOMES.columns]
    began = run.campaign.start_of()
    for path in files:
        context = TableContext(zone)
        table = read_table(source_of_file(path, OUTCOMES.name), OUTCOMES, context=context)
        frame = restore_ids(table.frame.select(names))
        findings += _strange(frame, run, table.place, began)
        frames.append(frame)
        notes += [*table.notes, *context.notes]
    if findings:
        raise InputError(findings)
    frame = pl.concat(frames)
    if frame.is_empty():
        raise InputError(Finding("the files hold no outcome", ", ".join(map(str, files))))
    whole = frame.height
    frame = frame.sort("observed_until", nulls_last=False, maintain_order=True).unique(
        "user_id", keep="last", maintain_order=True
    )
    if late := whole - frame.height:
        notes.append(f"{counted(late, 'row')} left out for a later file's row of the same user")
    arms = run.arms
    assert arms is not None
    others = frame.filter(~pl.col("user_id").is_in(arms["user_id"].implode()))
    if others.height:
        notes.append(
            f"{counted(others.height, 'row')} of users who were neither sent anything nor held out by lot: "
            "not compared"
        )
    return frame.join(arms.select("user_id"), on="user_id", how="semi", maintain_order="left"), notes


def _strange(frame: pl.DataFrame, run: OpenRun, place: Place, began: dt.datetime) -> list[Finding]:
    """Return findings for rows that cannot be outcomes of the run."""
    known = frame["user_id"].is_in(run.campaign.users["user_id"].implode())
    findings = rows_of(~known, "user_id", "the campaign has no such user", frame, place)
    coupons = frame["coupon_id"].is_in(run.campaign.coupons["coupon_id"].implode()).fill_null(True)
    findings += rows_of(~coupons, "coupon_id", "the campaign has no such coupon", frame, place)
    twice = frame["user_id"].is_duplicated()
    message = "a user stands there twice; one send has one outcome"
    findings += rows_of(twice, "user_id", message, frame, place)
    findings += without_time(frame, place)
    early = (frame["sent_at"] < began).fill_null(False)
    message = f"sent before the day of the decision ({run.campaign.as_of}) began"
    findings += rows_of(early, "sent_at", message, frame, place)
    back = (frame["observed_until"] < frame["sent_at"]).fill_null(False)
    findings += rows_of(back, "observed_until", "observed until before it was sent", frame, place)
    paid = (frame["revenue"] > 0).fill_null(False) & ~frame["converted"].fill_null(True)
    findings += rows_of(paid, "revenue", "there is revenue, but converted is 0", frame, place)
    return findings


def _compliance(run: OpenRun, outcomes: pl.DataFrame) -> list[str]:
    """Say who got something else than was drawn for them: they count where chance put them."""
    drawn = run.assignments.select("user_id", "arm", due="coupon_id")
    told = outcomes.select("user_id", "coupon_id").join(drawn, on="user_id")
    other = told.filter(pl.col("coupon_id").ne_missing(pl.col("due")))
    reached = other.filter((pl.col("arm") == "holdout") & pl.col("coupon_id").is_not_null()).height
    notes = []
    if other.height:
        notes.append(
            f"{counted(other.height, 'user')} of {told.height:,} got something else than was drawn for them "
            f"({reached:,} of them held out, and sent a coupon all the same); each counts in the arm that "
            "was drawn, so that effects are those of what was meant to be sent"
        )
    return notes


def _elapsed(run: OpenRun, rows: pl.DataFrame, window: float | None) -> tuple[float, list[str]]:
    """Return which share of the time of observation is over, and what to know of it."""
    sent, until = rows["sent_at"].drop_nulls().median(), rows["observed_until"].drop_nulls().median()
    if not isinstance(sent, dt.datetime) or not isinstance(until, dt.datetime):
        return 1.0, ["until when outcomes were observed is not told: taken as the whole time"]
    ends = run.campaign.active_coupons["ends_at"].drop_nulls().max()
    whole = window
    if whole is None and isinstance(ends, dt.date):
        whole = (dt.datetime.combine(ends, dt.time()) + dt.timedelta(days=1) - sent).total_seconds() / 86_400
    whole = WINDOW_DAYS if whole is None or whole <= 0 else whole
    days = (until - sent).total_seconds() / 86_400
    notes = []
    if days < whole:
        notes.append(
            f"outcomes are known of {days:.1f} of {whole:.1f} days: what coupons that are still valid will "
            "bring is not counted yet"
        )
    lengths = rows.with_columns(seen=pl.col("observed_until") - pl.col("sent_at")).group_by("arm")
    seen = [value for value in lengths.agg(pl.col("seen").median())["seen"] if value is not None]
    if len(seen) == 2 and abs((seen[0] - seen[1]).total_seconds()) > 0.1 * max(days, 0.01) * 86_400:
        notes.append("the arms were observed for different times, so that the effect is not told fairly")
    return max(days / whole, 1e-3), notes


def _covariates(
    run: OpenRun, rows: pl.DataFrame, users: NDArray[np.int64], strata: Sequence[str]
) -> NDArray[np.float64]:
    """Return what was known of users before the draw: promises, past outcomes, strata."""
    promised = [rows[name].fill_null(0).to_numpy() for name in PROMISED if name in rows.columns]
    parts = [column.astype(np.float64) for column in promised]
    history = run.campaign.history
    if history is not None:
        past = history.filter(pl.col("sent_at") < run.campaign.start_of()).group_by("user_id").agg(
            pl.len().alias("n"), pl.col("converted").cast(pl.Float64).mean(), pl.col("revenue").mean()
        )  # fmt: skip
        own = rows.select("user_id").join(past, on="user_id", how="left", maintain_order="left")
        parts += [
            own[name].cast(pl.Float64).fill_null(0).to_numpy() for name in ("n", "converted", "revenue")
        ]
    for column in strata:
        text = run.campaign.labels.text(column).gather(users).fill_null("")
        parts += [(text == label).cast(pl.Float64).to_numpy() for label in text.unique().sort()[1:]]
    return np.column_stack(parts)


def _units(run: OpenRun, column: str, users: NDArray[np.int64]) -> NDArray[np.int64]:
    text = run.campaign.labels.text(column).gather(users).fill_null("")
    own = [label or f"\0{user}" for label, user in zip(text.to_list(), users.tolist(), strict=True)]
    return np.unique(own, return_inverse=True)[1].astype(np.int64)


def _places(run: OpenRun, users: pl.Series) -> NDArray[np.int64]:
    rows = pl.DataFrame({"user_id": run.campaign.users["user_id"]}).with_row_index("row")
    found = users.alias("user_id").to_frame().join(rows, on="user_id", how="left", maintain_order="left")
    return found["row"].cast(pl.Int64).to_numpy()
