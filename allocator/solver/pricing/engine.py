"""The CPU engine: compiled kernels over blocks of users on a thread pool."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.solver.model import Model
from allocator.solver.pricing import kernels

Array = NDArray[np.float64]
BLOCK = 32_768  # users a task; fixed, so that sums do not depend on the number of threads


@dataclass(frozen=True)
class Pass:
    """What one pass returns: the sum of reduced values and the aggregate table of the choices."""

    reduced: float
    table: Array


class Engine:
    """Prices some users of a model.

    Parameters
    ----------
    model
        The compiled model.
    users
        Indices of the users to price; all unless given.
    base
        Aggregate table of users that are decided and not priced here.
    threads
        Worker threads; all cores unless given. The result does not depend on it.
    """

    def __init__(
        self,
        model: Model,
        users: NDArray[np.int64] | None = None,
        base: Array | None = None,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.base = base
        self.users = users
        problem = model.problem
        arrays = [problem.value, *(problem.measure(name) for name in model.measures[2:])]
        if users is not None:
            arrays = [np.ascontiguousarray(array[users]) for array in arrays]
        self.value = arrays[0]
        # A kernel needs at least one measure; the value stands in under a price of zero.
        self.measures = tuple(arrays[1:]) or (arrays[0],)
        self.cell = model.cell if users is None else np.ascontiguousarray(model.cell[users])
        self.threads = threads or os.cpu_count() or 1

    @property
    def n_users(self) -> int:
        """Number of users priced."""
        return int(self.value.shape[0])

    def price(self, prices: Array, choice: NDArray[np.int16] | None = None) -> Pass:
        """Let every user choose at the given prices.

        Parameters
        ----------
        prices
            (n_rows,) one price for each row.
        choice
            (n_users, most) int16, filled with coupon indices (-1: none) if given.
        """
        fewest, most = self.model.problem.per_user
        table = self._padded(self.model.price_table(prices))
        kept = np.zeros((0, most), np.int16) if choice is None else choice

        def block(start: int, stop: int, out: Array) -> float:
            data = (self.value, self.measures, self.cell, table, start, stop, out, kept)
            if fewest == 0 and most == 1:
                return float(kernels.choose_one(*data))
            return float(kernels.choose_some(*data, fewest, most))

        reduced, aggregate = self._sum(block)
        if self.base is not None:
            aggregate = aggregate + self.base
            reduced += self._base_reduced(table)
        return Pass(reduced, aggregate)

    def radius(self, prices: Array, box: Array) -> Array:
        """Return for each user the radius up to which no prices within ``prices +- radius * box``
        change the user's choice, (n_users,).
        """
        fewest, most = self.model.problem.per_user
        price = self._padded(self.model.price_table(prices))
        width = self._padded(np.asarray(abs(self.model.weights).T @ box).reshape(self.model.shape))
        out = np.empty(self.n_users)

        def block(start: int, stop: int, _: Array) -> float:
            kernels.radius(self.value, self.measures, self.cell, price, width, start, stop, fewest, most, out)
            return 0.0

        self._sum(block)
        return out

    def restrict(self, inside: NDArray[np.bool_], prices: Array) -> Engine:
        """Return an engine for some of the users; the others keep their choice at `prices`."""
        users = np.arange(self.n_users) if self.users is None else self.users
        whole = self.price(prices).table
        part = Engine(self.model, users[inside], threads=self.threads)
        part.base = whole - part.price(prices).table
        return part

    def extent(self) -> Pass:
        """Return the table of all eligible pairs' sizes and the sum of each user's best |value|."""

        def block(start: int, stop: int, out: Array) -> float:
            return float(kernels.extent(self.value, self.measures, self.cell, start, stop, out))

        return Pass(*self._sum(block))

    def _padded(self, table: Array) -> Array:
        return table if len(self.model.measures) > 2 else np.concatenate([table, np.zeros_like(table[:1])])

    def _base_reduced(self, table: Array) -> float:
        assert self.base is not None
        price = np.where(self.base[0] > 0, table[: len(self.base)], 0.0)  # excluded: 0 x inf
        return float(self.base[1].sum() - np.sum(price * self.base))

    def _sum(self, block: Callable[[int, int, Array], float]) -> tuple[float, Array]:
        starts = range(0, self.n_users, BLOCK)

        def task(start: int) -> tuple[float, Array]:
            out = np.zeros(self.model.shape)
            return block(start, min(start + BLOCK, self.n_users), out), out

        parts: Any
        if len(starts) == 1 or self.threads == 1:
            parts = map(task, starts)
            return _add_up(parts, self.model.shape)
        with ThreadPoolExecutor(self.threads) as pool:
            return _add_up(pool.map(task, starts), self.model.shape)


def _add_up(parts: Any, shape: tuple[int, ...]) -> tuple[float, Array]:
    """Add block results in block order."""
    total, table = 0.0, np.zeros(shape)
    for reduced, out in parts:
        total += reduced
        table += out
    return total, table
