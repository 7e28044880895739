"""Open a table, whatever form it has."""

from __future__ import annotations

import hashlib

import polars as pl

from allocator.campaign.formats.raw import RawTable
from allocator.campaign.formats.settings import TableFormat
from allocator.campaign.formats.sources import DATABASES, Source
from allocator.campaign.formats.stray_rows import refuse_stray_rows
from allocator.errors import Finding, InputError

ROWS = 100_000  # that are digested at a time


def open_table(source: Source, keys: TableFormat | None = None) -> RawTable:
    """Open a table as a frame of text.

    Parameters
    ----------
    source
        Where it comes from.
    keys
        What is stated of how it is written; the rest is found out where it is sure.

    Raises
    ------
    InputError
        With everything that is wrong with it as a file.
    """
    keys = keys or TableFormat()
    if source.kind in DATABASES:
        from allocator.campaign.formats.databases import read_database

        return read_database(source)
    assert source.path is not None
    if source.kind == "workbook":
        from allocator.campaign.formats.workbook import read_workbook

        return _whole(read_workbook(source.path, source.stated, source.part, source.table, keys))
    if source.kind in ("parquet", "arrow"):
        from allocator.campaign.formats.columnar import read_columnar

        return read_columnar(source.path, source.name, source.kind)
    from allocator.campaign.formats.delimited import read_delimited

    return _whole(read_delimited(source.path, source.name, keys))


def _whole(raw: RawTable) -> RawTable:
    refuse_stray_rows(raw)
    return raw


def digest_of_source(source: Source, frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a file, or of the rows of a query.

    Parameters
    ----------
    source
        Where the table comes from.
    frame
        Its cells as text.
    """
    if source.kind not in DATABASES:
        assert source.path is not None
        try:
            with source.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(Finding(f"the file cannot be read: {error.strerror}", source.name)) from error
    digest = hashlib.sha256()
    for start in range(0, max(frame.height, 1), ROWS):
        digest.update(frame.slice(start, ROWS).write_csv(include_header=start == 0).encode())
    return digest.hexdigest()
