"""What a scenario needs that the campaign's predictions or scores may not bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import FILE, Scenario
from allocator.campaign.worth import missing_error
from allocator.errors import Finding
from allocator.plugins.predictions import Predictions
from allocator.whatif.coupon_changes import other_coupons

WITH_SCORES = ("value", "uplift", "cost")
"""What can be scaled without predictions: scores carry no other, and values are proportional to uplift."""


def unmet_needs(
    campaign: Campaign,
    changed: Campaign,
    predictions: Predictions | None,
    scenario: Scenario,
    can_predict: bool,
) -> Iterator[Finding]:
    """Yield a finding for each thing that a scenario needs and that is not there.

    Parameters
    ----------
    campaign, changed
        As it is, and as the scenario has it.
    predictions
        Its scores count where there are none.
    can_predict
        Whether a predictor is at hand for coupons with other terms.
    """
    others = other_coupons(campaign, changed)
    if others and (predictions is None or not can_predict):
        yield _no_predictor(scenario, others, predictions)
    if predictions is None and values_otherwise(campaign, changed):
        yield _ready_values(scenario)
    if predictions is None and (unknown := sorted(set(map(str, scenario.scale)) - set(WITH_SCORES))):
        yield _unscored(scenario, unknown)
    risky = changed.config.objective.risk == "pessimistic"
    if risky and (missing := missing_error(campaign, predictions)) is not None:
        yield replace(missing, message=f"{scenario.title}: {missing.message}")


def values_otherwise(campaign: Campaign, changed: Campaign) -> bool:
    """Return whether a changed campaign values users by another objective."""
    own, other = (one.config.objective for one in (campaign, changed))
    return (own.maximize, own.margin) != (other.maximize, other.margin)


def _ready_values(scenario: Scenario) -> Finding:
    message = (
        f"{scenario.title} values users by another objective, but the values of scores.csv are "
        "ready; give predictions"
    )
    return Finding(message, FILE, column="objective", expected="--predictions FILE or RUN")


def _unscored(scenario: Scenario, names: list[str]) -> Finding:
    message = f"{scenario.title} scales {', '.join(names)}, but scores.csv only has values and costs"
    return Finding(message + "; scale value or cost, or use predictions", FILE)


def _no_predictor(scenario: Scenario, others: list[str], predictions: Predictions | None) -> Finding:
    message = (
        f"{scenario.title} has coupons that nothing is predicted of: {', '.join(others)}; "
        "give a predictor that knows what customers make of their terms"
    )
    if predictions is None:
        message += " (scores.csv is about the coupons as they are)"
    expected = "--predictions RUN of a run that trained a predictor, or --model of `allocate train`"
    return Finding(message, FILE, expected=expected)
