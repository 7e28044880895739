"""How labels are spelled: numbers that are codes, spellings to keep, labels that look alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from allocator.campaign.cell_types import MOST_COUNT
from allocator.campaign.grouping import MOST_GROUPS, UserLabels, as_text, group_columns
from allocator.limits.rows import LimitLike
from allocator.limits.scope import labels_named
from allocator.problem.labels import composed
from allocator.wording import counted

SAMPLE = 10_000  # rows that tell cheaply whether a column has too many values to group by
# 01234 and +49 are codes; so is 1E3 where no cell has decimals, as programs write 1e+3 or 1.0E3.
ZEROS, EXPONENT, WHOLE = r"^[+-]?0\d|^\+\d", r"^\d+[eE]\d+$", r"^[+-]?\d+$"
BETWEEN = re.compile(r"[,;|/]")


def distinct_cells(text: pl.Series) -> pl.Series | None:
    """Return the distinct cells of a column, sorted; None if they are too many to group by."""
    if text.head(SAMPLE).n_unique() > MOST_GROUPS + 1:
        return None
    distinct = text.drop_nulls().unique().sort()
    return distinct if len(distinct) <= MOST_GROUPS else None


def code_among(distinct: pl.Series) -> str | None:
    """Return a cell that is a code and no number, such as a store's ``01234`` or ``1E3``; None if none is.

    As numbers, ``01234`` and ``1234`` would be one, and so would whole numbers too large to be exact.
    """
    number = distinct.cast(pl.Float64, strict=False)
    code = distinct.str.contains(ZEROS)
    if not distinct.str.contains(".", literal=True).any():
        code |= distinct.str.contains(EXPONENT)
    code |= distinct.str.contains(WHOLE) & (number.abs() >= MOST_COUNT)
    found = distinct.filter((code & number.is_finite()).fill_null(False))
    return None if found.is_empty() else str(found[0])


def spellings(distinct: pl.Series) -> dict[float, str]:
    """Return how a file spells its numbers; empty if as `as_text` writes them."""
    number = distinct.cast(pl.Float64)
    plain = as_text(number)
    if ((distinct == plain) | (distinct.str.replace(r"\.0+$", "") == plain)).all():
        return {}
    found: dict[float, str] = {}
    for value, text in zip(number.to_list(), distinct.to_list(), strict=True):
        found.setdefault(value, text)
    return found


def one_number(distinct: pl.Series) -> str | None:
    """Say which cells are one number in two spellings; None if none are."""
    number = distinct.cast(pl.Float64)
    twice = number.filter(number.is_duplicated())
    if twice.is_empty():
        return None
    return " and ".join(map(repr, distinct.filter(number == twice[0]).to_list()[:2]))


def label_notes(labels: UserLabels, limits: Sequence[LimitLike]) -> Iterator[str]:
    """Yield what to know of the labels that limits name, and of the columns that they group by."""
    names = {column: labels.grouping(column).names for column in group_columns(limits)}
    for column in names:
        yield from _in_two_forms(labels.text(column), column)
        for one, other in look_alikes(names[column]):
            yield f"users.csv, {column}: '{one}' and '{other}' look alike, and are two labels"
    for limit in limits:
        users = getattr(limit, "users", None)
        for column, wanted in users.items() if isinstance(users, Mapping) else ():
            for label in labels_named(wanted):
                yield from _inside_others(limit.label, column, label, names.get(column, ()))


def _in_two_forms(text: pl.Series, column: str) -> Iterator[str]:
    """Yield labels whose accents are composed in some cells and not in others."""
    accented = text.filter(text.str.len_bytes() != text.str.len_chars()).unique()
    forms: dict[str, int] = {}
    for label in accented.to_list():
        forms[composed(label)] = forms.get(composed(label), 0) + 1
    if twice := sorted(label for label, n in forms.items() if n > 1):
        more = f" (and {counted(len(twice) - 1, 'other')})" if len(twice) > 1 else ""
        yield f"users.csv, {column}: '{twice[0]}'{more} has composed accents in some cells only: one label"


def look_alikes(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return labels that differ only in case, spaces, leading zeros or a decimal point, in pairs."""
    first: dict[str, str] = {}
    pairs = []
    for label in labels:
        folded = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        if re.fullmatch(r"[+-]?\d+(\.0+)?", folded):
            folded = str(int(folded.partition(".")[0]))
        if (other := first.setdefault(folded, label)) != label:
            pairs.append((other, label))
    return pairs


def _inside_others(limit: str, column: str, label: str, names: Sequence[str]) -> Iterator[str]:
    """Yield that a label also stands among others in a cell, where it does not count."""
    found = [name for name in names if name != label and label in map(str.strip, BETWEEN.split(name))]
    if found:
        mark = next(mark for mark in found[0] if BETWEEN.match(mark))
        yield (
            f"limit '{limit}': '{label}' also stands inside {counted(len(found), 'other label')} of "
            f"'{column}', such as '{found[0]}', whose users it does not mean; if a cell holds several "
            f'labels, say so in campaign.toml: [sets] {column} = "{mark}"'
        )
