"""Rows that stand among a table's and are none of it: a header that is repeated, a line of totals."""

from __future__ import annotations

import re

from allocator.campaign.formats.raw import FIRST_ROW, RawTable
from allocator.errors import Finding, InputError

TOTAL = r"^(?i:(?:grand |sub)?totals?|sum|summe|gesamt|итого|合计|总计|合計|總計|計)\s*:?$"


def refuse_stray_rows(raw: RawTable) -> None:
    """Raise InputError if a row repeats the header, as where exports were joined, or the last is a total."""
    frame = raw.frame
    if not frame.width or not frame.height:
        return
    first = frame.to_series(0)
    same = (first == first.name).arg_true()
    findings = [
        Finding("this row repeats the header; remove it", raw.name, i + FIRST_ROW, found=repr(first[i]))
        for i in same
        if [(cell or "").strip() for cell in frame.row(i)] == frame.columns
    ][:5]
    filled = first.is_not_null().arg_true()
    if len(filled):
        last = int(filled[-1])
        gaps = any(not (cell or "").strip() for cell in frame.row(last))
        if gaps and re.match(TOTAL, first[last].strip()):
            message = "this looks like a line of totals; remove it"
            findings.append(Finding(message, raw.name, last + FIRST_ROW, first.name, repr(first[last])))
    if findings:
        raise InputError(raw.place.of_all(findings))
