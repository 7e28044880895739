"""Read a campaign folder; report everything that is wrong with it at once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from allocator.campaign import instants
from allocator.campaign.campaign import Campaign
from allocator.campaign.checks import check_coupons, check_references, missing_columns
from allocator.campaign.columns.readings import reading_findings
from allocator.campaign.config import read_config
from allocator.campaign.copy_decisions import check_decisions
from allocator.campaign.coupon_terms import term_notes
from allocator.campaign.formats import Tables
from allocator.campaign.grouping import UserLabels, label_findings
from allocator.campaign.label_spelling import label_notes
from allocator.campaign.languages import locale_notes
from allocator.campaign.limit_tables import parse_limits
from allocator.campaign.measures import known_measures
from allocator.campaign.past_checks import check_past
from allocator.campaign.schema import REVIEWED_COPY
from allocator.campaign.score_notes import score_notes
from allocator.campaign.scores import Scores
from allocator.campaign.stocks import stock_notes
from allocator.campaign.table_context import TableContext
from allocator.campaign.table_files import find_table, read_found, read_tables
from allocator.errors import Finding, InputError
from allocator.files import sha256_of
from allocator.progress import Progress, no_progress


def read_campaign(
    folder: str | Path, *, as_of: dt.date | None = None, progress: Progress = no_progress
) -> Campaign:
    """Read and check a campaign folder.

    Parameters
    ----------
    folder
        Folder with ``campaign.toml``, ``users`` and ``coupons``, and optionally ``history``,
        ``events``, ``orders``, ``scores`` and ``reviewed_copy``, in any form that
        `allocator.campaign.formats` opens.
    as_of
        The day of the decision where campaign.toml names none; today unless given.
    progress
        Called as ``progress(step, done, total)`` while a large table is read; may raise to cancel.

    Raises
    ------
    InputError
        With every finding in every file.
    """
    if not isinstance(folder, str | Path):
        raise InputError(Finding("this is no folder", column="folder", found=type(folder).__name__))
    if as_of is not None and not isinstance(as_of, dt.date):
        raise InputError(Finding("this is no date", column="as_of", found=repr(as_of)))
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(Finding("there is no such folder", file=str(folder)))
    findings: list[Finding] = []
    config = _collect(findings, read_config, folder)
    zone = None if config is None else config.campaign.time_zone
    day = as_of or instants.today(zone)
    if config is not None and config.as_of is not None:
        day = config.as_of
    context = TableContext(zone)
    digests: dict[str, str] = {}
    if (folder / "campaign.toml").is_file():
        digests["campaign.toml"] = sha256_of(folder / "campaign.toml")
    files = read_tables(folder, None if config is None else config.currency, findings, context, progress)
    digests |= files.digests
    tables = files.frames()
    final = len(findings)  # of these, files and rows are as people open them
    users, coupons = tables["users"], tables["coupons"]
    notes: list[str] = []
    if config is not None and coupons is not None:
        findings += check_coupons(coupons, config, day)
    if users is not None and coupons is not None:
        found, said, tables = check_references(tables)
        findings += found
        notes += said
    table, scores = tables["scores"], files.scores
    if table is not None and users is not None and coupons is not None and not findings:
        scores = Scores.of(table, users["user_id"], coupons["coupon_id"])
    scored = table.columns if table is not None else [] if scores is None else scores.columns
    if config is not None and users is not None and coupons is not None:
        found, said, tables = check_past(tables, day, instants.start_of_day(day, zone, later=1))
        findings += found
        notes += said
        measures = known_measures(scored)
        labels = UserLabels(users, context.spellings, config.sets)
        limits = _collect(findings, parse_limits, config.limits, labels, coupons, measures)
        if limits is not None:
            notes += label_notes(labels, limits)
    if config is not None and users is not None:
        findings += missing_columns("copy.may_mention", config.copy_.may_mention, users)
        findings += reading_findings(config.columns.get("users", {}), users)
        findings += label_findings(UserLabels(users, context.spellings, config.sets), config)
        notes += locale_notes(users["locale"], config.copy_.languages)
    if tables["reviewed_copy"] is not None:
        findings += check_decisions(tables["reviewed_copy"])
    if config is not None and coupons is not None:
        notes += term_notes(coupons, day)
        notes += [*stock_notes(coupons, scored, tables["history"]), *score_notes(scores)]
    places = files.places
    if findings or config is None or users is None or coupons is None:
        raise InputError([*findings[:final], *places.of(findings[final:])])
    return Campaign(
        folder=folder,
        config=config,
        as_of=day,
        users=users,
        coupons=coupons,
        history=tables["history"],
        events=tables["events"],
        orders=tables["orders"],
        ready=scores,
        reviewed=tables["reviewed_copy"],
        digests=digests,
        notes=(*files.notes(), *context.notes, *map(places.named, notes)),
        places=places,
        spellings=context.spellings,
        contact=files.read["users"].contact,
    )


def read_decisions(folder: Path) -> pl.DataFrame | None:
    """Read what people decided on texts, ``reviewed_copy``; None if there is no such file."""
    source = find_table(folder, REVIEWED_COPY, Tables())
    if source is None:
        return None
    table = read_found(source, REVIEWED_COPY)
    if findings := list(check_decisions(table.frame)):
        raise InputError(table.place.of_all(findings))
    return table.frame


def _collect(findings: list[Finding], function, *args):  # type: ignore[no-untyped-def]
    """Call `function`; on InputError keep its findings and return None."""
    try:
        return function(*args)
    except InputError as error:
        findings.extend(error.findings)
        return None
