"""One table -> a typed frame, or every finding in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import polars as pl

from allocator.campaign.formats import FIRST_ROW as FIRST_ROW
from allocator.campaign.formats import (
    PROGRAM,
    Kind,
    Notation,
    Place,
    Source,
    TableFormat,
    digest_of_source,
    offer_findings,
    open_table,
    respell,
    source_of_file,
)
from allocator.campaign.schema import CHANNELS, Column, TableSchema
from allocator.errors import Finding, InputError

SHOWN = 5  # findings of one kind in one column that are listed one by one
MOSTLY = 0.95  # a feature with this share of numbers is a number column with stray text in it

LABELS = ("coupon_id", "code", "order_id")
ISO_DAY = r"^\d{4}-\d\d-\d\d"
FRACTION = r"^-?\d+\.\d+$|^-?[\d.]+[eE][+-]?\d+$"
TRUE = ("1", "true", "yes", "y", "t")
FALSE = ("0", "false", "no", "n", "f")
MISSING = ("na", "n/a", "null", "none")
# A date, then perhaps a time of day, then perhaps Z, UTC or an offset such as +08:00, and nothing else.
TIME = (
    r"^(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<clock>(?:[01]\d|2[0-3]):[0-5]\d)(?:(?P<second>:[0-5]\d)(?:\.\d+)?)?"
    r" ?(?:Z|UTC|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?)?$"
)
# What a terminal obeys (C0, C1), line ends of other alphabets, and marks that turn the reading direction.
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\x{2028}\x{2029}\x{202B}\x{202D}\x{202E}\x{2067}]"


@dataclass(frozen=True)
class ReadTable:
    """A table as it was read.

    Parameters
    ----------
    frame
        Columns under canonical names and types.
    place
        Where it stands; its rows and columns are those of `frame`.
    digest
        SHA-256 of the file, or of the rows of a query.
    notes
        What was found out about how it is written, as sentences.
    """

    frame: pl.DataFrame
    place: Place
    digest: str
    notes: tuple[str, ...] = ()


def parse_table(path: Path, schema: TableSchema) -> pl.DataFrame:
    """Read the file `path`; see `read_table`."""
    return read_table(source_of_file(path, schema.name), schema).frame


def read_table(
    source: Source, schema: TableSchema, keys: TableFormat | None = None, currency: str | None = None
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

    Raises
    ------
    InputError
        With every finding in it; rows are those that an editor or a spreadsheet shows.
    """
    keys = keys or TableFormat()
    raw = open_table(source, keys)
    place = raw.place
    try:
        frame = _without_blank_end(clean_text(raw.frame, raw.name))
        if frame.height == 0:
            raise InputError(Finding("the file has a header but no rows", file=raw.name))
        findings: list[Finding] = []
        named = _rename_aliases(frame, schema, raw.name, findings)
        place = replace(place, columns=tuple(named.columns))
        stored = {
            name: raw.stored[column]
            for name, column in zip(named.columns, raw.frame.columns, strict=True)
            if column in raw.stored
        }
        notation = Notation(keys, currency, stored, place)
        parsed, understood = _parse(named, schema, raw.name, notation, findings)
    except InputError as error:
        raise InputError(place.of_all(error.findings)) from error
    words = list(dict.fromkeys([*raw.understood, *understood]))
    notes = (*source.notes, *([f"{raw.name} is read with {', '.join(words)}"] if words else []))
    return ReadTable(parsed, place, digest_of_source(source, frame), notes)


def parse_frame(raw: pl.DataFrame, schema: TableSchema, file: str) -> pl.DataFrame:
    """Parse a frame of text that a program wrote, as `read_table` does a file.

    Parameters
    ----------
    raw
        Cells as text; null where empty.
    schema
        Its columns.
    file
        What findings name.

    Raises
    ------
    InputError
        With every finding; rows count from 2.
    """
    findings: list[Finding] = []
    return _parse(_rename_aliases(raw, schema, file, findings), schema, file, PROGRAM, findings)[0]


