"""The two combinations, one of each half of the classes, that fit together best."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.solver.interrupt import still_at_it
from allocator.solver.rounding.meeting import kernels
from allocator.solver.rounding.meeting.combos import Combos
from allocator.solver.rounding.meeting.options import Options

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CELLS = 4  # for each combination of the second half
FEWEST = 3  # cells that a row must be divided into
LOOKS = 20_000_000  # at pairs and cells, between two at the clock


@dataclass(frozen=True)
class Met:
    """The least loss that was found below the one asked, and the options that lead there, None if none was.

    `complete` is whether every pair was looked at.
    """

    loss: float
    options: list[int] | None
    complete: bool


def meet(
    options: Options, first: Combos, second: Combos, best: float, near: float | None, deadline: float
) -> Met:
    """Find the two combinations that lose least together, and less than `best`.

    Parameters
    ----------
    options
        The options of which they are combinations.
    first, second
        One half each.
    best
        A loss to stay below.
    near
        Pairs are not looked for that leave more room than this is worth in one row that serves to look them
        up; None to look for all.
    deadline
        `time.monotonic()` at which to give up.
    """
    reach = best - options.base_regret
    grid = _Grid.over(options, second, 0.5 * reach if near is None else near)
    rows = grid.rows
    worth = [part.change[:, : options.n_priced].sum(axis=1) - part.regret for part in (first, second)]
    cell_start, held = grid.sort(second.change, options.room, False)
    change = np.empty((len(second), len(rows)))
    kernels.take(second.change, held, rows, change)
    _, turn = grid.sort(first.change, options.room, True)  # neighbours meet the same cells
    met = Met(best, None, True)
    second_worth, least = worth[1][held], float(second.regret.min())
    within, place = reach if near is None else near, 0
    while place < len(turn):
        still_at_it()
        if time.monotonic() > deadline:
            return replace(met, complete=False)
        loss, one, other, place = kernels.best_meeting(
            turn, place, LOOKS, first.regret, worth[0], first.change, second_worth, change, least,
            cell_start, rows, grid.low, grid.width, grid.size, options.room[rows], options.floor[rows],
            options.over[rows], options.base, options.base_regret, within, met.loss,
        )  # fmt: skip
        if one >= 0:
            met = replace(met, loss=loss, options=first.options(one) + second.options(int(held[other])))
    return met


@dataclass(frozen=True)
class _Grid:
    """Cells over some rows, which come last in `rows`: where they start, how wide and how many they are."""

    rows: Index
    low: Array
    width: Array
    size: Index

    @classmethod
    def over(cls, options: Options, combos: Combos, near: float) -> _Grid:
        """Divide the rows in which combinations differ most into cells, of width `near` if those are few."""
        keys = options.keys
        wide = np.maximum(near, options.grain[keys])
        low = combos.change[:, keys].min(axis=0)
        span = combos.change[:, keys].max(axis=0) - low
        chosen, widths, sizes, cells = [], [], [], 1
        for k in np.argsort(-span / wide, kind="stable"):
            number = min(int(span[k] / wide[k]) + 1, CELLS * len(combos) // cells)
            if number < FEWEST:
                break
            chosen.append(k)
            widths.append(max(wide[k], span[k] / number * (1 + 1e-9)))
            sizes.append(number)
            cells *= number
        others = np.setdiff1d(np.arange(len(options.room)), keys[chosen])
        rows = np.concatenate([others, keys[chosen]]).astype(np.int64)
        return cls(rows, low[chosen], np.array(widths), np.array(sizes, np.int64))

    def sort(self, change: Array, room: Array, mirrored: bool) -> tuple[Index, Index]:
        """Return where each cell starts among changes, (n, n_rows), sorted by cell, and these as places.

        If `mirrored`, each goes in the cell of what would just fill the room beside it.
        """
        cells, held = np.empty(len(change), np.int64), np.empty(len(change), np.int64)
        cell_start = np.empty(int(np.prod(self.size)) + 1, np.int64)
        keys = self.rows[len(self.rows) - len(self.size) :]
        kernels.cells_of(change, room, mirrored, keys, self.low, self.width, self.size, cells)
        kernels.fill_cells(cells, cell_start, held)
        return cell_start, held
