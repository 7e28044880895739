"""``[[limits]]`` tables -> limits, with every mistake in them named."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, get_type_hints

import numpy as np
import polars as pl
from pydantic import TypeAdapter, ValidationError

from allocator.campaign.config import FILE, toml_finding
from allocator.campaign.grouping import UserLabels, coupon_groups, group_columns
from allocator.campaign.stocks import COLUMNS, measure_of, stock_of, undeclared_stocks
from allocator.errors import Finding, InputError, PluginError
from allocator.limits import Inventory, Parity
from allocator.limits.rows import LimitLike, Row
from allocator.plugins import registry
from allocator.problem import Problem


def parse_limits(
    tables: Sequence[Mapping[str, Any]],
    users: UserLabels,
    coupons: pl.DataFrame,
    measures: Iterable[str] = ("cost",),
    problem: Problem | None = None,
) -> list[LimitLike]:
    """Make limits of the tables, and of the coupons' columns `stocks.COLUMNS` those that no table states.

    Parameters
    ----------
    tables, users, coupons
        Of the campaign.
    measures
        What limits can count.
    problem
        Of these users and active coupons, where it is built already: what it has need not be made to check
        the limits.

    Raises
    ------
    InputError
        With every unknown kind, key, column, group or coupon, and every label used twice.
    """
    findings: list[Finding] = []
    limits: list[tuple[str, LimitLike]] = []
    for i, table in enumerate(tables, start=1):
        limit = _parse_limit(f"limits[{i}]", dict(table), coupons, findings)
        if limit is not None:
            limits.append((f"limits[{i}]", limit))
    measures = set(measures)
    for column, stock in undeclared_stocks(tables, coupons, measures).items():
        limits.append((f"the {column} column of coupons.csv", stock))
    findings += _repeated_labels(limits)
    if not findings:
        findings += _check_against_data(limits, users, coupons, measures, problem)
    if findings:
        raise InputError(findings)
    return [limit for _, limit in limits]


def _parse_limit(
    place: str, table: dict[str, Any], coupons: pl.DataFrame, findings: list[Finding]
) -> LimitLike | None:
    kind = table.pop("kind", None)
    known = registry.names(registry.LIMITS)
    if kind not in known:
        message = "a limit needs a kind" if kind is None else "unknown kind of limit"
        found = None if kind is None else repr(kind)
        findings.append(
            Finding(message, FILE, column=f"{place}.kind", found=found, expected="one of " + ", ".join(known))
        )
        return None
    try:
        cls = registry.load(registry.LIMITS, kind)
    except PluginError as error:
        findings.append(Finding(str(error), FILE, column=f"{place}.kind"))
        return None
    if cls is Inventory and "at_most" not in table:
        measure = measure_of(table)
        table["at_most"] = stock_of(coupons, measure)
        column = COLUMNS.get(measure)
        if column is None or column not in coupons.columns or coupons[column].is_null().all():
            what = (
                f"no coupon states {column} in coupons.csv; add it" if column else "there is no column for it"
            )
            message = f"{what}, or state at_most here"
            findings.append(Finding(message, FILE, column=f"{place}.at_most"))
    parameters = inspect.signature(cls).parameters
    accepted = [name for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD]
    unknown = sorted(set(table) - set(accepted)) if len(accepted) == len(parameters) else []
    for key in unknown:
        expected = "one of " + ", ".join(accepted)
        findings.append(
            Finding(
                "unknown key; correct its spelling or remove it",
                FILE,
                column=f"{place}.{key}",
                expected=expected,
            )
        )
    wrong = _wrong_types(cls, table, place)
    findings += wrong
    if unknown or wrong:
        return None
    try:
        limit = _make(cls, table)
    except ValidationError as error:
        findings += [toml_finding(detail, FILE, place) for detail in error.errors()]
    except InputError as error:
        findings += [_at(finding, place) for finding in error.findings]
    except (TypeError, ValueError) as error:
        findings.append(Finding(str(error), FILE, column=place))
    else:
        findings += _in_percent(limit, place)
        return limit
    return None


def _in_percent(limit: LimitLike, place: str) -> list[Finding]:
    """Refuse a tolerance that no two shares can differ by: it would hold nothing back."""
    if not isinstance(limit, Parity) or limit.rate != "assigned" or limit.tolerance < 1:
        return []
    message = f"limit '{limit.label}': shares of users never differ by so much; write 0.05 for 5 percent"
    found = f"{limit.tolerance:g}"
    return [Finding(message, FILE, column=f"{place}.tolerance", found=found, expected="below 1")]


def _wrong_types(cls: type[Any], keys: Mapping[str, Any], place: str) -> list[Finding]:
    """Return the keys whose value has another type than the limit's: "400" is no number."""
    findings: list[Finding] = []
    adapters = _key_adapters(cls) if dataclasses.is_dataclass(cls) else {}
    for key in keys.keys() & adapters.keys():
        try:
            adapters[key].validate_python(keys[key], strict=True)
        except ValidationError as error:
            findings += [toml_finding(detail, FILE, f"{place}.{key}") for detail in error.errors()]
    return sorted(findings, key=str)


