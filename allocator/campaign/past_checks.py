"""Checks of what is past: sends, events and orders, against the day of the decision and themselves."""

from __future__ import annotations

import datetime as dt

import polars as pl

from allocator.campaign.history_checks import (
    ROW,
    contradictions,
    impossible_propensities,
    of_one_moment,
    shared_moments,
)
from allocator.campaign.propensity_checks import propensity_notes
from allocator.errors import Finding
from allocator.wording import counted

TIMES = {"history": "sent_at", "events": "at", "orders": "at"}

Tables = dict[str, pl.DataFrame | None]


def check_past(tables: Tables, as_of: dt.date, end: dt.datetime) -> tuple[list[Finding], list[str], Tables]:
    """Check past sends, and what of all that is past comes after the day of the decision.

    Parameters
    ----------
    tables
        Of users of the campaign; past sends with the row that each stands in, as of `numbered`.
    as_of, end
        The day of the decision, and when it ends, in UTC.

    Returns
    -------
    tuple
        Findings, notes, and the tables.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    tables = dict(tables)
    for name, time in TIMES.items():
        if (table := tables[name]) is not None and table.height:
            wrong, said = _late(table, time, as_of, end, f"{name}.csv")
            findings += wrong
            notes += said
    history = tables["history"]
    if history is not None:
        past = history.filter(pl.col("sent_at") < end)
        together = of_one_moment(past)
        findings += impossible_propensities(past)
        notes += [*contradictions(past), *shared_moments(together), *propensity_notes(past, together)]
        tables["history"] = history.drop(ROW)
    return findings, notes, tables


def _late(
    table: pl.DataFrame, time: str, as_of: dt.date, end: dt.datetime, file: str
) -> tuple[list[Finding], list[str]]:
    """Find rows after the day of the decision, which are not used; a file with no others is an error."""
    n = int((table[time] >= end).sum())
    if not n:
        return [], []
    if n == table.height:
        message = "every row is after the day of the decision; correct as_of in campaign.toml, or the times"
        expected = f"{as_of} or earlier"
        return [Finding(message, file, column=time, found=str(table[time].min()), expected=expected)], []
    return [], [f"{file}: {counted(n, 'row')} after the day of the decision ({as_of}) not used"]
