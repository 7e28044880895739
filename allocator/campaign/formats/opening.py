"""Open a table, whatever form it has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import polars as pl

from allocator.campaign.formats.raw import RawTable
from allocator.campaign.formats.settings import TableFormat
from allocator.campaign.formats.sources import DATABASES, Source, files_of
from allocator.campaign.formats.stray_rows import refuse_stray_rows
from allocator.errors import Finding, InputError
from allocator.files import sha256_of

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

        return _whole(read_database(source), in_order=False)
    assert source.path is not None
    if source.kind == "workbook":
        from allocator.campaign.formats.workbook import read_workbook

        return _whole(read_workbook(source.path, source.stated, source.part, source.table, keys))
    if source.kind in ("parquet", "arrow"):
        from allocator.campaign.formats.columnar import read_columnar

        return _whole(read_columnar(source.path, source.name, source.kind))
    from allocator.campaign.formats.delimited import read_delimited

    return _whole(read_delimited(source.path, source.name, keys))


def open_parts(source: Source, keys: TableFormat | None = None) -> Iterator[RawTable] | None:
    """Return a table as consecutive parts, for more rows than memory holds; None if its form has none.

    Parts hold text as of `open_table`, but numbers with a fraction where the source knows these.

    Parameters
    ----------
    source, keys
        As of `open_table`.

    Raises
    ------
    InputError
        If the table cannot be read, or not part by part; also while parts are read. `open_table` says what
        is wrong.
    """
    if source.kind == "parquet":
        from allocator.campaign.formats.columnar import columnar_parts

        assert source.path is not None
        return map(_whole, columnar_parts(source.path, source.name))
    if source.kind == "text":
        from allocator.campaign.formats.delimited import delimited_parts

        assert source.path is not None
        parts = delimited_parts(source.path, source.name, keys or TableFormat())
        return None if parts is None else map(_whole, parts)
    return None


def _whole(raw: RawTable, *, in_order: bool = True) -> RawTable:
    refuse_stray_rows(raw, in_order=in_order)
    return raw


def digest_of_source(source: Source, frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a file, of the names and digests of a folder's files, or of a query's rows.

    Parameters
    ----------
    source
        Where the table comes from.
    frame
        Its cells as text; of a file it may be any.
    """
    if source.kind not in DATABASES:
        assert source.path is not None
        try:
            parts = files_of(source.path)
            if parts:
                digests = "".join(f"{part.relative_to(source.path)} {sha256_of(part)}\n" for part in parts)
                return hashlib.sha256(digests.encode()).hexdigest()
            return sha256_of(source.path)
        except OSError as error:
            raise InputError(Finding(f"the file cannot be read: {error.strerror}", source.name)) from error
    digest = hashlib.sha256()
    for start in range(0, max(frame.height, 1), ROWS):
        digest.update(frame.slice(start, ROWS).write_csv(include_header=start == 0).encode())
    return digest.hexdigest()
