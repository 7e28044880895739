"""One file -> which table it is and what its columns are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from allocator.campaign.columns.exports import Export
from allocator.campaign.columns.matching import Match, match_header
from allocator.campaign.columns.meanings import FEATURE, IGNORE, Meaning, meaning_as
from allocator.campaign.columns.names import words_of
from allocator.campaign.consent.reading import Aside, Doubt, Statement, meaning_of, read_column
from allocator.campaign.formats import FileFacts, look_at, open_table
from allocator.campaign.guess.encoding import guess_encoding
from allocator.campaign.schema import COUPONS, EVENTS, HISTORY, ORDERS, SCORES, USERS, TableSchema
from allocator.campaign.tables import clean_text

SCHEMAS = {schema.name: schema for schema in (USERS, COUPONS, HISTORY, EVENTS, ORDERS, SCORES)}
WORDS = """
users: user users customer customers contact contacts subscriber subscribers profile profiles audience
    member members people recipients clients kunden
coupons: coupon coupons discount discounts voucher vouchers promo promos promotion promotions code codes
    offers gutscheine
history: history send sends sent mailing mailings campaigns treatments
events: event events click clicks view views behaviour behavior clickstream
orders: order orders purchase purchases transaction transactions payment payments sale sales bestellungen
scores: score scores prediction predictions
"""
FILE_WORDS = {
    table: frozenset(words.split())
    for table, words in re.findall(r"^(\w+): ((?:.|\n )+)$", WORDS, re.MULTILINE)
}
"""Words of files' names that speak for a table."""
NAMED = 2.5  # what a file's name counts, in columns
CERTAIN = 100.0  # an export that is known
FLAGS = 2  # different cells that a flag may have
HOLDS = {"date": "date", "time": "date", "number": "number", "integer": "number", "flag": "number"}


@dataclass(frozen=True)
class ColumnGuess:
    """What one column of a file is taken to be.

    Parameters
    ----------
    column, samples
        Its name, and cells of it.
    meaning
        What campaign.toml is to say of it; None where only a person can.
    why
        What it was taken by, or what is asked.
    choices
        What campaign.toml could say, where it is asked.
    """

    column: str
    samples: tuple[str, ...]
    meaning: Meaning | None
    why: str
    choices: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What it is, for people."""
        return " and ".join(self.meaning.is_) if self.meaning else "?"


@dataclass(frozen=True)
class FileGuess:
    """What a file is taken to be.

    Parameters
    ----------
    path
        The file; a sheet of a workbook has its name after ``#`` in `name`.
    name
        What messages call it.
    facts
        Of its form.
    frame
        Its cells as text.
    table
        Which table it is; None if it is none.
    export
        The tool's export that it is, if it is one that is known.
    columns
        What its columns are; those that are not there are features, or of no use.
    others
        Columns that are not used.
    scores
        How much speaks for each table.
    encoding
        What the file was taken to be written in, where it is not UTF-8.
    """

    path: Path
    name: str
    facts: FileFacts
    frame: pl.DataFrame
    table: str | None
    export: Export | None = None
    columns: tuple[ColumnGuess, ...] = ()
    others: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    encoding: str | None = None

    def column_of(self, own: str) -> str | None:
        """Return the file's column that is the table's column `own`."""
        return next((c.column for c in self.columns if c.meaning and own in c.meaning.is_), None)


def look(path: Path, sheet: str | None = None) -> FileGuess:
    """Open a file and find out which table it is.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    keys = guess_encoding(path)
    facts = look_at(path, sheet, keys)
    raw = open_table(facts.source, keys)
    frame = clean_text(raw.frame, raw.name)
    scores = {name: _score(schema, frame.columns, raw.name) for name, schema in SCHEMAS.items()}
    best = max(scores, key=lambda name: scores[name])
    table = best if scores[best] > 0 else None
    encoding = None if keys is None else keys.encoding
    return FileGuess(path, raw.name, facts, frame, table, scores=scores, encoding=encoding)


