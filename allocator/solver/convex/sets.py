"""What each group of users can do at little loss: the sets of changes to a base plan, in two halves.

Against the dual bound a plan loses what its choices lose at the prices, which is known change by change, so
only few sets of changes lose less than a good plan does. A group's changes are split into two halves of other
users, so that a set of one and a set of the other may always go together: far fewer are listed than there
are.

Horowitz and Sahni 1974, "Computing partitions with applications to the knapsack problem"; Pisinger 1995,
"A minimal algorithm for the multiple-choice knapsack problem".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.contested import count_choices
from allocator.solver.convex.near import Near
from allocator.solver.convex.sets_kernels import fill_uses, list_sets
from allocator.solver.convex.standing import Standing
from allocator.solver.interrupt import still_at_it
from allocator.solver.rounding.standing import MOST_MOVES as ALL_MOVES
from allocator.solver.rounding.standing import Moves, classes_of

Array = NDArray[np.float64]
Index = NDArray[np.int64]

FIRST_REACH = 1e-6  # of the bound: sets that are listed first
MOST_SETS = 500_000  # of one half of a group's changes
MOST_MOVES = 4_000  # of one group
FEW_MOVES = 4  # by which the best choices of a group may miss what it is owed
ALIKE = 1e-10  # of the bound; a plan that loses less in a group is as good there as the best choices
FEWER = 0.6  # of the moves whose sets there is no room for, the cheapest
CAPS = 0.5 ** np.arange(9)  # of what the best plan loses: reaches up to which dominated sets may go
ROUNDING = 1e-12  # relative


@dataclass(frozen=True)
class Half:
    """Sets of changes by rising value: their values, regrets, and how each is made from its parent.

    `least` is the least of regret + slope x value from each set on, and then infinite.
    """

    value: Array
    lost: Array
    place: Index
    parent: Index
    move: Index
    least: Array

    def moves_of(self, k: int) -> Index:
        """Return the moves of a set, with repetitions."""
        at, moves = int(self.place[k]), []
        while at > 0:
            moves.append(int(self.move[at]))
            at = int(self.parent[at])
        return np.array(moves, dtype=np.int64)


@dataclass(frozen=True)
class GroupSets:
    """What a group can do with a regret of at most `reach`.

    Parameters
    ----------
    moves, change
        Its moves, and what each changes of the limits' usage, (n_moves, n_limits).
    slope
        What a unit of its value counts.
    reach, full
        All sets of less regret are listed; whether there is no room, or no use, for more.
    halves
        The sets of both halves.
    """

    moves: Moves
    change: Array
    slope: float
    reach: float
    full: bool
    halves: tuple[Half, Half]

    def uses(self, places: Index) -> Array:
        """Return what sets, by places in both halves, (2, n), change of limits' usage, (n, n_limits)."""
        uses = np.zeros((places.shape[1], self.change.shape[1]))
        for half, of_half in zip(self.halves, places, strict=True):
            fill_uses(half.place[of_half], half.parent, half.move, self.change, uses)
        return uses


@dataclass(frozen=True)
class Listed:
    """Sets of a group, by rising loss: places in both halves, losses, changes of the limits' usage.

    `complete` says that there are no others that lose as little.
    """

    places: Index
    losses: Array
    uses: Array
    complete: bool


