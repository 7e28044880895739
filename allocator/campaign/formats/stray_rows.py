"""Rows that stand among a table's and are none of it: a header that is repeated, a line of totals."""

from __future__ import annotations

from typing import Any

import polars as pl

from allocator.campaign.formats.raw import FIRST_ROW, RawTable
from allocator.errors import Finding, InputError

TOTAL = r"^(?i:(?:grand |sub)?totals?|sum|summe|gesamt|итого|合计|总计|合計|總計|計)\s*:?$"


def refuse_stray_rows(raw: RawTable, *, in_order: bool = True) -> None:
    """Raise InputError if a row repeats the header, as where exports were joined, or the last is a total.

    Where rows are not `in_order`, as those of a database, the one that was last may be any.
    """
    frame = raw.frame
    if not frame.width or not frame.height or frame.dtypes[0] != pl.String:  # no name among numbers
        return
    first = frame.to_series(0)
    same = (first == first.name).arg_true()
    findings = [
        Finding("this row repeats the header; remove it", raw.name, i + FIRST_ROW, found=repr(first[i]))
        for i in same
        if [_text(cell) for cell in frame.row(i)] == frame.columns
    ][:5]
    rows = first.is_not_null().arg_true()
    if in_order:
        rows = rows.tail(1)
    totals = first.gather(rows).str.strip_chars().str.contains(TOTAL)
    for row in rows.filter(totals).head(5).to_list():
        if not all(map(_text, frame.row(row))):
            message = "this looks like a line of totals; remove it"
            findings.append(Finding(message, raw.name, row + FIRST_ROW, first.name, repr(first[row])))
    if findings:
        raise InputError(raw.place.of_all(findings))


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()
