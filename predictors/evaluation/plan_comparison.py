"""Plans set beside each other on the same past sends."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import AS_SENT, NOTHING, Estimate, OffPolicy, PolicyValue
from predictors.evaluation.counterfactual import Counterfactual
from predictors.evaluation.estimates import mean_estimate
from predictors.evaluation.goal import Goal
from predictors.evaluation.policy import effective_rows, off_policy

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN = -2
FEW_SENDS = 100


def best_coupon(value: Floats) -> Ints:
    """Return the coupon of the highest predicted value, or uplift, -1 where none is above 0, (n,)."""
    best = np.argmax(value, axis=1)
    return np.where(value[np.arange(len(value)), best] > 0, best, -1)


def compare_plans(facts: Counterfactual, goal: Goal, plans: Mapping[str, Ints]) -> tuple[PolicyValue, ...]:
    """Return what each plan would have earned, beside sending nothing and the best single coupon.

    The single coupon is the one with the highest doubly robust value on these same rows, which
    flatters it a little.

    Parameters
    ----------
    facts
        n past sends.
    goal
        What the campaign maximises.
    plans
        For each name the coupon of each row's user, (n,): -1 for nothing, `UNKNOWN` for a coupon that
        was never sent, whose rows are left out.
    """
    n, names = len(facts), facts.history.coupons["coupon_id"].to_list()
    every = {NOTHING: np.full(n, -1)}
    single = best_single(facts, goal)
    every[f"everyone {names[single]}"] = np.full(n, single)
    every |= plans
    best = facts.resolved(np.full(n, single))
    values = [_value(name, facts, goal, facts.resolved(plan), best) for name, plan in every.items()]
    return (values[0], _past(facts, goal, best), *values[1:])


def best_single(facts: Counterfactual, goal: Goal) -> int:
    """Return the coupon that earns most above nothing if everyone gets it, after costs, doubly robust.

    Coupons with few sends are passed over, unless all have few: the best of many is the noisiest.
    """
    scores = facts.scores(goal.kept(facts), goal.kept_expected(facts))
    gains = scores[:, :-1] - scores[:, -1:]
    known = np.isfinite(gains)
    means = np.where(known, gains, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    sends = np.bincount(facts.arm[facts.arm >= 0], minlength=len(means))
    enough = sends >= min(FEW_SENDS, sends.max())
    return int(np.argmax(np.where(known.any(axis=0) & enough, means, -np.inf)))


def _past(facts: Counterfactual, goal: Goal, best: Ints) -> PolicyValue:
    """Return what the past sends themselves earned: means, which need no model and no propensity."""
    history, rows = facts.history, np.arange(len(facts))
    converted = history.converted.astype(np.float64)
    kept, kept_expected = goal.kept(facts), goal.kept_expected(facts)
    outcomes = (converted, history.revenue, kept, facts.spent)
    earned = [mean_estimate(outcome, history.user) for outcome in outcomes]

    def above(outcome: Floats, expected: Floats, other: Ints) -> Estimate:
        difference = outcome - facts.scores(outcome, expected)[rows, other]
        known = np.isfinite(difference)
        return mean_estimate(difference[known], history.user[known])

    nothing = np.full(len(facts), -1)
    return PolicyValue(
        plan=AS_SENT,
        rows=len(facts),
        followed=len(facts),
        effective_rows=float(len(facts)),
        sent=float(history.treated.mean()),
        conversions=OffPolicy(earned[0], earned[0], earned[0]),
        revenue=OffPolicy(earned[1], earned[1], earned[1]),
        gain=above(converted, facts.conversion, nothing),
        revenue_gain=above(history.revenue, facts.revenue, nothing),
        over_single=above(converted, facts.conversion, best),
        value=OffPolicy(earned[2], earned[2], earned[2]),
        value_gain=above(kept, kept_expected, nothing),
        value_over_single=above(kept, kept_expected, best),
        spend=earned[3],
    )


def _value(name: str, facts: Counterfactual, goal: Goal, plan: Ints, best: Ints) -> PolicyValue:
    """Return the value of a plan of arms."""
    rows = np.arange(len(facts))
    tried, plan = plan != UNKNOWN, np.maximum(plan, -1)
    judged = tried & facts.usable[rows, plan] & facts.usable[:, -1]
    history = facts.history
    follows = facts.arm == plan
    weight = facts.propensity.weight
    user = history.user
    columns = {
        "conversions": (history.converted.astype(np.float64), facts.conversion),
        "revenue": (history.revenue, facts.revenue),
        "value": (goal.kept(facts), goal.kept_expected(facts)),
        "spend": (facts.spent, facts.spend),
    }
    values = {
        label: off_policy(
            outcome[judged], follows[judged], weight[judged], expected[rows, plan][judged], user[judged]
        )
        for label, (outcome, expected) in columns.items()
    }

    def above(label: str, other: Ints) -> Estimate:
        outcome, expected = columns[label]
        scores = facts.scores(outcome, expected)
        difference = scores[rows, plan] - scores[rows, other]
        both = judged & np.isfinite(difference)
        return mean_estimate(difference[both], user[both])

    nothing = np.full(len(facts), -1)
    return PolicyValue(
        plan=name,
        rows=int(judged.sum()),
        followed=int((follows & judged).sum()),
        effective_rows=effective_rows(follows & judged, weight),
        sent=float(np.mean(plan[judged] >= 0)) if judged.any() else float("nan"),
        conversions=values["conversions"],
        revenue=values["revenue"],
        gain=above("conversions", nothing),
        revenue_gain=above("revenue", nothing),
        over_single=above("conversions", best),
        value=values["value"],
        value_gain=above("value", nothing),
        value_over_single=above("value", best),
        spend=values["spend"].dr,
    )
