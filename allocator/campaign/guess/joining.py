"""Which columns of two files hold the same ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

MANY = 50_000
"""Ids of a file that are compared; more would say no more."""
SAME = 0.5
"""From this share of ids that are found in the other file, two columns are taken to belong together."""
UNIQUE = 0.99


@dataclass(frozen=True)
class Join:
    """Columns that hold the same ids.

    Parameters
    ----------
    key
        The column of the table whose rows the ids are of.
    columns
        The column of each other table, by the table's name.
    shares
        Share of the other table's ids that are in the first.
    """

    key: str
    columns: Mapping[str, str]
    shares: Mapping[str, float]

    @property
    def worst(self) -> float:
        """The share in the table that fits least."""
        return min(self.shares.values(), default=1.0)


def best_join(
    rows: pl.DataFrame, key: str | None, others: Mapping[str, tuple[pl.DataFrame, str | None]]
) -> Join | None:
    """Return which column of `rows` is the key that the ids of the other tables are of.

    Parameters
    ----------
    rows
        One row an id, as text.
    key
        The column that is the key by its name.
    others
        By table, its cells and the column that holds the ids by its name. Columns by name stay where they
        fit; otherwise those that fit best are taken, where they fit at all.
    """
    keys = [*([key] if key is not None else []), *(name for name in _unique(rows) if name != key)]
    joins = [_join(rows[name], others) for name in keys[:12]]
    known = [join for join in joins if join is not None]
    if not known:
        return None
    if key is not None and joins[0] is not None and joins[0].worst >= SAME:
        return joins[0]
    best = max(known, key=lambda join: join.worst)
    return best if best.worst >= SAME else (joins[0] if key is not None else None)


def _join(ids: pl.Series, others: Mapping[str, tuple[pl.DataFrame, str | None]]) -> Join | None:
    wanted = ids.drop_nulls().implode()
    columns, shares = {}, {}
    for table, (frame, named) in others.items():
        candidates = [named, *(name for name in frame.columns if name != named)] if named else frame.columns
        found = {name: _share(frame[name], wanted) for name in candidates}
        best = named if named and found[named] >= SAME else max(found, key=lambda name: found[name])
        if named and found[best] < SAME:
            best = named
        columns[table], shares[table] = best, found[best]
    return Join(ids.name, columns, shares)


def _share(column: pl.Series, wanted: pl.Series) -> float:
    distinct = column.drop_nulls().unique().head(MANY)
    if len(distinct) < 2:  # a constant belongs to anything
        return 0.0
    return int(distinct.is_in(wanted).sum()) / len(distinct)


def _unique(rows: pl.DataFrame) -> Sequence[str]:
    """Return the columns that could be a key: filled, and hardly ever twice the same."""
    return [
        name
        for name in rows.columns
        if rows[name].null_count() <= (1 - UNIQUE) * rows.height
        and rows[name].n_unique() >= UNIQUE * rows.height
    ]
