"""A finished run -> the files that a tool imports, in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign.summary import reasons_for_nothing
from allocator.errors import Finding, InputError
from allocator.export.batches import Batch, batches, runnable_cells, suppression, too_long
from allocator.export.keys import Keys, Unusable, key_of, require_kind, take_keys
from allocator.export.tool import PARTS, KeyKind, Tool
from allocator.export.tools import TOOLS
from allocator.files import require_new, restore_ids, sha256_of, write_folder
from allocator.runs.opening import OpenRun, open_run
from allocator.runs.run_folder import MANIFEST
from allocator.wording import counted

SUPPRESSION, LEFT_OUT = "suppression.csv", "left_out.csv"
MOST_FINDINGS = 10
MESSAGE = ("language", *PARTS)


@dataclass(frozen=True)
class Exported:
    """What was written: ``document`` for ``--json``, `notes` for people."""

    document: dict[str, Any]
    notes: tuple[str, ...]


def export_run(
    folder: Path,
    tool: str,
    out: Path,
    *,
    named: Mapping[KeyKind, str] | None = None,
    copy: Path | None = None,
    campaign_folder: Path | None = None,
    leave_out: bool = False,
    as_is: bool = False,
) -> Exported:
    """Write what a tool imports to send the messages of a finished run.

    Parameters
    ----------
    folder
        The run.
    tool
        A name in `TOOLS`.
    out
        New folder. It will hold people's addresses; the run's folder never does.
    named
        Columns of users.csv by what they hold; see `take_keys`.
    copy
        Folder of `allocate copy` with other messages than the run's own.
    campaign_folder
        The campaign's, where it has moved.
    leave_out
        Leave out users without a key of their own that can be used, in place of stopping.
    as_is
        Also write cells that a spreadsheet would run as a formula.

    Raises
    ------
    InputError
        If the run or its campaign has changed, or with all users that the tool could not know.
    """
    known, named = TOOLS[tool], named or {}
    _require_outside(out, folder)
    require_new(out)
    run = open_run(folder, campaign_folder)
    name = _name_of(run, folder)
    sent = _sent(run, folder, name, copy)
    keys = take_keys(run.campaign, named)
    kind = key_of(known, keys, list(named))
    for channel in sent["channel"].unique().to_list():
        if channel in known.beside:
            require_kind(keys, known.beside[channel][0], f"{known.title} wants for {channel}")
    unusable = _unusable(sent, keys, kind, known)
    if unusable and not leave_out:
        raise InputError(_shortened([each.finding for each in unusable]))
    out_of = pl.DataFrame(
        [(each.user, each.why) for each in unusable],
        schema={"user_id": pl.String, "reason": pl.String},
        orient="row",
    ).unique("user_id", maintain_order=True)
    sent = sent.filter(~pl.col("user").is_in(out_of["user_id"].implode()))
    files, notes = _within_limits(list(batches(sent, keys, kind, known)), known)
    nothing = _left_out(run)
    barred = suppression(nothing, name, keys, kind, known)
    held = Batch(SUPPRESSION.removesuffix(".csv"), "", None, barred, barred.to_series())
    if not as_is and (findings := [found for batch in [*files, held] for found in runnable_cells(batch)]):
        raise InputError(findings)
    written = _write(out, files, barred, out_of if leave_out else None, known)
    if len(barred) < len(nothing):
        missing = counted(len(nothing) - len(barred), "user")
        notes.append(f"{missing} who are to get nothing have no key and are not in {SUPPRESSION}")
    if len(out_of):
        notes.append(f"{counted(len(out_of), 'user')} left out; {LEFT_OUT} names them")
    if not any(part in sent.columns for part in PARTS):
        notes.append("the run has no messages: the files hold coupons and codes only")
    document = {
        "run": name, "tool": tool, "folder": str(out), "key": known.keys[kind], "column": keys.columns[kind],
        "users": sent["user"].n_unique(), "files": written, "suppressed": len(barred),
        "left_out": len(out_of), "notes": notes,
    }  # fmt: skip
    return Exported(document, tuple(notes))


def _require_outside(out: Path, run: Path) -> None:
    if out.resolve().is_relative_to(run.resolve()):
        message = "these files hold people's addresses, which the run's folder never does; name another place"
        raise InputError(Finding(message, str(out), column="--out"))


def _name_of(run: OpenRun, folder: Path) -> str:
    """Return the name of the run: of its campaign, and a digest of who gets what."""
    digest = sha256_of(folder / _assignments(folder))
    return f"{run.campaign.config.name}-{digest[:12]}"


def _assignments(folder: Path) -> str:
    return next(name for name in _digests(folder) if name.partition(".")[0] == "assignments")


def _digests(folder: Path) -> dict[str, str]:
    files: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    return files


def _require_unchanged(folder: Path, name: str) -> None:
    if sha256_of(folder / name) != _digests(folder)[name]:
        message = "this is not the file that the run wrote; run again, or see `allocate check`"
        raise InputError(Finding(message, str(folder / name)))


def _sent(run: OpenRun, folder: Path, name: str, copy: Path | None) -> pl.DataFrame:
    """Return a row each coupon of a user, with its message where there is one."""
    _require_unchanged(folder, _assignments(folder))
    coupons = run.campaign.coupons.select("coupon_id", "code", pl.col("ends_at").cast(pl.String))
    kept = [each for each in ("wave", "channel", "segment", "variant") if each in run.assignments.columns]
    sent = run.given.select("user_id", "coupon_id", *kept)
    sent = sent.with_columns(run=pl.lit(name)).join(
        coupons, on="coupon_id", how="left", maintain_order="left"
    )
    messages = _messages(folder, copy)
    if messages is None:
        return sent.rename({"user_id": "user"})
    pair = ("user_id", "coupon_id")
    if messages.select(pair).is_duplicated().any() or len(sent.join(messages, on=pair, how="anti")):
        message = "these are not the messages of this run; write them again"
        raise InputError(Finding(message, str(copy or folder)))
    of_message = [each for each in ("segment", "variant") if each in messages.columns]
    sent = sent.drop(of_message).join(
        messages.select(*pair, *of_message, *MESSAGE), on=pair, how="left", maintain_order="left"
    )
    return sent.rename({"user_id": "user"})


def _messages(folder: Path, copy: Path | None) -> pl.DataFrame | None:
    """Return the table of messages as it was before its cells were made safe for spreadsheets."""
    found = [
        file for ending in ("parquet", "csv") if (file := (copy or folder) / f"messages.{ending}").is_file()
    ]
    if not found:
        if copy is not None:
            raise InputError(Finding("there are no messages here; `allocate copy` writes them", str(copy)))
        return None
    if copy is None:
        _require_unchanged(folder, found[0].name)
    try:
        if found[0].suffix == ".parquet":
            return pl.read_parquet(found[0])
        frame = pl.read_csv(found[0], infer_schema=False)
        return restore_ids(frame, frame.columns).select(
            "user_id", "coupon_id", "segment", "variant", *MESSAGE
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"these messages cannot be read; write them again: {str(error).splitlines()[0]}"
        raise InputError(Finding(message, str(found[0]))) from error


def _unusable(sent: pl.DataFrame, keys: Keys, kind: KeyKind, tool: Tool) -> list[Unusable]:
    """Return who of those who get something cannot be known to the tool."""
    found = keys.lacking(kind, sent["user"]) + keys.shared(kind, sent["user"])
    for channel, (beside, _) in tool.beside.items():
        found += keys.lacking(beside, sent.filter(pl.col("channel") == channel)["user"])
    return found


def _left_out(run: OpenRun) -> pl.DataFrame:
    """Return ``user`` and ``reason`` of those who get nothing."""
    users = run.campaign.users["user_id"]
    given = users.is_in(list(run.assigned)).to_numpy()
    held = None if run.arms is None else users.is_in(list(run.held_out)).to_numpy()
    reasons = pl.Series("reason", reasons_for_nothing(run.task, given, held).tolist(), dtype=pl.String)
    return pl.DataFrame({"user": users, "reason": reasons}).filter(~pl.Series(given))


def _shortened(findings: Sequence[Finding]) -> list[Finding]:
    rest = len(findings) - MOST_FINDINGS
    advice = "give them one, or leave such users out with --leave-out"
    last = f"and {rest:,} more like these; {advice}" if rest > 0 else advice
    return [
        *findings[:MOST_FINDINGS],
        replace(findings[-1], message=last, row=None, found=None, expected=None),
    ]


def _within_limits(files: list[Batch], tool: Tool) -> tuple[list[Batch], list[str]]:
    """Leave out columns that the tool would cut, and say so."""
    kept, notes = [], []
    for batch in files:
        cut = too_long(batch, tool)
        kept.append(replace(batch, frame=batch.frame.drop(cut)))
        if cut:
            notes.append(
                f"{batch.name}.csv: {', '.join(cut)} left out, as {tool.title} cuts texts at "
                f"{tool.cell_bytes} bytes; take the text from copy.csv by coupon_id, "
                "segment, language and variant"
            )
    return kept, notes


def _write(
    out: Path, files: Sequence[Batch], barred: pl.DataFrame, left_out: pl.DataFrame | None, tool: Tool
) -> list[dict[str, Any]]:
    """Write all files, or none; return what there is in them."""
    written: list[dict[str, Any]] = []

    def fill(target: Path) -> None:
        target.chmod(0o700)  # people's addresses
        for batch in files:
            for name, frame in _parts(batch.name, batch.frame, tool):
                frame.write_csv(target / name)
                written.append(
                    {"file": name, "channel": batch.channel, "wave": batch.wave, "rows": frame.height}
                )
        for name, frame in _parts(SUPPRESSION.removesuffix(".csv"), barred, tool):
            frame.write_csv(target / name)
        if left_out is not None and len(left_out):
            left_out.write_csv(target / LEFT_OUT)

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder(out, fill)
    return written


def _parts(name: str, frame: pl.DataFrame, tool: Tool) -> list[tuple[str, pl.DataFrame]]:
    """Return the files that a table becomes, none larger than the tool takes."""
    parts = _split(frame, tool)
    if len(parts) == 1:
        return [(f"{name}.csv", frame)]
    return [(f"{name}-{i}.csv", part) for i, part in enumerate(parts, 1)]


def _split(frame: pl.DataFrame, tool: Tool) -> list[pl.DataFrame]:
    half = frame.height // 2
    many = tool.file_rows is not None and frame.height > tool.file_rows
    large = tool.file_bytes is not None and len(frame.write_csv().encode()) > tool.file_bytes
    if half and (many or large):
        return [*_split(frame.head(half), tool), *_split(frame.tail(frame.height - half), tool)]
    return [frame]
