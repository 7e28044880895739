"""One table -> a typed frame, or every finding in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl

from allocator.campaign import cell_types, instants, label_spelling
from allocator.campaign.cells import Cells
from allocator.campaign.columns.applying import in_whole_units
from allocator.campaign.columns.meanings import NOTHING, Meaning
from allocator.campaign.consent.contact import Contact
from allocator.campaign.formats import FIRST_ROW as FIRST_ROW
from allocator.campaign.formats import PROGRAM
from allocator.campaign.naming import name_columns
from allocator.campaign.schema import Column, TableSchema
from allocator.campaign.table_context import TableContext
from allocator.errors import Finding, InputError
from allocator.wording import counted

SHOWN = 5  # findings of one kind in one column that are listed one by one
MOSTLY = 0.95  # a feature with this share of numbers is a number column with stray text in it

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


def parse_frame(
    raw: pl.DataFrame, schema: TableSchema, file: str, context: TableContext | None = None
) -> pl.DataFrame:
    """Return the frame of `parse`."""
    return parse(raw, schema, file, context=context).frame


def parse(
    raw: pl.DataFrame,
    schema: TableSchema,
    file: str,
    meanings: Mapping[str, Meaning] = NOTHING,
    context: TableContext | None = None,
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
    context
        What it is read by; what else there is to say of it is added.

    Raises
    ------
    InputError
        With every finding; rows count from 2.
    """
    named = name_columns(raw, schema, file, meanings)
    findings = list(named.findings)
    cells = Cells(named.frame, schema, PROGRAM, named.renamed)
    try:
        frame = parse_cells(
            cells, schema, file, findings, context or TableContext(), named.features, named.lacks
        )
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
    context: TableContext,
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
    context
        What it is read by; what else there is to say of it is added.
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
        _parse_column(cells, column, file, findings, context)
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
            contact = Column(name, "flag", default=False)
            columns.append(_parse_column(cells, contact, file, findings, context))
        elif schema.extra == "measures":
            measure = Column(name, "number", required=True)
            columns.append(_parse_column(cells, measure, file, findings, context))
        elif schema.extra == "features":
            columns.append(_parse_feature(cells, name, file, findings, context))
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
    """Strip the cells of text; empty ones become null. `file` is what findings name.

    Raises
    ------
    InputError
        If a cell holds control characters.
    """
    texts = (column for column in frame.iter_columns() if column.dtype == pl.String)
    unclean = [text for text in texts if text.str.contains(UNCLEAN).any()]
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


def _parse_column(
    cells: Cells, column: Column, file: str, findings: list[Finding], context: TableContext
) -> pl.Series | None:
    raw = cells.raw
    if column.name not in raw.columns:
        if column.required:
            found = ", ".join(raw.columns)
            message = "required column is missing" + cells.header_below(column.name)
            findings.append(Finding(message, file, 1, column.name, found=f"columns {found}"))
            return None
        empty = pl.Series(column.name, [column.default], dtype=DTYPES[column.type])
        return empty.new_from_index(0, raw.height)
    if column.type == "text" and (column.required or column.label):
        text = spelled = raw[column.name]
    else:
        text, spelled = cells.known(column.name), cells.spelled(column.name)
    if column.zero_is_none and column.name in cells.origin:
        text, spelled = _without_zeros(text, spelled, f"{file}, {cells.origin[column.name]}", context)
    as_number = column.type == "number" and not column.zero_is_none
    value = _cast(cells.castable(column.name) if as_number else spelled, column, context.time_zone)
    if column.type == "date" and (
        note := instants.days_note(spelled, value, column.bound, context.time_zone)
    ):
        context.notes.append(f"{file}, {column.name}: {note}")
    none = ", or an empty cell where there is no limit" if column.unlimited else ""
    _report(text, value.is_null() & text.is_not_null(), column, _EXPECTED[column.type] + none, file, findings)
    if column.required:
        _report(text, text.is_null(), column, "a value in every row", file, findings)
    for outside, bound in _outside(value, column):
        _report(text, outside.fill_null(False), column, bound + none, file, findings)
    if column.one_of:
        allowed = value.is_in(column.one_of).fill_null(True)
        _report(text, ~allowed, column, "one of " + ", ".join(column.one_of), file, findings)
    if column.unique:
        repeat = text.is_not_null() & ~text.is_first_distinct()
        _report(text, repeat, column, "each value once", file, findings, "this value occurs twice")
    return value if column.default is None else value.fill_null(column.default)


