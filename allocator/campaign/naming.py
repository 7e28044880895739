"""The columns of a file under its table's own names, and who may be contacted by what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from allocator.campaign.columns.applying import apply
from allocator.campaign.columns.matching import Match, match_header
from allocator.campaign.columns.meanings import NOTHING, Meaning
from allocator.campaign.columns.names import key_of
from allocator.campaign.consent.contact import NO_CONTACT, Contact, read_contact
from allocator.campaign.schema import TableSchema
from allocator.errors import Finding


@dataclass(frozen=True)
class Named:
    """A table under its own names.

    Parameters
    ----------
    frame
        As text; columns that are not known keep their names.
    origin
        The file's name of each column of `frame` that has another there.
    rows
        Positions in the file of the rows of `frame`; None if all are there.
    cents
        Columns whose amounts are in cents.
    features
        Columns that are known to be features, whatever their names say.
    lacks
        Why a column is not in an export, by its name.
    contact
        What the columns say of who may be contacted.
    findings, notes
        What is wrong, with rows of `frame`; what was understood and what was left out.
    """

    frame: pl.DataFrame
    origin: Mapping[str, str]
    rows: pl.Series | None
    cents: tuple[str, ...]
    features: tuple[str, ...]
    lacks: Mapping[str, str]
    contact: Contact
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def renamed(self) -> Mapping[str, str]:
        """The file's name of each column that has another in the frame, not just in its case and spacing."""
        return {own: name for own, name in self.origin.items() if key_of(own) != key_of(name)}


def name_columns(
    raw: pl.DataFrame, schema: TableSchema, file: str, meanings: Mapping[str, Meaning] = NOTHING
) -> Named:
    """Find out what each column of a file is, and give it the table's own name.

    Parameters
    ----------
    raw
        The file as text; null where empty.
    schema
        The table that it is.
    file
        What findings and notes call it.
    meanings
        What ``[columns]`` says of it.
    """
    match = match_header(raw.columns, schema, file, meanings)
    applied = apply(match, raw, file)
    frame, contact = applied.frame, NO_CONTACT
    findings = [*match.findings, *applied.findings]
    if schema.contact:
        translated = [name for name, meaning in match.meanings.items() if meaning.values]
        others = (*match.names, *match.features)
        reading = read_contact(frame, file, match.stated, others, translated)
        frame, contact = reading.frame, reading.contact
        findings += reading.findings
    lacks = {} if match.export is None else match.export.lacks
    notes = (*_export_notes(match, file), *applied.notes, *contact.notes)
    return Named(
        frame,
        match.names,
        applied.rows,
        applied.cents,
        match.features,
        lacks,
        contact,
        tuple(findings),
        notes,
    )


def _export_notes(match: Match, file: str) -> Iterator[str]:
    if match.export is None:
        return
    known = [f"'{name}' is {own}" for own, name in match.names.items()]
    known += [f"'{name}' is {meaning}" for name, meaning in match.stated.items()]
    unused = f"; {len(match.ignored):,} columns are not used" if match.ignored else ""
    yield f"{file} is read as {match.export.title}: {', '.join(known)}{unused}"
