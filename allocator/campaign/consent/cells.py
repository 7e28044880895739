"""What the cells of a column say of who may be contacted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from allocator.campaign.columns.names import key_of
from allocator.campaign.consent import vocabulary as v

MANY = 60
"""A column with more different cells than this holds times, if anything; no list of states is so long."""
SHOWN = 4


@dataclass(frozen=True)
class Cells:
    """The distinct cells of a column of text with their number, the most frequent first; the empty ones."""

    counts: Mapping[str, int]
    blank: int
    dated: bool
    many: bool

    @classmethod
    def of(cls, column: pl.Series) -> Cells:
        """Count the cells; those that stand for no date at all are empty ones."""
        filled = column.drop_nulls()
        filled = filled.filter(~filled.str.contains(v.NO_DATE))
        dated = bool(filled.len()) and bool(filled.str.contains(v.DATE_LIKE).all())
        dated = dated or (bool(filled.len()) and bool(filled.str.contains(v.EPOCH).all()))
        counts = filled.value_counts(sort=True).head(MANY + 1)
        ordered = sorted(counts.iter_rows(), key=lambda row: (-row[1], row[0]))
        return cls(dict(ordered[:MANY]), column.len() - filled.len(), dated, len(ordered) > MANY)

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Each cell as it is compared."""
        return {text: _comparable(text) for text in self.counts}

    def any_of(self, *vocabularies: frozenset[str]) -> bool:
        """Return whether some cell is one of these words."""
        return any(key in words for key in self.keys.values() for words in vocabularies)

    def all_of(self, *vocabularies: frozenset[str]) -> bool:
        """Return whether every cell is one of these words."""
        return not self.many and not self.others_than(*vocabularies)

    def others_than(self, *vocabularies: frozenset[str]) -> dict[str, int]:
        """Return the cells that are none of these words, with their number."""
        return {
            text: count
            for text, count in self.counts.items()
            if not any(self.keys[text] in words for words in vocabularies)
        }

    def channels(self) -> Mapping[str, frozenset[str]] | None:
        """Return the channels that each cell lists, if all do; "" is a channel that is not sent on."""
        found = {text: frozenset(map(_channel, _listed(text))) for text in self.counts}
        known = not self.many and bool(found) and all(None not in names for names in found.values())
        return {text: frozenset(filter(None, names)) for text, names in found.items()} if known else None

    def shown(self, counts: Mapping[str, int] | None = None) -> str:
        """Return a few cells with how often they occur."""
        counts = self.counts if counts is None else counts
        shown = [f"{_cut(text)!r} ({count:,})" for text, count in list(counts.items())[:SHOWN]]
        more = ["..."] if len(counts) > SHOWN or self.many else []
        return ", ".join(shown + more) or f"{self.blank:,} empty cells"


def _comparable(text: str) -> str:
    try:
        return f"{float(text):g}"  # 1, 1.0 and 01 alike
    except ValueError:
        return key_of(text)


def _listed(text: str) -> list[str]:
    parts = re.split(r"[,;|]", text.strip("[](){} "))
    return [part.strip("\"' ") for part in parts if part.strip("\"' ")]


def _channel(word: str) -> str | None:
    return v.CHANNEL_CELLS.get(key_of(word))


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
