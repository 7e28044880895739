"""How many users are still to come: the forecast, corrected by how many came so far."""

from __future__ import annotations

from itertools import accumulate

from allocator.online.plan import OnlinePlan

BINS = 200  # parts of the campaign's time after which the estimate is brought up to date
LEVEL, TREND = 0.7, 1.0
"""How far volume may be from the forecast: standard deviations of its level in the middle of the campaign,
and of its change from the start to the end, both relative to the forecast."""
NOISE = 1.5  # variance of a count over its mean that is allowed for from the start
LEAST = 0.05  # of the forecast's volume that is always thought to be coming


class Volume:
    """Estimates the arrivals still to come.

    Volume relative to the forecast is taken to be a straight line over the forecast's own time, level and
    trend unknown: Bayesian linear regression, whose prior says that the forecast is right (West and
    Harrison, "Bayesian Forecasting and Dynamic Models", 1997). A slow start so means fewer users, or
    users who come later, until the counts tell which. The variance of counts about the line is estimated,
    too, so that ups and downs are not taken for trends.

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
        level, trend = LEVEL**-2, TREND**-2
        # seen, progress and count at the last update, precision (3), precision x mean (2), noise, weight
        return [0.0, 0.0, 0.0, level, 0.0, trend, level, 0.0, NOISE * 4, 4.0]

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
        level, trend = _line(state)
        left = 1.0 - at
        mean = max(level + trend * at / 2, LEAST)
        return max(self._users * left * mean, 1.0)

    def _update(self, state: list[float], at: float) -> None:
        """Take in the count since the last update."""
        width, count = at - state[1], state[0] - state[2]
        middle = at - width / 2 - 0.5
        level, trend = _line(state)
        thought = max(level + trend * middle, LEAST)
        mean = self._users * width * thought
        state[8] += min((count - mean) ** 2 / mean, 25.0)
        state[9] += 1.0
        weight = self._users * width / thought / max(state[8] / state[9], 1.0)
        seen = count / (self._users * width)
        state[3] += weight
        state[4] += weight * middle
        state[5] += weight * middle**2
        state[6] += weight * seen
        state[7] += weight * middle * seen
        state[1], state[2] = at, state[0]


def _line(state: list[float]) -> tuple[float, float]:
    """Return the posterior mean of level and trend."""
    a, b, d, p, q = state[3:8]
    determinant = a * d - b * b
    return (d * p - b * q) / determinant, (a * q - b * p) / determinant
