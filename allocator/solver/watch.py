"""What a solve has reached so far, and the record of it over time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solution import Improvement
from allocator.solution.solution import relative_gap

Array = NDArray[np.float64]
NOTICEABLE = 1e-12  # relative; a smaller change is rounding


@dataclass(frozen=True)
class AtHand:
    """What can be returned at any moment, None where there is nothing yet.

    Parameters
    ----------
    choice
        (n_users, most) int16, the best plan.
    prices
        (n_rows,) the prices of the least dual value over all users.
    bound
        Upper bound of the objective that no prices prove: by branch and bound.
    """

    choice: NDArray[np.int16] | None
    prices: Array | None
    bound: float


class Watch:
    """Keeps the best plan and bound of one solve, and tells a listener whenever one of them improves.

    Parameters
    ----------
    began
        `time.monotonic()` at the start of the solve.
    listener
        Called with each `Improvement`; what it raises stops the solve.
    choice
        (n_users, most) int16, a plan of unknown value to fall back on.
    """

    def __init__(
        self,
        began: float,
        listener: Callable[[Improvement], None] | None = None,
        choice: NDArray[np.int16] | None = None,
    ) -> None:
        self._began = began
        self._listener = listener
        self._trace: list[Improvement] = []
        self._choice, self._value = choice, -np.inf
        self._prices: Array | None = None
        self._dual = np.inf
        self._bound = np.inf
        self._passes = 0

    @property
    def at_hand(self) -> AtHand:
        """What could be returned now."""
        return AtHand(self._choice, self._prices, self._bound)

    def conclude(self, choice: NDArray[np.int16], value: float, bound: float) -> tuple[Improvement, ...]:
        """Note what the certificate says of the plan in the end; return every improvement."""
        self.bounded("certificate", bound)
        self.found("certificate", choice, value)
        return tuple(self._trace)

    def keep(self, choice: NDArray[np.int16] | None, prices: Array) -> None:
        """Hold on to what a method came to, where nothing better is known."""
        if np.isinf(self._value) and choice is not None:
            self._choice = choice
        if self._prices is None:
            self._prices = prices

    def priced(self, step: str, prices: Array, dual: float, passes: int = 1) -> None:
        """Note the dual value of all users at some prices, and how many passes over them it took."""
        self._passes += passes
        if self._prices is None or dual < self._dual:
            noticed = self._falls(dual)
            self._prices, self._dual = prices, dual
            self._tell(step, noticed)

    def bounded(self, step: str, bound: float) -> None:
        """Note a bound that branch and bound has proven."""
        noticed = self._falls(bound)
        self._bound = min(self._bound, bound)
        self._tell(step, noticed)

    def found(self, step: str, choice: NDArray[np.int16], value: float) -> None:
        """Note a plan that keeps every hard limit, and its objective."""
        if value > self._value:
            noticed = np.isinf(self._value) or value - self._value > NOTICEABLE * abs(value)
            self._choice, self._value = choice, value
            self._tell(step, noticed)

    def _falls(self, bound: float) -> bool:
        best = min(self._dual, self._bound)
        return bool(np.isfinite(bound) and (np.isinf(best) or best - bound > NOTICEABLE * abs(best)))

    def _tell(self, step: str, noticed: bool) -> None:
        if not noticed:
            return
        bound = min(self._dual, self._bound)
        known = np.isfinite(bound) and np.isfinite(self._value)
        improvement = Improvement(
            seconds=time.monotonic() - self._began,
            step=step,
            bound=float(bound),
            value=float(self._value),
            gap=relative_gap(self._value, bound) if known else float("inf"),
            passes=self._passes,
        )
        self._trace.append(improvement)
        if self._listener is not None:
            self._listener(improvement)
