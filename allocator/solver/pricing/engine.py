"""What a pricing engine is: passes over a model's users, wherever their data lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from allocator.problem.batch import BLOCK as BLOCK
from allocator.problem.batch import Batch
from allocator.solver.model import Model

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Pass:
    """What one pass returns: the sum of reduced values and the aggregate table of the choices."""

    reduced: float
    table: Array


class Engine(Protocol):
    """Prices users of a model: all of them, or some.

    Sums are float64, in a fixed order: a result does not depend on the number of threads. On the CPU and on
    a cluster alike, users are summed in blocks of `BLOCK`, blocks in shelves of `SHELF`, and shelves in
    order, so a result does not depend on where the data lies either.
    """

    base: Array | None
    """Aggregate table of the users that are decided and not priced here."""

    @property
    def model(self) -> Model:
        """The compiled model."""
        ...

    @property
    def n_users(self) -> int:
        """Number of users priced."""
        ...

    def price(self, prices: Array, choice: NDArray[np.int16] | None = None) -> Pass:
        """Let every user choose at the given prices.

        Parameters
        ----------
        prices
            (n_rows,) one price for each row.
        choice
            (n_users, most) int16, filled with coupon indices (-1: none) if given.
        """
        ...

    def radius(
        self, prices: Array, box: Array, choice: NDArray[np.int16] | None = None
    ) -> tuple[Array, Pass]:
        """Let every user choose, as `price`, and return for each the radius up to which no prices within
        ``prices +- radius * box`` change the user's choice, (n_users,).
        """
        ...

    def extent(self) -> Pass:
        """Return the table of all eligible pairs' sizes and the sum of each user's best |value|."""
        ...

    def take(self, places: Index) -> Engine:
        """Return an engine for some of this engine's users, by their rising places in it. One pass."""
        ...

    def with_model(self, model: Model) -> Engine:
        """Return an engine for the same users under a model of the same problem and cells."""
        ...

    def batch(self) -> Batch:
        """Return the raw rows of this engine's users in memory: for some users, or a small problem."""
        ...


def restrict(whole: Engine, places: Index, prices: Array, table: Array, factor: float = 1.0) -> Engine:
    """Return an engine for some users, by their rising places; the others keep their choice at `prices`.

    Parameters
    ----------
    whole
        All users.
    places, prices
        Of the users to price, and of the others' choices.
    table
        Aggregate table of all users' choices at `prices`.
    factor
        For a sample, how many users each stands for: those that it does not stand for well, too, keep
        their choice, so that it errs only in what changes away from `prices`.
    """
    part = whole.take(places)
    part.base = table / factor - part.price(prices).table
    return part


def base_reduced(model: Model, base: Array, table: Array) -> float:
    """Return the reduced value of decided users at a price table, from their aggregate table."""
    price = table[: len(base)]
    price = np.where(np.isfinite(price), price, 0.0)  # excluded: 0 x inf
    return model.total(base[1]) - float(np.sum(price * base))
