"""Where a campaign's tables stand, so that findings and notes name the file and row that people open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from allocator.campaign.formats import Place
from allocator.errors import Finding


@dataclass(frozen=True)
class Places:
    """The places of tables by the tables' names."""

    by_table: Mapping[str, Place] = field(default_factory=dict)

    def of(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return findings that name tables and count records from 2 as ones about the tables as they are.

        A finding on the file ``users.csv``, or ``users``, is one on the table `users`, whatever it is read
        from.
        """
        return [self._named(finding) for finding in findings]

    def _named(self, finding: Finding) -> Finding:
        place = self._place(finding.file)
        placed = finding if place is None else place.of(finding)
        expected = None if placed.expected is None else self.named(placed.expected)
        return replace(placed, message=self.named(placed.message), expected=expected)

    def _place(self, file: str | None) -> Place | None:
        name = (file or "").removesuffix(".csv")
        known = {place.name: place for place in self.by_table.values()}
        return self.by_table.get(name) or known.get(file or "")

    def of_table(self, table: str) -> Place:
        """Return the place of a table; where it is not known, it is the CSV file of its name."""
        return self.by_table.get(table, Place(f"{table}.csv"))

    def named(self, sentence: str) -> str:
        """Return a sentence with the tables' own names in place of ``users.csv`` and the like."""
        for table, place in self.by_table.items():
            sentence = re.sub(rf"\b{table}\.csv\b(?!\.)", lambda _, name=place.name: name, sentence)  # type: ignore[misc]
        return sentence
