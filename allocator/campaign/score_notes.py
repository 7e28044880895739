"""What is worth a second look in ready scores."""

from __future__ import annotations

from allocator.campaign.cell_types import MOST_AMOUNT
from allocator.campaign.scores import AMOUNTS, Scores
from allocator.wording import counted

FILE = "scores.csv"


def score_notes(scores: Scores | None) -> list[str]:
    """Return what can hardly be meant of values and costs, a sentence a kind."""
    if scores is None or not scores.height:
        return []
    notes = []
    for column in filter(scores.beyond.__contains__, AMOUNTS):
        beyond = scores.beyond[column]
        first = f"the first: row {beyond.row}, {beyond.first:g}"
        notes.append(f"{FILE}, {column}: {counted(beyond.count, 'row')} beyond {MOST_AMOUNT:g} ({first})")
    if not scores.numbers["cost"].any():
        notes.append(f"{FILE}: cost is 0 in every row, so that no limit on costs holds anything back")
    if not (scores.numbers["value"] > 0).any():
        notes.append(f"{FILE}: no value is above 0, so that nobody gets anything unless a limit asks for it")
    return notes