def _score(schema: TableSchema, header: list[str], name: str) -> float:
    """Return how much speaks for a table: its columns, those that it needs thrice, and the file's name."""
    match = match_header(header, schema, name)
    if match.export is not None:
        return CERTAIN
    found = set(match.names) | ({"kind", "value"} if set(schema.parts) & set(match.names) else set())
    needed = {column.name for column in schema.columns if column.required}
    named = bool(FILE_WORDS[schema.name] & set(words_of(Path(name.partition("#")[0]).stem)))
    return len(found) + 2 * len(needed & found) - len(needed - found) + NAMED * named


def read_columns(guess: FileGuess) -> FileGuess:
    """Find out what the columns of a file are whose table is known."""
    if guess.table is None:
        return guess
    schema = SCHEMAS[guess.table]
    match = match_header(guess.frame.columns, schema, guess.name)
    found = [*_known(match, guess), *(_contact(match, guess) if schema.contact else ())]
    found += _missing(schema, match, guess, {column.column for column in found})
    taken = {column.column for column in found}
    others = tuple(name for name in guess.frame.columns if name not in taken)
    return replace(guess, export=match.export, columns=tuple(found), others=others)


def _known(match: Match, guess: FileGuess) -> Iterator[ColumnGuess]:
    own: dict[str, list[str]] = {}
    for name, column in match.names.items():
        own.setdefault(column, []).append(name)
    asked = {} if match.export is None else dict.fromkeys(match.export.asks)
    by = f"as in {match.export.title}" if match.export is not None else "by its name"
    for column, names in own.items():
        meaning = match.meanings.get(column, meaning_as(*names))
        meaning = meaning.model_copy(update={"is_": tuple(names)})
        if column in asked:
            choices = tuple(f'{{ is = "{names[0]}", unit = "{unit}" }}' for unit in ("cents", "one"))
            yield ColumnGuess(column, _samples(guess, column), None, "amounts may be in cents", choices)
        else:
            yield ColumnGuess(column, _samples(guess, column), meaning, by)
    for column, meaning in match.meanings.items():
        if column not in own and (meaning.name != IGNORE or meaning.only):
            yield ColumnGuess(column, _samples(guess, column), meaning, by)


def _missing(schema: TableSchema, match: Match, guess: FileGuess, taken: set[str]) -> Iterator[ColumnGuess]:
    """Yield the columns that could be one that the table needs and that no name says, as questions."""
    for column in schema.columns:
        whole = column.name in ("kind", "value") and bool(set(schema.parts) & set(match.names))
        if not column.required or column.name in match.names or column.type not in HOLDS or whole:
            continue
        lacks = {} if match.export is None else match.export.lacks
        for facts in guess.facts.columns:
            if facts.name in taken or column.name in lacks:
                continue
            if facts.holds == HOLDS[column.type] and (column.type != "flag" or facts.distinct <= FLAGS):
                why = f"{guess.table} needs '{column.name}'; it could be this one"
                choices = (f'"{column.name}"', f'"{IGNORE}"')
                yield ColumnGuess(facts.name, facts.samples, None, why, choices)


def _contact(match: Match, guess: FileGuess) -> Iterator[ColumnGuess]:
    """Yield what columns say of who may be contacted, and what must be asked of them."""
    known = {*match.names.values(), *match.meanings}
    for name in guess.frame.columns:
        if name in known:
            continue
        found = read_column(guess.frame[name])
        samples = _samples(guess, name)
        if isinstance(found, Doubt):
            choices = tuple(f'"{word}"' for word in dict.fromkeys((found.guess, FEATURE, IGNORE)))
            yield ColumnGuess(name, samples, None, found.why, choices)
        elif isinstance(found, Aside):
            meaning = meaning_as(IGNORE)
            yield ColumnGuess(name, samples, meaning, "about consent, but not whether there is one")
        elif found:
            yield _stated(name, samples, found)


def _stated(name: str, samples: tuple[str, ...], found: list[Statement]) -> ColumnGuess:
    first = found[0]
    if len(found) > 1 or not first.channels or not first.speech.grants:
        # What no word of campaign.toml says is left to be read from its name and cells, as it was here.
        return ColumnGuess(name, samples, None, f"read by itself: {first.how}")
    return ColumnGuess(name, samples, meaning_as(meaning_of(first.speech)), first.how)


def _samples(guess: FileGuess, column: str) -> tuple[str, ...]:
    return next((facts.samples for facts in guess.facts.columns if facts.name == column), ())