def _make(cls: type[Any], keys: dict[str, Any]) -> LimitLike:
    """Typed constructors get their keys checked and converted; a plugin's plain class checks its own."""
    limit: LimitLike
    limit = _adapter(cls).validate_python(keys) if dataclasses.is_dataclass(cls) else cls(**keys)
    if not isinstance(limit, LimitLike):
        raise TypeError(f"{cls.__name__} is no limit: it needs a label and a method rows(problem)")
    return limit


@lru_cache(maxsize=64)
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter[Any](cls)


@lru_cache(maxsize=64)
def _key_adapters(cls: type[Any]) -> dict[str, TypeAdapter[Any]]:
    return {key: TypeAdapter[Any](hint) for key, hint in get_type_hints(cls).items()}


def _repeated_labels(limits: Sequence[tuple[str, LimitLike]]) -> list[Finding]:
    first: dict[str, str] = {}
    findings = []
    for place, limit in limits:
        if limit.label in first:
            message = f"this label is already used by {first[limit.label]}; give each limit its own label"
            findings.append(Finding(message, FILE, column=f"{place}.label", found=repr(limit.label)))
        first.setdefault(limit.label, place)
    return findings


def _check_against_data(
    limits: Sequence[tuple[str, LimitLike]],
    users: UserLabels,
    coupons: pl.DataFrame,
    measures: Iterable[str],
    problem: Problem | None,
) -> list[Finding]:
    """Ask every limit to state itself for the campaign's users and coupons."""
    findings: list[Finding] = []
    usable = []
    known = set() if problem is None else set(problem.groups)
    for place, limit in limits:
        wrong = [users.finding(place, column) for column in group_columns([limit]) if column not in known]
        findings += [finding for finding in wrong if finding is not None]
        if not any(wrong):
            usable.append((place, limit))
    columns = group_columns(limit for _, limit in usable)
    if problem is None or not known.issuperset(columns):
        problem = _blank_problem(users, coupons.filter(coupons["active"]), columns, measures)
    for place, limit in usable:
        try:
            if strange := [row for row in limit.rows(problem) if not isinstance(row, Row)]:
                raise TypeError(f"its rows must be Row objects, not {strange[0]!r}")
        except InputError as error:
            findings += [_at(finding, place) for finding in error.findings]
        except Exception as error:
            findings.append(Finding(f"limit '{limit.label}' fails: {error!r}", FILE, column=place))
    return findings


def _blank_problem(
    users: UserLabels, coupons: pl.DataFrame, columns: Iterable[str], measures: Iterable[str]
) -> Problem:
    """Return a problem with the users' and coupons' labels, in which every number is 0."""
    blank = np.zeros((users.users.height, max(coupons.height, 1)), np.float32)
    return Problem(
        blank,
        dict.fromkeys(measures, blank),
        coupon_ids=coupons["coupon_id"].to_list() or None,
        groups={column: users.grouping(column) for column in columns},
        coupon_groups=coupon_groups(coupons) if coupons.height else {},
    )


def _at(finding: Finding, place: str) -> Finding:
    column = f"{place}.{finding.column}" if finding.column else place
    return dataclasses.replace(finding, file=FILE, column=column)
