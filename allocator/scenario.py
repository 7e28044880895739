"""A what-if: a change to a campaign, solved and set beside the base plan."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from allocator import plugins
from allocator.campaign.building import Task, build_task, message_measures
from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Scenario
from allocator.campaign.limit_tables import group_columns, known_measures, parse_limits
from allocator.campaign.run_folder import PERHAPS_PREDICTED, PREDICTED
from allocator.campaign.value import missing_error, scale_predictions
from allocator.errors import AllocateError, Finding, InputError
from allocator.protocols import Predictions
from allocator.solution import Solution

FILE = "campaign.toml"


@dataclass(frozen=True)
class ScenarioResult:
    """One scenario's plan, or why it has none.

    Parameters
    ----------
    name
        Of the scenario; "base" for the campaign as it is.
    task, solution
        What was solved and the plan; None if `error` says why not.
    error
        Why there is no plan, for example the limits that clash.
    """

    name: str
    task: Task | None
    solution: Solution | None
    error: str | None = None


def change_campaign(campaign: Campaign, scenario: Scenario) -> Campaign:
    """Apply a scenario's changes of limits, coupons and risk.

    Raises
    ------
    InputError
        With every unknown limit, key and coupon.
    """
    findings = [*_unknown_coupons(campaign, scenario), *_negative_factors(scenario)]
    tables = _changed_tables(campaign, scenario, findings)
    if findings:
        raise InputError(findings)
    gone = set(scenario.drop_coupons)
    dropped = campaign.active_coupons.filter(pl.col("coupon_id").is_in(gone))
    left = campaign.active_coupons.filter(~pl.col("coupon_id").is_in(gone))
    tables = [kept for table in tables if (kept := _without(table, dropped, left)) is not None]
    changes: dict[str, Any] = {"limits": [*tables, *scenario.add_limits]}
    if scenario.risk is not None:
        changes["objective"] = campaign.config.objective.model_copy(update={"risk": scenario.risk})
    return replace(
        campaign,
        config=campaign.config.model_copy(update=changes),
        coupons=campaign.coupons.with_columns(
            active=pl.col("active") & ~pl.col("coupon_id").is_in(gone),
        ),
    )


def _unknown_coupons(campaign: Campaign, scenario: Scenario) -> list[Finding]:
    active = campaign.active_coupons["coupon_id"].to_list()
    known = "one of " + ", ".join(active)
    findings = [
        Finding(f"scenario '{scenario.name}' drops an unknown coupon", FILE, None, None, repr(coupon), known)
        for coupon in scenario.drop_coupons
        if coupon not in active
    ]
    if len(set(scenario.drop_coupons)) >= len(active):
        findings.append(Finding(f"scenario '{scenario.name}' drops every coupon", FILE))
    return findings


def _negative_factors(scenario: Scenario) -> list[Finding]:
    place = f"scenario '{scenario.name}'"
    return [
        Finding(f"{place} scales {name} by a negative factor", FILE, None, None, f"{factor:g}", "0 or more")
        for name, factor in scenario.scale.items()
        if factor < 0
    ]


def _changed_tables(campaign: Campaign, scenario: Scenario, findings: list[Finding]) -> list[dict[str, Any]]:
    """Return the limits' tables with what the scenario sets, less those that it drops."""
    by_label = {_label(table): dict(table) for table in campaign.config.limits}
    place = f"scenario '{scenario.name}'"
    for path, value in scenario.set.items():
        place_of = _place(by_label, path)
        if place_of is None:
            known = "a limit's label and key, such as " + ", ".join(f"{name}.at_most" for name in by_label)
            message = f"{place} changes an unknown limit"
            findings.append(Finding(message, FILE, None, None, repr(path), known))
            continue
        label, key, item = place_of
        table = by_label[label]
        if not item:
            table[key] = value
            continue
        entries = table.get(key, _stock(campaign) if table.get("kind") == "inventory" else None)
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


def number_at(campaign: Campaign, path: str) -> float | None:
    """Return the number that a scenario's `set` would change at `path`; None if there is none."""
    by_label = {_label(table): table for table in campaign.config.limits}
    place = _place(by_label, path)
    if place is None:
        return None
    label, key, item = place
    found = by_label[label].get(key)
    if item:
        stock = _stock(campaign) if by_label[label].get("kind") == "inventory" else {}
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


def _stock(campaign: Campaign) -> dict[str, float]:
    stocked = campaign.active_coupons.drop_nulls("inventory")
    return dict(stocked.select("coupon_id", "inventory").iter_rows())


def _label(table: dict[str, Any]) -> str:
    """Return a limit's label: the one it states, or its kind's default."""
    if "label" in table or table.get("kind") not in plugins.names(plugins.LIMITS):
        return str(table.get("label"))
    parameters = inspect.signature(plugins.load(plugins.LIMITS, table["kind"])).parameters
    return str(parameters["label"].default) if "label" in parameters else str(table["kind"])


def _without(table: dict[str, Any], dropped: pl.DataFrame, left: pl.DataFrame) -> dict[str, Any] | None:
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


