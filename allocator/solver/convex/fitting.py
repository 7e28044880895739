"""One set of changes of each group, so that the rows hold that groups share."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from allocator.solver.convex.sets import Changes, Listed
from allocator.solver.convex.sets_kernels import fitting_sets
from allocator.solver.interrupt import still_at_it

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]

NODES = 1_000_000  # of the search, between two looks at the time
LOOKS = 8  # in the order of the lists
RESTARTS = 24  # in any other order


class Fitting:
    """The choice of one listed set of each group, so that all rows hold and they lose no more than allowed.

    Parameters
    ----------
    changes
        The base plan and the rows.
    listed
        Sets of each group.
    allowed
        The most that they may lose together.
    priced
        Whether what rows leave unused counts.
    rows
        (n_limits,) those that must hold; all unless given.
    """

    def __init__(
        self,
        changes: Changes,
        listed: list[Listed],
        allowed: float,
        *,
        priced: bool,
        rows: Flags | None = None,
    ) -> None:
        must = np.ones(len(changes.used), np.bool_) if rows is None else rows
        moved = np.any([each.uses.any(axis=0) for each in listed], axis=0)
        rules, used = changes.rules, changes.used
        low, high = changes.windows(allowed)
        here = moved | (used > high) | (used < low) | (priced & (rules.prices != 0))
        counted = np.flatnonzero(here & must)
        self.allowed, self.losses = allowed, [each.losses for each in listed]
        self.uses = [np.ascontiguousarray(each.uses[:, counted]) for each in listed]
        self.rules, self.low, self.high, self.used = (
            rules.part(counted),
            low[counted],
            high[counted],
            used[counted],
        )
        self.prices: Array = self.rules.prices if priced else np.zeros(len(counted))
        self.rate: Array = changes.rate[counted] if priced else np.zeros(len(counted))
        self.generator = np.random.default_rng(changes.task.run.seed)

    def choose(self, until: float) -> tuple[Index | None, bool]:
        """Return the place of each group's set among those listed, or None; and whether that is sure."""
        if len(self.used) == 0:
            return np.zeros(len(self.losses), np.int64), True
        found, sure = self._search(until, LOOKS, in_order=True)
        for _ in range(RESTARTS):
            if found is not None or sure or time.monotonic() > until:
                break
            found, sure = self._search(until, 1, in_order=False)
        return found, sure

    def _search(self, until: float, looks: int, *, in_order: bool) -> tuple[Index | None, bool]:
        """Search depth-first, in the order of the lists or in any."""
        orders = [
            np.arange(len(loss)) if in_order else self.generator.permutation(len(loss))
            for loss in self.losses
        ]
        key = self._key()
        orders[-1] = np.argsort(self.uses[-1][:, key], kind="stable")
        losses = [loss[order] for loss, order in zip(self.losses, orders, strict=True)]
        uses = [use[order] for use, order in zip(self.uses, orders, strict=True)]
        least = np.append(np.cumsum([loss.min() for loss in losses[::-1]])[::-1], 0.0)
        starts = np.concatenate([[0], np.cumsum([len(loss) for loss in losses])]).astype(np.int64)
        own, every = np.concatenate(losses), np.concatenate(uses)
        worst = (
            self._from_on([use.min(axis=0) for use in uses]),
            self._from_on([use.max(axis=0) for use in uses]),
        )
        here, lost = np.append(starts[:-1], 0), np.zeros(len(starts))
        now = np.zeros((len(starts), len(self.used)))
        now[0], depth = self.used, 0
        while 0 <= depth < len(losses) and looks > 0 and time.monotonic() < until:
            still_at_it()
            depth = fitting_sets(
                starts, own, every, key, self.low, self.high, least, *worst, self.rules.low, self.rules.high,
                self.prices, self.rate, self.allowed, in_order, NODES, depth, here, lost, now,
            )  # fmt: skip
            looks -= 1
        if depth < len(losses):
            return None, depth < 0
        chosen = here[:-1] - 1 - starts[:-1]
        return np.array([order[k] for order, k in zip(orders, chosen, strict=True)]), True

    def _key(self) -> int:
        """Return the row whose window is narrowest beside what the last group's sets differ in."""
        with np.errstate(divide="ignore", invalid="ignore"):
            narrow = np.nan_to_num((self.high - self.low) / np.ptp(self.uses[-1], axis=0), nan=np.inf)
        return int(np.argmin(narrow))

    def _from_on(self, worst: list[Array]) -> Array:
        return np.append(np.cumsum(worst[::-1], axis=0)[::-1], np.zeros((1, len(self.used))), axis=0)
