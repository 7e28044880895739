"""A sheet of an Excel workbook -> a frame of text, with the rows that Excel shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from allocator.campaign.formats.decoding import refuse_contents
from allocator.campaign.formats.layout import TITLES, check_header
from allocator.campaign.formats.raw import RawTable, RowsBelow
from allocator.campaign.formats.settings import TableFormat
from allocator.campaign.formats.sheet_cells import SheetCells, look_at_cells
from allocator.errors import Finding, InputError

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

INSTALL = "Excel workbooks need a reader that is not installed: pip install 'allocate[excel]' brings it"
SHOWN = 5  # errors in cells that are named


def read_workbook(path: Path, name: str, sheet: str | None, table: str, keys: TableFormat) -> RawTable:
    """Read a sheet of a workbook.

    Parameters
    ----------
    path, name
        The file, and what findings call it.
    sheet
        Its sheet; None for the only one, or the one with the table's name.
    table
        The table's name.
    keys
        What is stated of it.

    Raises
    ------
    InputError
        If it is no workbook, has no such sheet, or cells hold errors.
    """
    with open_workbook(path, name) as book:
        shown = shown_sheets(book)
        chosen = _choose(book.sheet_names, shown, sheet, table, name)
        called = f"{name.partition('#')[0]}#{chosen}" if sheet is not None or len(shown) > 1 else name
        cells = look_at_cells(path, chosen)
        _refuse_errors(cells, called)
        return _sheet(book, chosen, cells, called).table(called, keys)


def open_workbook(path: Path, name: str) -> CalamineWorkbook:
    """Open a workbook, to be closed by ``with``.

    Raises
    ------
    InputError
        If it is none, or no reader is installed.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise InputError(Finding(INSTALL, name)) from error
    with path.open("rb") as file:
        head = file.read(8)
    if not head.startswith(b"PK"):
        refuse_contents(head, name)
    try:
        return CalamineWorkbook.from_path(path)
    except (CalamineError, OSError) as error:
        raise InputError(
            Finding(f"this is not an Excel workbook, or it is damaged: {error}", name)
        ) from error


def _sheet(book: CalamineWorkbook, sheet: str, cells: SheetCells, name: str) -> _Sheet:
    from python_calamine import CalamineError

    try:
        rows = book.get_sheet_by_name(sheet)
        filled = rows.to_python(skip_empty_area=True)
    except CalamineError as error:
        raise InputError(Finding(f"this sheet cannot be read; the file is damaged: {error}", name)) from error
    if rows.start is None:
        raise InputError(Finding("the sheet is empty", name))
    return _Sheet(filled, rows.start, cells)


def shown_sheets(book: CalamineWorkbook) -> list[str]:
    """Return the names of the sheets that Excel shows."""
    from python_calamine import SheetVisibleEnum

    return [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]


def _choose(names: Sequence[str], shown: Sequence[str], sheet: str | None, table: str, file: str) -> str:
    """Return the sheet that is named; else the only one, or the one with the table's name."""
    if sheet is not None and sheet in names:
        return sheet
    wanted = (table if sheet is None else sheet).strip().casefold()
    alike = [name for name in (shown if sheet is None else names) if name.strip().casefold() == wanted]
    if sheet is None and len(shown) == 1:
        return shown[0]
    if len(alike) == 1:
        return alike[0]
    expected = "one of " + ", ".join(repr(name) for name in shown)
    if sheet is not None:
        raise InputError(
            Finding("the workbook has no such sheet", file, found=repr(sheet), expected=expected)
        )
    example = f'[tables] {table} = "{file}#{next(iter(shown), "Sheet1")}"'
    raise InputError(
        Finding(f"the workbook has several sheets; name one, as in {example}", file, expected=expected)
    )


def _refuse_errors(cells: SheetCells, name: str) -> None:
    findings = [
        Finding("the cell holds an error", name, row + 1, f"column {column_letters(column)}", text)
        for row, column, text in cells.errors[:SHOWN]
    ]
    if len(cells.errors) > SHOWN:
        findings.append(Finding(f"and {len(cells.errors) - SHOWN:,} more cells like this", name))
    if findings:
        raise InputError(findings)


