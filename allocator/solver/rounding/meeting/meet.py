"""Meeting in the middle: the two halves of a plan that fit together best.

Every plan is a combination of classes' options, and loses what those regret and the price of the room that it
leaves. The combinations of least regret of either half of the classes are listed, and a grid over rows finds
for each of the first half those of the second that leave little room (Horowitz and Sahni 1974, "Computing
partitions with applications to the knapsack problem"). Where the lists hold all that may matter, that proves
the best plan. Else each half is itself made of two lists, of pairs that change some rows by what they should
(Schroeppel and Shamir 1981, "A T = O(2^(n/2)), S = O(2^(n/4)) algorithm for certain NP-complete problems";
Wagner 2002, "A generalized birthday problem"), over a division of the classes drawn anew each time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.solver.interrupt import still_at_it
from allocator.solver.rounding.meeting import kernels
from allocator.solver.rounding.meeting.combos import Combos, count, list_least, pair_up
from allocator.solver.rounding.meeting.options import Options, options_of
from allocator.solver.rounding.standing import Standing

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_WHOLE = 1_000_000  # combinations of a half that may be listed to the last
HALF = 100_000  # combinations of a half, else
MOST_ENTRIES = 2_000_000  # combinations x rows of a half
FIRST_QUARTER, LEAST_QUARTER, MOST_QUARTER = 4_000, 1_000, 100_000  # combinations of a quarter
GROW = 1.5
REGRETS = (0.6, 0.8)  # of what a plan may lose, that pairs should regret: rows' room takes the rest
NEAR = 1 / 3  # of what a pair may still lose, that room in one row is worth
CELLS = 4  # for each combination of the second half
AT_ONCE = 50_000  # combinations of the first half between two looks at the clock
SMALLER = 1e-9  # relative; a smaller loss is rounding
SOFTEST = 1.1  # times its price, that breaking a row must cost for the row to be a key


@dataclass(frozen=True)
class _Met:
    """The least loss that was found, and the options that lead there, None if none loses less than asked."""

    loss: float
    options: list[int] | None
    complete: bool


class Meeting:
    """Looks for better plans of some classes.

    Parameters
    ----------
    seed
        Of the divisions.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._quarter = FIRST_QUARTER

    def settle(self, standing: Standing, enough: float, deadline: float) -> tuple[Standing, float]:
        """Find the best plan of all, if the combinations that may matter are few enough to list.

        Parameters
        ----------
        standing
            A plan.
        enough
            No plan that loses less, but by no more than this, is looked for.
        deadline
            `time.monotonic()` at which to give up.

        Returns
        -------
        tuple
            The best plan, and a loss that no plan is below; 0 if that was not found out.
        """
        options = options_of(standing)
        most = standing.loss - max(enough, SMALLER * abs(standing.loss))
        reach = most - options.base_regret
        if not options.whole or not np.isfinite(reach) or reach <= 0 or options.n_priced == 0:
            return standing, 0.0
        halves = _even_halves(options, reach)
        if any(count(options, groups, reach)[-1] > _most_combos(options, MOST_WHOLE) for groups in halves):
            return standing, 0.0
        still_at_it()
        lists = sorted((list_least(options, groups, MOST_WHOLE, reach) for groups in halves), key=len)
        met = _meet(options, *lists, most, np.arange(options.n_priced), np.inf, deadline)
        if not met.complete:
            return standing, 0.0
        if met.options is None:
            return standing, most
        better = _led_to(standing, options, met.options)
        return (better, better.loss) if better.loss < standing.loss else (standing, 0.0)

    def improve(self, standing: Standing, enough: float, rounds: int, deadline: float) -> Standing:
        """Divide the classes anew and let the quarters' best combinations meet, `rounds` times.

        Stops when the plan loses no more than `enough`.
        """
        options = options_of(standing)
        for _ in range(rounds):
            if standing.loss <= enough or time.monotonic() > deadline or options.n_priced == 0:
                break
            still_at_it()
            met = self._round(options, standing.loss, deadline)
            if met is not None and met.options is not None:
                better = _led_to(standing, options, met.options)
                if better.loss < standing.loss:
                    standing, options = better, options_of(better)
        return standing

    def _round(self, options: Options, loss: float, deadline: float) -> _Met | None:
        """Let the combinations of one division meet; None if there are none."""
        reach = loss - options.base_regret
        groups = _open_groups(options, reach)
        if len(groups) < 4 or reach <= 0:
            return None
        quarters = [
            list_least(options, part, self._quarter, reach)
            for part in np.array_split(self._random.permutation(groups), 4)
        ]
        rows = self._random.permutation(np.flatnonzero(options.over[: options.n_priced] > SOFTEST))
        rows = _order(rows, options)
        means = [part.change.mean(axis=0) for part in quarters]
        off = 0.5 * (options.room - sum(means))
        most = _most_combos(options, HALF)
        first, second = (
            pair_up(one, other, rows, mean + other_mean + off, options.grain, most, reach)
            for (one, other), (mean, other_mean) in zip(
                (quarters[:2], quarters[2:]), (means[:2], means[2:]), strict=True
            )
        )
        if len(first) == 0 or len(second) == 0:
            self._quarter = min(int(GROW * self._quarter), MOST_QUARTER)
            return None
        regretted = float(np.median(first.regret) + np.median(second.regret))
        if regretted < REGRETS[0] * reach:
            self._quarter = min(int(GROW * self._quarter), MOST_QUARTER)
        elif regretted > REGRETS[1] * reach:
            self._quarter = max(int(self._quarter / GROW), LEAST_QUARTER)
        near = NEAR * max(reach - regretted, 0.1 * reach)
        return _meet(options, first, second, loss * (1 - SMALLER), rows[::-1], near, deadline)


