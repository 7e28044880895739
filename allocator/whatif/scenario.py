"""A what-if: a change to a campaign, solved and set beside the base plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import ValidationError

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import FILE, Objective, Scenario, toml_finding
from allocator.campaign.eligibility import eligibility
from allocator.campaign.grouping import group_columns
from allocator.campaign.limit_tables import parse_limits
from allocator.campaign.measures import known_measures, measures_of, message_measures
from allocator.campaign.predictions import PERHAPS_PREDICTED, PREDICTED
from allocator.campaign.task import Task, build_task
from allocator.errors import AllocateError, Finding, InputError
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress
from allocator.solution import Solution
from allocator.solver.pricing import EngineSettings
from allocator.solver.settings import check_settings
from allocator.whatif.coupon_changes import changed_coupons, other_coupons
from allocator.whatif.limit_changes import changed_tables, without_coupons
from allocator.whatif.needs import unmet_needs, values_otherwise
from allocator.whatif.scaling import scale_predictions, scale_scores

Array = NDArray[np.floating]
Predict = Callable[[Campaign], Predictions]
Solve = Callable[[Campaign, Task, Solution | None], Solution]


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
    objective
        What the plan maximises.
    """

    name: str
    task: Task | None
    solution: Solution | None
    error: str | None = None
    objective: Objective = field(default_factory=Objective)


def change_campaign(campaign: Campaign, scenario: Scenario) -> Campaign:
    """Apply a scenario's changes of limits, coupons and objective.

    Raises
    ------
    InputError
        With every unknown limit, key and coupon, and every value that cannot be.
    """
    findings = _negative_factors(scenario)
    coupons = changed_coupons(campaign, scenario, findings)
    tables = changed_tables(campaign, scenario, findings)
    objective = _changed_objective(campaign, scenario, findings)
    if findings:
        raise InputError(findings)
    gone = pl.col("coupon_id").is_in(set(scenario.drop_coupons))
    dropped = campaign.active_coupons.filter(gone)
    left = coupons.filter(pl.col("active"))
    tables = [kept for table in tables if (kept := without_coupons(table, dropped, left)) is not None]
    changes = {"limits": [*tables, *scenario.add_limits], "objective": objective}
    return replace(campaign, config=campaign.config.model_copy(update=changes), coupons=coupons)


def _changed_objective(campaign: Campaign, scenario: Scenario, findings: list[Finding]) -> Objective:
    objective = campaign.config.objective
    risk = {} if scenario.risk is None else {"risk": scenario.risk}
    if not scenario.objective and not risk:
        return objective
    try:
        return Objective.model_validate({**objective.model_dump(), **scenario.objective, **risk})
    except ValidationError as error:
        findings += [
            replace(wrong, message=f"{scenario.title}: {wrong.message}")
            for wrong in (
                toml_finding({**detail, "loc": ("objective", *detail["loc"])}, FILE)
                for detail in error.errors()
            )
        ]
        return objective


def _negative_factors(scenario: Scenario) -> list[Finding]:
    place = scenario.title
    return [
        Finding(f"{place} scales {name} by a negative factor", FILE, None, None, f"{factor:g}", "0 or more")
        for name, factor in scenario.scale.items()
        if factor < 0
    ]


def build_scenario(
    campaign: Campaign,
    predictions: Predictions | None,
    scenario: Scenario,
    base: Task | None = None,
    predict: Predict | None = None,
) -> Task:
    """Build the task of a scenario from the campaign's predictions or scores.

    Parameters
    ----------
    campaign, predictions, scenario
        What changes how.
    base
        The campaign's own task; where only limits change, coupons go or all values are scaled, its
        problem serves again.
    predict
        Predicts the coupons of a campaign, for those that the scenario adds or gives other terms.

    Raises
    ------
    InputError
        If a coupon needs predictions and there is no predictor, or as for `change_campaign`.
    """
    changed = change_campaign(campaign, scenario)
    if base is not None and not _changes_pairs(scenario, base):
        task = with_limits(_reduced(base, changed, scenario), changed)
        if task is not None:
            return task
    if unmet := list(unmet_needs(campaign, changed, predictions, scenario, predict is not None)):
        raise InputError(unmet)
    factors = {str(name): factor for name, factor in scenario.scale.items()}
    if predictions is None:
        return build_task(scale_scores(changed, factors), None)
    value = factors.pop("value", 1.0)
    if (others := other_coupons(campaign, changed)) and predict is not None:
        predictions = _with_others(changed, predictions, others, predict)
    place = {coupon: j for j, coupon in enumerate(predictions.coupon_ids.tolist())}
    kept = _columns(predictions, [place[coupon] for coupon in changed.coupon_ids.tolist() if coupon in place])
    scaled = scale_predictions(kept, factors)
    return build_task(changed, scaled, value, _worth_as_before(campaign, changed, scaled, value))


