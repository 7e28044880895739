"""How many users are still to come: the forecast, corrected by how many came so far."""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from allocator.online.plan import OnlinePlan

Array = NDArray[np.float64]

BINS = 800  # parts of the campaign's time after which the estimate is brought up to date
LEVEL, TRENDS, DAILY = 0.8, (0.1, 2.0), (0.5, 0.5, 0.25, 0.25)
"""How far volume may be from the forecast, as standard deviations relative to it: of its level in the middle
of the campaign; of its change from the start to the end, for steady traffic and for traffic that rises or
falls; and of what comes and goes once and twice a day."""
NOISE = 1.5, 4.0  # variance of a count over what is expected of it, and of how many counts that is believed
LEAST = 0.05  # of the forecast's volume that is always thought to be coming
DAY = 24 * 3600.0
SHORTEST = 2.0  # days of a campaign in which days and nights can be told from a trend
HEAD = 7  # numbers of the state before the regression's


class Volume:
    """Estimates the arrivals still to come.

    Volume relative to the forecast is taken to be a line over the forecast's own time, and without a
    profile also days and nights: Bayesian linear regression, whose prior says that the forecast is right
    (West and Harrison, "Bayesian Forecasting and Dynamic Models", 1997). A slow start so means fewer
    users, or users who come later, until the counts tell which. Two priors, of traffic with a trend and
    without, are averaged by how well each foretold the counts so far, so that noise is not taken for a
    trend.

    Its state is a list of numbers: what was seen, and the regression's sufficient statistics.
    """

    def __init__(self, plan: OnlinePlan) -> None:
        self._users = float(plan.users)
        self._span = None
        self._days = 0.0
        if plan.starts_at is not None and plan.ends_at is not None:
            self._span = plan.starts_at, plan.ends_at
            days = (plan.ends_at - plan.starts_at) / DAY
            self._days = days if days >= SHORTEST and not plan.profile else 0.0
        parts = plan.profile or (1.0,)
        self._shares = [0.0, *(part / sum(parts) for part in accumulate(parts))]
        daily = [sd**-2 for sd in DAILY] if self._days else []
        self._prior = [np.diag([LEVEL**-2, trend**-2, *daily]) for trend in TRENDS]
        self._size = 2 + len(daily)

    def first(self) -> list[float]:
        """Return the state before anybody came."""
        k = self._size
        # Seen; progress and count at the last update; noise and its weight; the priors' evidence; then what
        # is thought, and of the counts the products of features with volume and with each other.
        nothing = [0.0] * (k + k * k)
        return [0.0, 0.0, 0.0, NOISE[0] * NOISE[1], NOISE[1], 0.0, 0.0, 1.0, *[0.0] * (k - 1), *nothing]

    def progress(self, now: float) -> float:
        """Return the share of the forecast's arrivals that were to come until now."""
        assert self._span is not None
        starts_at, ends_at = self._span
        parts = len(self._shares) - 1
        place = min(max((now - starts_at) / (ends_at - starts_at), 0.0), 1.0) * parts
        part = min(int(place), parts - 1)
        return self._shares[part] + (place - part) * (self._shares[part + 1] - self._shares[part])

    def see(self, state: list[float], now: float, arrivals: int = 1) -> None:
        """Note that users came."""
        state[0] += arrivals
        if self._span is None:
            return
        at = self.progress(now)
        if at - state[1] >= 1.0 / BINS:
            self._update(state, at)

    def coming(self, state: list[float], now: float) -> float:
        """Return how many users are still to come, at least 1."""
        if self._span is None:
            return max(self._users - state[0], LEAST * self._users, 1.0)
        at = self.progress(now)
        if at >= 1.0:
            return 1.0
        thought = state[HEAD : HEAD + self._size]
        mean = sum(c * x for c, x in zip(thought, self._features(at, 1.0), strict=True))
        return max(self._users * (1.0 - at) * max(mean, LEAST), 1.0)

    def _features(self, start: float, end: float) -> list[float]:
        """Return the mean of each feature between two places, 0 at the campaign's start and 1 at its end."""
        features = [1.0, (start + end) / 2 - 0.5]
        if self._days:
            for turns in (self._days, 2 * self._days):
                angle = 2 * math.pi * turns
                width = angle * (end - start)
                features.append((math.cos(angle * start) - math.cos(angle * end)) / width)
                features.append((math.sin(angle * end) - math.sin(angle * start)) / width)
        return features

    def _update(self, state: list[float], at: float) -> None:
        """Take in the count since the last update."""
        k = self._size
        width, count = at - state[1], state[0] - state[2]
        x = np.array(self._features(state[1], at))
        seen = count / (self._users * width)
        moment = np.array(state[HEAD + k : HEAD + 2 * k])
        products = np.array(state[HEAD + 2 * k :]).reshape(k, k)
        thought = max(float(x @ state[HEAD : HEAD + k]), LEAST)
        counted = thought / (self._users * width)  # variance of the count's share, if nothing else varies
        noise = max(state[3] / state[4], 1.0)
        surprise = math.inf
        for place, prior in enumerate(self._prior):
            mean, spread = _foretell(prior, products, moment, x)
            surprise = min(surprise, (seen - mean) ** 2 / (spread + counted))
            variance = spread + noise * counted
            state[5 + place] -= (math.log(variance) + min((seen - mean) ** 2 / variance, 25.0)) / 2
        state[3] += min(surprise, 25.0)
        state[4] += 1.0
        weight = 1.0 / (counted * max(state[3] / state[4], 1.0))
        moment += weight * seen * x
        products += weight * np.outer(x, x)
        odds = math.exp(min(max(state[6] - state[5], -50.0), 50.0))
        first, second = (_believe(prior, products, moment) for prior in self._prior)
        state[HEAD:] = [*((first + odds * second) / (1 + odds)), *moment, *products.ravel()]
        state[HEAD:] = [float(number) for number in state[HEAD:]]
        state[1], state[2] = at, state[0]


def _believe(prior: Array, products: Array, moment: Array) -> Array:
    """Return the posterior mean; the prior's own is the forecast."""
    return np.linalg.solve(prior + products, moment + prior[0])  # prior[0] is prior x (1, 0, ...)


def _foretell(prior: Array, products: Array, moment: Array, x: Array) -> tuple[float, float]:
    """Return mean and variance of what is believed at some features."""
    towards = np.linalg.solve(prior + products, x)
    return float(towards @ (moment + prior[0])), float(towards @ x)
