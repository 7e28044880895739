"""What a tool tells of the messages of a run -> one row each user and coupon: ``outcomes.csv``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from allocator.errors import Finding, InputError
from allocator.export.found import of_sends, of_users, one_coupon_each
from allocator.export.keys import take_keys
from allocator.export.outcome_rows import COLUMNS, outcome_rows
from allocator.export.tool import KeyKind
from allocator.export.tools import TOOLS
from allocator.runs.opening import open_run
from allocator.runs.outcome_files import read_filled
from allocator.wording import counted


@dataclass(frozen=True)
class Outcomes:
    """What became of the messages of a run.

    Parameters
    ----------
    frame
        The columns of ``outcomes.csv``; null where the files do not tell.
    document
        Counts, for ``--json``.
    notes
        What a reader should know, as sentences.
    """

    frame: pl.DataFrame
    document: dict[str, Any]
    notes: tuple[str, ...]


def outcomes_of_run(
    folder: Path,
    tool: str,
    files: Sequence[Path],
    *,
    named: Mapping[KeyKind, str] | None = None,
    sends: Sequence[str] = (),
    sent_at: dt.datetime | None = None,
    observed_until: dt.datetime | None = None,
    time_zone: str | None = None,
    campaign_folder: Path | None = None,
) -> Outcomes:
    """Read what a tool tells of the messages of a run.

    Parameters
    ----------
    folder
        The run that was sent.
    tool
        A name in `allocator.export.TOOLS`.
    files
        Files of the tool's results, or folders of them.
    named
        Columns of users.csv by what they hold, as at the export.
    sends
        What the tool calls the sends of this run, or ``all``; needed where the files tell of several.
    sent_at
        When it was sent, in UTC, where the files do not say.
    observed_until
        Until when the files tell what happened, in UTC; the last event unless given.
    time_zone
        Of times that state none.
    campaign_folder
        The campaign's, where it has moved.

    Raises
    ------
    InputError
        If files cannot be read, tell nothing of this run, or not surely of it.
    """
    known, paths = TOOLS[tool], _files(files)
    run = open_run(folder, campaign_folder)
    if known.read is None:
        frame, notes = read_filled(run, paths, time_zone)
        return _outcomes(frame, notes)
    one_coupon_each(run)
    events = known.read(paths, time_zone)
    events, notes = of_sends(events, sends)
    keys = take_keys(run.campaign, named or {})
    found, strangers = of_users(events, keys)
    if found.is_empty():
        message = "none of the events is of a user of this run"
        raise InputError(Finding(message, ", ".join(map(str, paths[:3]))))
    if strangers:
        notes.append(f"{counted(strangers, 'event')} of people who are not among the users left out")
    last = events.frame["at"].max()
    until = observed_until or (last if isinstance(last, dt.datetime) else None)
    frame, more = outcome_rows(run, events, found, sent_at, until)
    return _outcomes(frame, [*events.notes, *notes, *more])


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files themselves, and those in folders, in a fixed order."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(Finding("there is no such file or folder", str(path)))
        inside = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        found += [each for each in inside if not each.name.startswith(".")]
    if not found:
        raise InputError(Finding("there are no files here", ", ".join(map(str, paths))))
    return list(dict.fromkeys(found))


def _outcomes(frame: pl.DataFrame, notes: Sequence[str]) -> Outcomes:
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
    unknown = [name for name in COLUMNS if name != "coupon_id" and frame[name].null_count() == frame.height]
    notes = list(notes)
    if unknown:
        notes.append(f"not told, and left empty: {', '.join(unknown)}")
    flags = [name for name, dtype in COLUMNS.items() if dtype == pl.Boolean]
    document = {
        "rows": frame.height,
        "with_a_coupon": frame.height - frame["coupon_id"].null_count(),
        "without": frame["coupon_id"].null_count(),
        **{name: None if name in unknown else int(frame[name].sum()) for name in flags},
        "revenue": None if "revenue" in unknown else float(frame["revenue"].sum()),
        "observed_until": _as_text(frame["observed_until"])[0] if frame.height else None,
        "notes": notes,
    }
    times = [name for name, dtype in COLUMNS.items() if dtype == pl.Datetime("us")]
    frame = frame.with_columns(_as_text(frame[name]) for name in times)
    return Outcomes(frame.with_columns(pl.col(flags).cast(pl.Int8)), document, tuple(notes))


def _as_text(times: pl.Series) -> pl.Series:
    """Return times in UTC with their offset, as history.csv has them."""
    return times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