def _worth_as_before(
    campaign: Campaign, changed: Campaign, predictions: Predictions, value: float
) -> Array | None:
    """Return what the campaign's own objective makes of each pair, where the scenario has another one."""
    if not values_otherwise(campaign, changed):
        return None
    mean = campaign.config.objective.model_copy(update={"risk": "mean", "fairness": None})
    config = changed.config.model_copy(update={"objective": mean, "limits": []})
    return build_task(replace(changed, config=config), predictions, value).problem.value


def _changes_pairs(scenario: Scenario, base: Task) -> bool:
    """Return whether pairs must be valued anew: for more than other limits, fewer coupons, or all values
    times a factor.
    """
    alike = set(scenario.scale) <= {"value"} and "expected_value" not in base.problem.measures
    return bool(not alike or scenario.coupons or scenario.add_coupons or scenario.objective or scenario.risk)


def _reduced(base: Task, changed: Campaign, scenario: Scenario) -> Task:
    """Return a task without the coupons that a changed campaign does not send, its values scaled."""
    if scenario.drop_coupons:
        kept = np.isin(base.problem.coupon_ids, changed.coupon_ids)
        base = replace(base, problem=base.problem.of_coupons(kept), eligibility=eligibility(changed))
    if (factor := scenario.scale.get("value", 1.0)) != 1.0:
        base = replace(base, problem=base.problem.with_values(factor * base.problem.value))
    return base


def _with_others(
    changed: Campaign, predictions: Predictions, others: list[str], predict: Predict
) -> Predictions:
    """Predict the coupons that are not as they were, under names that the predictor has not seen."""
    fresh = {name: f"{name} (changed)" for name in others}
    asked = changed.coupons.filter(pl.col("coupon_id").is_in(others)).with_columns(
        pl.col("coupon_id").replace(fresh), active=pl.lit(True)
    )
    past = changed.coupons.with_columns(active=pl.lit(False))
    found = predict(replace(changed, coupons=pl.concat([past, asked])))
    place = {coupon: j for j, coupon in enumerate(found.coupon_ids.tolist())}
    new = _columns(found, [place[fresh[name]] for name in others])
    keep = [j for j, coupon in enumerate(predictions.coupon_ids.tolist()) if coupon not in fresh]
    old = _columns(predictions, keep)
    joined: dict[str, Any] = dict.fromkeys(PERHAPS_PREDICTED)
    for name in (*PREDICTED, *PERHAPS_PREDICTED):
        parts = getattr(old, name), getattr(new, name)
        if all(part is not None for part in parts):
            joined[name] = np.concatenate(parts, axis=1)
    ids = np.array([*old.coupon_ids.tolist(), *others])
    return replace(old, coupon_ids=ids, notes=(*old.notes, *found.notes), **joined)


def with_limits(base: Task, changed: Campaign) -> Task | None:
    """Return a task under a changed campaign's limits; None if its problem does not hold all they need."""
    problem, tables = base.problem, changed.config.limits
    if not set(message_measures(tables)) <= set(problem.measures):
        return None
    limits = parse_limits(tables, changed.labels, changed.coupons, problem.measures, problem)
    return replace(base, limits=tuple(limits)) if set(group_columns(limits)) <= set(problem.groups) else None