class Changes:
    """The base plan, and the sets of changes to it group by group.

    Parameters
    ----------
    standing
        Prices, slopes and best plan.
    wanted
        (n_groups,) values about which groups' values should lie.
    few
        Whether to list only sets that no other beats in value and in cost at the prices.

    Attributes
    ----------
    dropped
        (n_limits,) the rows without which these are all that matter.
    proves
        Whether they are, without those rows.
    """

    def __init__(self, standing: Standing, wanted: Array, *, few: bool) -> None:
        self.standing, self.task = standing, standing.task
        self.slopes, self.dual = standing.slopes, standing.dual
        self.near = Near(standing)
        self.classes = classes_of(self.near.contested, self.near.prices)
        self.group = self.near.groups()
        self.base = self.classes.standing(self._base(wanted))
        self.lacking = min(max(self.dual - standing.total, standing.enough), abs(self.dual))
        moves = self.base.moves(min(self.lacking, self.near.beyond))
        full = len(moves) == ALL_MOVES
        self.most = min(self.lacking, self.near.beyond, float(moves.regret[-1]) if full else np.inf)
        self.moves = [self._moves(moves, g) for g in range(len(self.task.groups))]
        self.rules = self.classes.rules.part(np.arange(self.task.n_limits))
        self.rate = np.where(np.isinf(self.penalty), 0.0, self.penalty)
        self.dropped = (self.rules.prices == 0) & few
        cap = self._cap()
        self.proves = not few or cap > 0
        self.cap = cap or (self.lacking if few else 0.0)

    @property
    def penalty(self) -> Array:
        """What violating each limit costs; infinite for a hard one, (n_limits,)."""
        return self.task.model.penalty[: self.task.n_limits]

    def windows(self, allowed: float) -> tuple[Array, Array]:
        """Return the least and greatest usage of each limit at which it alone loses no more than allowed."""
        rules = self.rules
        soft = np.isfinite(self.penalty)
        with np.errstate(divide="ignore", invalid="ignore"):
            above = np.where(
                soft, allowed / np.maximum(self.penalty - np.maximum(rules.prices, 0.0), 0.0), 0.0
            )
            below = np.where(
                soft, allowed / np.maximum(self.penalty + np.minimum(rules.prices, 0.0), 0.0), 0.0
            )
            unused = allowed / np.abs(rules.prices)
            low, high = rules.low - below, rules.high + above
            low = np.where(rules.prices > 0, np.maximum(low, rules.high - unused), low)
            high = np.where(rules.prices < 0, np.minimum(high, rules.low + unused), high)
        return low, high

    @property
    def used(self) -> Array:
        """Usage of the limits by the base plan, (n_limits,)."""
        return self.base.used[: self.task.n_limits]

    def first_reach(self) -> float:
        """Return a reach within which there are few sets."""
        return min(self.lacking / 64, FIRST_REACH * abs(self.dual))

    def sets(self, group: int, reach: float) -> GroupSets:
        """List a group's sets up to some regret, or as many as there is room for."""
        moves, most = self.moves[group]
        most = min(most, self.cap or np.inf)
        wanted = reach = min(reach, most)
        of_class, number = np.unique(moves.of_class, return_inverse=True)
        first = np.full(len(of_class), np.inf)
        np.minimum.at(first, number, moves.regret)
        second = np.argsort(np.argsort(first, kind="stable"))[number] % 2 == 1  # so that halves are alike
        row = self.task.n_limits + group
        starts = (self._regret(group), float(self.base.used[row])), (0.0, 0.0)
        halves = []
        for start, chosen in zip(starts, (~second, second), strict=True):
            few = np.flatnonzero(chosen & (moves.regret <= reach))
            while (half := self._half(group, few, start, max(wanted, start[0]))) is None:
                still_at_it()
                kept = int(FEWER * len(few))
                reach, few = min(reach, float(moves.regret[few[kept]])), few[:kept]
            halves.append(half)
        change = np.ascontiguousarray(moves.change[:, : self.task.n_limits])
        full = reach < wanted or reach >= most
        return GroupSets(
            moves, change, float(self.slopes[group]), max(reach, 0.0), full, (halves[0], halves[1])
        )

    def plan(self, chosen: list[tuple[GroupSets, Index]]) -> bool:
        """Take the plan of one set of each group, by its places; return whether it keeps every limit."""
        count = self.base.count.copy()
        for group, places in chosen:
            for half, k in zip(group.halves, places.tolist(), strict=True):
                made = half.moves_of(k)
                for pairs, step in ((group.moves.source[made], -1), (group.moves.target[made], 1)):
                    np.add.at(count, pairs[pairs >= 0], step)
        return self.standing.found(self.near.choice_of(count)) is not None

    def _base(self, wanted: Array) -> Index:
        """Return counts to change: in each group the best choices, or those of the best plan.

        A plan that is as good at the prices also keeps the rows. Of many equal users the best choices are all
        alike, and may be many moves from any plan.
        """
        classes, n = self.classes, self.task.n_limits
        count = classes.best_count.copy()
        if self.standing.best is None:
            return count
        planned = count_choices(self.near.contested, self.standing.best.choice)
        of_pair = self.group[classes.pair_class]
        used = classes.standing(count).used
        values = abs(classes.uses)
        for g, value in enumerate(wanted.tolist()):
            largest = float(values[[n + g]].max()) if values.nnz else 0.0
            mine = of_pair == g
            lost = float((classes.reduced * (classes.best_count - planned))[mine].sum())
            alike = lost <= ALIKE * abs(self.dual)
            if alike or abs(used[n + g] - value) > FEW_MOVES * largest:
                count[mine] = planned[mine]
        return count

    def _moves(self, moves: Moves, group: int) -> tuple[Moves, float]:
        """Return a group's moves, the cheapest if too many, and the regret up to which all are there."""
        mine = np.flatnonzero(self.group[moves.of_class] == group)
        most = float(moves.regret[mine[MOST_MOVES]]) if len(mine) > MOST_MOVES else np.inf
        return self.base.with_change(moves.some(mine[:MOST_MOVES])), min(self.most, most)

    def _regret(self, group: int) -> float:
        """Return what the base loses in a group's classes."""
        classes = self.classes
        lost = classes.reduced * (classes.best_count - self.base.count)
        return max(float(lost[self.group[classes.pair_class] == group].sum()), 0.0)

    def _cap(self) -> float:
        """Return a reach up to which a set is of no use beside one of more value and less cost; 0 for none.

        It is so where sets can break one row at most, from above, and that row's price is all they cost.
        """
        for cap in CAPS * self.lacking:
            rows = self._breakable(cap)
            if len(rows) == 0 or (len(rows) == 1 and self._costs_all(int(rows[0]), cap)):
                return float(cap)
        return 0.0

    def _breakable(self, reach: float) -> Index:
        """Return the limits that sets of all groups together may break."""
        up, down = np.zeros((2, self.task.n_limits))
        for moves, _ in self.moves:
            change = moves.change[moves.regret <= reach, : self.task.n_limits]
            of_class = moves.of_class[moves.regret <= reach]
            size = self.classes.size
            for worst, signed in ((up, change), (down, -change)):
                greatest = np.zeros((len(size), change.shape[1])) if len(change) else np.zeros((0, 0))
                if len(change):
                    np.maximum.at(greatest, of_class, signed)
                    worst += size @ greatest
        low, high = self.windows(self.lacking)
        return np.flatnonzero(((self.used + up > high) | (self.used - down < low)) & ~self.dropped)

    def _costs_all(self, row: int, reach: float) -> bool:
        """Return whether a row bounds from above, at a price, and no other row that sets use has one."""
        priced = self.rules.prices != 0
        priced[row] = False
        others = any(
            moves.change[moves.regret <= reach, : self.task.n_limits][:, priced].any()
            for moves, _ in self.moves
        )
        above_only = (
            self.rules.prices[row] > 0 and np.isinf(self.rules.low[row]) and np.isinf(self.penalty[row])
        )
        return bool(above_only and not others)

    def _half(self, group: int, few: Index, start: tuple[float, float], reach: float) -> Half | None:
        """List the sets of some moves; None if they are too many."""
        classes, base, slope = self.classes, self.base, float(self.slopes[group])
        part = self.moves[group][0].some(few)
        of_class, number = np.unique(part.of_class, return_inverse=True)
        first = np.full(len(of_class), np.inf)
        np.minimum.at(first, number, part.regret)
        rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
        order = np.lexsort((part.regret, rank[number]))
        part, few = part.some(order), few[order]
        classes_in_turn = of_class[np.argsort(rank)]
        starts = np.searchsorted(rank[number][order], np.arange(len(of_class) + 1)).astype(np.int64)
        most = (
            base.count[np.maximum(part.source, 0)] * (part.source >= 0)
            + (part.source < 0) * classes.size[part.of_class]
        )
        taken_off = np.bincount(rank[number][order], np.minimum(part.regret, 0.0) * most, len(of_class))
        spared = np.append(np.cumsum(taken_off[::-1])[::-1], 0.0)
        lost, value = np.empty((2, MOST_SETS))
        parent, move, listed = np.empty((3, MOST_SETS), np.int64)
        lost[0], value[0] = start
        row = self.task.n_limits + group
        n, complete = list_sets(
            starts, part.source, part.target, part.regret, np.ascontiguousarray(part.change[:, row]),
            classes_in_turn, base.count, base.total, classes.size, classes.fewest, classes.most, reach,
            spared, self.cap > 0, slope, lost, value, parent, move, listed,
        )  # fmt: skip
        if not complete:
            return None
        inside = listed[:n][lost[listed[:n]] <= reach]
        inside = inside[np.argsort(value[inside], kind="stable")]
        sums = lost[inside] + slope * value[inside]
        least = np.append(np.minimum.accumulate(sums[::-1])[::-1], np.inf)
        end = int(inside.max(initial=0)) + 1
        made = np.where(move[:end] >= 0, few[move[:end]], -1) if len(few) else move[:end].copy()
        return Half(value[inside], lost[inside], inside, parent[:end].copy(), made, least)
