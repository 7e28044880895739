"""Fair objectives on small problems: the best of all plans, and proven so."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator import (
    Budget,
    Floor,
    InputError,
    Inventory,
    MaxMin,
    Problem,
    ProportionalFairness,
    Status,
    solve,
)

PENALTY = {"total": 0.7, "some": 1.5}  # of the soft limits


@dataclass(frozen=True)
class Case:
    """A small problem: values and costs, (n, m), codes of groups, and limits."""

    value: np.ndarray
    cost: np.ndarray
    group: np.ndarray
    budget: float
    stock: int
    soft: bool

    def limits(self) -> list:
        """Return a budget and stocks; or a soft budget, a soft floor on sends, and stocks."""
        stock = Inventory({"0": self.stock})
        if not self.soft:
            return [Budget(self.budget, label="total"), stock]
        floor = Floor(math.ceil(0.5 * len(self.value)), label="some", penalty=PENALTY["some"])
        return [Budget(self.budget, label="total", penalty=PENALTY["total"]), stock, floor]

    def worth_something(self) -> bool:
        """Return whether each group has a coupon of some worth, if only it could be afforded."""
        gains = np.nan_to_num(self.value, nan=-1.0).max(axis=1)
        return all(gains[self.group == g].max() > 0 for g in np.unique(self.group))

    def best(self, proportional: bool) -> float:
        """Return the greatest utility of all plans, less what broken limits cost, by trying them all."""
        n, m = self.value.shape
        plans = np.array(list(itertools.product(range(-1, m), repeat=n)))
        worth = np.hstack([self.value, np.zeros((n, 1))])[np.arange(n), plans]
        spent = np.hstack([self.cost, np.zeros((n, 1))])[np.arange(n), plans].sum(axis=1)
        sent = (plans >= 0).sum(axis=1)
        earned = np.array([worth[:, self.group == g].sum(axis=1) for g in range(self.group.max() + 1)])
        heads = np.bincount(self.group)
        over = np.maximum(spent - self.budget, 0.0)
        keeps = ((plans == 0).sum(axis=1) <= self.stock) & ~np.isnan(worth).any(axis=1)
        lost = np.zeros(len(plans))
        if self.soft:
            lost = PENALTY["total"] * over + PENALTY["some"] * np.maximum(math.ceil(0.5 * n) - sent, 0)
        else:
            keeps &= over <= 1e-9
        if proportional:
            weight = (heads / heads.sum())[:, None]
            with np.errstate(invalid="ignore", divide="ignore"):
                even = np.exp((weight * np.log(np.maximum(earned, 0.0) / weight)).sum(axis=0))
            share = float(np.exp((weight * np.log(weight)).sum()))
        else:
            even, share = (earned / heads[:, None]).min(axis=0) * heads.sum(), 1 / heads.sum()
        return share * float((even - lost)[keeps].max())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw problems of 4 to 12 users, some of whose coupons are dear, worth little, or not eligible."""
    n = draw(st.integers(4, 12))
    m = 2 if n <= 8 else 1
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    value = generator.gamma(1, 2, (n, m)) - draw(st.sampled_from([0.0, 1.0]))
    cost = generator.uniform(0.5, 5, (n, m))
    value[generator.random((n, m)) < 0.1] = np.nan
    group = np.arange(n) % draw(st.integers(2, 4))
    budget = draw(st.sampled_from([0.4, 2.5, 5.0, 10.0]))
    return Case(value, cost, group, budget, draw(st.integers(1, 3)), draw(st.booleans()))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(cases(), st.booleans())
def test_no_plan_is_fairer_and_that_is_proven(case, proportional):
    problem = Problem(case.value, {"cost": case.cost}, groups={"g": [f"g{k}" for k in case.group]})
    objective = ProportionalFairness("g") if proportional else MaxMin("g")
    if not case.worth_something():
        with pytest.raises(InputError, match="no coupon is worth anything"):
            solve(problem, case.limits(), objective=objective)
        return
    found = solve(problem, case.limits(), objective=objective, time_limit=20)
    best = case.best(proportional)
    assert found.utility == pytest.approx(best, rel=1e-6, abs=1e-7)
    assert found.utility_bound >= best - 1e-7 * max(abs(best), 1)
    assert found.status is Status.OPTIMAL
    assert found.gap <= 1e-6
    assert found.certificate.valid
