"""Where the search for a fair plan stands: the best plan, and what no plan can exceed."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from allocator.solution.solution import relative_gap
from allocator.solver.convex.task import Choice, Judged, Task
from allocator.solver.finish import at_stake
from allocator.solver.watch import Watch

Array = NDArray[np.float64]

NOTHING = 1e-9  # of the value at stake: an objective, and a bound above it, that are both 0 but for rounding


class Standing:
    """The best plan and the least bound so far, in units of value.

    Parameters
    ----------
    task
        What is asked.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.best: Judged | None = None
        self.dual, self.whole = np.inf, np.inf  # bounds by prices, and by whole numbers
        self.prices = np.zeros(task.n_limits)
        self.slopes = np.ones(len(task.groups))
        self.proof = ""
        self.nothing = NOTHING * at_stake(task.problem)

    @property
    def total(self) -> float:
        """What the best plan is worth; minus infinity without one."""
        return -np.inf if self.best is None else self.best.total

    @property
    def bound(self) -> float:
        """What no plan exceeds."""
        return self.closed(min(self.dual, self.whole))

    def closed(self, bound: float) -> float:
        """Return a bound, or what the best plan is worth if both are nothing but for rounding."""
        total = self.total
        return total if max(abs(total), bound - total) <= self.nothing else bound

    @property
    def enough(self) -> float:
        """The gap asked for, in units of value."""
        return self.task.run.gap * abs(self.bound)

    @property
    def done(self) -> bool:
        """Whether the gap asked for is reached."""
        return self.best is not None and relative_gap(self.total, self.bound) <= self.task.run.gap

    def late(self, until: float | None = None) -> bool:
        """Return whether time is over, of the whole solve or at an earlier `time.monotonic()`."""
        deadline = self.task.run.deadline
        return time.monotonic() > (deadline if until is None else min(until, deadline))

    def found(self, choice: Choice) -> Judged | None:
        """Note a plan; return what it is worth, None if it breaks a limit."""
        judged = self.task.judge(choice)
        if judged is not None and judged.total > self.total:
            self.best = judged
        return judged

    def priced(self, prices: Array, slopes: Array) -> None:
        """Note prices of limits, and the slopes that groups' values count at."""
        dual, prices, slopes = self.task.dual(prices, slopes)
        if dual < self.dual:
            self.dual, self.prices, self.slopes = dual, prices, slopes

    def proven(self, bound: float, proof: str) -> None:
        """Note a bound that whole numbers prove."""
        if bound < self.whole:
            self.whole, self.proof = bound, proof


class EnoughError(Exception):
    """What a solve was to find out is known."""


class Listener(Watch):
    """Judges every plan of a linear solve by the fair objective, and stops it when it has served.

    Parameters
    ----------
    standing
        Is told of every plan.
    served
        Asked after every plan, with what it is worth, and after every bound of the linear objective.
    """

    def __init__(self, standing: Standing, served: Callable[[float, float], bool]) -> None:
        super().__init__(standing.task.run.began)
        self.standing, self._served = standing, served
        self.best = -np.inf
        self.bound = np.inf

    def found(self, step: str, choice: NDArray[np.int16], value: float) -> None:
        """Note a plan."""
        super().found(step, choice, value)
        judged = self.standing.found(choice)
        if judged is not None:
            self.best = max(self.best, judged.total)
        self._ask()

    def bounded(self, step: str, bound: float) -> None:
        """Note a bound that branch and bound has proven."""
        super().bounded(step, bound)
        self.bound = min(self.bound, bound)
        self._ask()

    def priced(self, step: str, prices: Array, dual: float, passes: int = 1) -> None:
        """Note a dual value over all users."""
        super().priced(step, prices, dual, passes)
        self.bound = min(self.bound, dual)
        self._ask()

    def _ask(self) -> None:
        if self._served(self.best, self.bound):
            raise EnoughError
