"""How many users are still to come: the forecast, corrected by how many came so far."""

from __future__ import annotations

import math
from itertools import accumulate

from allocator.online.plan import OnlinePlan

BINS = 200  # parts of the campaign's time after which the estimate is brought up to date
LEVEL = 0.7
TRENDS = (0.1, 2.0)
"""How far volume may be from the forecast: standard deviations of its level in the middle of the campaign,
and of its change from the start to the end, both relative to the forecast; one for steady traffic, one for
traffic that rises or falls."""
NOISE = 1.5  # variance of a count over its mean that is allowed for from the start
LEAST = 0.05  # of the forecast's volume that is always thought to be coming


class Volume:
    """Estimates the arrivals still to come.

    Volume relative to the forecast is taken to be a straight line over the forecast's own time, level and
    trend unknown: Bayesian linear regression, whose prior says that the forecast is right (West and
    Harrison, "Bayesian Forecasting and Dynamic Models", 1997). A slow start so means fewer users, or
    users who come later, until the counts tell which. Two priors, of traffic with a trend and without,
    are averaged by how well each foretold the counts so far, so that noise is not taken for a trend. The
    variance of counts about the line is estimated, too.

    Its state is a list of numbers: what was seen, and the posterior's sufficient statistics.
    """

    def __init__(self, plan: OnlinePlan) -> None:
        self._users = float(plan.users)
        self._span = None
        if plan.starts_at is not None and plan.ends_at is not None:
            self._span = plan.starts_at, plan.ends_at
        parts = plan.profile or (1.0,)
        self._shares = [0.0, *(part / sum(parts) for part in accumulate(parts))]

    def first(self) -> list[float]:
        """Return the state before anybody came."""
        # Seen; progress and count at the last update; noise and its weight; then for each prior precision
        # (3), precision x mean (2) and the logarithm of its evidence.
        lines = [[LEVEL**-2, 0.0, trend**-2, LEVEL**-2, 0.0, 0.0] for trend in TRENDS]
        return [0.0, 0.0, 0.0, 4.0 * NOISE, 4.0, *lines[0], *lines[1]]

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
        return max(self._users * (1.0 - at) * max(_mean(state, at / 2), LEAST), 1.0)

    def _update(self, state: list[float], at: float) -> None:
        """Take in the count since the last update."""
        width, count = at - state[1], state[0] - state[2]
        middle = at - width / 2 - 0.5
        thought = max(_mean(state, middle), LEAST)
        expected = self._users * width * thought
        state[3] += min((count - expected) ** 2 / expected, 25.0)
        state[4] += 1.0
        weight = self._users * width / thought / max(state[3] / state[4], 1.0)
        seen = count / (self._users * width)
        for k in LINES:
            mean, variance = _foretell(state, k, middle)
            variance += 1.0 / weight
            state[k + 5] -= (math.log(variance) + min((seen - mean) ** 2 / variance, 25.0)) / 2
            state[k] += weight
            state[k + 1] += weight * middle
            state[k + 2] += weight * middle**2
            state[k + 3] += weight * seen
            state[k + 4] += weight * middle * seen
        state[1], state[2] = at, state[0]


LINES = (5, 11)  # where each prior's numbers stand in the state


def _mean(state: list[float], place: float) -> float:
    """Return the volume expected at a place, from -0.5 at the start to 0.5 at the end."""
    first, second = (_foretell(state, k, place)[0] for k in LINES)
    odds = math.exp(min(max(state[LINES[1] + 5] - state[LINES[0] + 5], -50.0), 50.0))
    return (first + odds * second) / (1.0 + odds)


def _foretell(state: list[float], k: int, place: float) -> tuple[float, float]:
    """Return mean and variance of the line at a place, by one prior."""
    a, b, d, p, q = state[k : k + 5]
    determinant = a * d - b * b
    level, trend = (d * p - b * q) / determinant, (a * q - b * p) / determinant
    return level + trend * place, (d - 2 * b * place + a * place**2) / determinant
