"""What a campaign maximises, as past sends show it: after costs, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import CONVERSIONS, Stakes
from predictors.evaluation.counterfactual import Counterfactual
from predictors.evaluation.send_scores import SendScores
from predictors.history.history import History

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Floats = NDArray[np.float64]

TOTAL = {"kind", "label", "at_most", "at_least", "confidence", "variance", "coupon_error"}
"""The keys of a budget for all that is spent; with others it is one of a part."""


@dataclass(frozen=True)
class Goal:
    """How much of the objective a purchase is.

    An amount is what the campaign earns of a purchase (its `margin`) less what the coupon costs: discount
    and sending. Conversions cost nothing that could be taken off them.

    Parameters
    ----------
    stakes
        The objective's name and unit, how many users the campaign has, and its budget.
    margin
        Of a unit of revenue; None where conversions are counted.
    """

    stakes: Stakes
    margin: float | None

    @classmethod
    def of(cls, campaign: Campaign, history: History) -> Self:
        """Return the campaign's objective; conversions where the past sends record no revenue."""
        objective, config = campaign.config.objective, campaign.config
        name = str(objective.maximize)
        margin = None
        if name != "incremental_conversions" and history.revenue.any():
            margin = 1.0 if name == "incremental_revenue" else float(objective.margin)
        totals = [
            float(limit["at_most"])
            for limit in config.limits
            if limit.get("kind") == "budget" and limit.keys() <= TOTAL and "at_most" in limit
        ]
        unit = CONVERSIONS if margin is None else config.currency
        budget = min(totals, default=float("nan"))
        return cls(Stakes(name, unit, campaign.users.height, budget), margin)

    @property
    def in_currency(self) -> bool:
        """Whether it is an amount of money."""
        return self.margin is not None

    def earned(self, facts: Counterfactual) -> Floats:
        """Return what came of each row, before costs, (n,)."""
        history = facts.history
        return history.converted.astype(np.float64) if self.margin is None else self.margin * history.revenue

    def expected(self, facts: Counterfactual) -> Floats:
        """Return what models expect of each row and arm, before costs, (n, c + 1)."""
        return facts.conversion if self.margin is None else self.margin * facts.revenue

    def kept(self, facts: Counterfactual) -> Floats:
        """Return what came of each row after costs, (n,)."""
        return self.earned(facts) - facts.spent * self.in_currency

    def kept_expected(self, facts: Counterfactual) -> Floats:
        """Return what models expect of each row and arm after costs, (n, c + 1)."""
        return self.expected(facts) - facts.spend * self.in_currency

    def predicted(self, said: SendScores) -> Floats:
        """Return what each coupon was predicted to add, before costs, (n, c)."""
        return said.uplift if self.margin is None else self.margin * said.value

    def predicted_kept(self, said: SendScores, fees: Floats) -> Floats:
        """Return what each coupon was predicted to add after costs; `fees` (c,) is what sending it costs."""
        return self.predicted(said) - (said.cost + fees) * self.in_currency