def column_letters(column: int) -> str:
    """Return what Excel calls a column, counted from 0."""
    letters = ""
    while column >= 0:
        column, letter = divmod(column, 26)
        letters, column = chr(65 + letter) + letters, column - 1
    return letters


class _Sheet:
    """The filled part of a sheet: its cells, and the row and column where it begins."""

    def __init__(self, rows: list[list[Any]], start: tuple[int, int], cells: SheetCells) -> None:
        self._rows, (self._top, self._left), self._cells = rows, start, cells

    def table(self, name: str, keys: TableFormat) -> RawTable:
        """Return the table below the header."""
        header = self._header(keys.skip_rows)
        names = [_text(cell).strip() for cell in self._rows[header]] if header < len(self._rows) else []
        width = max((i + 1 for i, column in enumerate(names) if column), default=0)
        row = self._top + header + 1
        if not width:
            raise InputError(Finding("there is no header", name, row))
        check_header(names[:width], name, row)
        below = self._rows[header + 1 :]
        self._refuse_beyond(below, width, row, name)
        columns, stored = [], {}
        for i, column in enumerate(names[:width]):
            kinds = frozenset(_kind(cells[i]) for cells in below) - {""}
            texts = [_text(cells[i]) for cells in below]
            for k, sign in self._signs(i, row, len(below)):
                if _kind(below[k][i]) == "number":
                    texts[k], kinds = _shown(below[k][i], sign), frozenset()
            if kinds - {"text"}:
                stored[column] = kinds
            columns.append(pl.Series(column, texts, pl.String))
        understood: tuple[str, ...] = ()
        titles = [_text(cell) for cells in self._rows[:header] for cell in cells if cell != ""]
        if keys.skip_rows is None and titles:
            understood = (f"header in row {row}, below '{titles[0][:40]}'",)
        return RawTable(name, pl.DataFrame(columns), stored, RowsBelow(row), understood)

    def _signs(self, i: int, row: int, count: int) -> Iterator[tuple[int, str]]:
        """Yield the records whose cell Excel shows with a sign, and the sign."""
        for k in range(count if self._cells.signs else 0):
            if (sign := self._cells.signs.get((row + k, self._left + i))) is not None:
                yield k, sign

    def _header(self, skip: int | None) -> int:
        """Return the index of the header's row: the first with several cells, below titles of one."""
        if skip is not None:
            return max(skip - self._top, 0)
        for i, row in enumerate(self._rows[:TITLES]):
            if sum(cell != "" for cell in row) >= 2:
                return i
            if row[0] == "" and any(cell != "" for cell in row):
                break
        return 0

    def _refuse_beyond(self, below: list[list[Any]], width: int, row: int, name: str) -> None:
        for k, cells in enumerate(below):
            for i, cell in enumerate(cells[width:], start=width):
                if cell != "":
                    where = f"column {column_letters(self._left + i)}"
                    message = "a cell stands where the header names no column"
                    raise InputError(Finding(message, name, row + 1 + k, where, repr(_text(cell))[:60]))


def _kind(cell: Any) -> str:
    if isinstance(cell, str):
        return "text" if cell.strip() else ""
    if isinstance(cell, bool):
        return "flag"
    return "number" if isinstance(cell, int | float) else "date"


def _text(cell: Any) -> str:
    """Return a cell as text: whole numbers without a fraction, dates and times in ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return cell.date().isoformat()
    if isinstance(cell, dt.date | dt.datetime | dt.time):
        return cell.isoformat()
    return str(cell)


def _shown(cell: float, sign: str) -> str:
    """Return what Excel shows; a zero is added where three digits could be taken for thousands."""
    text = f"{cell * 100:.10f}".rstrip("0").rstrip(".") if sign == "%" else _text(cell)
    text += "0" if len(text.partition(".")[2]) == 3 else ""
    return f"{text}%" if sign == "%" else f"{sign} {text}"
