"""The exports of common tools, by their headers."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from allocator.campaign.columns.meanings import Meaning, Meanings, TableName
from allocator.campaign.columns.names import key_of


class Export(BaseModel):
    """One kind of file that a tool writes.

    Parameters
    ----------
    tool, what
        Who writes it, and what it holds.
    table
        The campaign's table that it is.
    sources
        Where its columns are documented.
    header
        Its first line, as it is documented or as it was found.
    marks
        Columns that together tell it from other files.
    columns
        What its columns are.
    asks
        Columns whose unit it does not state.
    lacks
        Columns of the table that it does not have, and how to come by them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    what: str
    table: TableName
    sources: tuple[str, ...]
    header: str
    marks: tuple[str, ...]
    columns: Meanings = {}
    asks: tuple[str, ...] = ()
    lacks: Mapping[str, str] = {}

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.tool}'s {self.what}"

    def names(self) -> list[str]:
        """Return the columns of its header."""
        return next(csv.reader([self.header]))

    def fits(self, keys: frozenset[str]) -> bool:
        """Return whether a header, as keys, has the columns that tell this export."""
        return keys.issuperset(map(key_of, self.marks))


@cache
def exports() -> tuple[Export, ...]:
    """Return all exports that are known, in the order of the documentation."""
    return tuple(Export.model_validate(table) for table in _load("exports.toml")["export"])


@cache
def other_names() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return what people and tools call the columns of each table, by the column's own name."""
    tables = _load("other_names.toml")
    return {
        table: {name: tuple(names) for name, names in columns.items()} for table, columns in tables.items()
    }


@cache
def other_values() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return what is written for the values of a column, by table, column and key of what is written."""
    return {
        table: {
            column: {key_of(word): value for value, words in values.items() for word in (value, *words)}
            for column, values in columns.items()
        }
        for table, columns in _load("other_values.toml").items()
    }


def recognised(header: Iterable[str], table: str | None = None) -> Export | None:
    """Return the export that a header is of: of those whose marks it has, the one it shares most with."""
    keys = frozenset(map(key_of, header))
    found = [export for export in exports() if export.fits(keys) and table in (None, export.table)]
    return max(found, key=lambda export: (_shared(export, keys), len(export.marks)), default=None)


def _shared(export: Export, keys: frozenset[str]) -> int:
    return len(keys & set(map(key_of, export.names())))


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(files("allocator.campaign.columns").joinpath(name).read_text(encoding="utf-8"))


__all__ = ["Export", "Meaning", "exports", "other_names", "recognised"]