def build_scenario(
    campaign: Campaign, predictions: Predictions | None, scenario: Scenario, base: Task | None = None
) -> Task:
    """Build the task of a scenario from the campaign's predictions or scores.

    Where only limits change, the problem is that of `base`, the campaign's own task, if given.
    """
    changed = change_campaign(campaign, scenario)
    if base is not None and not (scenario.scale or scenario.drop_coupons or scenario.risk):
        task = with_limits(base, changed)
        if task is not None:
            return task
    factors = {str(name): factor for name, factor in scenario.scale.items()}
    if predictions is None:
        return build_task(_scale_scores(changed, factors, scenario.name), None)
    value = factors.pop("value", 1.0)
    keep = [j for j, coupon in enumerate(predictions.coupon_ids) if coupon not in set(scenario.drop_coupons)]
    return build_task(changed, scale_predictions(_columns(predictions, keep), factors), value)


def with_limits(base: Task, changed: Campaign) -> Task | None:
    """Return a task under a changed campaign's limits; None if its problem does not hold all they need."""
    problem, tables = base.problem, changed.config.limits
    if not set(message_measures(tables)) <= set(problem.measures):
        return None
    limits = parse_limits(tables, changed.users, changed.coupons, problem.measures)
    return replace(base, limits=tuple(limits)) if set(group_columns(limits)) <= set(problem.groups) else None


def check_scenarios(campaign: Campaign, scenarios: Sequence[Scenario] | None = None) -> None:
    """Raise InputError with everything wrong in the scenarios (those of campaign.toml unless given)."""
    findings: list[Finding] = []
    measures = known_measures(campaign.scores)
    for scenario in campaign.config.scenarios if scenarios is None else scenarios:
        try:
            changed = change_campaign(campaign, scenario)
        except InputError as error:
            findings += error.findings
            continue
        try:
            parse_limits(changed.config.limits, changed.users, changed.coupons, measures)
        except InputError as error:
            findings += [_of_scenario(finding, changed, scenario) for finding in error.findings]
    if findings:
        raise InputError(findings)


def _of_scenario(finding: Finding, changed: Campaign, scenario: Scenario) -> Finding:
    """Say which scenario a limit is wrong in, and number a new limit among the new ones."""
    message = f"scenario '{scenario.name}': {finding.message}"
    column, before = finding.column or "", len(changed.config.limits) - len(scenario.add_limits)
    if (place := re.match(r"limits\[(\d+)\]", column)) and int(place[1]) > before:
        column = f"add_limits[{int(place[1]) - before}]{column[place.end() :]}"
    return replace(finding, message=message, column=column or None)


def solve_scenarios(
    campaign: Campaign,
    predictions: Predictions | None,
    scenarios: Sequence[Scenario],
    solve_task: Callable[[Task, Solution | None], Solution],
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> list[ScenarioResult]:
    """Solve the base plan and every scenario, each warm-started from the base.

    A scenario without a plan is a result with an error, so that one impossible what-if does not
    hide the others.
    """
    risky = [scenario.name for scenario in scenarios if scenario.risk == "pessimistic"]
    if risky and (missing := missing_error(campaign, predictions)) is not None:
        raise InputError(replace(missing, message=f"scenario '{risky[0]}': {missing.message}"))
    task = build_task(campaign, predictions)
    base = solve_task(task, None)
    results = [ScenarioResult("base", task, base)]
    for done, scenario in enumerate(scenarios):
        progress("scenarios", done, len(scenarios))
        changed = build_scenario(campaign, predictions, scenario, task)
        try:
            results.append(ScenarioResult(scenario.name, changed, solve_task(changed, base)))
        except InputError:
            raise
        except AllocateError as error:
            results.append(ScenarioResult(scenario.name, changed, None, str(error)))
    return results


def _scale_scores(campaign: Campaign, factors: dict[str, float], name: str) -> Campaign:
    """Scores carry no single prediction but uplift, which value is proportional to."""
    others = sorted(set(factors) - {"value", "uplift", "cost"})
    if others:
        message = f"scenario '{name}' scales {', '.join(others)}, but scores.csv only has values and costs"
        message += "; scale value or cost, or use predictions"
        raise InputError(Finding(message, FILE))
    if campaign.scores is None or not factors:
        return campaign
    value, cost = factors.get("value", 1.0) * factors.get("uplift", 1.0), factors.get("cost", 1.0)
    scaled = {"value": value, "value_error": value, "cost": cost, "cost_variance": cost**2}
    columns = [pl.col(column) * factor for column, factor in scaled.items() if column in campaign.scores]
    return replace(campaign, scores=campaign.scores.with_columns(columns))


def _columns(predictions: Predictions, keep: list[int]) -> Predictions:
    changes = {
        name: array[:, keep]
        for name in (*PREDICTED, *PERHAPS_PREDICTED)
        if (array := getattr(predictions, name)) is not None
    }
    return replace(predictions, coupon_ids=predictions.coupon_ids[keep], **changes)
