"""One table, in whatever form it comes -> a typed frame, and where its rows stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from allocator.campaign.cells import Cells
from allocator.campaign.columns.applying import in_whole_units
from allocator.campaign.columns.meanings import NOTHING, Meaning
from allocator.campaign.consent.contact import NO_CONTACT, Contact
from allocator.campaign.formats import (
    Notation,
    Place,
    RawTable,
    RowsKept,
    Source,
    TableFormat,
    digest_of_source,
    open_parts,
    open_table,
    source_of_file,
)
from allocator.campaign.naming import Named, name_columns
from allocator.campaign.schema import TableSchema
from allocator.campaign.table_context import TableContext
from allocator.campaign.tables import clean_text, parse_cells
from allocator.errors import Finding, InputError
from allocator.files import ahead
from allocator.progress import Progress, no_progress


@dataclass(frozen=True)
class ReadTable:
    """A table as it was read.

    Parameters
    ----------
    frame
        Columns under canonical names and types.
    place
        Where it stands; rows are those of `frame`.
    digest
        SHA-256 of the file, or of the rows of a query.
    notes
        What was found out about how it is written and what its columns are, as sentences.
    contact
        What its columns say of who may be contacted.
    """

    frame: pl.DataFrame
    place: Place
    digest: str
    notes: tuple[str, ...] = ()
    contact: Contact = NO_CONTACT


def read_file(path: Path, schema: TableSchema) -> ReadTable:
    """Read the file `path`, whose ending says what form it has; see `read_table`."""
    return read_table(source_of_file(path, schema.name), schema)


def read_table(
    source: Source,
    schema: TableSchema,
    keys: TableFormat | None = None,
    currency: str | None = None,
    context: TableContext | None = None,
    meanings: Mapping[str, Meaning] = NOTHING,
) -> ReadTable:
    """Read a table and return a frame with the schema's columns under canonical names and types.

    Parameters
    ----------
    source
        Where it comes from.
    schema
        Its columns.
    keys
        What is stated of how it is written.
    currency
        The campaign's.
    context
        What it is read by; what else there is to say of it is added.
    meanings
        What ``[columns]`` says of its columns.

    Raises
    ------
    InputError
        With every finding in it; rows are those that an editor or a spreadsheet shows.
    """
    keys = keys or TableFormat()
    raw = open_table(source, keys)
    try:
        frame = _without_blank_end(clean_text(raw.frame, raw.name))
        if frame.height == 0:
            raise InputError(Finding("the file has a header but no rows", file=raw.name))
    except InputError as error:
        raise InputError(raw.place.of_all(error.findings)) from error
    raw = replace(raw, frame=frame)
    table = _understood(raw, schema, keys, currency, context or TableContext(), meanings).table
    return replace(table, digest=digest_of_source(source, frame), notes=(*source.notes, *table.notes))


def read_in_parts(
    source: Source,
    schema: TableSchema,
    take: Callable[[pl.DataFrame], bool],
    keys: TableFormat | None = None,
    currency: str | None = None,
    progress: Progress = no_progress,
) -> ReadTable | None:
    """Give a table to `take`, part by part in order, as typed frames of some rows; text is as it stands.

    Parameters
    ----------
    source, schema, keys, currency
        As of `read_table`.
    take
        Called with each part; returns whether it wants the others. It has to refuse text that it does not
        know, which may want cleaning, and rows that repeat another's key.
    progress
        Told how many rows were read, of about how many, where there is more than one part.

    Returns
    -------
    ReadTable or None
        The table but for its rows; None if it has to be read whole: to say what is wrong with it, because
        how a cell is written shows in other rows only, or because its form has no parts.
    """
    keys, context, read = keys or TableFormat(), TableContext(), None
    texts = {column.name for column in schema.columns if column.type == "text"}
    schema, rows = replace(schema, key=()), 0
    try:
        for raw in ahead(iter(open_parts(source, keys) or ())):
            part = _understood(raw, schema, keys, currency, context, NOTHING)
            types = part.table.frame.schema
            alone = part.is_plain and all(types[name] == pl.String for name in texts & types.keys())
            if not alone or context.notes or not take(part.table.frame):
                return None
            rows += part.table.frame.height
            if read is not None or raw.until < 1:
                progress(f"read {schema.name}", rows, max(rows, round(rows / raw.until)))
            notes = part.table.notes if read is None else read.notes
            read = replace(part.table, frame=part.table.frame.clear(), notes=notes)
        if read is None:
            return None
        return replace(read, digest=digest_of_source(source, read.frame), notes=(*source.notes, *read.notes))
    except InputError:
        return None


@dataclass(frozen=True)
class _Understood:
    """A table, and whether nothing had to be found out of how its cells are written."""

    table: ReadTable
    is_plain: bool


def _understood(
    raw: RawTable,
    schema: TableSchema,
    keys: TableFormat,
    currency: str | None,
    context: TableContext,
    meanings: Mapping[str, Meaning],
) -> _Understood:
    """Return a table as a typed frame; its digest is still to come."""
    place = raw.place
    try:
        named = name_columns(raw.frame, schema, raw.name, meanings)
        place = _place_of(named, place)
        columns = {name: named.origin.get(name, name) for name in named.frame.columns}
        stored = {name: raw.stored[column] for name, column in columns.items() if column in raw.stored}
        cells = Cells(named.frame, schema, Notation(keys, currency, stored, place), named.renamed)
        parsed = parse_cells(
            cells, schema, raw.name, list(named.findings), context, named.features, named.lacks
        )
    except InputError as error:
        raise InputError(place.of_all(error.findings)) from error
    words = list(dict.fromkeys([*raw.understood, *cells.understood]))
    notes = (*([f"{raw.name} is read with {', '.join(words)}"] if words else []), *named.notes)
    frame = in_whole_units(parsed, named.cents)
    plain = not cells.understood and not named.notes and named.rows is None
    return _Understood(ReadTable(frame, place, "", notes, named.contact), plain)


def _place_of(named: Named, place: Place) -> Place:
    """Return where a table stands whose columns have other names and of whose rows some are left out."""
    own = {column: name for name, column in reversed(list(named.origin.items()))}
    rows = place.rows if named.rows is None else RowsKept(place.rows, named.rows)
    return replace(place, columns=tuple(own.get(column, column) for column in place.columns), rows=rows)


def _without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop the blank lines that editors and spreadsheets leave at the end of a file."""
    last = frame.tail(1000)  # most files end soon after their last row
    rows = last if last.select(_filled()).to_series().any() else frame
    filled = rows.select(_filled()).to_series().arg_true()
    return frame.head(frame.height - rows.height + filled[-1] + 1 if len(filled) else 0)


def _filled() -> pl.Expr:
    return pl.any_horizontal(pl.all().is_not_null())
