"""What is worth a second look in ready scores."""

from __future__ import annotations

import polars as pl

from allocator.campaign.cell_types import MOST_AMOUNT
from allocator.campaign.tables import FIRST_ROW
from allocator.wording import counted

FILE = "scores.csv"


def score_notes(scores: pl.DataFrame | None) -> list[str]:
    """Return what can hardly be meant of values and costs, a sentence a kind."""
    if scores is None or scores.is_empty():
        return []
    notes = []
    for column in ("value", "cost"):
        beyond = (scores[column].abs() >= MOST_AMOUNT).arg_true()
        if len(beyond):
            first = f"the first: row {beyond[0] + FIRST_ROW}, {scores[column][beyond[0]]:g}"
            notes.append(f"{FILE}, {column}: {counted(len(beyond), 'row')} beyond {MOST_AMOUNT:g} ({first})")
    if (scores["cost"] == 0).all():
        notes.append(f"{FILE}: cost is 0 in every row, so that no limit on costs holds anything back")
    if (scores["value"] <= 0).all():
        notes.append(f"{FILE}: no value is above 0, so that nobody gets anything unless a limit asks for it")
    return notes
