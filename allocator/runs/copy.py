"""The texts of a run on disk: read as they were written, and replaced together with all that repeats them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign.copy_decisions import KEY, decisions_file
from allocator.campaign.messages import COLUMNS, message_table, recipients
from allocator.campaign.summary import summarise_copy
from allocator.errors import Finding, InputError
from allocator.files import (
    dump_json,
    fill_table,
    replace_together,
    require_new,
    restore_ids,
    sha256_of,
    write_folder,
    write_table,
    write_text,
)
from allocator.progress import Progress, no_progress
from allocator.report.plan import render_plan
from allocator.runs.opening import open_run
from allocator.runs.options import Options
from allocator.runs.run_folder import MANIFEST
from allocator.runs.stages import write_copy


def row_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the key of a text's message."""
    return tuple(row[name] for name in KEY)


def origin_of(folder: Path) -> tuple[Path, str | None]:
    """Return the run that texts belong to, and the writer that was asked for in place of the campaign's.

    Raises
    ------
    InputError
        If there are no texts here.
    """
    try:
        origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        return folder / origin["run"], origin["writer"]
    except OSError:
        pass
    except (ValueError, LookupError, TypeError) as error:
        message = f"this file is not what `allocate copy` wrote: {error}"
        raise InputError(Finding(message, str(folder / ORIGIN))) from error
    if (folder / MANIFEST).is_file() and not (folder / "copy.csv").is_file():
        message = "this run has no messages; write them with `allocate copy RUN --out DIR`, then review DIR"
        raise InputError(Finding(message, str(folder)))
    return folder, None


def read_copy(path: Path) -> pl.DataFrame:
    """Return ``copy.csv`` as it was before its cells were made safe for spreadsheets.

    Raises
    ------
    InputError
        If it is not there, or is not a table of texts.
    """
    try:
        frame = pl.read_csv(path, schema_overrides=COLUMNS)
        text = [name for name, dtype in COLUMNS.items() if dtype == pl.String]
        return restore_ids(frame.select(*COLUMNS), text)
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"these texts cannot be read; write them again: {str(error).splitlines()[0]}"
        raise InputError(Finding(message, str(path))) from error


def read_texts(path: Path, asked: Collection[tuple[str, ...]]) -> list[dict[str, Any]]:
    """Return the rows of ``copy.csv``.

    Raises
    ------
    InputError
        If they are not the texts of the messages whose keys are `asked`.
    """
    rows = read_copy(path).to_dicts()
    if {row_key(row) for row in rows} != set(asked):
        raise InputError(Finding("these are not the texts of this run; write them again", str(path)))
    return rows


def replace_texts(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    sent: pl.DataFrame,
    arms: pl.DataFrame | None,
    campaign_folder: Path,
) -> None:
    """Replace the files of a run that texts are in, or counts of them; the manifest last."""
    texts = pl.DataFrame(rows, schema=COLUMNS)
    parquet = folder / "messages.parquet"
    messages = parquet if parquet.is_file() else folder / "messages.csv"
    writes: dict[Path, Callable[[Path], object]] = {
        folder / "copy.csv": lambda path: fill_table(texts, path),
        messages: lambda path: fill_table(message_table(sent, texts, arms), path),
    }
    manifest = folder / MANIFEST
    if not manifest.is_file():
        replace_together(writes)
        return
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    by = texts.group_by("written_by").len().sort("written_by")
    summary["copy"] = {"texts": texts.height, "written_by": dict(by.iter_rows())}
    writes[folder / "summary.json"] = _text(dump_json(summary))
    writes[folder / "report.html"] = _text(render_plan(summary, texts))
    replace_together(writes)
    record = json.loads(manifest.read_text(encoding="utf-8"))
    record["files"] |= {file.name: sha256_of(file) for file in writes}
    decisions = decisions_file(campaign_folder)
    record["reviewed"] = {decisions.name: sha256_of(decisions)} if decisions.is_file() else {}
    replace_together({manifest: _text(dump_json(record))})


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding="utf-8")


ORIGIN = "origin.json"


def write_copy_of_run(
    folder: Path,
    out: Path,
    *,
    writer: str | None = None,
    campaign_folder: Path | None = None,
    progress: Progress = no_progress,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Write the messages of a finished run into a new folder; return the texts and their counts."""
    require_new(out)
    run = open_run(folder, campaign_folder)
    campaign = Options(writer=writer).apply(run.campaign)
    sent = recipients(campaign, run.task, run.given)
    copies, texts = write_copy(campaign, sent, progress)

    def fill(target: Path) -> None:
        write_table(texts, target / "copy.csv")
        write_table(message_table(sent, texts, run.arms), target / "messages.csv")
        origin = {"run": os.path.relpath(folder.resolve(), out.resolve()), "writer": writer}
        write_text(target / ORIGIN, dump_json(origin))

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder(out, fill)
    return texts, summarise_copy(copies)
