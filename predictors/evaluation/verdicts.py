"""Whether a plan is worth its trouble, in the units that the campaign maximises, as sentences."""

from __future__ import annotations

from collections.abc import Sequence

from allocator.plugins.evaluation import AS_SENT, NOTHING, Estimate, PolicyValue, Stakes
from allocator.wording import figure_within, percentage, percentage_within


def find_verdicts(policies: Sequence[PolicyValue], stakes: Stakes) -> tuple[str, ...]:
    """Return a sentence for each plan that is neither nothing, nor one coupon for all, nor what was sent.

    Parameters
    ----------
    policies
        As of `compare_plans`: nothing first, the best single coupon before the plans.
    stakes
        What is at stake.
    """
    single = next(plan for plan in policies if plan.plan.startswith("everyone "))
    plans = [plan for plan in policies if plan.plan not in (NOTHING, AS_SENT, single.plan)]
    return tuple(_verdict(plan, single, stakes) for plan in plans)


def _verdict(plan: PolicyValue, single: PolicyValue, stakes: Stakes) -> str:
    spending = ""
    if _over_budget(plan, stakes):
        spending = f" It would spend {_used(plan, stakes)} of the budget."
    return f"Plan '{plan.plan}': {_judgement(plan, single, stakes)}.{spending}"


def _judgement(plan: PolicyValue, single: PolicyValue, stakes: Stakes) -> str:
    after = " after costs" if stakes.in_currency else ""
    gain = f"{_amount(plan.value_gain, stakes)} a head{after} over sending nothing"
    if not plan.value_gain.high > 0:
        return f"{gain}: it loses, so send nothing rather than this"
    if not plan.value_gain.low > 0:
        return f"{gain}, which cannot be told from nothing gained"
    if not single.value_gain.value > 0:
        return f"{gain}, and no coupon for everyone gains anything: it is worth its trouble"
    gain += f", {_amount(plan.value_over_single, stakes)} over '{single.plan}'"
    if plan.value_over_single.low > 0:
        return f"{gain}: it is worth its trouble"
    if _over_budget(single, stakes) and not _over_budget(plan, stakes):
        used = _used(single, stakes)
        return f"{gain}, which would take {used} of the budget: the plan is worth its trouble"
    if plan.value_over_single.high < 0:
        return f"{gain}: send that instead"
    return f"{gain}, from which it cannot be told: it is not shown to be worth its trouble"


def _over_budget(plan: PolicyValue, stakes: Stakes) -> bool:
    """Return whether the plan surely spends more than the budget, if all users are as the past ones."""
    return stakes.budget_used(plan.spend.low) > 1.0


def _used(plan: PolicyValue, stakes: Stakes) -> str:
    return percentage(stakes.budget_used(plan.spend.value), digits=0)


def _amount(one: Estimate, stakes: Stakes) -> str:
    if not stakes.in_currency:
        return f"{percentage_within(one.value, one.low, one.high)} conversions"
    sign = "+" if one.value >= 0 else ""
    return f"{sign}{figure_within(one.value, one.low, one.high)} {stakes.unit}"