def _without_zeros(
    text: pl.Series, spelled: pl.Series, place: str, context: TableContext
) -> tuple[pl.Series, pl.Series]:
    """Make null the zeros under another tool's name, where that tool means no limit, and say so."""
    zero = (spelled.cast(pl.Float64, strict=False) == 0).fill_null(False)
    if n := int(zero.sum()):
        rows = counted(n, "row")
        context.notes.append(f"{place}: 0 is read as no limit, as its exporter means it ({rows})")
    return cell_types.where(text, ~zero), cell_types.where(spelled, ~zero)


def _outside(value: pl.Series, column: Column) -> Iterator[tuple[pl.Series, str]]:
    """Yield where a value breaks each of the column's bounds, with the bound in words."""
    if column.above is not None:
        yield value <= column.above, f"above {column.above:g}"
    if column.at_least is not None:
        yield value < column.at_least, f"at least {column.at_least:g}"
    if column.at_most is not None:
        yield value > column.at_most, f"at most {column.at_most:g}"


DTYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "text": pl.String, "number": pl.Float64, "integer": pl.Int64, "flag": pl.Boolean, "date": pl.Date,
    "time": pl.Datetime("us"),
}  # fmt: skip
_EXPECTED = {**cell_types.EXPECTED, **instants.EXPECTED}


def _cast(text: pl.Series, column: Column, time_zone: str | None) -> pl.Series:
    """Cast text to the column's type; what cannot be cast becomes null."""
    if column.type == "number":
        return cell_types.cast_number(text)
    if column.type == "integer":
        return cell_types.cast_integer(text)
    if column.type == "flag":
        return cell_types.cast_flag(text)
    if column.type == "date":
        return instants.days(text, column.bound, time_zone)
    if column.type == "time":
        return instants.times(text, time_zone)
    return text


def _parse_feature(
    cells: Cells, name: str, file: str, findings: list[Finding], context: TableContext
) -> pl.Series | None:
    """Type a free column: numbers where (almost) all cells are."""
    label, text, respelled = cells.raw[name], cells.known(name), cells.spelled(name)
    number = cells.castable(name).cast(pl.Float64, strict=False)
    known = text.len() - text.null_count()
    if not known or number.count() < MOSTLY * known or (known < 20 and number.count() < known):
        return label
    distinct = label_spelling.distinct_cells(respelled)
    if distinct is not None and (code := label_spelling.code_among(distinct)) is not None:
        shown = label_spelling.without_digits(code)
        context.notes.append(f"{file}, {name}: values such as '{shown}' are read as labels, not as numbers")
        return label
    if number.null_count() > text.null_count():
        if number.n_unique() <= 10:
            return label
        stray = number.is_null() & text.is_not_null()
        _report(text, stray, Column(name), "a number, as in the other rows", file, findings)
        return None
    finite = number.is_finite().fill_null(True)
    _report(text, ~finite, Column(name), "a finite number or an empty cell", file, findings)
    if distinct is not None and finite.all():
        if (twice := label_spelling.one_number(distinct)) is not None:
            context.notes.append(f"{file}, {name}: {twice} are one number, and one label")
        if spelled := label_spelling.spellings(distinct):
            context.spellings[name] = spelled
    return number


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
        cell = None if text[i] is None else str(text[i])
        found = "an empty cell" if cell is None else repr(cell if len(cell) <= 60 else cell[:57] + "...")
        findings.append(Finding(message, file, i + FIRST_ROW, column.name, found, expected))
    if len(rows) > SHOWN:
        findings.append(
            Finding(
                f"and {len(rows) - SHOWN:,} more rows like this", file, column=column.name, expected=expected
            )
        )


def _duplicates(frame: pl.DataFrame, key: tuple[str, ...], file: str) -> list[Finding]:
    hashes = frame.select(pl.struct(pl.col(name).hash() for name in key).hash()).to_series()
    if hashes.n_unique() == len(hashes):  # equal keys have equal hashes
        return []
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
