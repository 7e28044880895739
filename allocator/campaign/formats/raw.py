"""A table as it stands in its source: cells as text, where each row stands, and what was understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from allocator.errors import Finding

FIRST_ROW = 2  # the header is row 1
Stored = Mapping[str, frozenset[str]]


class Rows:
    """Where the records of a table stand: the header is row 1, the first record row 2."""

    def row(self, record: int, position: int | None = None) -> int | None:
        """Return the row of a record as whoever opens the source counts; None if rows have no number.

        Parameters
        ----------
        record
            Index of the record, from 0; -1 is the header.
        position
            Index of the column that is meant, where a record has several lines.
        """
        return record + FIRST_ROW

    def words(self, record: int) -> str:
        """Return what says which record is meant where rows have no number."""
        return ""


@dataclass(frozen=True)
class RowsBelow(Rows):
    """Records below a header that stands in row `header` of a sheet."""

    header: int

    def row(self, record: int, position: int | None = None) -> int | None:
        """Return the row of the sheet."""
        return record + 1 + self.header


@dataclass(frozen=True)
class NamedRows(Rows):
    """The records of a query, which are named by their first cell."""

    names: pl.Series

    def row(self, record: int, position: int | None = None) -> int | None:
        """Return None."""
        return None

    def words(self, record: int) -> str:
        """Return the first cell of the record."""
        known = 0 <= record < len(self.names) and self.names[record] is not None
        return f", in the row of {self.names.name} {self.names[record]!r}" if known else ""


@dataclass(frozen=True)
class RowsKept(Rows):
    """The records of a table of which some are left out.

    Parameters
    ----------
    of_all
        Where all records stand.
    kept
        Positions among all of those that are left.
    """

    of_all: Rows
    kept: pl.Series

    def row(self, record: int, position: int | None = None) -> int | None:
        """Return the row of a record that is left."""
        return self.of_all.row(self._among_all(record), position)

    def words(self, record: int) -> str:
        """Return what says which record is meant where rows have no number."""
        return self.of_all.words(self._among_all(record))

    def _among_all(self, record: int) -> int:
        return int(self.kept[record]) if 0 <= record < len(self.kept) else record


@dataclass(frozen=True)
class Place:
    """What findings call a table, and where its records and columns stand."""

    name: str = ""
    rows: Rows = field(default_factory=Rows)
    columns: tuple[str, ...] = ()

    def of(self, finding: Finding) -> Finding:
        """Return a finding that counts records from 2 as one about the table as it is."""
        if finding.row is None:
            return replace(finding, file=self.name)
        record = finding.row - FIRST_ROW
        position = self.columns.index(finding.column) if finding.column in self.columns else None
        words = self.rows.words(record)
        message = finding.message + words
        return replace(finding, file=self.name, row=self.rows.row(record, position), message=message)

    def of_all(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the same for several findings."""
        return [self.of(finding) for finding in findings]


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in its source.

    Parameters
    ----------
    name
        What findings call it: a file, a sheet of a file, a query of a database.
    frame
        Every column as text.
    stored
        For columns whose source knows types: which of ``text``, ``number``, ``date`` and ``flag`` their
        cells are. Cells that were no text are written as Allocate writes them.
    rows
        Where the records stand.
    understood
        What was found out and is not as in a plain file, as parts of a sentence.
    until
        For a part of a table, the share of the source that ends with it.
    """

    name: str
    frame: pl.DataFrame
    stored: Stored = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)
    understood: tuple[str, ...] = ()
    until: float = 1.0

    @property
    def place(self) -> Place:
        """Where the table stands."""
        return Place(self.name, self.rows, tuple(self.frame.columns))
