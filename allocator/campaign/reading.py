"""Read a campaign folder; report everything that is wrong with it at once."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import polars as pl

from allocator.campaign import instants
from allocator.campaign.campaign import Campaign
from allocator.campaign.checks import check_coupons, check_references, missing_columns
from allocator.campaign.config import read_config
from allocator.campaign.copy_decisions import check_decisions
from allocator.campaign.coupon_terms import term_notes
from allocator.campaign.grouping import UserLabels, label_findings
from allocator.campaign.label_spelling import label_notes
from allocator.campaign.limit_tables import parse_limits
from allocator.campaign.measures import known_measures
from allocator.campaign.past_checks import check_past
from allocator.campaign.schema import (
    COUPONS,
    EVENTS,
    HISTORY,
    ORDERS,
    REVIEWED_COPY,
    SCORES,
    USERS,
    TableSchema,
)
from allocator.campaign.stocks import stock_notes
from allocator.campaign.table_context import TableContext
from allocator.campaign.tables import parse_table
from allocator.errors import Finding, InputError
from allocator.files import restore_ids


def read_campaign(folder: str | Path, *, as_of: dt.date | None = None) -> Campaign:
    """Read and check a campaign folder.

    Parameters
    ----------
    folder
        Folder with ``campaign.toml``, ``users`` and ``coupons``, and optionally ``history``,
        ``events``, ``orders``, ``scores`` and ``reviewed_copy``, each as CSV or Parquet.
    as_of
        The day of the decision where campaign.toml names none; today unless given.

    Raises
    ------
    InputError
        With every finding in every file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(Finding("there is no such folder", file=str(folder)))
    findings: list[Finding] = []
    config = _collect(findings, read_config, folder)
    zone = None if config is None else config.campaign.time_zone
    day = as_of or (dt.date.today() if zone is None else instants.today(zone))
    if config is not None and config.as_of is not None:
        day = config.as_of
    context = TableContext(zone)
    digests: dict[str, str] = {}
    if (folder / "campaign.toml").is_file():
        digests["campaign.toml"] = _digest(folder / "campaign.toml")
    tables = {
        schema.name: _collect(findings, _read_file, folder, schema, digests, context)
        for schema in (USERS, COUPONS, HISTORY, EVENTS, ORDERS, SCORES, REVIEWED_COPY)
    }
    users, coupons = tables["users"], tables["coupons"]
    notes = context.notes
    if config is not None and coupons is not None:
        findings += check_coupons(coupons, config, day)
    if users is not None and coupons is not None:
        found, said, tables = check_references(tables)
        findings += found
        notes += said
    if config is not None and users is not None and coupons is not None:
        found, said, tables = check_past(tables, day, instants.start_of_day(day, zone, later=1))
        findings += found
        notes += said
        measures = known_measures(tables["scores"])
        labels = UserLabels(users, context.spellings, config.sets)
        limits = _collect(findings, parse_limits, config.limits, labels, coupons, measures)
        if limits is not None:
            notes += label_notes(labels, limits)
    if config is not None and users is not None:
        findings += missing_columns("copy.may_mention", config.copy_.may_mention, users)
        findings += label_findings(UserLabels(users, context.spellings, config.sets), config)
    if tables["reviewed_copy"] is not None:
        findings += check_decisions(tables["reviewed_copy"])
    if config is not None and coupons is not None:
        notes += term_notes(coupons, day)
        notes += stock_notes(coupons, tables["scores"], tables["history"])
    if findings or config is None or users is None or coupons is None:
        raise InputError(findings)
    return Campaign(
        folder=folder,
        config=config,
        as_of=day,
        users=users,
        coupons=coupons,
        history=tables["history"],
        events=tables["events"],
        orders=tables["orders"],
        scores=tables["scores"],
        reviewed=tables["reviewed_copy"],
        digests=digests,
        notes=tuple(notes),
        spellings=context.spellings,
    )


def read_decisions(folder: Path) -> pl.DataFrame | None:
    """Read what people decided on texts, ``reviewed_copy``; None if there is no such file."""
    decisions = _read_file(folder, REVIEWED_COPY, {}, TableContext())
    if decisions is not None and (findings := list(check_decisions(decisions))):
        raise InputError(findings)
    return decisions


def _collect(findings: list[Finding], function, *args):  # type: ignore[no-untyped-def]
    """Call `function`; on InputError keep its findings and return None."""
    try:
        return function(*args)
    except InputError as error:
        findings.extend(error.findings)
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_file(
    folder: Path, schema: TableSchema, digests: dict[str, str], context: TableContext
) -> pl.DataFrame | None:
    paths = [path for ending in ("csv", "parquet") if (path := folder / f"{schema.name}.{ending}").is_file()]
    if len(paths) > 1:
        raise InputError(Finding("both a CSV and a Parquet file are there; keep one", file=schema.name))
    if not paths:
        if schema.required:
            raise InputError(
                Finding(
                    "file is missing",
                    file=f"{schema.name}.csv",
                    expected=f"{schema.name}.csv or .parquet in {folder}",
                )
            )
        return None
    digests[paths[0].name] = _digest(paths[0])
    table = parse_table(paths[0], schema, context)
    # Of all campaign files, this one alone is written by Allocate.
    return restore_ids(table, ("coupon_id", "segment", "hook")) if schema is REVIEWED_COPY else table
