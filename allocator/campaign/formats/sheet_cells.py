"""What a workbook says of cells beyond their values: errors, and signs that Excel shows.

The reader of workbooks gives values alone: an error as an empty cell, and 10 % as 0.1. The rest stands in
the sheet's XML (ECMA-376 part 1, 18.3.1.4 and 18.8.30).
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from allocator.campaign.formats.currencies import currencies_of

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
# A formula that a program wrote and no spreadsheet has worked out.
WITHOUT_VALUE = re.compile(
    rb'<c\b[^>]*\br="([A-Z]+)(\d+)"[^>]*><f[^>]*>[^<]*</f>(?:<v\s*/>|<v></v>)?</c>', re.DOTALL
)
STYLED = re.compile(rb'<c\b(?=[^>]*\bs="(\d+)")[^>]*\br="([A-Z]+)(\d+)"')


@dataclass(frozen=True)
class SheetCells:
    """Cells of a sheet that need a word; rows and columns count from 0.

    Parameters
    ----------
    errors
        Row, column and text of each error, such as ``#N/A``.
    signs
        What Excel shows beside the number of a cell: a percent sign, or a currency.
    """

    errors: tuple[tuple[int, int, str], ...] = ()
    signs: Mapping[tuple[int, int], str] = field(default_factory=dict)


def look_at_cells(path: Path, sheet: str) -> SheetCells:
    """Return what the workbook says of a sheet's cells; nothing where it is laid out in another way."""
    try:
        with zipfile.ZipFile(path) as book:
            part = _part(book, sheet)
            if part is None:
                return SheetCells()
            content, styles = book.read(part), _styles(book)
    except DAMAGE:
        return SheetCells()  # the reader of workbooks says what is wrong
    errors = [
        (int(row) - 1, _column(letters), text.decode("utf-8", "replace"))
        for letters, row, text in (ERROR.findall(content) if b't="e"' in content else ())
    ]
    errors += [
        (int(row) - 1, _column(letters), "a formula without a value; open and save the file in Excel")
        for letters, row in (WITHOUT_VALUE.findall(content) if b"<f" in content else ())
    ]
    signs = {
        (int(row) - 1, _column(letters)): styles[int(style)]
        for style, letters, row in (STYLED.findall(content) if styles else ())
        if int(style) in styles
    }
    return SheetCells(tuple(errors), signs)


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


def _styles(book: zipfile.ZipFile) -> dict[int, str]:
    """Return the styles of cells whose number format shows a percent sign or a currency, and which."""
    root = ElementTree.fromstring(book.read("xl/styles.xml"))
    shown = dict.fromkeys(PERCENT, "%")
    for child in root.iter(f"{MAIN}numFmt"):
        if (sign := _sign(child.get("formatCode", ""))) is not None:
            shown[int(child.get("numFmtId", "-1"))] = sign
    cells = root.find(f"{MAIN}cellXfs")
    formats = [int(style.get("numFmtId", "0")) for style in (() if cells is None else cells)]
    return {i: shown[number] for i, number in enumerate(formats) if number in shown}


def _sign(code: str) -> str | None:
    """Return the sign that a number format shows: ``0.0%``, ``[$€-407] #,##0.00``, ``"kr" 0``."""
    positive = code.split(";")[0]
    if "%" in re.sub(r'"[^"]*"|\\.', "", positive):
        return "%"
    found = re.findall(r'\[\$([^\]\-]+)|"([^"]+)"|([$£¥€₹₩₽₺₫฿])', positive)
    texts = [text.strip() for groups in found for text in groups if text.strip()]
    return next((text for text in texts if currencies_of(text)), None)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
