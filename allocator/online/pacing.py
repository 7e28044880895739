"""Prices that follow what is left of each limit, and who is still to come: dual mirror descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.online.cells import Cell
from allocator.online.plan import OnlinePlan
from allocator.online.plan_rows import PlanRow
from allocator.online.records import MILLIONTHS
from allocator.online.volume import Volume

Array = NDArray[np.float64]

STRIDE = 2  # arrivals between two steps
BATCH, FEWEST = 128, 16  # recent arrivals that a step looks at; fewer only while fewer are known
RECENT = 8192  # arrivals remembered, at most
ENTRIES = 1 << 22  # numbers remembered of them, at most
STEP = 0.01  # share of a row's worth by which its price moves when arrivals use twice its rate
STEPS, LONGEST_STEP = 100, 0.1  # in a small campaign so many worths over all users, and no more than that
LEAST_RATE = 0.005  # rows that move less go by this rate, or one arrival would move their price too far


class Pacer:
    """Moves a plan's prices, so that each limit lasts for those who are still to come.

    A step of dual mirror descent (Balseiro, Lu and Mirrokni, "The Best of Many Worlds: Dual Mirror Descent
    for Online Allocation Problems", Operations Research 2023) raises the price of a row of which arrivals
    use more than its target rate, and lowers it where they use less. The target rate is what is left of
    the row over the arrivals still expected, so that every step also corrects what went wrong before. What
    arrivals use is averaged over a batch of recent ones, decided again at the present prices.

    Its state is a small JSON object, kept in the ledger; recent arrivals are this object's own.
    """

    def __init__(self, plan: OnlinePlan, rows: tuple[PlanRow, ...]) -> None:
        self.volume = Volume(plan)
        self._labels = [row.label for row in rows]
        self._first = [row.price for row in rows]
        self._least = np.array([row.at_least for row in rows])
        self._most = np.array([row.at_most - row.margin for row in rows])
        self._ceiling = np.array([row.penalty for row in rows])
        step = max(STEP, min(STEPS / plan.users, LONGEST_STEP))
        self._step = np.array(
            [0.0 if row.is_open else step * row.worth / max(row.rate, LEAST_RATE) for row in rows]
        )
        size = max(len(plan.coupon_ids) * len(rows), 1)
        known = max(BATCH, min(RECENT, ENTRIES // size))
        most = min(plan.per_user[1], len(plan.coupon_ids))
        self._recent = _Recent(known, len(plan.coupon_ids), len(rows), most)

    def begin(self, state: dict[str, Any] | None) -> Pace:
        """Go on from a state; None, or one of other rows: from the plan's prices."""
        if state is None or len(state["prices"]) != len(self._first):
            return Pace(self, np.array(self._first), self.volume.first())
        return Pace(self, np.array(state["prices"]), list(state["volume"]))

    def step(self, prices: Array, coming: float, spent: Mapping[str, int]) -> Array:
        """Return the prices after one step."""
        use = self._recent.use(prices)
        if use is None:
            return prices
        gone = np.array([spent.get(label, 0) for label in self._labels]) / MILLIONTHS
        least, most = (self._least - gone) / coming, (self._most - gone) / coming
        between = np.minimum(np.maximum(use, least), most)
        target = np.where(prices > 0, most, np.where(prices < 0, least, between))
        moved = prices + self._step * (use - target)
        moved[moved * prices < 0] = 0.0  # a price changes sides only from 0
        bounded: Array = np.minimum(np.maximum(moved, -self._ceiling), self._ceiling)
        return bounded


class Pace:
    """The prices while a plan's entries are open."""

    def __init__(self, pacer: Pacer, prices: Array, volume: list[float]) -> None:
        self.prices = prices
        self._pacer = pacer
        self._volume = volume

    def see(self, now: float, value: Array, cell: Cell, use: Array, spent: Mapping[str, int]) -> None:
        """Note an arrival, and step when it is time to.

        Parameters
        ----------
        now
            Seconds since the epoch.
        value
            (n_coupons,) NaN where the user cannot get a coupon.
        cell, use
            What each coupon would use of the cell's rows, (k, n_coupons).
        spent
            By row label in millionths, this arrival included.
        """
        pacer = self._pacer
        pacer.volume.see(self._volume, now)
        pacer._recent.add(value, cell, use)
        if self._volume[0] % STRIDE == 0:
            self.prices = pacer.step(self.prices, pacer.volume.coming(self._volume, now), spent)

    def state(self) -> dict[str, Any]:
        """Return what to keep, as a JSON object."""
        return {"prices": self.prices.tolist(), "volume": self._volume}


class _Recent:
    """Recent arrivals, the oldest forgotten first."""

    def __init__(self, size: int, n_coupons: int, n_rows: int, most: int) -> None:
        self._most = most  # coupons that a user may get
        self._value = np.empty((size, n_coupons))
        self._use = np.empty((size, n_coupons, n_rows))
        self._seen = 0
        self._next = 0

    def add(self, value: Array, cell: Cell, use: Array) -> None:
        place = self._seen % len(self._value)
        self._value[place] = value
        self._use[place] = 0.0
        self._use[place][:, cell.rows] = use.T
        self._use[place][np.isnan(value)] = 0.0  # never given, and not a number where a row counts value
        self._seen += 1

    def use(self, prices: Array) -> Array | None:
        """Return what a batch uses of each row on average at these prices; None while too few came."""
        known = min(self._seen, len(self._value))
        if known < FEWEST:
            return None
        batch = min(BATCH, known)
        if self._next + batch > known:
            self._next = 0
        part = slice(self._next, self._next + batch)
        self._next += batch
        use, each = self._use[part], np.arange(batch)
        paid = use.reshape(-1, len(prices)) @ prices  # one product for all pairs is faster
        reduced = self._value[part] - paid.reshape(batch, -1)
        reduced[np.isnan(reduced)] = -np.inf
        total = np.zeros(len(prices))
        for _ in range(self._most):
            best = reduced.argmax(axis=1)
            given = (reduced[each, best] > 0).astype(np.float64)
            total += given @ use[each, best]
            reduced[each, best] = -np.inf
        return total / batch
