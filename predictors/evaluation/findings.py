"""What a planner should know before trusting the figures, as sentences."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from allocator.plugins.evaluation import ArmEvaluation, Evaluation, Power
from predictors.evaluation.counterfactual import Counterfactual
from predictors.evaluation.policy import effective_rows
from predictors.evaluation.strata import same_days

LITTLE_OVERLAP = 0.5
IMBALANCE = 0.1
CHANCE = 3.0
"""So many standard errors are chance, where many features are looked at."""
FEW_EFFECTIVE = 100
SHOWN = 3


def find_doubts(report: Evaluation, facts: Counterfactual) -> list[str]:
    """Return what the history cannot support."""
    return [
        *_stakes(report),
        *_days(facts),
        *_overlap(report),
        *_balance(report, facts),
        *_power(report),
        *_plans(report, facts),
    ]


def _stakes(report: Evaluation) -> list[str]:
    stakes = report.stakes
    if stakes is None or stakes.in_currency or stakes.objective == "incremental_conversions":
        return []
    return [
        f"history.csv records no revenue, so plans are valued in conversions and not in {stakes.objective}; "
        "what they cost is not taken off."
    ]


def _days(facts: Counterfactual) -> list[str]:
    comparable = same_days(facts.history).all(axis=0)
    names = np.array(facts.history.coupons["coupon_id"].to_list())[~comparable].tolist()
    if not names:
        return []
    return [f"{_listed(names)}: some days had no send of it, or no control rows; the others are compared."]


def _overlap(report: Evaluation) -> list[str]:
    little = [arm for arm in report.overlap[1:] if arm.comparable < LITTLE_OVERLAP]  # the first is nothing
    return [
        f"{arm.arm}: only {arm.comparable:.0%} of the rows have comparable users who got it and who did not; "
        "nothing is known of the others. Send it to a random few of them."
        for arm in little[:SHOWN]
    ]


def _balance(report: Evaluation, facts: Counterfactual) -> list[str]:
    history = facts.history
    rows = [effective_rows(side, facts.propensity.weight) for side in (history.treated, ~history.treated)]
    chance = CHANCE * math.sqrt(sum(1 / max(count, 1) for count in rows))
    apart = [one for one in report.balance if abs(one.weighted) > max(IMBALANCE, chance)]
    if not apart:
        return []
    worst = ", ".join(f"{one.feature} ({one.weighted:+.2f})" for one in apart[:SHOWN])
    more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return [
        f"Treated and control users still differ after weighting, in standard deviations: {worst}{more}. "
        "What is called uplift may be that difference."
    ]


def _power(report: Evaluation) -> list[str]:
    intervals = {arm.coupon_id: arm for arm in report.arms}
    unclear = [one for one in report.power if _unclear(intervals.get(one.coupon_id))]
    if not unclear:
        return []
    shown = "; ".join(_needed(one) for one in unclear[:SHOWN])
    more = f"; and {len(unclear) - SHOWN} more" if len(unclear) > SHOWN else ""
    return [f"Too few conversions to tell these coupons' uplift from nothing: {shown}{more}."]


def _unclear(arm: ArmEvaluation | None) -> bool:
    return arm is not None and not (arm.observed_low > 0 or arm.observed_high < 0)


def _needed(one: Power) -> str:
    if math.isnan(one.treated_needed):
        return f"{one.coupon_id} (observed {one.uplift:+.1%}; {one.treated:,} sends cannot show any uplift)"
    conversions = one.treated_needed * (one.control_rate + one.uplift) + one.control_needed * one.control_rate
    return (
        f"{one.coupon_id} (observed {one.uplift:+.1%}: 80% power takes about {one.treated_needed:,.0f} sends "
        f"and {one.control_needed:,.0f} controls, {conversions:,.0f} conversions; there are {one.treated:,} "
        f"and {one.control:,})"
    )


def _plans(report: Evaluation, facts: Counterfactual) -> list[str]:
    notes, left_out = [], defaultdict(list)
    for plan in report.policies:
        if plan.rows < len(facts):
            left_out[f"{1 - plan.rows / len(facts):.0%}"].append(plan.plan)
        if plan.effective_rows < FEW_EFFECTIVE:
            notes.append(
                f"Plan '{plan.plan}': only {plan.followed:,} past sends got what it says (worth "
                f"{plan.effective_rows:,.0f} equally likely ones); its value is mostly what models expect."
            )
    for share, plans in left_out.items():
        names = ", ".join(f"'{name}'" for name in plans)
        notes.append(
            f"Plan {names}: {share} of the past sends say nothing about what it gives their users, and are "
            "left out of its value."
        )
    return notes


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
