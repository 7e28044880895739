"""Checks that need more than one column or file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import polars as pl

from allocator.campaign.config import FILE, Config
from allocator.campaign.coupon_terms import term_findings
from allocator.campaign.history_checks import ROW, numbered
from allocator.campaign.ids import email_columns, find_mismatch, one_in_two_spellings, rounded
from allocator.campaign.tables import FIRST_ROW, SHOWN
from allocator.errors import Finding
from allocator.wording import counted

HARDLY_ANY = 0.05
"""Of rows and of users: below this share of matches, files are of different ids."""

Tables = dict[str, pl.DataFrame | None]


def check_coupons(coupons: pl.DataFrame, config: Config, as_of: dt.date) -> list[Finding]:
    """Return what is wrong with the coupons as offers."""
    findings = []
    if not coupons["active"].any():
        findings.append(
            Finding("no coupon is active, so nothing can be sent", "coupons.csv", column="active")
        )
    for i, row in enumerate(coupons.iter_rows(named=True), start=FIRST_ROW):
        name = f"coupon '{row['coupon_id']}'"
        if row["kind"] == "percent" and row["value"] is not None and row["value"] > 100:
            findings.append(
                Finding(
                    f"{name} takes off more than 100 percent",
                    "coupons.csv",
                    i,
                    "value",
                    f"{row['value']:g}",
                    "0 to 100",
                )
            )
        if row["starts_at"] and row["ends_at"] and row["starts_at"] > row["ends_at"]:
            findings.append(
                Finding(
                    f"{name} ends before it starts: no whole day lies between",
                    "coupons.csv",
                    i,
                    "ends_at",
                    str(row["ends_at"]),
                    f"{row['starts_at']} or later",
                )
            )
        elif row["active"] and row["ends_at"] and row["ends_at"] < as_of:
            hint = (
                f"{name} has expired: its last whole day is past; correct the date, or set active to 0 if "
                "only history refers to it"
            )
            findings.append(
                Finding(hint, "coupons.csv", i, "ends_at", str(row["ends_at"]), f"{as_of} or later")
            )
        if row["currency"] and row["currency"] != config.currency:
            findings.append(
                Finding(
                    f"{name} is in another currency than the campaign",
                    "coupons.csv",
                    i,
                    "currency",
                    row["currency"],
                    config.currency,
                )
            )
    return [*findings, *term_findings(coupons)]


def check_references(tables: Tables) -> tuple[list[Finding], list[str], Tables]:
    """Check that ids in one file exist in the others, and are one in one file.

    An unknown coupon is an error anywhere; an unknown user is one in scores, while history, events
    and orders of users outside this campaign are left out with a note, as are purchases among the
    events where there are orders. Where hardly any row is of a user, or the ids would match in another
    spelling, it is an error.

    Returns
    -------
    tuple
        Findings, notes, and the tables with the rows of unknown users taken out; past sends with the row
        of the file that each stands in, as of `numbered`.
    """
    users, coupons = tables["users"], tables["coupons"]
    assert users is not None
    assert coupons is not None
    findings: list[Finding] = []
    notes = _spelt_twice(users, coupons)
    tables = dict(tables)
    if tables["history"] is not None:
        tables["history"] = numbered(tables["history"])
    for name in ("history", "scores"):
        table = tables[name]
        if table is not None:
            known = table["coupon_id"].is_in(coupons["coupon_id"].implode()).fill_null(name == "history")
            findings += _unknown(table["coupon_id"], known, f"{name}.csv", coupons["coupon_id"])
    for name in ("history", "events", "orders", "scores"):
        table = tables[name]
        if table is None:
            continue
        known = table["user_id"].is_in(users["user_id"].implode())
        if name == "scores":
            findings += _unknown(table["user_id"], known, "scores.csv", users["user_id"])
        elif not known.all():
            finding, note = _left_out(table["user_id"], known, users["user_id"], f"{name}.csv")
            findings += finding
            notes += note
            tables[name] = table.filter(known)
    events = tables["events"]
    if events is not None and tables["orders"] is not None and (n := (events["kind"] == "purchase").sum()):
        notes.append(f"events.csv: {n:,} purchases are not used, because orders.csv holds the purchases")
    history = tables["history"]
    if history is not None:
        findings += _check_treated(history)
        sent = history["coupon_id"].is_not_null()
        tables["history"] = history.with_columns(treated=history["treated"].fill_null(sent))
    return findings, notes, tables


def _spelt_twice(users: pl.DataFrame, coupons: pl.DataFrame) -> list[str]:
    notes = one_in_two_spellings(coupons, "coupons.csv", "coupon_id", "a coupon")
    for column in ("user_id", *email_columns(users)):
        notes += one_in_two_spellings(users, "users.csv", column, "a user")
    return notes


def _left_out(
    ids: pl.Series, known: pl.Series, users: pl.Series, file: str
) -> tuple[list[Finding], list[str]]:
    """Return a finding, or else a note, about rows of users that the campaign does not have."""
    unknown = ids.filter(~known)
    mismatch = find_mismatch(unknown.unique(maintain_order=True), users)
    rows = f"{counted(len(unknown), 'row')} of {len(ids):,}"
    if mismatch is not None:
        spelt = int(unknown.is_in(mismatch.ids.implode()).sum())
        message = (
            f"{rows} name users that users.csv does not have; {spelt:,} would match, but {mismatch.cause}"
        )
        if spelt >= HARDLY_ANY * len(ids):
            here, there = repr(mismatch.here), repr(mismatch.there)
            return [Finding(f"{message}; spell ids alike", file, None, ids.name, here, there)], []
        return [], [f"{file}: {message}: '{mismatch.here}' here, '{mismatch.there}' there; they are left out"]
    seen = ids.filter(known)
    if len(seen) < HARDLY_ANY * len(ids) and seen.n_unique() < HARDLY_ANY * len(users):
        message = f"hardly any row is of a user of users.csv: {rows} are not"
        if (cut := rounded(unknown)) is not None:
            message += f"; ids such as '{cut}' were rounded by a spreadsheet: export them as text"
        expected = f"ids such as {users[0]!r}"
        return [Finding(message, file, None, ids.name, repr(unknown[0]), expected)], []
    return [], [f"{file}: {len(unknown):,} rows of users that are not in users.csv are left out"]


def _unknown(ids: pl.Series, known: pl.Series, file: str, theirs: pl.Series) -> list[Finding]:
    """Name ids that are not there, and the reason if it is only their spelling."""
    rows = (~known).arg_true()
    if not len(rows):
        return []
    column = ids.name
    expected = f"a {column} of {'users' if column == 'user_id' else 'coupons'}.csv"
    findings = [
        Finding(f"unknown {column}", file, i + FIRST_ROW, column, repr(ids[i]), expected)
        for i in rows[:SHOWN]
    ]
    if len(rows) > SHOWN:
        findings.append(Finding(f"and {len(rows) - SHOWN:,} more rows like this", file, column=column))
    if (mismatch := find_mismatch(ids.filter(~known).unique(maintain_order=True), theirs)) is not None:
        message = f"{counted(len(mismatch.ids), 'id')} would match, but {mismatch.cause}; spell ids alike"
        here, there = repr(mismatch.here), repr(mismatch.there)
        findings.append(Finding(message, file, None, column, here, there))
    return findings


def _check_treated(history: pl.DataFrame) -> list[Finding]:
    bad = history.filter(pl.col("treated") & pl.col("coupon_id").is_null())[ROW]
    return [
        Finding(
            "the row is treated but names no coupon",
            "history.csv",
            row,
            "coupon_id",
            "an empty cell",
            "a coupon_id",
        )
        for row in bad[:SHOWN]
    ]


def missing_columns(place: str, names: Iterable[str], users: pl.DataFrame) -> list[Finding]:
    """Return a finding for each user column that a key of campaign.toml names and that is not there."""
    known = ", ".join(name for name in users.columns if name != "user_id")
    return [
        Finding("users have no such column", FILE, None, place, repr(name), f"one of {known}")
        for name in names
        if name not in users.columns
    ]
