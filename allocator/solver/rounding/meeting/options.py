"""What each class may do from where a plan stands, and the room of the rows, in objective units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.rounding.standing import Moves, Standing

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SOFTEST = 1.1  # times a row's price, that overstepping it must cost for the row to tell what fits


@dataclass(frozen=True)
class Options:
    """One choice of a class each: to stay, or one move. Rows are those that the choices can overstep or leave
    room in at a price, those with a price first; each points towards its dearer bound, in units of its price.

    A plan of one option for each class loses ``base`` and its options' regret, less what they change in the
    rows with a price, and `over` for each unit beyond a row's `room`.

    Parameters
    ----------
    starts
        (n_classes + 1,) where each class's options start; they are sorted by regret.
    move
        (n_options,) place among the standing's moves, -1 to stay.
    regret
        (n_options,) against the class's first option.
    change
        (n_options, n_rows) of each row's usage, against the first option.
    room, floor
        (n_rows,) most and least change.
    over
        (n_rows,) cost of a unit beyond the room; infinite if the row is hard.
    grain
        (n_rows,) least difference between two options.
    n_priced
        How many of the rows have a price.
    base, base_regret
        What the first options lose but for what is beyond rows' rooms, and the part of it that is not room.
    whole
        Whether every plan is one of options: no class has several users or coupons, or a soft row two bounds.
    moves
        All moves.
    """

    starts: Index
    move: Index
    regret: Array
    change: Array
    room: Array
    floor: Array
    over: Array
    grain: Array
    n_priced: int
    base: float
    base_regret: float
    whole: bool
    moves: Moves

    @property
    def keys(self) -> Index:
        """The rows to look combinations up by: those with a price that are dearer to overstep."""
        return np.flatnonzero(self.over[: self.n_priced] >= SOFTEST)


def options_of(standing: Standing) -> Options:
    """Return the options of every class from where a plan stands."""
    classes, rules = standing.classes, standing.classes.rules
    moves = standing.with_change(standing.moves(np.inf))
    n, n_rows = len(classes.size), len(rules.prices)
    of_class = np.concatenate([np.arange(n), moves.of_class])
    move = np.concatenate([np.full(n, -1), np.arange(len(moves))])
    regret = np.concatenate([np.zeros(n), moves.regret])
    change = np.concatenate([np.zeros((n, n_rows)), moves.change])
    order = np.lexsort((move, regret, of_class))
    of_class, move, regret, change = of_class[order], move[order], regret[order], change[order]
    starts = np.searchsorted(of_class, np.arange(n + 1))
    first_regret, first_change = regret[starts[:-1]], change[starts[:-1]]
    regret, change = regret - first_regret[of_class], change - first_change[of_class]
    used = standing.used + first_change.sum(axis=0)
    way = np.where(rules.prices < 0, -1.0, 1.0)
    unit = np.where(rules.prices == 0, 1.0, np.abs(rules.prices))
    room = unit * np.where(way > 0, rules.high - used, used - rules.low)
    floor = unit * np.where(way > 0, rules.low - used, used - rules.high)
    over = np.where(rules.fixed > 0, np.inf, rules.rate / unit)
    change = change * (way * unit)
    kept = _rows_that_matter(starts, change, room, floor, rules.prices)
    n_priced = int((rules.prices[kept] != 0).sum())
    regret_so_far = standing.regret + float(first_regret.sum())
    slack = float(rules.slack_cost(used).sum())  # of rows that no option changes, too
    outside = np.setdiff1d(np.arange(n_rows), kept)
    beyond = np.maximum(np.maximum(-room[outside], floor[outside]), 0.0)
    charge = float(np.multiply(over[outside], beyond, out=np.zeros(len(outside)), where=beyond > 0).sum())
    within = float(room[kept[:n_priced]].sum())
    soft_twice = np.isfinite(over) & np.isfinite(rules.low) & np.isfinite(rules.high)
    return Options(
        starts=starts.astype(np.int64),
        move=move,
        regret=regret,
        change=np.ascontiguousarray(change[:, kept]),
        room=room[kept],
        floor=floor[kept],
        over=over[kept],
        grain=_grain(change[:, kept]),
        n_priced=n_priced,
        base=regret_so_far + slack + charge,
        base_regret=regret_so_far + slack + charge - within,
        whole=bool((classes.size == 1).all()) and classes.step.width == 1 and not soft_twice.any(),
        moves=moves,
    )


def _rows_that_matter(starts: Index, change: Array, room: Array, floor: Array, prices: Array) -> Index:
    """Return the rows that options change and that have a price or may be overstepped, priced ones first."""
    most = np.maximum.reduceat(change, starts[:-1], axis=0).sum(axis=0)
    least = np.minimum.reduceat(change, starts[:-1], axis=0).sum(axis=0)
    matter = (change != 0).any(axis=0) & ((prices != 0) | (most > room) | (least < floor))
    rows = np.flatnonzero(matter)
    return rows[np.argsort(prices[rows] == 0, kind="stable")]


def _grain(change: Array) -> Array:
    size = np.abs(change)
    return np.asarray(np.min(size, axis=0, where=size > 0, initial=np.inf))
