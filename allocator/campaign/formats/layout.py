"""How the rows of a text file are laid out: the mark between cells, and lines before the header."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from allocator.campaign.formats.settings import TableFormat
from allocator.errors import Finding, InputError

WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "upright bars"}
TITLES = 20  # lines before the header that are looked through
MOSTLY = 0.8  # of the rows below a title have the header's width


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out.

    Parameters
    ----------
    delimiter
        Between cells.
    before
        Lines before the header.
    header
        Names of the columns, as they stand there.
    understood
        What was found out and is not as in a plain file.
    """

    delimiter: str
    before: int
    header: tuple[str, ...]
    understood: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Try:
    """What a file looks like if a mark parts its cells."""

    delimiter: str
    before: int
    rows: list[list[str]]
    fitting: float

    @property
    def width(self) -> int:
        return len(self.rows[0]) if self.rows else 0


def find_layout(text: str, keys: TableFormat, name: str, usual: str = ",") -> Layout:
    """Find out how a text file is laid out.

    Parameters
    ----------
    text
        Its first lines, whole.
    keys
        What is stated of it.
    name
        What findings call it.
    usual
        The mark that its ending promises.

    Raises
    ------
    InputError
        If more than one mark may part the cells, or the one that is stated does not.
    """
    lines = text.splitlines(keepends=True)
    stated = keys.delimiter
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].rstrip("\r\n")) == 5:
        stated, lines = stated or lines[0][4], ["", *lines[1:]]  # how Excel is told the delimiter
    marks = [stated] if stated is not None else list(dict.fromkeys([usual, *WORDS]))
    tries = [made for mark in marks if (made := _attempt(lines, mark, keys.skip_rows)) is not None]
    chosen = _choose(tries, usual, name)
    if chosen is None:
        delimiter = stated or usual
        chosen = _attempt(lines, delimiter, keys.skip_rows) or _Try(delimiter, 0, [], 1.0)
    if stated is not None and chosen.width == 1:
        _refuse_stated(lines, stated, keys.skip_rows, name)
    header = tuple(cell.strip() for cell in chosen.rows[0]) if chosen.rows else ()
    understood = []
    if stated is None and chosen.width > 1 and chosen.delimiter not in (",", usual):
        understood.append(f"{WORDS[chosen.delimiter]} between cells")
    titles = [line.strip(' \t\r\n;,|"') for line in lines[: chosen.before]]
    if keys.skip_rows is None and any(titles):
        shown = next(title for title in titles if title)
        understood.append(f"header in line {chosen.before + 1}, below '{shown[:40]}'")
    return Layout(chosen.delimiter, chosen.before, header, tuple(understood))


def _attempt(lines: Sequence[str], mark: str, skip: int | None) -> _Try | None:
    """Part the lines by a mark; None if quotes then do not pair up."""
    try:
        reader = csv.reader(lines if skip is None else lines[skip:], delimiter=mark)
        rows, ends = [], []
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error:
        return None
    first = next((i for i, row in enumerate(rows) if any(map(str.strip, row))), None)
    if first is None:
        return None
    start = first if skip is not None else _header_row(rows, first)
    below = [row for row in rows[start + 1 :] if row]
    width = len(rows[start])
    fitting = sum(len(row) == width for row in below) / len(below) if below else 1.0
    before = (ends[start - 1] if start else 0) + (skip or 0)
    return _Try(mark, before, rows[start:], fitting)


def _header_row(rows: Sequence[Sequence[str]], first: int) -> int:
    """Return the row of the header: the first of several cells, if those above are titles of one."""
    for i, row in enumerate(rows[: first + TITLES]):
        filled = sum(bool(cell.strip()) for cell in row)
        if filled >= 2:
            below = [other for other in rows[i + 1 :] if other]
            fit = sum(len(other) == len(row) for other in below)
            return i if i == first or (below and fit >= MOSTLY * len(below)) else first
        if filled and not row[0].strip():  # a title stands in the first cell
            return first
    return first


def _choose(tries: Sequence[_Try], usual: str, name: str) -> _Try | None:
    wide = [made for made in tries if made.width > 1]
    above = [made for made in wide if made.before == min(other.before for other in wide)]
    fitting = [made for made in above if made.fitting == 1.0] or above
    if len(fitting) > 1 and fitting[0].fitting == 1.0 and len(fitting[0].rows) > 1:
        if usual != "," and fitting[0].delimiter == usual:
            return fitting[0]
        marks = " or ".join(WORDS[made.delimiter] for made in fitting)
        raise InputError(
            Finding(
                f"the cells may be separated by {marks}; state which under [format]",
                name,
                fitting[0].before + 1,
                expected=" or ".join(f"delimiter = {_toml(made.delimiter)}" for made in fitting),
            )
        )
    return max(fitting, key=lambda made: made.fitting, default=None)


def _toml(mark: str) -> str:
    return '"\\t"' if mark == "\t" else f'"{mark}"'


def _refuse_stated(lines: Sequence[str], stated: str, skip: int | None, name: str) -> None:
    others = [made for mark in WORDS if (made := _attempt(lines, mark, skip)) is not None and made.width > 1]
    if others and all(made.delimiter != stated for made in others):
        best = max(others, key=lambda made: made.fitting)
        raise InputError(
            Finding(
                f"the header is not separated by {_toml(stated)}, which [format] states, but by "
                f"{WORDS[best.delimiter]}",
                name,
                best.before + 1,
            )
        )


def check_header(names: Sequence[str], name: str, row: int = 1) -> None:
    """Raise InputError if columns have no name, share one, or have one with control characters."""
    findings = [
        Finding("a column name holds a control character", name, row, found=repr(column))
        for column in names
        if any(ord(character) < 32 or ord(character) == 127 for character in column)
    ]
    findings += [
        Finding("two columns have this name; rename or remove one", name, row, column)
        for column in sorted({column for column in names if column and names.count(column) > 1})
    ]
    findings += [
        Finding("a column has no name", name, row, found=f"column {i + 1}")
        for i, column in enumerate(names)
        if not column
    ][:1]
    if findings:
        raise InputError(findings)
