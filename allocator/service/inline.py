"""A problem sent in columns -> a campaign in memory, as if its columns were files."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign import Campaign, Config
from allocator.campaign.checks import check_coupons, check_references
from allocator.campaign.columns.meanings import NOTHING, Meaning, TableName
from allocator.campaign.config import toml_finding
from allocator.campaign.coupon_terms import term_notes
from allocator.campaign.grouping import UserLabels, label_findings
from allocator.campaign.label_spelling import label_notes
from allocator.campaign.limit_tables import parse_limits
from allocator.campaign.measures import known_measures
from allocator.campaign.schema import COUPONS, SCORES, USERS, TableSchema
from allocator.campaign.scores import Scores
from allocator.campaign.stocks import stock_notes
from allocator.campaign.table_context import TableContext
from allocator.campaign.tables import FIRST_ROW, Parsed, clean_text, parse
from allocator.errors import Finding, InputError
from allocator.service.schemas.solve import Columns, InlineProblem

REQUEST = "request"
TABLES = {"scores.csv": "pairs", "users.csv": "users", "coupons.csv": "coupons", "campaign.toml": REQUEST}
OFFER = {"kind": "amount", "value": 0}  # of coupons that the pairs alone describe
CELLS = (str, int, float, bool, type(None))


def campaign_of(problem: InlineProblem, body: bytes) -> Campaign:
    """Return the campaign that a problem states.

    Parameters
    ----------
    problem
        As it was checked against its schema.
    body
        As it was sent, for its digest.

    Raises
    ------
    InputError
        With every finding; they name tables and rows of the request.
    """
    try:
        return _campaign(problem, body)
    except InputError as error:
        raise InputError([_of_request(finding) for finding in error.findings]) from error


def _campaign(problem: InlineProblem, body: bytes) -> Campaign:
    findings: list[Finding] = []
    config = _config(problem, findings)
    context = TableContext()
    parsed = _tables(problem, {} if config is None else config.columns, findings, context)
    tables = {name: None if found is None else found.frame for name, found in parsed.items()}
    today, notes = dt.date.today(), context.notes
    users, coupons, pairs = tables["users"], tables["coupons"], tables["scores"]
    scored = [] if pairs is None else pairs.columns
    if users is not None and coupons is not None:
        findings += check_coupons(coupons, config, today) if config is not None else []
        wrong, said, tables = check_references(tables)
        findings += wrong
        # Of coupons that the pairs alone describe, nothing was said that could be doubted.
        terms = term_notes(coupons, today) if "value" in (problem.coupons or {}) else []
        notes = [*notes, *said, *terms, *stock_notes(coupons, scored, None)]
    if config is not None and users is not None and coupons is not None:
        labels = UserLabels(users, context.spellings, config.sets)
        wrong, said = _check_limits(config, labels, coupons, scored)
        findings += wrong
        notes = [*notes, *said]
    if findings or config is None or users is None or coupons is None or parsed["users"] is None:
        raise InputError(findings)
    scores = None if pairs is None else Scores.of(pairs, users["user_id"], coupons["coupon_id"])
    return Campaign(
        folder=Path(REQUEST), config=config, as_of=today, users=users, coupons=coupons, history=None,
        events=None, ready=scores, digests={REQUEST: hashlib.sha256(body).hexdigest()},
        notes=tuple(map(_note_of_request, [*parsed["users"].notes, *notes])),
        spellings=context.spellings, contact=parsed["users"].contact,
    )  # fmt: skip


def _config(problem: InlineProblem, findings: list[Finding]) -> Config | None:
    from pydantic import ValidationError

    solve = {key: value for key in ("gap", "time_limit", "method") if (value := getattr(problem, key))}
    if problem.gap == 0:
        solve["gap"] = 0.0
    settings: dict[str, Any] = {
        "schema": 1, "name": problem.name, "currency": problem.currency, "limits": problem.limits,
        "solve": solve, "columns": problem.columns,
    }  # fmt: skip
    settings |= {} if problem.seed is None else {"seed": problem.seed}
    tables = {"objective": problem.objective, "online": problem.online, "sets": problem.sets}
    settings |= {name: table for name, table in tables.items() if table is not None}
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        findings += [toml_finding(detail, REQUEST) for detail in error.errors(include_url=False)]
        return None


def _tables(
    problem: InlineProblem,
    meanings: Mapping[TableName, Mapping[str, Meaning]],
    findings: list[Finding],
    context: TableContext,
) -> dict[str, Parsed | None]:
    pairs, users, coupons = dict(problem.pairs), problem.users, problem.coupons
    if users is None:
        users = {"user_id": _distinct(pairs.get("user_id", []))}
    if coupons is None:
        coupons = {"coupon_id": _distinct(pairs.get("coupon_id", []))}
    size = max((len(cells) for cells in coupons.values()), default=0)
    coupons = {**{key: [value] * size for key, value in OFFER.items() if key not in coupons}, **coupons}
    empty: dict[str, Parsed | None] = dict.fromkeys(("history", "events", "orders", "reviewed_copy"))
    return empty | {
        "scores": _table("pairs", pairs, SCORES, meanings.get("scores", NOTHING), findings, context),
        "users": _table("users", users, USERS, meanings.get("users", NOTHING), findings, context),
        "coupons": _table("coupons", coupons, COUPONS, meanings.get("coupons", NOTHING), findings, context),
    }


def _distinct(cells: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(cell for cell in cells if isinstance(cell, CELLS)))


def _table(
    name: str,
    columns: Columns,
    schema: TableSchema,
    meanings: Mapping[str, Meaning],
    findings: list[Finding],
    context: TableContext,
) -> Parsed | None:
    lengths = {column: len(cells) for column, cells in columns.items()}
    wrong = [
        Finding("a cell must be a text, a number, true, false or null", name, i + FIRST_ROW, column)
        for column, cells in columns.items()
        if (i := next((i for i, cell in enumerate(cells) if not isinstance(cell, CELLS)), None)) is not None
    ]
    if "" in columns:
        wrong.append(Finding("a column has no name", name))
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{column}: {length:,}" for column, length in lengths.items())
        wrong.append(Finding("the columns must have one length", name, found=found))
    elif not any(lengths.values()):
        wrong.append(Finding("there are no rows", name))
    if wrong:
        findings += wrong
        return None
    try:
        raw = pl.DataFrame([_text(column, cells) for column, cells in columns.items()])
        return parse(clean_text(raw, name), schema, name, meanings, context)
    except InputError as error:
        findings += error.findings
        return None


def _text(name: str, cells: Sequence[Any]) -> pl.Series:
    """Return cells as text, as they would stand in a file."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds == {float}:
        return pl.Series(name, cells, pl.Float64).cast(pl.String)
    if kinds <= {str}:
        return pl.Series(name, cells, pl.String)
    return pl.Series(name, [None if cell is None else str(cell) for cell in cells], pl.String)


def _check_limits(
    config: Config, labels: UserLabels, coupons: pl.DataFrame, scored: Sequence[str]
) -> tuple[list[Finding], list[str]]:
    findings = label_findings(labels, config)
    try:
        limits = parse_limits(config.limits, labels, coupons, known_measures(scored))
    except InputError as error:
        return [*error.findings, *findings], []
    return findings, list(label_notes(labels, limits))


def _note_of_request(note: str) -> str:
    for file, table in TABLES.items():
        note = note.replace(file, table)
    return note


def _of_request(finding: Finding) -> Finding:
    """Name the request's table in place of a file, and count its rows from 1: it has no header."""
    table = TABLES.get(finding.file or "", finding.file)
    row = finding.row
    if row is not None and table in TABLES.values():
        row = row - FIRST_ROW + 1 or None
    return replace(finding, file=table, row=row)
