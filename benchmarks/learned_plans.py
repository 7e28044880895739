"""What plans on learnt predictions promise and realise: from history to plan, in worlds of known truth."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator import solve
from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Objective
from allocator.campaign.task import build_task
from allocator.plugins import registry
from allocator.plugins.predictions import Predictions
from benchmarks.experiments import Experiment
from benchmarks.record import Columns, Row
from benchmarks.uplift import LEARNERS

Array = NDArray[np.float64]

COUPONS = 4
SHARE = 0.3
"""Of the users who may be sent something."""


def draw(n_users: int, seed: int) -> tuple[Experiment, Array]:
    """Return a randomised experiment on n users, and their true uplift by coupon, (n, c).

    One user in ten orders anyway. A coupon adds 2 points on average; what it adds depends a little
    on three of eight features, with a standard deviation of 3 points.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_users, 8))
    slopes = rng.normal(0, 0.017, (3, COUPONS))
    truth = rng.normal(0.02, 0.01, COUPONS) + np.tanh(x[:, :3]) @ slopes + 0.02 * (x[:, 3:4] > 1)
    before = np.clip(0.1 + 0.03 * x[:, 4], 0.02, None)
    truth = np.maximum(truth, 0.01 - before[:, None])
    arm = rng.integers(-1, COUPONS, n_users)
    chance = before + np.where(arm >= 0, truth[np.arange(n_users), np.maximum(arm, 0)], 0.0)
    users = pl.DataFrame(x, schema=[f"x{k}" for k in range(x.shape[1])])
    coupons = [(f"C{j}", "amount", 5.0) for j in range(COUPONS)]
    return Experiment("synthetic", users, arm, rng.random(n_users) < chance, coupons), truth


def plan(campaign: Campaign, predictions: Predictions, risk: str) -> tuple[float, NDArray[np.int32]]:
    """Return what the plan on predictions promises, in orders, and whom it sends what."""
    capacity = {"kind": "capacity", "label": "sends", "at_most": SHARE * campaign.users.height}
    capacity["coupons"] = campaign.coupon_ids.tolist()
    objective = Objective.model_validate({"maximize": "incremental_conversions", "risk": risk})
    config = campaign.config.model_copy(update={"objective": objective, "limits": [capacity]})
    task = build_task(replace(campaign, config=config), predictions)
    solution = solve(task.problem, task.limits, gap=1e-3, time_limit=60)
    return solution.objective, solution.choice


def judge(learner: str, n_users: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return what plans on a learner's predictions promise and realise, over what the oracle's realises."""
    experiment, truth = draw(n_users, seed)
    campaign = experiment.campaign(np.arange(n_users))
    name, options = LEARNERS[learner]
    predictor = registry.create(registry.PREDICTORS, name, options)
    predictor.fit(campaign, seed=seed, device="cpu")
    predictions = predictor.predict(campaign)
    best, _ = plan(campaign, replace(predictions, uplift=truth), "mean")
    risks = ("mean",) if predictions.uplift_error is None else ("mean", "pessimistic")
    found = {}
    for risk in risks:
        promised, choice = plan(campaign, predictions, risk)
        users = np.flatnonzero(choice >= 0)
        found[risk] = promised / best, float(truth[users, choice[users]].sum()) / best
    return found


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield one row a learner and risk: mean and standard error over the seeds."""
    for n_users in settings.sizes:
        for learner in settings.learners:
            found = [judge(learner, n_users, seed) for seed in range(settings.seeds)]
            for risk in found[0]:
                each = np.array([world[risk] for world in found])
                mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))
                yield {
                    "users": n_users, "learner": learner, "risk": risk,
                    "promised": [mean[0], error[0]], "realised": [mean[1], error[1]],
                }  # fmt: skip


COLUMNS: Columns = {
    "rows of history": lambda row: f"{row['users']:,}",
    "predictor": lambda row: str(row["learner"]) + (", pessimistic" if row["risk"] != "mean" else ""),
    "promises": lambda row: f"{row['promised'][0]:.0%} ± {row['promised'][1]:.0%}",
    "realises": lambda row: f"{row['realised'][0]:.0%} ± {row['realised'][1]:.0%}",
}
