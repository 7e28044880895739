"""A what-if: a change to a campaign, solved and set beside the base plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator import plugins
from allocator.campaign.building import Task, build_task, scale_predictions
from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Scenario
from allocator.campaign.limit_tables import known_measures, parse_limits
from allocator.campaign.summary import summarise
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
    """Apply a scenario's changes of limits and coupons.

    Raises
    ------
    InputError
        With every unknown limit, key and coupon.
    """
    findings: list[Finding] = []
    tables = [dict(table) for table in campaign.config.limits]
    by_label = {_label(table): table for table in tables}
    place = f"scenario '{scenario.name}'"
    for path, value in scenario.set.items():
        label, _, key = path.rpartition(".")
        if label not in by_label:
            known = ", ".join(f"{name}.at_most" for name in by_label)
            findings.append(
                Finding(
                    f"{place} changes an unknown limit",
                    FILE,
                    found=repr(path),
                    expected=f"a limit's label and key, such as {known}",
                )
            )
            continue
        by_label[label][key] = value
    active = campaign.active_coupons["coupon_id"].to_list()
    for coupon in scenario.drop_coupons:
        if coupon not in active:
            findings.append(
                Finding(
                    f"{place} drops an unknown coupon",
                    FILE,
                    found=repr(coupon),
                    expected="one of " + ", ".join(active),
                )
            )
    if len(set(scenario.drop_coupons)) >= len(active):
        findings.append(Finding(f"{place} drops every coupon", FILE))
    for name, factor in scenario.scale.items():
        if factor < 0:
            findings.append(
                Finding(
                    f"{place} scales {name} by a negative factor",
                    FILE,
                    found=f"{factor:g}",
                    expected="0 or more",
                )
            )
    if findings:
        raise InputError(findings)
    gone = set(scenario.drop_coupons)
    dropped = campaign.active_coupons.filter(pl.col("coupon_id").is_in(gone))
    left = campaign.active_coupons.filter(~pl.col("coupon_id").is_in(gone))
    tables = [kept for table in tables if (kept := _without(table, dropped, left)) is not None]
    return replace(
        campaign,
        config=campaign.config.model_copy(update={"limits": tables}),
        coupons=campaign.coupons.with_columns(
            active=pl.col("active") & ~pl.col("coupon_id").is_in(gone),
        ),
    )


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


def build_scenario(campaign: Campaign, predictions: Predictions | None, scenario: Scenario) -> Task:
    """Build the task of a scenario from the campaign's predictions or scores."""
    changed = change_campaign(campaign, scenario)
    factors = {str(name): factor for name, factor in scenario.scale.items()}
    if predictions is None:
        return build_task(_scale_scores(changed, factors, scenario.name), None)
    keep = [j for j, coupon in enumerate(predictions.coupon_ids) if coupon not in set(scenario.drop_coupons)]
    return build_task(changed, scale_predictions(_columns(predictions, keep), factors))


def check_scenarios(campaign: Campaign, scenarios: Sequence[Scenario] | None = None) -> None:
    """Raise InputError with everything wrong in the scenarios (those of campaign.toml unless given)."""
    findings: list[Finding] = []
    measures = known_measures(campaign.scores)
    for scenario in campaign.config.scenarios if scenarios is None else scenarios:
        try:
            changed = change_campaign(campaign, scenario)
            parse_limits(changed.config.limits, changed.users, changed.coupons, measures)
        except InputError as error:
            findings += error.findings
    if findings:
        raise InputError(findings)


def compare(campaign: Campaign, results: Sequence[ScenarioResult]) -> list[dict[str, Any]]:
    """Return one row of figures for each scenario, the base first, with differences to the base."""
    rows: list[dict[str, Any]] = []
    base = results[0]
    for result in results:
        if result.solution is None or result.task is None:
            rows.append({"name": result.name, "error": result.error})
            continue
        summary = summarise(campaign, result.task, result.solution)
        names = ("value", "spend", "assigned", "gap", "status", "limits", "by_coupon", "by_group")
        row = {"name": result.name, "error": None, **{name: summary[name] for name in names}}
        row["return"] = row["value"] / row["spend"] if row["spend"] else None
        row["moved"] = 0 if result is base else _moved(base, result)
        if rows:
            row["difference"] = {name: row[name] - rows[0][name] for name in ("value", "spend", "assigned")}
        rows.append(row)
    return rows


def _moved(base: ScenarioResult, other: ScenarioResult) -> int:
    """Return how many users get another coupon than in the base plan."""
    before, after = (_coupon_names(result) for result in (base, other))
    return int((before != after).sum())


def _coupon_names(result: ScenarioResult) -> NDArray[np.str_]:
    assert result.solution is not None
    labels = np.append(result.solution.problem.coupon_ids, "")
    return labels[result.solution.choice]


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
    task = build_task(campaign, predictions)
    base = solve_task(task, None)
    results = [ScenarioResult("base", task, base)]
    for done, scenario in enumerate(scenarios):
        progress("scenarios", done, len(scenarios))
        task = build_scenario(campaign, predictions, scenario)
        try:
            results.append(ScenarioResult(scenario.name, task, solve_task(task, base)))
        except InputError:
            raise
        except AllocateError as error:
            results.append(ScenarioResult(scenario.name, task, None, str(error)))
    return results


def _scale_scores(campaign: Campaign, factors: dict[str, float], name: str) -> Campaign:
    """Scores carry no single prediction but uplift, which value is proportional to."""
    others = sorted(set(factors) - {"uplift"})
    if others:
        message = f"scenario '{name}' scales {', '.join(others)}, but scores.csv only has values"
        message += "; scale uplift, or use predictions"
        raise InputError(Finding(message, FILE))
    if campaign.scores is None or not factors:
        return campaign
    return replace(campaign, scores=campaign.scores.with_columns(value=pl.col("value") * factors["uplift"]))


def _columns(predictions: Predictions, keep: list[int]) -> Predictions:
    changes = {
        name: getattr(predictions, name)[:, keep]
        for name in ("conversion", "uplift", "redemption", "revenue", "expected_cost")
    }
    error = predictions.uplift_error
    return replace(
        predictions,
        coupon_ids=predictions.coupon_ids[keep],
        uplift_error=None if error is None else error[:, keep],
        **changes,
    )
