"""Combinations of some classes' options: those of least regret, and pairs of them that go well together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.rounding.meeting import kernels
from allocator.solver.rounding.meeting.options import Options

Array = NDArray[np.float64]
Index = NDArray[np.int64]

STEPS = 2048  # of regret, in which combinations are counted
SHARE = 1 / 8  # of all pairs that one row lets through
SPARE = 3  # times as many pairs as are kept are looked at


@dataclass(frozen=True)
class Combos(ABC):
    """Combinations: what each regrets, (n,), and changes in every row, (n, n_rows)."""

    regret: Array
    change: Array

    def __len__(self) -> int:
        return len(self.regret)

    @abstractmethod
    def options(self, place: int) -> list[int]:
        """Return the options of one, without those that are their class's first."""


@dataclass(frozen=True)
class Listed(Combos):
    """Each combination is a `parent`, -1 for none, and one `option` more."""

    parent: NDArray[np.int32]
    option: NDArray[np.int32]

    def options(self, place: int) -> list[int]:
        """Return the options of one, without those that are their class's first."""
        found = []
        while self.parent[place] >= 0:
            found.append(int(self.option[place]))
            place = int(self.parent[place])
        return found


@dataclass(frozen=True)
class Paired(Combos):
    """Each combination is two, one of each list: `pairs` is (n, 2)."""

    left: Combos
    right: Combos
    pairs: Index

    def options(self, place: int) -> list[int]:
        """Return the options of one, without those that are their class's first."""
        one, other = self.pairs[place]
        return self.left.options(int(one)) + self.right.options(int(other))


def count(options: Options, groups: Index, reach: float) -> Array:
    """Return how many combinations of some classes regret at most each of the steps up to `reach`."""
    counts = np.empty(STEPS + 1)
    kernels.count_combos(options.starts, options.regret, groups, reach / STEPS, counts)
    return np.cumsum(counts)


def list_least(options: Options, groups: Index, most: int, reach: float) -> Combos:
    """List the combinations of some classes' options that regret least: about `most`, and up to `reach`.

    Where too many regret nothing, only some of them are listed.
    """
    number = count(options, groups, reach)
    step = int(np.searchsorted(number, most, side="right")) - 1
    step = max(step, 0)
    size = int(min(number[step], 2 * most))
    regret, change = np.empty(size), np.empty((size, options.change.shape[1]))
    parent, option = np.empty(size, np.int32), np.empty(size, np.int32)
    found = kernels.list_combos(
        options.starts, options.regret, options.change, groups, step * reach / STEPS, regret, change, parent,
        option,
    )  # fmt: skip
    return Listed(regret[:found], change[:found], parent[:found], option[:found])


def pair_up(
    left: Combos, right: Combos, rows: Index, centre: Array, grain: Array, most: int, reach: float
) -> Combos:
    """Return the pairs of least regret among those that change some rows by about as much as `centre`.

    Parameters
    ----------
    left, right
        Two lists over different classes.
    rows
        The rows that may choose among the pairs: as many of the first as it takes.
    centre, grain
        (n_rows,) the change to come near, and the least difference between two options.
    most
        Pairs to return.
    reach
        No pair that regrets more is of use.
    """
    one, other = np.arange(len(left)), np.arange(len(right))
    key, other_key = np.zeros(len(one), np.int64), np.zeros(len(other), np.int64)
    number = len(one) * len(other)
    for row in rows:
        if number <= 2 * SPARE * most:
            break
        share = max(SHARE, SPARE * most / number)
        a, b = left.change[one, row], right.change[other, row]
        width = max(share * np.sqrt(2 * np.pi * (a.var() + b.var())), grain[row])
        cell = np.floor(a / width + 0.5).astype(np.int64)
        mirrored = np.floor((centre[row] - b) / width + 0.5).astype(np.int64)
        low, high = max(cell.min(), mirrored.min()), min(cell.max(), mirrored.max())
        inside, other_inside = (cell >= low) & (cell <= high), (mirrored >= low) & (mirrored <= high)
        span = max(high - low + 1, 1)
        one, key = one[inside], (key * span)[inside] + cell[inside] - low
        other, other_key = (
            other[other_inside],
            (other_key * span)[other_inside] + mirrored[other_inside] - low,
        )
        number = kernels.count_matches(np.sort(key), np.sort(other_key))
        if number == 0:
            break
    order, other_order = np.argsort(key, kind="stable"), np.lexsort((right.regret[other], other_key))
    one, key, other, other_key = one[order], key[order], other[other_order], other_key[other_order]
    lists = key, left.regret[one], other_key, right.regret[other]
    counts = np.empty(STEPS, np.int64)
    kernels.regrets_of_matches(*lists, reach / STEPS, counts)
    number_at = np.cumsum(counts)
    steps = min(int(np.searchsorted(number_at, most)) + 1, STEPS)
    found = np.empty((min(int(number_at[steps - 1]), 2 * most), 2), np.int64)
    n = kernels.matches(*lists, reach / STEPS, steps, found)
    pairs = np.stack([one[found[:n, 0]], other[found[:n, 1]]], axis=1)
    change = np.empty((n, left.change.shape[1]))
    kernels.add_changes(left.change, right.change, pairs, change)
    return Paired(left.regret[pairs[:, 0]] + right.regret[pairs[:, 1]], change, left, right, pairs)
