"""What the solver asks of a user's choice: the best answer at prices, its margin, and what it uses.

Passes, exact prices and recovery ask this and nothing else. An answer is some *pairs* (columns of a table
by coupon), each taken whole or not at all; which may go together, and which are best, only the step knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from allocator.solver.step.on_device import Picks

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]
Choice = NDArray[np.int16]


@dataclass(frozen=True)
class Rows:
    """Users' rows as compiled loops take them.

    Parameters
    ----------
    value, measures
        (n_users, n_coupons) each; NaN values are not eligible.
    cell
        (n_users,) each user's cell.
    places
        (n_cells, n_sets) where the users of a cell stand in tables, once in each set of columns.
    """

    value: NDArray[np.floating]
    measures: tuple[NDArray[np.floating], ...]
    cell: NDArray[np.int32]
    places: NDArray[np.int32]


class Step(Protocol):
    """How a user chooses. Tables are (n_measures, n_places, n_coupons), as `Model.price_table` has them."""

    @property
    def width(self) -> int:
        """Most pairs of one answer: the columns of an array of choices."""
        ...

    @property
    def must(self) -> bool:
        """Whether an answer must hold a pair, so that nobody may get nothing."""
        ...

    def choose(
        self, rows: Rows, price: Array, start: int, stop: int, table: Array, choice: Choice | None
    ) -> float:
        """Let users from `start` to `stop` take their best answer; return the sum of reduced values.

        Adds what they use to `table`, and writes the answers to `choice`, (n_users, width), -1 for none.
        """
        ...

    def radius(
        self, rows: Rows, price: Array, box: Array, start: int, stop: int, table: Array,
        choice: Choice | None, radius: Array,
    ) -> float:  # fmt: skip
        """As `choose`; write for each user the greatest radius at which no prices within ``price +- radius x
        box`` change the answer, (n_users,).
        """
        ...

    def picks(self, reduced: torch.Tensor) -> Picks:
        """Return the best answers on a torch device, from reduced values, (n_groups, n, n_coupons)."""
        ...

    def lacks(self, allowed: Flags) -> Flags:
        """Return which users have no answer at all, (n,), where pairs are allowed, (n, n_coupons)."""
        ...

    def regret(self, reduced: Array) -> Array:
        """Return what taking each pair loses at least against the best answer, (n, n_coupons).

        Reduced values are minus infinity, and the regret infinite, where a pair is not eligible.
        """
        ...

    def least_use(self, use: Array, allowed: Flags) -> Array:
        """Return the least that each user's answer uses of a row, (n,), of pairs' use, (n, n_coupons)."""
        ...

    def least_beside(self, use: Array, allowed: Flags) -> Array:
        """Return the least that the rest of an answer uses beside one pair of it, whichever, (n,)."""
        ...

    def bounds(self, size: NDArray[np.integer]) -> tuple[Index, Index]:
        """Return the fewest and the most pairs that classes of so many equal users take, (n_classes,)."""
        ...

    def best_pairs(self, starts: Index, pair_class: Index, reduced: Array) -> Flags:
        """Return which pairs all users of a class take, (n_pairs,); pairs are sorted by class."""
        ...

    def regret_of_pairs(self, starts: Index, pair_class: Index, reduced: Array) -> Array:
        """Return what taking each pair loses at least against its class's best answer, (n_pairs,)."""
        ...

    def contenders(self, n_classes: int, pair_class: Index, reduced: Array, spread: Array) -> Flags:
        """Return the pairs that some prices choose at which reduced values differ by up to `spread`.

        Safe: never leaves one out that could be chosen.
        """
        ...
