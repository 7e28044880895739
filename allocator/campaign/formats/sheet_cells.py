"""What a workbook says of cells beyond their values: errors, and numbers that Excel shows as percentages.

The reader of workbooks gives values alone: an error as an empty cell, and 10 % as 0.1. Both stand in the
sheet's XML (ECMA-376 part 1, 18.3.1.4 and 18.8.30).
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
OF_BOOK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
OF_PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
    ElementTree.ParseError,
)
PERCENT = (9, 10)  # built-in formats 0% and 0.00%
ERROR = re.compile(rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"[^>]*>.*?<v>(.*?)</v>', re.DOTALL)
STYLED = re.compile(rb'<c\b(?=[^>]*\bs="(\d+)")[^>]*\br="([A-Z]+)(\d+)"')


@dataclass(frozen=True)
class SheetCells:
    """Cells of a sheet that need a word; rows and columns count from 0.

    Parameters
    ----------
    errors
        Row, column and text of each error, such as ``#N/A``.
    percent
        Row and column of each cell that is shown as a percentage.
    """

    errors: tuple[tuple[int, int, str], ...] = ()
    percent: frozenset[tuple[int, int]] = frozenset()


def look_at_cells(path: Path, sheet: str) -> SheetCells:
    """Return what the workbook says of a sheet's cells; nothing where it is laid out in another way."""
    try:
        with zipfile.ZipFile(path) as book:
            part = _part(book, sheet)
            if part is None:
                return SheetCells()
            content, styles = book.read(part), _percent_styles(book)
    except DAMAGE:
        return SheetCells()  # the reader of workbooks says what is wrong
    errors: list[tuple[int, int, str]] = []
    if b't="e"' in content:
        errors = [
            (int(row) - 1, _column(letters), text.decode("utf-8", "replace"))
            for letters, row, text in ERROR.findall(content)
        ]
    percent = frozenset(
        (int(row) - 1, _column(letters))
        for style, letters, row in (STYLED.findall(content) if styles else ())
        if int(style) in styles
    )
    return SheetCells(tuple(errors), percent)


def _part(book: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the name of a sheet's part in the package."""
    root = ElementTree.fromstring(book.read("xl/workbook.xml"))
    ids = {child.get("name"): child.get(OF_BOOK) for child in root.iter(f"{MAIN}sheet")}
    relations = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    targets = {child.get("Id"): child.get("Target", "") for child in relations.iter(OF_PACKAGE)}
    target = targets.get(ids.get(sheet))
    if not target:
        return None
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _percent_styles(book: zipfile.ZipFile) -> frozenset[int]:
    """Return the styles of cells whose number format shows a percent sign."""
    root = ElementTree.fromstring(book.read("xl/styles.xml"))
    formats = {
        int(child.get("numFmtId", "-1")): child.get("formatCode", "") for child in root.iter(f"{MAIN}numFmt")
    }
    shown = {
        *PERCENT,
        *(number for number, code in formats.items() if "%" in re.sub(r'"[^"]*"|\\.', "", code)),
    }
    cells = root.find(f"{MAIN}cellXfs")
    return frozenset(
        i
        for i, style in enumerate(() if cells is None else cells)
        if int(style.get("numFmtId", "0")) in shown
    )


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
