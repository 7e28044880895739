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
from allocator.campaign.grouping import column_finding
from allocator.campaign.limit_tables import parse_limits
from allocator.campaign.measures import known_measures
from allocator.campaign.schema import COUPONS, SCORES, USERS, TableSchema
from allocator.campaign.tables import FIRST_ROW, Parsed, clean_text, parse
from allocator.errors import Finding, InputError
from allocator.limits.groups import columns_of
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
    parsed = _tables(problem, {} if config is None else config.columns, findings)
    tables = {name: None if found is None else found.frame for name, found in parsed.items()}
    today = dt.date.today()
    users, coupons = tables["users"], tables["coupons"]
    if users is not None and coupons is not None:
        findings += check_coupons(coupons, config, today) if config is not None else []
        wrong, _, tables = check_references(tables)
        findings += wrong
    if config is not None and users is not None and coupons is not None:
        findings += _limit_findings(config, users, coupons, tables["scores"])
    if findings or config is None or users is None or coupons is None or parsed["users"] is None:
        raise InputError(findings)
    return Campaign(
        folder=Path(REQUEST), config=config, as_of=today, users=users, coupons=coupons, history=None,
        events=None, scores=tables["scores"], digests={REQUEST: hashlib.sha256(body).hexdigest()},
        notes=parsed["users"].notes, contact=parsed["users"].contact,
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
    tables = {"objective": problem.objective, "online": problem.online}
    settings |= {name: table for name, table in tables.items() if table is not None}
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        findings += [toml_finding(detail, REQUEST) for detail in error.errors(include_url=False)]
        return None


def _tables(
    problem: InlineProblem, meanings: Mapping[TableName, Mapping[str, Meaning]], findings: list[Finding]
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
        "scores": _table("pairs", pairs, SCORES, meanings.get("scores", NOTHING), findings),
        "users": _table("users", users, USERS, meanings.get("users", NOTHING), findings),
        "coupons": _table("coupons", coupons, COUPONS, meanings.get("coupons", NOTHING), findings),
    }


def _distinct(cells: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(cell for cell in cells if isinstance(cell, CELLS)))


def _table(
    name: str,
    columns: Columns,
    schema: TableSchema,
    meanings: Mapping[str, Meaning],
    findings: list[Finding],
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
        return parse(clean_text(raw, name), schema, name, meanings)
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


def _limit_findings(
    config: Config, users: pl.DataFrame, coupons: pl.DataFrame, scores: pl.DataFrame | None
) -> list[Finding]:
    findings: list[Finding] = []
    try:
        parse_limits(config.limits, users, coupons, known_measures(scores))
    except InputError as error:
        findings += error.findings
    by = [column_finding("objective.by", name, users) for name in columns_of(config.objective.by)]
    return findings + [wrong for wrong in by if wrong is not None]


def _of_request(finding: Finding) -> Finding:
    """Name the request's table in place of a file, and count its rows from 1: it has no header."""
    table = TABLES.get(finding.file or "", finding.file)
    row = finding.row
    if row is not None and table in TABLES.values():
        row = row - FIRST_ROW + 1 or None
    return replace(finding, file=table, row=row)
