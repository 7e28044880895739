"""One table -> a typed frame, or every finding in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import polars as pl

from allocator.campaign.cells import Cells
from allocator.campaign.columns.applying import in_whole_units
from allocator.campaign.columns.meanings import NOTHING, Meaning
from allocator.campaign.consent.contact import Contact
from allocator.campaign.formats import FIRST_ROW as FIRST_ROW
from allocator.campaign.formats import PROGRAM
from allocator.campaign.naming import name_columns
from allocator.campaign.schema import Column, TableSchema
from allocator.errors import Finding, InputError

SHOWN = 5  # findings of one kind in one column that are listed one by one
MOSTLY = 0.95  # a feature with this share of numbers is a number column with stray text in it

TRUE = ("1", "true", "yes", "y", "t")
FALSE = ("0", "false", "no", "n", "f")
# A date, then perhaps a time of day, then perhaps Z, UTC or an offset such as +08:00, and nothing else.
TIME = (
    r"^(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<clock>(?:[01]\d|2[0-3]):[0-5]\d)(?:(?P<second>:[0-5]\d)(?:\.\d+)?)?"
    r" ?(?:Z|UTC|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?)?$"
)
# What a terminal obeys (C0, C1), line ends of other alphabets, and marks that turn the reading direction.
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\x{2028}\x{2029}\x{202B}\x{202D}\x{202E}\x{2067}]"
NOTHING_LACKS: Mapping[str, str] = {}
UNCLEAN = rf"^(?:\s|$)|\s$|{CONTROL}"


@dataclass(frozen=True)
class Parsed:
    """A typed frame, what it says of who may be contacted, and what is worth a note."""

    frame: pl.DataFrame
    contact: Contact
    notes: tuple[str, ...]


def parse_frame(raw: pl.DataFrame, schema: TableSchema, file: str) -> pl.DataFrame:
    """Return the frame of `parse`."""
    return parse(raw, schema, file).frame


def parse(
    raw: pl.DataFrame, schema: TableSchema, file: str, meanings: Mapping[str, Meaning] = NOTHING
) -> Parsed:
    """Parse a frame of text that a program wrote, as `read_table` does a file.

    Parameters
    ----------
    raw
        Cells as text; null where empty.
    schema
        Its columns.
    file
        What findings name.
    meanings
        What ``[columns]`` says of the columns.

    Raises
    ------
    InputError
        With every finding; rows count from 2.
    """
    named = name_columns(raw, schema, file, meanings)
    findings = list(named.findings)
    cells = Cells(named.frame, schema, PROGRAM)
    try:
        frame = parse_cells(cells, schema, file, findings, named.features, named.lacks)
    except InputError as error:
        raise InputError([_of_file(finding, named.rows) for finding in error.findings]) from error
    return Parsed(in_whole_units(frame, named.cents), named.contact, named.notes)


def _of_file(finding: Finding, rows: pl.Series | None) -> Finding:
    """Return a finding on a row of what was kept as one on the row of the whole."""
    if rows is None or finding.row is None or finding.row < FIRST_ROW:
        return finding
    return replace(finding, row=int(rows[finding.row - FIRST_ROW]) + FIRST_ROW)


def parse_cells(
    cells: Cells,
    schema: TableSchema,
    file: str,
    findings: list[Finding],
    features: Collection[str] = (),
    lacks: Mapping[str, str] = NOTHING_LACKS,
) -> pl.DataFrame:
    """Return the typed frame of a table whose columns have their canonical names.

    Parameters
    ----------
    cells, schema
        The table.
    file
        What findings name.
    findings
        What is known to be wrong; more is added.
    features
        Columns that are features whatever their names say.
    lacks
        Why a column may be missing, by its name.

    Raises
    ------
    InputError
        With `findings` and every finding more; rows count from 2.
    """
    findings += cells.findings(schema, file)
    columns = [
        _parse_column(cells, column, file, findings)
        for column in schema.columns
        if column.name not in cells.refused
    ]
    known = {column.name for column in schema.columns}
    for name in cells.raw.columns:
        if name in known or name in cells.refused:
            continue
        if wrong := _wrong_name(name, schema, file):
            findings.append(wrong)
        elif name in schema.contact and name not in features:
            columns.append(_parse_column(cells, Column(name, "flag", default=False), file, findings))
        elif schema.extra == "measures":
            columns.append(_parse_column(cells, Column(name, "number", required=True), file, findings))
        elif schema.extra == "features":
            columns.append(_parse_feature(cells, name, file, findings))
    findings[:] = [_with_reason(finding, lacks) for finding in findings]
    frame = pl.DataFrame([series for series in columns if series is not None])
    findings += cells.findings_by_kind(frame, file)
    if not findings and schema.key:
        findings += _duplicates(frame, schema.key, file)
    if findings:
        raise InputError(findings)
    return frame


def _with_reason(finding: Finding, lacks: Mapping[str, str]) -> Finding:
    """Say why an export does not have a column that is required."""
    why = lacks.get(finding.column or "") if finding.row == 1 else None
    return replace(finding, message=f"{finding.message}; {why}") if why else finding


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
    unclean = [text for text in frame.iter_columns() if text.str.contains(UNCLEAN).any()]
    cleaned = [text.str.strip_chars().replace("", None) for text in unclean]  # a name such as * is no pattern
    _check_characters(cleaned, file)
    return frame.with_columns(cleaned)


def _check_characters(columns: list[pl.Series], file: str) -> None:
    """Refuse control characters: they hide in ids, and a terminal would obey them."""
    findings: list[Finding] = []
    for text in columns:
        bad = text.str.contains(CONTROL).fill_null(False)
        _report(text, bad, Column(text.name), "text without control characters", file, findings)
    if findings:
        raise InputError(findings)


def _parse_column(cells: Cells, column: Column, file: str, findings: list[Finding]) -> pl.Series | None:
    raw = cells.raw
    if column.name not in raw.columns:
        if column.required:
            found = ", ".join(raw.columns)
            message = "required column is missing" + cells.header_below(column.name)
            findings.append(Finding(message, file, 1, column.name, found=f"columns {found}"))
            return None
        text = pl.Series(column.name, [None] * raw.height, dtype=pl.String)
        value = _cast(text, column.type)
    elif column.type == "text" and (column.required or column.label):
        value = text = raw[column.name]
    else:
        text = cells.known(column.name)
        value = _cast(cells.spelled(column.name), column.type)
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


def _where(value: pl.Series, keep: pl.Series) -> pl.Series:
    return pl.select(pl.when(keep).then(value)).to_series().alias(value.name)


def _parse_feature(cells: Cells, name: str, file: str, findings: list[Finding]) -> pl.Series | None:
    """Type a free column: numbers where (almost) all cells are."""
    label, text = cells.raw[name], cells.known(name)
    number = cells.spelled(name).cast(pl.Float64, strict=False)
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