def check_scenarios(campaign: Campaign, scenarios: Sequence[Scenario] | None = None) -> None:
    """Raise InputError with everything wrong in the scenarios (those of campaign.toml unless given)."""
    findings: list[Finding] = []
    measures = known_measures(campaign.scored)
    for scenario in campaign.config.scenarios if scenarios is None else scenarios:
        try:
            changed = change_campaign(campaign, scenario)
        except InputError as error:
            findings += error.findings
            continue
        try:
            parse_limits(changed.config.limits, changed.labels, changed.coupons, measures)
        except InputError as error:
            findings += [_of_scenario(finding, changed, scenario) for finding in error.findings]
    if findings:
        raise InputError(findings)


def _of_scenario(finding: Finding, changed: Campaign, scenario: Scenario) -> Finding:
    """Say which scenario a limit is wrong in, and number a new limit among the new ones."""
    message = f"{scenario.title}: {finding.message}"
    column, before = finding.column or "", len(changed.config.limits) - len(scenario.add_limits)
    if (place := re.match(r"limits\[(\d+)\]", column)) and int(place[1]) > before:
        column = f"add_limits[{int(place[1]) - before}]{column[place.end() :]}"
    return replace(finding, message=message, column=column or None)


def solve_scenarios(
    campaign: Campaign,
    predictions: Predictions | None,
    scenarios: Sequence[Scenario],
    solve_task: Solve,
    progress: Progress = no_progress,
    predict: Predict | None = None,
) -> list[ScenarioResult]:
    """Solve the base plan and every scenario, each warm-started from the base.

    A scenario without a plan is a result with an error, so that one impossible what-if does not
    hide the others.

    Parameters
    ----------
    campaign, predictions, scenarios
        As for `build_scenario`; without predictions, the campaign's scores are used.
    solve_task
        Called as ``solve_task(campaign, task, start)`` with the campaign as changed and a plan, or None.
    progress
        Called as ``progress(step, done, total)``.
    predict
        As for `build_scenario`.
    """
    task = build_task(campaign, predictions)
    _check_solvable(campaign, predictions, scenarios, predict is not None)
    base = solve_task(campaign, task, None)
    results = [ScenarioResult("base", task, base, None, campaign.config.objective)]
    for done, scenario in enumerate(scenarios):
        progress("scenarios", done, len(scenarios))
        changed = build_scenario(campaign, predictions, scenario, task, predict)
        own = change_campaign(campaign, scenario)
        plan, why = None, None
        try:
            plan = solve_task(own, changed, base)
        except InputError:
            raise
        except AllocateError as error:
            why = str(error)
        results.append(ScenarioResult(scenario.name, changed, plan, why, own.config.objective))
    return results


def _check_solvable(
    campaign: Campaign, predictions: Predictions | None, scenarios: Sequence[Scenario], can_predict: bool
) -> None:
    """Raise InputError, before anything is solved, with all for which some scenario could not be."""
    findings: list[Finding] = []
    for scenario in scenarios:
        changed = change_campaign(campaign, scenario)
        findings += unmet_needs(campaign, changed, predictions, scenario, can_predict)
        measures = measures_of(campaign.scored, predicted=predictions is not None)
        settings = changed.config.solve
        try:
            parse_limits(changed.config.limits, changed.labels, changed.coupons, measures)
            check_settings(
                settings.method, changed.config.objective.fair(), None, settings.gap, settings.time_limit,
                changed.config.seed, EngineSettings(), "raise",
            )  # fmt: skip
        except InputError as error:
            findings += [_of_scenario(finding, changed, scenario) for finding in error.findings]
    if findings:
        raise InputError(findings)


def _columns(predictions: Predictions, keep: list[int]) -> Predictions:
    if keep == list(range(len(predictions.coupon_ids))):
        return predictions
    changes = {
        name: array[:, keep]
        for name in (*PREDICTED, *PERHAPS_PREDICTED)
        if (array := getattr(predictions, name)) is not None
    }
    return replace(predictions, coupon_ids=predictions.coupon_ids[keep], **changes)
