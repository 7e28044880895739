"""Text with a mark between cells -> a frame of text."""

from __future__ import annotations

import codecs
import csv
import io
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from allocator.campaign.formats.decoding import PART, SAMPLE, TextFile
from allocator.campaign.formats.layout import WORDS, Layout, check_header, find_layout
from allocator.campaign.formats.numbers import HEAD, as_plain, plain_evidence
from allocator.campaign.formats.raw import RawTable, Rows
from allocator.campaign.formats.settings import TableFormat
from allocator.errors import Finding, InputError

SHOWN = 5  # rows of another width that are named
BLOCK = 1 << 23  # bytes of a part
QUOTE = ord('"')
MIXED_ENDS = "lines end in more than one way; save the file again with one kind of line end"


def read_delimited(path: Path, name: str, keys: TableFormat) -> RawTable:
    """Read a CSV file or one like it.

    Parameters
    ----------
    path
        The file, which may be packed (``.gz``, ``.zst``).
    name
        What findings call it.
    keys
        What is stated of it; the rest is found out where it is sure.

    Raises
    ------
    InputError
        If it cannot be read, or how is not sure.
    """
    file, encoding, layout, direct = _opened(path, name, keys)
    counts = Counts(layout.delimiter)
    if direct:
        for part in file.parts("utf-8"):
            counts.add(part)
        body = None
    else:
        body = _body(file, encoding, layout.before)
        for start in range(0, len(body), PART):
            counts.add(body[start : start + PART])
    if counts.is_blank:
        raise InputError(Finding("the file is empty", name))
    check_header(layout.header, name, layout.before + 1)
    rows = TextRows(file, encoding, layout, quoted=counts.quotes > 0)
    frame = _parse(path if body is None else body, layout, rows, counts, name)
    frame.columns = list(layout.header)
    understood = layout.understood
    if keys.encoding is None and encoding not in ("utf-8", "utf-8-sig"):
        understood = (encoding.upper(), *understood)
    return RawTable(name, frame, rows=rows, understood=understood)


def delimited_parts(path: Path, name: str, keys: TableFormat) -> Iterator[RawTable] | None:
    """Return a CSV file as consecutive parts, of `BLOCK` bytes or so; None if it must be read whole.

    Parameters
    ----------
    path, name, keys
        As of `read_delimited`, which says of a file that cannot be read, or not in parts, what is wrong.

    Raises
    ------
    InputError
        If it cannot be read; also while parts are read.
    """
    file, encoding, layout, direct = _opened(path, name, keys)
    check_header(layout.header, name, layout.before + 1)
    return _parts(file, encoding, layout) if direct else None


