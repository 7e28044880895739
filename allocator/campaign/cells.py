"""The cells of a table: as they stand, without words for nothing, and respelled as Allocate reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from allocator.campaign.cell_types import MISSING, UNLIMITED, without
from allocator.campaign.formats import FIRST_ROW, Kind, Notation, as_plain, offer_findings, respell
from allocator.campaign.schema import TableSchema
from allocator.errors import Finding

SHOWN = 5
TOP = 20  # rows among which the header may be
LABELS = ("coupon_id", "code", "order_id")
ISO_DAY = r"^\d{4}-\d\d-\d\d"
FRACTION = r"^-?\d+\.\d+$|^-?[\d.]+[eE][+-]?\d+$"


class Cells:
    """The cells of a table.

    Parameters
    ----------
    raw
        Text, or numbers with a fraction that the source knows as such, null where empty; columns have their
        canonical names.
    schema
        Its columns.
    notation
        How cells are written.
    origin
        Names that columns had before, where they had others.
    """

    def __init__(
        self,
        raw: pl.DataFrame,
        schema: TableSchema,
        notation: Notation,
        origin: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.raw, self.origin = raw, origin
        self._unlimited = {column.name for column in schema.columns if column.unlimited}
        self._notation = notation
        self._known: dict[str, pl.Series] = {}
        kinds = _kinds(raw, schema)
        numbers = {name: as_plain(raw[name]) for name, kind in kinds.items() if kind != "date"}
        self._plain = {name: number for name, number in numbers.items() if number is not None}
        texts = {name: self.known(name) for name in kinds if raw.schema[name] == pl.String}
        self._respelled = respell(texts, kinds, notation, self._plain.keys())

    def known(self, name: str) -> pl.Series:
        """Return a column's text, null also where it says that there is nothing.

        Not for labels, where NA may be North America.
        """
        if name in self._plain:
            return self.raw[name]
        if name not in self._known:
            words = MISSING + UNLIMITED if name in self._unlimited else MISSING
            self._known[name] = without(self.raw[name], words)
        return self._known[name]

    def spelled(self, name: str) -> pl.Series:
        """Return a column's text respelled; a cell that is no number, or no date, is as in `known`."""
        cells = self._respelled.cells.get(name)
        return self.known(name) if cells is None else cells

    def castable(self, name: str) -> pl.Series:
        """Return a column as in `spelled`, or the numbers that its cells are, where nothing was respelled."""
        if name in self._plain and name not in self._respelled.cells:
            return self._plain[name]
        return self.spelled(name)

    def header_below(self, name: str) -> str:
        """Return words on a row near the top that holds a column's name: it may be the header."""
        for record, row in enumerate(self.raw.head(TOP).iter_rows()):
            if name in row and (line := self._notation.place.rows.row(record)) is not None:
                return f"; row {line} holds this name: if it is the header, state skip_rows = {line - 1}"
        return ""

    @property
    def refused(self) -> frozenset[str]:
        """Columns that cannot be read surely."""
        return self._respelled.refused

    @property
    def understood(self) -> tuple[str, ...]:
        """What was found out about how cells are written, as parts of a sentence."""
        return self._respelled.understood

    def findings(self, schema: TableSchema, file: str) -> list[Finding]:
        """Return what is unsure of cells, and labels that a spreadsheet or a program has altered."""
        found = [*self._respelled.findings, *self._altered_labels(schema)]
        return [replace(finding, file=file) for finding in found]

    def findings_by_kind(self, frame: pl.DataFrame, file: str) -> list[Finding]:
        """Return findings on signs beside an offer's value that do not fit its kind."""
        if not {"kind", "value"} <= set(frame.columns):
            return []
        found = offer_findings(frame["kind"], self.known("value"), self._respelled)
        return [replace(finding, file=file) for finding in found]

    def _altered_labels(self, schema: TableSchema) -> list[Finding]:
        """Return findings on ids and codes that were taken for dates or for numbers with a fraction."""
        findings: list[Finding] = []
        for column in schema.columns:
            kinds = self._notation.stored.get(column.name, frozenset())
            if column.type != "text" or not (column.required or column.name in LABELS):
                continue
            text = self.raw[column.name] if kinds else pl.Series(dtype=pl.String)
            for kind, pattern, message in (
                ("date", ISO_DAY, "a spreadsheet took this label for a date"),
                ("number", FRACTION, "this label is stored as a number that lost digits or has a fraction"),
            ):
                rows = text.str.contains(pattern).fill_null(False).arg_true() if kind in kinds else ()
                expected = "text, as in the program that it comes from"
                findings += [
                    Finding(message, None, i + FIRST_ROW, column.name, repr(text[i]), expected)
                    for i in rows[:SHOWN]
                ]
        return findings


def _kinds(raw: pl.DataFrame, schema: TableSchema) -> dict[str, Kind]:
    """Return what the columns hold whose cells are written in more than one way."""
    kinds: dict[str, Kind] = {}
    for column in schema.columns:
        if column.type in ("date", "time"):
            kinds[column.name] = "date"
        elif column.type in ("number", "integer"):
            kinds[column.name] = column.unit or "number"
    free: dict[str, Kind] = {"features": "feature", "measures": "money"}
    known = {column.name for column in schema.columns}
    if schema.extra in free:
        others = [name for name in raw.columns if name not in known and not name.startswith("consent_")]
        kinds |= dict.fromkeys(others, free[schema.extra])
    return {name: kind for name, kind in kinds.items() if name in raw.columns}
