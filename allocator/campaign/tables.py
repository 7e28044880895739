"""One CSV or Parquet file -> a typed frame, or every finding in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from allocator.campaign import cell_types, instants, label_spelling
from allocator.campaign.cell_types import MISSING, UNLIMITED, without
from allocator.campaign.schema import CHANNELS, Column, TableSchema
from allocator.campaign.table_context import TableContext
from allocator.errors import Finding, InputError
from allocator.wording import counted

FIRST_ROW = 2  # the header is line 1
SHOWN = 5  # findings of one kind in one column that are listed one by one
MOSTLY = 0.95  # a feature with this share of numbers is a number column with stray text in it

# What a terminal obeys (C0, C1), line ends of other alphabets, and marks that turn the reading direction.
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\x{2028}\x{2029}\x{202B}\x{202D}\x{202E}\x{2067}]"


def parse_table(path: Path, schema: TableSchema, context: TableContext | None = None) -> pl.DataFrame:
    """Read `path` and return a frame with the schema's columns under canonical names and types.

    What else there is to say of the table is added to `context`.

    Raises
    ------
    InputError
        With every finding in the file.
    """
    return parse_frame(_read_text_frame(path), schema, path.name, context)


def parse_frame(
    raw: pl.DataFrame, schema: TableSchema, file: str, context: TableContext | None = None
) -> pl.DataFrame:
    """Parse a frame of text as `parse_table` does a file; `file` is what findings name.

    Raises
    ------
    InputError
        With every finding.
    """
    findings: list[Finding] = []
    context = context or TableContext()
    raw = _rename_aliases(raw, schema, file, findings, context)
    columns = [_parse_column(raw, column, file, findings, context) for column in schema.columns]
    known = {column.name for column in schema.columns}
    for name in raw.columns:
        if name in known:
            continue
        if wrong := _wrong_name(name, schema, file):
            findings.append(wrong)
        elif schema.extra == "error":
            close = ", ".join(sorted(known))
            findings.append(
                Finding("unknown column; rename or remove it", file, 1, name, expected=f"one of {close}")
            )
        elif schema.extra == "measures":
            measure = Column(name, "number", required=True)
            columns.append(_parse_column(raw, measure, file, findings, context))
        else:
            columns.append(_parse_feature(raw, name, file, findings, context))
    present = [series for series in columns if series is not None]
    if not findings and schema.key:
        findings += _duplicates(pl.DataFrame(present), schema.key, file)
    if findings:
        raise InputError(findings)
    return pl.DataFrame(present)


def _wrong_name(name: str, schema: TableSchema, file: str) -> Finding | None:
    """Refuse names that have a meaning of their own, here or in a spreadsheet that opens the results."""
    if name in schema.reserved:
        return Finding("this name is Allocate's own; give the column another", file, 1, name)
    if schema.extra != "error" and name[0] in "=+-@":
        message = "a spreadsheet would run this name as a formula; start it with a letter"
        return Finding(message, file, 1, name)
    return None


def _read_text_frame(path: Path) -> pl.DataFrame:
    """Return the file with every column as text; empty cells are null."""
    if path.suffix == ".parquet":
        try:
            frame = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(Finding(f"this is not a Parquet file: {error}", file=path.name)) from error
        frame = _parquet_as_text(frame, path.name)
    else:
        frame = _read_csv(path)
    frame = _without_blank_end(clean_text(frame, path.name))
    if frame.height == 0:
        raise InputError(Finding("the file has a header but no rows", file=path.name))
    return frame


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


def _parquet_as_text(frame: pl.DataFrame, file: str) -> pl.DataFrame:
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested() or dtype == pl.Binary]
    if nested:
        raise InputError(
            [
                Finding(
                    "the column holds lists or binary data; flatten or remove it",
                    file,
                    column=name,
                    found=str(frame.schema[name]),
                )
                for name in nested
            ]
        )
    return frame.with_columns(pl.all().cast(pl.String, strict=False))


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


def _read_csv(path: Path) -> pl.DataFrame:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            Finding(
                "the file is not UTF-8; save it as 'CSV UTF-8'",
                path.name,
                row,
                found=f"byte {data[error.start]:#04x}",
            )
        ) from error
    if not text.strip():
        raise InputError(Finding("the file is empty", file=path.name))
    if "\n" not in text:
        text = text.replace("\r", "\n")
    try:
        header = [name.strip() for name in next(csv.reader(io.StringIO(text)))]
        _check_header(header, path.name)
        frame = pl.read_csv(text.encode(), infer_schema=False)
        ragged = _ragged_rows(text, len(header), path.name) if _may_be_ragged(text, frame) else []
    except (pl.exceptions.PolarsError, csv.Error) as error:
        raise InputError(_why_unreadable(text, path.name, str(error))) from error
    if ragged:
        raise InputError(ragged)
    frame.columns = header
    return frame


def _may_be_ragged(text: str, frame: pl.DataFrame) -> bool:
    """Tell cheaply when no row is short, which Polars fills up without a word."""
    return '"' in text or text.count(",") != (frame.height + 1) * (frame.width - 1)


def _why_unreadable(text: str, file: str, error: str) -> list[Finding]:
    try:
        ragged = _ragged_rows(text, len(next(csv.reader(io.StringIO(text)))), file)
    except csv.Error as second:
        ragged, error = [], str(second)
    message = f"this cannot be read as CSV; look for quotes that do not pair up: {error.splitlines()[0]}"
    return ragged or [Finding(message, file)]


def _check_header(names: list[str], file: str) -> None:
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and mark in names[0]:
            raise InputError(
                Finding(f"the columns are separated by {word}; save the file with commas", file, 1)
            )
    findings = [
        Finding("a column name holds a control character", file, 1, found=repr(name))
        for name in names
        if any(ord(character) < 32 or ord(character) == 127 for character in name)
    ]
    findings += [
        Finding("two columns have this name; rename or remove one", file, 1, name)
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    if "" in names:
        findings.append(Finding("a column has no name", file, 1, found=f"column {names.index('') + 1}"))
    if findings:
        raise InputError(findings)


def _ragged_rows(text: str, width: int, file: str) -> list[Finding]:
    rows = enumerate(csv.reader(io.StringIO(text, newline="")), start=1)
    bad = [(i, len(row)) for i, row in rows if row and len(row) != width]
    return [
        Finding(
            "the row has another number of cells than the header", file, i, found=str(n), expected=str(width)
        )
        for i, n in bad[:SHOWN]
    ]


def _rename_aliases(
    raw: pl.DataFrame, schema: TableSchema, file: str, findings: list[Finding], context: TableContext
) -> pl.DataFrame:
    """Give aliased columns their canonical name; the canonical name wins where both are there.

    A 0 under another tool's name is no limit where that tool means so.
    """
    renames: dict[str, str] = {}
    for column in schema.columns:
        aliases = [alias for alias in column.aliases if alias in raw.columns]
        if column.name in raw.columns or not aliases:
            continue
        if len(aliases) > 1:
            message = f"more than one column could be '{column.name}'; rename one to '{column.name}'"
            findings.append(Finding(message, file, 1, column.name, found=", ".join(aliases)))
        renames[aliases[0]] = column.name
        if column.zero_is_none:
            raw = raw.with_columns(_without_zeros(raw[aliases[0]], file, context))
    return raw.rename(renames)


def _without_zeros(text: pl.Series, file: str, context: TableContext) -> pl.Series:
    """Make zeros null, and say so."""
    zero = (text.cast(pl.Float64, strict=False) == 0).fill_null(False)
    if n := int(zero.sum()):
        rows = counted(n, "row")
        context.notes.append(f"{file}, {text.name}: 0 is read as no limit, as its exporter means it ({rows})")
    return cell_types.where(text, ~zero)


def _parse_column(
    raw: pl.DataFrame, column: Column, file: str, findings: list[Finding], context: TableContext
) -> pl.Series | None:
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
            text = without(text, MISSING + UNLIMITED if column.unlimited else MISSING)
    value = _cast(text, column, context.time_zone)
    if column.type == "date" and (note := instants.days_note(text, value, column.bound, context.time_zone)):
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


def _outside(value: pl.Series, column: Column) -> Iterator[tuple[pl.Series, str]]:
    """Yield where a value breaks each of the column's bounds, with the bound in words."""
    if column.above is not None:
        yield value <= column.above, f"above {column.above:g}"
    if column.at_least is not None:
        yield value < column.at_least, f"at least {column.at_least:g}"
    if column.at_most is not None:
        yield value > column.at_most, f"at most {column.at_most:g}"


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
    raw: pl.DataFrame, name: str, file: str, findings: list[Finding], context: TableContext
) -> pl.Series | None:
    """Type a free column: consent columns are flags; numbers where (almost) all cells are."""
    if name.startswith("consent_"):
        if name.removeprefix("consent_") not in CHANNELS:
            expected = "one of " + ", ".join(f"consent_{channel}" for channel in CHANNELS)
            findings.append(Finding("there is no such channel", file, 1, name, expected=expected))
        return _parse_column(raw, Column(name, "flag", default=False), file, findings, context)
    label, text = raw[name], without(raw[name], MISSING)
    number = text.cast(pl.Float64, strict=False)
    known = text.len() - text.null_count()
    if not known or number.count() < MOSTLY * known or (known < 20 and number.count() < known):
        return label
    distinct = label_spelling.distinct_cells(text)
    if distinct is not None and (code := label_spelling.code_among(distinct)) is not None:
        context.notes.append(f"{file}, {name}: values such as '{code}' are read as labels, not as numbers")
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
