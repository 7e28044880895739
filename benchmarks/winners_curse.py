"""What the winner's curse costs a plan, in worlds whose truth is known.

A plan picks the pairs whose estimates are largest, and among the largest are those that err upwards:
the plan promises more than it earns, and sends the wrong coupons (Smith and Winkler, "The Optimizer's
Curse: Skepticism and Postdecision Surprise in Decision Analysis", Management Science 2006).
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator import Budget, Problem, solve
from benchmarks.record import Columns, Row

Array = NDArray[np.float64]

COUPONS = 8
MEAN, BETWEEN_COUPONS, BETWEEN_USERS = 0.03, 0.015, 0.04
"""Of the true uplift: its mean, and its standard deviations."""
SEGMENTS = 200
WORTH, BUDGET = 14.0, 0.25
"""Margin of an order, and budget for each customer, in currency."""
Z80 = NormalDist().inv_cdf(0.8)


@dataclass(frozen=True)
class Setting:
    """How noisy the estimates are.

    Parameters
    ----------
    name
        As the table says it.
    signal_to_noise
        Standard deviation of the personal part of the uplift over that of the estimates' errors.
    shared
        Share of the errors' variance that all customers of a segment share.
    misjudged
        Standard deviation of the logarithm of stated over true standard errors; their mean square is right.
    """

    name: str
    signal_to_noise: float
    shared: float = 0.0
    misjudged: float = 0.0


SETTINGS = (
    Setting("signal 2 x noise", 2.0),
    Setting("equal", 1.0),
    Setting("noise 2 x signal", 0.5),
    Setting("noise 4 x signal", 0.25),
    Setting("noise 2 x signal, half shared by segments", 0.5, shared=0.5),
    Setting("noise 2 x signal, its size misjudged", 0.5, misjudged=0.7),
)


@dataclass(frozen=True)
class World:
    """True uplift of n users by coupon, its estimate with a stated error, and the cost, (n, c) each."""

    truth: Array
    estimate: Array
    error: Array
    cost: Array


def draw(setting: Setting, n_users: int, seed: int) -> World:
    """Draw a world: errors differ in size between customers, as the data about them do."""
    rng = np.random.default_rng(seed)
    shape = (n_users, COUPONS)
    truth = rng.normal(MEAN, BETWEEN_COUPONS, COUPONS) + BETWEEN_USERS * rng.standard_normal(shape)
    error = BETWEEN_USERS / setting.signal_to_noise * rng.lognormal(-0.16, 0.4, shape)
    segment = rng.integers(0, SEGMENTS, n_users)
    noise = np.sqrt(1 - setting.shared) * rng.standard_normal(shape)
    noise += np.sqrt(setting.shared) * rng.standard_normal((SEGMENTS, COUPONS))[segment]
    stated = error * rng.lognormal(-(setting.misjudged**2), setting.misjudged, shape)
    redemption = rng.uniform(0.05, 0.3, shape)
    cost = redemption * rng.uniform(3, 8, COUPONS) + 0.02
    return World(truth, truth + error * noise, stated, cost)


def shrunken(world: World) -> tuple[Array, Array]:
    """Return posterior mean and standard deviation of each uplift, by empirical Bayes.

    Each coupon's uplifts are normal around their own mean, with a variance that is what the estimates
    vary by beyond their errors (Efron and Morris, "Stein's Estimation Rule and Its Competitors",
    Journal of the American Statistical Association 1973).
    """
    noise = world.error**2
    mean = np.average(world.estimate, axis=0)
    signal = np.maximum(world.estimate.var(axis=0) - noise.mean(axis=0), 1e-12)
    weight = signal / (signal + noise)
    return mean + weight * (world.estimate - mean), np.sqrt(weight * noise)


def sloped(world: World) -> Array:
    """Return estimates shrunk to their coupon's mean by one slope for all customers, as `auto` does."""
    mean = np.average(world.estimate, axis=0)
    varies = world.estimate.var(axis=0)
    slope = np.maximum(1 - (world.error**2).mean(axis=0) / varies, 0.0)
    return np.asarray(mean + slope * (world.estimate - mean))


PLANS: dict[str, Callable[[World], Array]] = {
    "naive": lambda world: world.estimate,
    "pessimistic": lambda world: world.estimate - Z80 * world.error,
    "one slope": sloped,
    "shrunken": lambda world: shrunken(world)[0],
    "shrunken, pessimistic": lambda world: shrunken(world)[0] - Z80 * shrunken(world)[1],
    "oracle": lambda world: world.truth,
}
"""What each plan believes of the uplift."""


def judge(world: World, gap: float) -> dict[str, dict[str, float]]:
    """Return what each plan promises and what it realises, as shares of what the oracle's realises."""
    found = {}
    for name, believe in PLANS.items():
        belief = believe(world)
        problem = Problem(WORTH * belief, {"cost": world.cost})
        solution = solve(problem, [Budget(BUDGET * len(belief), label="total")], gap=gap, time_limit=60)
        user = np.flatnonzero(solution.choice >= 0)
        chosen = user, solution.choice[user]
        found[name] = {"promised": solution.objective, "realised": WORTH * float(world.truth[chosen].sum())}
    best = found["oracle"]["realised"]
    return {name: {key: value / best for key, value in row.items()} for name, row in found.items()}


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield one row a setting: means over the seeds, and their standard errors."""
    for setting in SETTINGS:
        for n_users in settings.sizes:
            worlds = (draw(setting, n_users, seed) for seed in range(settings.seeds))
            yield {"users": n_users, "setting": setting.name} | averages(
                [judge(world, settings.gap) for world in worlds]
            )


def averages(found: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return mean and standard error of each plan's figures, and of what it realises beyond the naive."""
    row: dict[str, Any] = {}
    for name in PLANS:
        for key in ("promised", "realised"):
            row[f"{name} {key}"] = _mean([world[name][key] for world in found])
        gains = [world[name]["realised"] - world["naive"]["realised"] for world in found]
        row[f"{name} gain"] = _mean(gains)
    return row


def _mean(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _cell(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name][0]:.1%} ± {row[name][1]:.1%}"


COLUMNS: Columns = {
    "estimates": lambda row: str(row["setting"]),
    "naive promises": _cell("naive promised"),
    "naive realises": _cell("naive realised"),
    "shrunken promises": _cell("shrunken promised"),
    "shrunken realises": _cell("shrunken realised"),
    "one slope realises": _cell("one slope realised"),
    "pessimistic promises": _cell("pessimistic promised"),
    "pessimistic realises": _cell("pessimistic realised"),
    "shrunken and pessimistic realises": _cell("shrunken, pessimistic realised"),
}
