"""All tables of a campaign folder, each found where campaign.toml or its name says, and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from allocator.campaign.columns.meanings import NOTHING, Meaning
from allocator.campaign.config import FILE, table_settings
from allocator.campaign.formats import TABLES, Format, Source, TableFormat, Tables, find_source, tables_in
from allocator.campaign.places import Places
from allocator.campaign.schema import (
    COUPONS,
    EVENTS,
    HISTORY,
    ORDERS,
    REVIEWED_COPY,
    SCORES,
    USERS,
    TableSchema,
)
from allocator.campaign.scores import ScoreParts, Scores
from allocator.campaign.table_context import TableContext
from allocator.campaign.table_reading import ReadTable, read_in_parts, read_table
from allocator.errors import Finding, InputError
from allocator.files import restore_ids
from allocator.progress import Progress, no_progress

SCHEMAS = (USERS, COUPONS, HISTORY, EVENTS, ORDERS, SCORES, REVIEWED_COPY)
OF_TEXT = ("delimiter", "encoding")  # keys of [format] that mean nothing elsewhere
ABOVE_HEADER = "skip_rows"


@dataclass
class TableFiles:
    """The tables of a folder that could be read, by name, and their digests by file.

    `scores` are those of a table that was read part by part, so that no frame holds it.
    """

    read: dict[str, ReadTable] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    scores: Scores | None = None

    def frames(self) -> dict[str, pl.DataFrame | None]:
        """Return the frame of each table; None where there is none."""
        frames = {
            schema.name: self.read[schema.name].frame if schema.name in self.read else None
            for schema in SCHEMAS
        }
        return frames if self.scores is None else {**frames, SCORES.name: None}

    @property
    def places(self) -> Places:
        """Where the tables stand."""
        return Places({name: table.place for name, table in self.read.items()})

    def notes(self) -> list[str]:
        """Return what was found out about how tables are written."""
        return [note for table in self.read.values() for note in table.notes]


def read_tables(
    folder: Path,
    currency: str | None,
    findings: list[Finding],
    context: TableContext,
    progress: Progress = no_progress,
) -> TableFiles:
    """Read the tables of a campaign folder.

    Parameters
    ----------
    folder
        The folder.
    currency
        The campaign's; None if it is not known.
    findings
        What is wrong is added to it.
    context
        What the tables are read by; what else there is to say of them is added.
    progress
        Told how far a large table is read.
    """
    files = TableFiles()
    settings = table_settings(folder)
    if settings is None:
        return files
    tables, formats, columns = settings
    for schema in SCHEMAS:
        try:
            source = find_table(folder, schema, tables)
            meanings = columns.get(schema.name, NOTHING)  # type: ignore[call-overload]
            findings += _idle_keys(schema.name, source, formats)
            if meanings and source is None:
                message = f"there is no {schema.name}.csv"
                findings.append(Finding(message, FILE, None, f"columns.{schema.name}"))
            if source is not None:
                keys = formats.of(schema.name)
                table = None
                if schema is SCORES and not meanings:
                    table = _scores_in_parts(files, source, keys, currency, progress)
                table = table or read_found(source, schema, keys, currency, context, meanings)
                files.read[schema.name] = table
                files.digests[source.file_name] = table.digest
        except InputError as error:
            findings += error.findings
    return files


def _scores_in_parts(
    files: TableFiles, source: Source, keys: TableFormat, currency: str | None, progress: Progress
) -> ReadTable | None:
    """Read scores part by part into numbers of users x coupons; None if they have to be read whole."""
    users, coupons = (files.read.get(schema.name) for schema in (USERS, COUPONS))
    if users is None or coupons is None:
        return None
    parts = ScoreParts(users.frame["user_id"], coupons.frame["coupon_id"])
    table = read_in_parts(source, SCORES, parts.add, keys, currency, progress)
    files.scores = None if table is None else parts.scores()
    return None if files.scores is None else table


def find_table(folder: Path, schema: TableSchema, tables: Tables) -> Source | None:
    """Return where a table comes from; None if it is not there and need not be.

    Raises
    ------
    InputError
        If it must be there and is not, or could be more than one file.
    """
    source = find_source(folder, schema.name, tables.of(schema.name))
    if source is not None and schema is REVIEWED_COPY and source.stated not in WRITTEN:
        message = "Allocate writes this file itself, as CSV or Parquet"
        raise InputError(Finding(message, source.stated, expected=" or ".join(WRITTEN)))
    if source is None and schema.required:
        others = [name for name in tables_in(folder) if name.partition(".")[0] not in NAMES]
        found = ", ".join(others[:8]) or None
        message = "file is missing"
        if others:
            message += f'; if it has another name, say so: [tables] {schema.name} = "{others[0]}"'
        expected = f"{schema.name}.csv, .xlsx, .parquet or another form of it in {folder}"
        raise InputError(Finding(message, f"{schema.name}.csv", found=found, expected=expected))
    return source


NAMES = tuple(schema.name for schema in SCHEMAS)
WRITTEN = tuple(f"{REVIEWED_COPY.name}.{ending}" for ending in ("csv", "parquet"))


def read_found(
    source: Source,
    schema: TableSchema,
    keys: TableFormat | None = None,
    currency: str | None = None,
    context: TableContext | None = None,
    meanings: Mapping[str, Meaning] = NOTHING,
) -> ReadTable:
    """Read a table, and undo in the one that Allocate writes itself what it did for spreadsheets."""
    table = read_table(source, schema, keys, currency, context, meanings)
    if schema is REVIEWED_COPY:
        return replace(table, frame=restore_ids(table.frame, ("coupon_id", "segment", "hook")))
    return table


def _idle_keys(table: str, source: Source | None, formats: Format) -> Iterator[Finding]:
    """Yield a finding for each key stated of one table that means nothing there."""
    stated = formats.own(table).stated() if table in TABLES else {}
    if stated and source is None:
        yield Finding("there is no such table to which this could apply", FILE, None, f"format.{table}")
    for key in stated if source is not None else ():
        if source is not None and (
            (key in OF_TEXT and source.kind != "text")
            or (key == ABOVE_HEADER and source.kind not in ("text", "workbook"))
        ):
            message = f"{source.name} has none; remove this key"
            yield Finding(message, FILE, None, f"format.{table}.{key}", repr(stated[key]))
