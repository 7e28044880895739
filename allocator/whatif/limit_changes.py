"""Changes that a scenario makes to the tables of ``[[limits]]``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import FILE, Scenario
from allocator.campaign.stocks import measure_of, stock_of
from allocator.errors import Finding
from allocator.plugins import registry

PERCENT = re.compile(r"([+-]?)\s*(\d+(?:\.\d+)?)\s*%")


def changed_tables(campaign: Campaign, scenario: Scenario, findings: list[Finding]) -> list[dict[str, Any]]:
    """Return the limits' tables with what the scenario sets, less those that it drops.

    What is wrong with it is added to `findings`.
    """
    by_label = {_label(table): dict(table) for table in campaign.config.limits}
    place = scenario.title
    for path, value in scenario.set.items():
        place_of = _place(by_label, path)
        if place_of is None:
            known = "a limit's label and key, such as " + ", ".join(f"{name}.at_most" for name in by_label)
            message = f"{place} changes an unknown limit"
            findings.append(Finding(message, FILE, None, None, repr(path), known))
            continue
        label, key, item = place_of
        table = by_label[label]
        if isinstance(value, str) and PERCENT.fullmatch(value.strip()):
            number, share = number_at(campaign, path), read_share(value)
            if number is None or share is None:
                findings.append(_no_change(place, path, value, number))
                continue
            value = changed_by(number, share)
        if not item:
            table[key] = value
            continue
        entries = table.get(key, _stock(campaign, table) if table.get("kind") == "inventory" else None)
        if not isinstance(entries, dict):
            message = f"{place} changes an entry, but '{key}' of '{label}' is no table of entries"
            findings.append(Finding(message, FILE, None, None, repr(path), f"{label}.{key}"))
            continue
        table[key] = {**entries, item: value}
    for label in scenario.drop_limits:
        if by_label.pop(label, None) is None:
            known = "one of " + ", ".join(map(_label, campaign.config.limits))
            message = f"{place} drops an unknown limit"
            findings.append(Finding(message, FILE, None, None, repr(label), known))
    return list(by_label.values())


def read_share(text: str) -> float | None:
    """Return the change that ``-10%`` asks for, as a share; None if the text does not say more or less."""
    match = PERCENT.fullmatch(text.strip())
    if match is None or (not match[1] and float(match[2]) != 0):
        return None
    return float(match[1] + match[2]) / 100


def changed_by(number: float, share: float) -> float:
    """Return a number more or less by a share of it, in twelve digits: 10 % less than 400 is 360."""
    return float(f"{number * (1 + share):.12g}")


def _no_change(place: str, path: str, value: str, number: float | None) -> Finding:
    if number is None:
        message = f"{place} changes '{path}' by a share, but campaign.toml states no number there"
        return Finding(message, FILE, None, None, repr(value), "the new number")
    message = f"{place} does not say whether '{path}' becomes so much more or less"
    return Finding(message, FILE, None, None, repr(value), f"+{value} or -{value}, or the new number")


def number_at(campaign: Campaign, path: str) -> float | None:
    """Return the number that a scenario's `set` would change at `path`; None if there is none."""
    by_label = {_label(table): table for table in campaign.config.limits}
    place = _place(by_label, path)
    if place is None:
        return None
    label, key, item = place
    found = by_label[label].get(key)
    if item:
        table = by_label[label]
        stock = _stock(campaign, table) if table.get("kind") == "inventory" else {}
        found = (found if isinstance(found, dict) else stock).get(item)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _place(labels: Iterable[str], path: str) -> tuple[str, str, str] | None:
    """Split ``<label>.<key>[.<item>]``; labels may have dots, so the longest that fits is meant."""
    fits = [label for label in labels if path.startswith(f"{label}.")]
    if not fits:
        return None
    label = max(fits, key=len)
    key, _, item = path.removeprefix(f"{label}.").partition(".")
    return label, key, item


def _stock(campaign: Campaign, table: Mapping[str, Any]) -> dict[str, float]:
    return stock_of(campaign.coupons, measure_of(table))


def _label(table: dict[str, Any]) -> str:
    """Return a limit's label: the one it states, or its kind's default."""
    if "label" in table or table.get("kind") not in registry.names(registry.LIMITS):
        return str(table.get("label"))
    parameters = inspect.signature(registry.load(registry.LIMITS, table["kind"])).parameters
    return str(parameters["label"].default) if "label" in parameters else str(table["kind"])


def without_coupons(
    table: dict[str, Any], dropped: pl.DataFrame, left: pl.DataFrame
) -> dict[str, Any] | None:
    """Take dropped coupons out of a limit's table; None if the limit was only about them."""
    named = table.get("coupons")
    changes: dict[str, Any] = {}
    if table.get("kind") == "inventory" and isinstance(table.get("at_most"), dict):
        bounds = table["at_most"].items()
        changes["at_most"] = {coupon: n for coupon, n in bounds if coupon not in set(dropped["coupon_id"])}
    if isinstance(named, list):
        changes["coupons"] = _kept(named, dropped["coupon_id"], left["coupon_id"])
    elif isinstance(named, dict):
        kept = {
            key: _kept(value, dropped[key], left[key]) for key, value in named.items() if key in left.columns
        }
        changes["coupons"] = {**named, **kept} if all(kept.values()) else None
    elif isinstance(table.get("channel"), str) and "channel" in left.columns:
        changes["channel"] = next(iter(_kept(table["channel"], dropped["channel"], left["channel"])), None)
    return {**table, **changes} if all(changes.values()) else None


def _kept(labels: Any, dropped: pl.Series, left: pl.Series) -> list[str]:
    """Return the labels that a remaining coupon carries, and the unknown ones, which are reported later."""
    gone = set(dropped) - set(left)
    return [label for label in ([labels] if isinstance(labels, str) else labels) if label not in gone]
