"""Changes that a scenario makes to coupons: other terms, new coupons, coupons left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.checks import check_coupons
from allocator.campaign.config import FILE, Scenario
from allocator.campaign.schema import COUPONS
from allocator.campaign.tables import FIRST_ROW, parse_frame
from allocator.errors import Finding, InputError

TERMS = ("kind", "value", "max_discount", "min_spend", "category", "description")
"""What customers respond to: if one of these changes, the coupon's predictions are another coupon's."""


def changed_coupons(campaign: Campaign, scenario: Scenario, findings: list[Finding]) -> pl.DataFrame:
    """Return the coupons as a scenario has them; what is wrong with it is added to `findings`."""
    findings += _unknown(campaign, scenario)
    coupons = campaign.coupons
    rows = {row["coupon_id"]: row for row in coupons.iter_rows(named=True)}
    wanted = {name: {**rows[name], **terms} for name, terms in scenario.coupons.items() if name in rows}
    wanted |= {str(row.get("coupon_id")): {"active": True, **row} for row in scenario.add_coupons}
    if wanted:
        changed = _parsed(wanted, campaign, scenario, findings)
        kept = coupons.filter(~pl.col("coupon_id").is_in(set(wanted) & set(rows)))
        coupons = pl.concat([kept, changed.select(coupons.columns)]) if changed is not None else coupons
        order = [*rows, *(name for name in wanted if name not in rows)]
        coupons = coupons.sort(pl.col("coupon_id").replace_strict(order, range(len(order))))
    return coupons.with_columns(active=pl.col("active") & ~pl.col("coupon_id").is_in(scenario.drop_coupons))


def other_coupons(campaign: Campaign, changed: Campaign) -> list[str]:
    """Return the active coupons of a changed campaign that no prediction of the campaign is about."""
    before = {row["coupon_id"]: row for row in campaign.active_coupons.iter_rows(named=True)}
    return [
        row["coupon_id"]
        for row in changed.active_coupons.iter_rows(named=True)
        if (old := before.get(row["coupon_id"])) is None or any(row[name] != old[name] for name in TERMS)
    ]


def _unknown(campaign: Campaign, scenario: Scenario) -> list[Finding]:
    place = scenario.title
    active = campaign.active_coupons["coupon_id"].to_list()
    every = campaign.coupons["coupon_id"].to_list()
    findings = [
        Finding(f"{place} drops an unknown coupon", FILE, None, None, repr(name), _one_of(active))
        for name in scenario.drop_coupons
        if name not in active
    ]
    findings += [
        Finding(f"{place} changes an unknown coupon", FILE, None, None, repr(name), _one_of(every))
        for name in scenario.coupons
        if name not in every
    ]
    findings += [
        Finding(f"{place} adds a coupon that is there", FILE, None, "add_coupons", repr(row["coupon_id"]))
        for row in scenario.add_coupons
        if row.get("coupon_id") in every
    ]
    if not scenario.add_coupons and len(set(scenario.drop_coupons)) >= len(active):
        findings.append(Finding(f"{place} drops every coupon", FILE))
    return findings


def _parsed(
    wanted: Mapping[str, Mapping[str, Any]], campaign: Campaign, scenario: Scenario, findings: list[Finding]
) -> pl.DataFrame | None:
    """Read the coupons as if they stood in coupons.csv, with the same checks."""
    columns = dict.fromkeys(name for row in wanted.values() for name in row)
    cells = {name: [_cell(row.get(name)) for row in wanted.values()] for name in columns}
    try:
        frame = parse_frame(pl.DataFrame(cells, dict.fromkeys(columns, pl.String)), COUPONS, FILE)
        wrong = check_coupons(frame, campaign.config, campaign.as_of)
    except InputError as error:
        frame, wrong = None, list(error.findings)
    names = list(wanted)
    findings += [_of_scenario(finding, scenario, names) for finding in wrong]
    return frame


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, bool) else f"{value}"


def _of_scenario(finding: Finding, scenario: Scenario, names: list[str]) -> Finding:
    """Name the coupon instead of the row, which no file has."""
    message = scenario.title
    if finding.row is not None and 0 <= finding.row - FIRST_ROW < len(names):
        coupon = f"coupon '{names[finding.row - FIRST_ROW]}'"
        message += "" if finding.message.startswith(coupon) else f", {coupon}"
    return replace(finding, message=f"{message}: {finding.message}", file=FILE, row=None)


def _one_of(names: list[str]) -> str:
    return "one of " + ", ".join(names)
