"""What the reading of a table needs to know, and what it learns besides the table's columns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class TableContext:
    """What a table is read by, and what to say of it; filled while it is read.

    Parameters
    ----------
    time_zone
        Of dates, and of times that do not say how far they are from UTC; UTC if None.
    notes
        What was understood in a way that is worth a look, as sentences.
    spellings
        Of columns of numbers, how the file spells each number, as of `UserLabels`.
    """

    time_zone: str | None = None
    notes: list[str] = field(default_factory=list)
    spellings: dict[str, dict[float, str]] = field(default_factory=dict)
