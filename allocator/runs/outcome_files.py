"""Outcomes that somebody filled in: rows with the columns of ``outcomes.csv``, checked against the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from allocator.campaign.formats import FIRST_ROW, Place, source_of_file
from allocator.campaign.schema import OUTCOMES
from allocator.campaign.table_context import TableContext
from allocator.campaign.table_reading import read_table
from allocator.errors import Finding, InputError
from allocator.files import restore_ids
from allocator.runs.opening import OpenRun

MOST_FINDINGS = 5


def read_filled(run: OpenRun, paths: Sequence[Path], time_zone: str | None) -> tuple[pl.DataFrame, list[str]]:
    """Return outcomes of files with the columns of ``outcomes.csv``, and notes.

    Raises
    ------
    InputError
        With all rows that are not of the run, or stand there twice.
    """
    frames, notes, findings = [], [], []
    zone = time_zone or run.campaign.config.campaign.time_zone
    names = [column.name for column in OUTCOMES.columns]
    for path in paths:
        context = TableContext(zone)
        table = read_table(source_of_file(path, OUTCOMES.name), OUTCOMES, context=context)
        frame = restore_ids(table.frame.select(names))
        findings += _strange(frame, run, table.place)
        frames.append(frame)
        notes += [*table.notes, *context.notes]
    frame = pl.concat(frames)
    twice = frame.filter(frame.select("user_id", "coupon_id").is_duplicated())
    if len(twice):
        found = f"user {twice['user_id'][0]}, coupon {twice['coupon_id'][0]}"
        findings.append(Finding("a user and coupon stand there twice", str(paths[0]), found=found))
    if findings:
        raise InputError(findings)
    return frame, notes


def _strange(frame: pl.DataFrame, run: OpenRun, place: Place) -> list[Finding]:
    """Return a finding for rows of users, or of coupons, that are not of the run."""
    users = frame["user_id"].is_in(run.campaign.users["user_id"].implode())
    pairs = run.assignments.select("user_id", "coupon_id")
    given = frame.with_row_index("row").join(pairs, on=["user_id", "coupon_id"], how="semi")["row"]
    of_run = pl.Series(range(frame.height)).is_in(given.implode())
    nothing = frame["coupon_id"].is_null() & ~frame["user_id"].is_in(list(run.assigned))
    findings = rows_of(~users, "user_id", "the campaign has no such user", frame, place)
    wrong = users & ~of_run & ~nothing
    findings += without_time(frame, place)
    return findings + rows_of(wrong, "coupon_id", "this is not what the run gave the user", frame, place)


def without_time(frame: pl.DataFrame, place: Place) -> list[Finding]:
    """Return findings for coupons of which is not said when they were sent; nothing has no time."""
    timeless = frame["coupon_id"].is_not_null() & frame["sent_at"].is_null()
    return rows_of(timeless, "sent_at", "a coupon was sent, but not when", frame, place)


def rows_of(wrong: pl.Series, column: str, message: str, frame: pl.DataFrame, place: Place) -> list[Finding]:
    """Return findings for the rows that are `wrong`, a few of them and how many more."""
    rows = wrong.arg_true().to_list()
    findings = [
        Finding(message, row=row + FIRST_ROW, column=column, found=_found(frame, row)) for row in rows
    ]
    if len(rows) > MOST_FINDINGS:
        rest = len(rows) - MOST_FINDINGS
        last = Finding(f"and {rest:,} more like these", column=column)
        findings = [*findings[:MOST_FINDINGS], last]
    return place.of_all(findings)


def _found(frame: pl.DataFrame, row: int) -> str:
    return f"user {frame['user_id'][row]}, coupon {frame['coupon_id'][row] or 'none'}"