def _parts(file: TextFile, encoding: str, layout: Layout) -> Iterator[RawTable]:
    counts, height, width = Counts(layout.delimiter), 0, len(layout.header)
    unreadable = InputError(Finding("this cannot be read as CSV", file.name))
    types: dict[str, type[pl.DataType]] = {}
    read, size = 0, file.path.stat().st_size
    for k, block in enumerate(file.records(BLOCK)):
        counts.add(block)
        try:
            if not block.isascii():
                block.decode()
            types = types or _types(block, layout)
            frame = pl.read_csv(block, separator=layout.delimiter, schema=types, has_header=k == 0)
        except (UnicodeError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise unreadable from error
        if frame.width != width:
            raise unreadable
        height += frame.height
        read += len(block)
        rows = TextRows(file, encoding, layout, quoted=counts.quotes > 0)
        if frame.height:
            yield RawTable(file.name, frame, {}, rows, layout.understood, read / size)
    if counts.delimiters != (height + 1) * (width - 1):  # polars fills short rows up without a word
        raise unreadable


def _types(block: bytes, layout: Layout) -> dict[str, type[pl.DataType]]:
    """Return numbers as the type of each column whose first cells are numbers, surely with a point."""
    head = pl.read_csv(block, separator=layout.delimiter, infer_schema=False, n_rows=HEAD)
    plain = [as_plain(text) is not None and plain_evidence(text).point is not None for text in head]
    return {
        name: pl.Float64 if number else pl.String for name, number in zip(layout.header, plain, strict=False)
    }


def _opened(path: Path, name: str, keys: TableFormat) -> tuple[TextFile, str, Layout, bool]:
    """Return a file, its encoding, its layout, and whether polars can read it as it is."""
    file = TextFile(path, name, keys.encoding)
    head = file.sample()
    encoding = file.encoding_of(head)
    text = first_lines(head, encoding)
    _check_line_ends(text, name)
    layout = find_layout(text, keys, name, usual_delimiter(path))
    plain = encoding in ("utf-8", "utf-8-sig") and not file.packed
    return file, encoding, layout, plain and not layout.before and b"\n" in head


def _check_line_ends(text: str, name: str) -> None:
    """Refuse a header that a carriage return alone cuts where other lines end with a line feed."""
    head, feed, _ = text.partition("\n")
    if feed and "\r" in head.rstrip("\r") and '"' not in head:
        raise InputError(Finding(MIXED_ENDS, name, 1))


def usual_delimiter(path: Path) -> str:
    """Return the mark between cells that a file's ending promises."""
    return "\t" if ".tsv" in [suffix.lower() for suffix in path.suffixes] else ","


def first_lines(head: bytes, encoding: str) -> str:
    """Return the whole lines at the start of a file; what cannot be decoded is told later, with its line."""
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)
    if len(head) < SAMPLE:
        return text
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    return text[:end] or text


def _body(file: TextFile, encoding: str, before: int) -> bytes:
    """Return the file in UTF-8 from its header on, with line feeds at the ends of lines."""
    whole = io.BytesIO()
    for part in file.parts(encoding):
        whole.write(part)
    body = whole.getvalue()
    if b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    start = 0
    for _ in range(before):
        start = body.find(b"\n", start) + 1
    return body[start:] if start else body


class Counts:
    """Counts of a text's delimiters outside quotes, its quotes, and whether anything but space is there."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = ord(delimiter)
        self._inside = 0
        self.delimiters = 0
        self.quotes = 0
        self.is_blank = True

    def add(self, part: bytes) -> None:
        """Count a part."""
        self.is_blank = self.is_blank and not part.strip(b" \t\r\n\xef\xbb\xbf")
        quotes = part.count(b'"')
        if not quotes and not self._inside:
            self.delimiters += int(np.count_nonzero(np.frombuffer(part, np.uint8) == self._delimiter))
            return
        self.quotes += quotes
        for start in range(0, len(part), 1 << 20):
            cells = np.frombuffer(part, np.uint8, min(1 << 20, len(part) - start), start)
            inside = np.bitwise_xor.accumulate((cells == QUOTE).view(np.uint8)) ^ np.uint8(self._inside)
            self._inside = int(inside[-1])
            self.delimiters += int(np.count_nonzero((cells == self._delimiter) & (inside == 0)))


@dataclass(frozen=True)
class TextRows(Rows):
    """Lines of a text file; where cells hold line ends, a record has more than one."""

    file: TextFile
    encoding: str
    layout: Layout
    quoted: bool

    def row(self, record: int, position: int | None = None) -> int | None:
        """Return the line on which the record begins, or the cell at a position in it."""
        if not self.quoted:
            return record + 2 + self.layout.before
        starts, inner = self._lines
        if not 0 <= record + 1 < len(starts):
            return None
        offsets = inner.get(record + 1)
        return starts[record + 1] + (offsets[position] if offsets and position is not None else 0)

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line on which each record begins, the header first, and its cells."""
        lines = self.file.lines(self.encoding)
        for _ in range(self.layout.before):
            next(lines)
        reader = csv.reader(lines, delimiter=self.layout.delimiter)
        line = 1 + self.layout.before
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1 + self.layout.before

    @cached_property
    def _lines(self) -> tuple[array[int], dict[int, list[int]]]:
        starts, inner = array("q"), {}
        for i, (line, cells) in enumerate(self.records()):
            starts.append(line)
            ends = [_line_ends(cell) for cell in cells]
            if any(ends):
                inner[i] = [sum(ends[:k]) for k in range(len(ends))]
        return starts, inner