def _parse(
    raw: pl.DataFrame, schema: TableSchema, file: str, notation: Notation, findings: list[Finding]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the frame, and what was found out about how its cells are written."""
    known = {column.name: column for column in schema.columns}
    kinds = _kinds(raw, schema)
    texts = {name: _without_missing(raw[name]) for name in kinds}
    respelled = respell(texts, kinds, notation)
    findings += [replace(finding, file=file) for finding in respelled.findings]
    cells = respelled.cells
    findings += _altered_labels(raw, schema, file, notation)
    columns = [
        _parse_column(raw, column, file, findings, cells)
        for column in schema.columns
        if column.name not in respelled.refused
    ]
    for name in raw.columns:
        if name in known or name in respelled.refused:
            continue
        if wrong := _wrong_name(name, schema, file):
            findings.append(wrong)
        elif schema.extra == "error":
            close = ", ".join(sorted(known))
            findings.append(
                Finding("unknown column; rename or remove it", file, 1, name, expected=f"one of {close}")
            )
        elif schema.extra == "measures":
            columns.append(_parse_column(raw, Column(name, "number", required=True), file, findings, cells))
        else:
            columns.append(_parse_feature(raw, name, file, findings, cells))
    frame = pl.DataFrame([series for series in columns if series is not None])
    if {"kind", "value"} <= set(frame.columns):
        found = offer_findings(frame["kind"], raw["value"], respelled)
        findings += [replace(finding, file=file) for finding in found]
    if not findings and schema.key:
        findings += _duplicates(frame, schema.key, file)
    if findings:
        raise InputError(findings)
    return frame, respelled.understood


def _altered_labels(raw: pl.DataFrame, schema: TableSchema, file: str, notation: Notation) -> list[Finding]:
    """Return findings on ids and codes that a spreadsheet or a program took for dates or for fractions."""
    findings: list[Finding] = []
    for column in schema.columns:
        kinds = notation.stored.get(column.name, frozenset())
        if column.type != "text" or not (column.required or column.name in LABELS) or not kinds - {"text"}:
            continue
        text = raw[column.name]
        expected = "text, as in the program that it comes from"
        if "date" in kinds:
            bad = text.str.contains(ISO_DAY).fill_null(False)
            message = "a spreadsheet took this label for a date"
            _report(text, bad, column, expected, file, findings, message)
        if "number" in kinds:
            bad = text.str.contains(FRACTION).fill_null(False)
            message = "this label is stored as a number that has lost digits or has a fraction"
            _report(text, bad, column, expected, file, findings, message)
    return findings


def _kinds(raw: pl.DataFrame, schema: TableSchema) -> dict[str, Kind]:
    """Return what the columns hold whose cells are written in more than one way."""
    kinds: dict[str, Kind] = {}
    for column in schema.columns:
        if column.type in ("date", "time"):
            kinds[column.name] = "date"
        elif column.type in ("number", "integer"):
            kinds[column.name] = column.unit or "number"
    free: Kind | None = {"features": "feature", "measures": "money"}.get(schema.extra)  # type: ignore[assignment]
    known = {column.name for column in schema.columns}
    if free is not None:
        kinds |= {name: free for name in raw.columns if name not in known and not name.startswith("consent_")}
    return {name: kind for name, kind in kinds.items() if name in raw.columns}


def _wrong_name(name: str, schema: TableSchema, file: str) -> Finding | None:
    """Refuse names that have a meaning of their own, here or in a spreadsheet that opens the results."""
    if name in schema.reserved:
        return Finding("this name is Allocate's own; give the column another", file, 1, name)
    if schema.extra != "error" and name[0] in "=+-@":
        message = "a spreadsheet would run this name as a formula; start it with a letter"
        return Finding(message, file, 1, name)
    return None


def clean_text(frame: pl.DataFrame, file: str) -> pl.DataFrame:
    """Strip the cells of a frame of text; empty ones become null. `file` is what findings name.

    Raises
    ------
    InputError
        If a cell holds control characters.
    """
    frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
    _check_characters(frame, file)
    return frame


def _without_blank_end(frame: pl.DataFrame) -> pl.DataFrame:
    """Drop the blank lines that editors and spreadsheets leave at the end of a file."""
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    return frame.head(filled[-1] + 1 if len(filled) else 0)


def _check_characters(frame: pl.DataFrame, file: str) -> None:
    """Refuse control characters: they hide in ids, and a terminal would obey them."""
    findings: list[Finding] = []
    for text in frame.iter_columns():
        bad = text.str.contains(CONTROL).fill_null(False)
        _report(text, bad, Column(text.name), "text without control characters", file, findings)
    if findings:
        raise InputError(findings)


def _rename_aliases(
    raw: pl.DataFrame, schema: TableSchema, file: str, findings: list[Finding]
) -> pl.DataFrame:
    """Give aliased columns their canonical name; the canonical name wins where both are there."""
    renames: dict[str, str] = {}
    for column in schema.columns:
        aliases = [alias for alias in column.aliases if alias in raw.columns]
        if column.name in raw.columns or not aliases:
            continue
        if len(aliases) > 1:
            message = f"more than one column could be '{column.name}'; rename one to '{column.name}'"
            findings.append(Finding(message, file, 1, column.name, found=", ".join(aliases)))
        renames[aliases[0]] = column.name
    return raw.rename(renames)


def _parse_column(
    raw: pl.DataFrame,
    column: Column,
    file: str,
    findings: list[Finding],
    cells: Mapping[str, pl.Series] = MappingProxyType({}),
) -> pl.Series | None:
    """Type a column; `cells` holds those whose cells were respelled."""
    if column.name not in raw.columns:
        if column.required:
            found = ", ".join(raw.columns)
            message = "required column is missing"
            findings.append(Finding(message, file, 1, column.name, found=f"columns {found}"))
            return None
        text = pl.Series(column.name, [None] * raw.height, dtype=pl.String)
    else:
        text = raw[column.name]
        if column.type != "text" or not (column.required or column.label):
            text = _without_missing(text)
    value = _cast(cells.get(column.name, text), column.type)
    _report(text, value.is_null() & text.is_not_null(), column, _EXPECTED[column.type], file, findings)
    if column.required:
        _report(text, text.is_null(), column, "a value in every row", file, findings)
    if column.at_least is not None:
        _report(
            text,
            (value < column.at_least).fill_null(False),
            column,
            f"at least {column.at_least:g}",
            file,
            findings,
        )
    if column.at_most is not None:
        _report(
            text,
            (value > column.at_most).fill_null(False),
            column,
            f"at most {column.at_most:g}",
            file,
            findings,
        )
    if column.one_of:
        allowed = value.is_in(column.one_of).fill_null(True)
        _report(text, ~allowed, column, "one of " + ", ".join(column.one_of), file, findings)
    if column.unique:
        repeat = text.is_not_null() & ~text.is_first_distinct()
        _report(text, repeat, column, "each value once", file, findings, "this value occurs twice")
    return value if column.default is None else value.fill_null(column.default)


_EXPECTED = {
    "text": "text",
    "number": "a number",
    "integer": "a whole number",
    "flag": "1 or 0 (true or false, yes or no)",
    "date": "a date such as 2026-11-30",
    "time": "a date or time such as 2026-11-30 or 2026-11-30T18:00:00",
}


def _cast(text: pl.Series, kind: str) -> pl.Series:
    """Cast text to `kind`; what cannot be cast (NaN and infinity included) becomes null."""
    if kind == "number":
        number = text.cast(pl.Float64, strict=False)
        return _where(number, number.is_finite())
    if kind == "integer":
        number = text.cast(pl.Float64, strict=False)
        return _where(number, number.is_finite() & (number == number.round())).cast(pl.Int64)
    if kind == "flag":
        lower = text.str.to_lowercase()
        return _where(lower.is_in(TRUE), lower.is_in(TRUE + FALSE)).alias(text.name)
    if kind == "date":
        day = text.str.extract(TIME, 1)
        return day.str.to_date("%Y-%m-%d", strict=False)
    if kind == "time":
        return _time(text)
    return text


def _time(text: pl.Series) -> pl.Series:
    """Cast text to times in UTC: what is ahead of UTC is taken off, fractions of a second are left out."""
    parts = text.str.extract_groups(TIME).struct.unnest()
    local = pl.col("day") + "T" + pl.col("clock").fill_null("00:00") + pl.col("second").fill_null(":00")
    minutes = 60 * pl.col("hours").cast(pl.Int64) + pl.col("minutes").cast(pl.Int64).fill_null(0)
    ahead = pl.when(pl.col("sign") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    utc = local.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False) - pl.duration(minutes=ahead)
    return parts.select(utc.alias(text.name)).to_series()


def _without_missing(text: pl.Series) -> pl.Series:
    """Make NA, null and the like null; not in labels, where NA may be North America."""
    return _where(text, ~text.str.to_lowercase().is_in(MISSING))


def _where(value: pl.Series, keep: pl.Series) -> pl.Series:
    return pl.select(pl.when(keep).then(value)).to_series().alias(value.name)


def _parse_feature(
    raw: pl.DataFrame, name: str, file: str, findings: list[Finding], cells: Mapping[str, pl.Series]
) -> pl.Series | None:
    """Type a free column: consent columns are flags; numbers where (almost) all cells are."""
    if name.startswith("consent_"):
        if name.removeprefix("consent_") not in CHANNELS:
            expected = "one of " + ", ".join(f"consent_{channel}" for channel in CHANNELS)
            findings.append(Finding("there is no such channel", file, 1, name, expected=expected))
        return _parse_column(raw, Column(name, "flag", default=False), file, findings)
    label, text = raw[name], _without_missing(raw[name])
    number = cells.get(name, text).cast(pl.Float64, strict=False)
    known = text.len() - text.null_count()
    if known and number.null_count() == text.null_count():
        _report(
            text,
            ~number.is_finite().fill_null(True),
            Column(name),
            "a finite number or an empty cell",
            file,
            findings,
        )
        return number
    if known >= 20 and number.count() >= MOSTLY * known and number.n_unique() > 10:
        stray = number.is_null() & text.is_not_null()
        _report(text, stray, Column(name), "a number, as in the other rows", file, findings)
        return None
    return label


def _report(
    text: pl.Series,
    bad: pl.Series,
    column: Column,
    expected: str,
    file: str,
    findings: list[Finding],
    message: str = "this value cannot be used",
) -> None:
    """Add a finding for the first few bad rows, and one that counts the others."""
    rows = bad.arg_true()
    for i in rows[:SHOWN]:
        cell = text[i]
        found = "an empty cell" if cell is None else repr(cell if len(cell) <= 60 else cell[:57] + "...")
        findings.append(Finding(message, file, i + FIRST_ROW, column.name, found, expected))
    if len(rows) > SHOWN:
        findings.append(
            Finding(
                f"and {len(rows) - SHOWN:,} more rows like this", file, column=column.name, expected=expected
            )
        )


def _duplicates(frame: pl.DataFrame, key: tuple[str, ...], file: str) -> list[Finding]:
    repeat = ~frame.select(pl.struct(key).is_first_distinct()).to_series()
    rows = repeat.arg_true()
    return [
        Finding(
            "this pair occurs twice; keep one row",
            file,
            i + FIRST_ROW,
            " + ".join(key),
            ", ".join(frame[i, k] for k in key),
        )
        for i in rows[:SHOWN]
    ]