ORDER='rand'
def _order(rows, options):
    size=options.change.std(axis=0)
    if ORDER=='rand': return rows
    if ORDER=='dear': return rows[np.argsort(-size[rows])]
    if ORDER=='cheap': return rows[np.argsort(size[rows])]
    k=len(rows)//2
    dear=np.sort(np.argsort(-size[rows])[:k+2]); rest=np.setdiff1d(np.arange(len(rows)),dear)
    return rows[np.concatenate([dear,rest])]


def _most_combos(options: Options, most: int) -> int:
    """Return how many combinations of a half may be listed, by the number of rows."""
    return min(most, MOST_ENTRIES * (most // HALF) // max(options.change.shape[1], 1))


def _open_groups(options: Options, reach: float) -> Index:
    """Return the classes with a second option within reach, those where it costs most first."""
    several = np.flatnonzero(np.diff(options.starts) > 1)
    second = options.regret[options.starts[several] + 1]
    order = np.argsort(-second, kind="stable")
    return several[order][second[order] <= reach]


def _even_halves(options: Options, reach: float) -> tuple[Index, Index]:
    """Divide the classes so that either half has about as many combinations."""
    groups = _open_groups(options, reach)
    choices = np.array([np.searchsorted(_regrets(options, g), reach, side="right") for g in groups])
    order = groups[np.argsort(-choices, kind="stable")]
    turn = np.arange(len(order)) % 4
    return order[(turn == 0) | (turn == 3)], order[(turn == 1) | (turn == 2)]


def _regrets(options: Options, group: int) -> Array:
    return options.regret[options.starts[group] : options.starts[group + 1]]


def _meet(
    options: Options, first: Combos, second: Combos, best: float, keys: Index, near: float, deadline: float
) -> _Met:
    """Find the two combinations that lose least together, and less than `best`.

    Parameters
    ----------
    options
        The options of which they are combinations.
    first, second
        One half each.
    best
        A loss to stay below.
    keys
        Rows to look combinations up by, as many of the first as it takes.
    near
        No more room than this is worth is left in any of them.
    deadline
        `time.monotonic()` at which to give up.
    """
    grid = _Grid.over(options, second, keys, near if np.isfinite(near) else 0.5 * (best - options.base_regret))
    rows = grid.rows
    worth = [part.change[:, : options.n_priced].sum(axis=1) - part.regret for part in (first, second)]
    cell_start, held = np.empty(grid.n_cells + 1, np.int64), np.empty(len(second), np.int64)
    best_first = np.argsort(-worth[1], kind="stable")
    kernels.fill_cells(grid.cells(second.change, options.room, False), best_first, cell_start, held)
    change = np.empty((len(second), len(rows)))
    kernels.take(second.change, held, rows, change)
    # Neighbours meet the same cells.
    turn = np.argsort(grid.cells(first.change, options.room, True), kind="stable")
    found: _Met = _Met(best, None, True)
    for start in range(0, len(turn), AT_ONCE):
        still_at_it()
        if time.monotonic() > deadline:
            return replace(found, complete=False)
        loss, one, other = kernels.best_meeting(
            turn[start : start + AT_ONCE], first.regret, worth[0], first.change, worth[1][held], change,
            float(second.regret.min()), cell_start, rows, grid.low, grid.width, grid.size, options.room[rows],
            options.floor[rows], options.over[rows], options.base, options.base_regret, near, found.loss,
        )  # fmt: skip
        if one >= 0:
            found = replace(found, loss=loss, options=first.options(one) + second.options(int(held[other])))
    return found


@dataclass(frozen=True)
class _Grid:
    """Cells over some rows, which come last in `rows`: where each starts, how wide and how many they are."""

    rows: Index
    low: Array
    width: Array
    size: Index

    @classmethod
    def over(cls, options: Options, combos: Combos, keys: Index, near: float) -> _Grid:
        """Return a grid whose cells are few enough and, where that allows it, no wider than `near`."""
        most = CELLS * len(combos)
        chosen, low, width, size = [], [], [], []
        cells = 1
        for row in keys:
            values = combos.change[:, row]
            least, span = float(values.min()), float(np.ptp(values))
            wide = max(near, options.grain[row])
            number = min(int(span / wide) + 1, most // cells)
            if number < 3:
                continue
            chosen.append(row)
            low.append(least)
            width.append(max(wide, span / number * (1 + 1e-9)))
            size.append(number)
            cells *= number
        others = np.setdiff1d(np.arange(len(options.room)), chosen)
        return cls(
            np.concatenate([others, chosen]).astype(np.int64),
            np.array(low, np.float64),
            np.array(width, np.float64),
            np.array(size, np.int64),
        )

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(np.prod(self.size))

    def cells(self, change: Array, room: Array, mirrored: bool) -> Index:
        """Return the cell of each change, (n, n_rows), or of what would just fill the room beside it."""
        cells = np.empty(len(change), np.int64)
        keys = self.rows[len(self.rows) - len(self.size) :]
        kernels.cells_of(change, room, mirrored, keys, self.low, self.width, self.size, cells)
        return cells


def _led_to(standing: Standing, options: Options, chosen: list[int]) -> Standing:
    """Return the plan of each class's first option, or the one chosen in its place."""
    option = options.starts[:-1].copy()
    of_class = np.searchsorted(options.starts, chosen, side="right") - 1
    option[of_class] = chosen
    move = options.move[option]
    led = standing.moved(options.moves, move[move >= 0])
    return standing.classes.standing(led.count)  # sums afresh