def _line_ends(cell: str) -> int:
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")


def _parse(source: Path | bytes, layout: Layout, rows: TextRows, counts: Counts, name: str) -> pl.DataFrame:
    read = partial(pl.read_csv, source, separator=layout.delimiter, infer_schema=False)
    try:
        frame = read()
    except pl.exceptions.NoDataError as error:
        raise InputError(Finding("the file is empty", name)) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if wrong := _why_unreadable(rows, name, str(error), counts):
            raise InputError(wrong) from error
        frame = read(truncate_ragged_lines=True)
    width = len(layout.header)
    # Polars fills short rows up without a word.
    if frame.width != width or counts.delimiters != (frame.height + 1) * (width - 1):
        try:
            ragged = list(_ragged(rows, name))
        except csv.Error as error:
            raise InputError(_why_unreadable(rows, name, str(error), counts)) from error
        if ragged:
            raise InputError(ragged)
    if frame.width != width:
        raise InputError(Finding(MIXED_ENDS, name, layout.before + 1))
    return frame


def _why_unreadable(rows: TextRows, name: str, error: str, counts: Counts) -> list[Finding]:
    """Return findings on a file that cannot be parsed; none if only blank rows are too long."""
    line = begins = 1 + rows.layout.before
    width, open_quote, blank = len(rows.layout.header), False, False
    try:
        for begins, cells in rows.records():
            line = begins + sum(map(_line_ends, cells)) + 1
            open_quote = line > begins + 1 and counts.quotes % 2 == 1
            blank |= len(cells) > width and not _is_filled(cells)
        ragged = [] if open_quote else list(_ragged(rows, name))
    except csv.Error as second:
        message = "this cannot be read as CSV from this line on; look for a quote that is not closed"
        return [Finding(f"{message}: {second}", name, line)]
    if open_quote:
        return [Finding("a quote that opens in this row is not closed", name, begins)]
    message = f"this cannot be read as CSV; look for quotes that do not pair up: {error.splitlines()[0]}"
    return ragged or ([] if blank and "more fields" in error else [Finding(message, name)])


def _ragged(rows: TextRows, name: str) -> Iterator[Finding]:
    """Yield findings on rows that have another number of cells than the header, but blank ones."""
    width, before = len(rows.layout.header), rows.layout.before
    widths = Counter(len(cells) for _, cells in rows.records() if _is_filled(cells))
    bad = widths.total() - widths[width]
    if len(widths) == 2 and widths[width] == 1 and bad > 1:
        (other,) = widths.keys() - {width}
        message = "every row has another number of cells than the header; if the header stands further down, "
        message += f"state the lines before it under [format], as in skip_rows = {before + 1}"
        yield Finding(message, name, before + 1, found=str(width), expected=str(other))
        return
    ragged = ((line, cells) for line, cells in rows.records() if _is_filled(cells) and len(cells) != width)
    for line, cells in islice(ragged, SHOWN):
        message = "the row has another number of cells than the header" + _other_mark(cells, rows.layout)
        yield Finding(message, name, line, found=str(len(cells)), expected=str(width))
    if bad > SHOWN:
        yield Finding(f"and {bad - SHOWN:,} more rows like this", name)


def _is_filled(cells: list[str]) -> bool:
    return any(cell and not cell.isspace() for cell in cells)


def _other_mark(cells: list[str], layout: Layout) -> str:
    """Return words on a row that another mark separates into as many cells as the header has."""
    text, width = layout.delimiter.join(cells), len(layout.header)
    for mark in WORDS if width > 1 else ():
        if mark != layout.delimiter and text.count(mark) == width - 1:
            usual = WORDS.get(layout.delimiter, repr(layout.delimiter))
            return f": it is separated by {WORDS[mark]}, the header by {usual}"
    return ""
