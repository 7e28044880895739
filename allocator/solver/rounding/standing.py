"""Where a plan of the contested classes stands: whole counts of their pairs, and moves from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.contested import Contested, equal_rows
from allocator.solver.rounding import exchange_kernels as kernels
from allocator.solver.step import Step

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_MOVES = 300_000  # in one list


@dataclass(frozen=True)
class Rules:
    """The rows: bounds with room for rounding, prices, and what violation costs.

    A violated hard row costs `fixed` besides `rate` a unit, so that no small violation ever pays.
    """

    low: Array
    high: Array
    prices: Array
    rate: Array
    fixed: Array

    def part(self, rows: Index) -> Rules:
        """Return some of the rows."""
        return Rules(self.low[rows], self.high[rows], self.prices[rows], self.rate[rows], self.fixed[rows])

    def charge(self, used: Array) -> Array:
        """Return what each row's violation costs."""
        violation = np.maximum(np.maximum(self.low - used, used - self.high), 0.0)
        return np.where(violation > 0, self.fixed + self.rate * violation, 0.0)

    def slack_cost(self, used: Array) -> Array:
        """Return what each row's slack costs at the prices; below zero where the row is violated."""
        slack = np.where(self.prices > 0, self.high - used, used - self.low)
        return np.abs(self.prices) * np.where(self.prices == 0, 0.0, slack)


@dataclass(frozen=True)
class Moves:
    """Moves of one unit each, from a pair (or nothing, -1) to another of its class, by rising regret.

    `change` is (n_moves, n_rows): how much a move changes each row's usage.
    """

    source: Index
    target: Index
    of_class: Index
    regret: Array
    change: Array

    def __len__(self) -> int:
        return len(self.source)

    def some(self, places: Index | slice) -> Moves:
        """Return some of the moves."""
        return Moves(
            self.source[places],
            self.target[places],
            self.of_class[places],
            self.regret[places],
            self.change[places],
        )


@dataclass(frozen=True)
class Classes:
    """Classes of equal users with their pairs, sorted by class, and the rows.

    Parameters
    ----------
    starts
        (n_classes + 1,) where each class's pairs start.
    pair_class
        (n_pairs,) class of each pair.
    reduced
        (n_pairs,) reduced value at the prices.
    uses
        (n_rows, n_pairs) what a unit of each pair uses.
    size
        (n_classes,) users of each class.
    step
        How users choose.
    decided
        (n_rows,) usage of all other users.
    rules
        The rows.
    """

    starts: Index
    pair_class: Index
    reduced: Array
    uses: sp.csc_array
    size: Index
    step: Step
    decided: Array
    rules: Rules

    @cached_property
    def best_count(self) -> Index:
        """What every class chooses at the prices, (n_pairs,)."""
        taken = self.step.best_pairs(self.starts, self.pair_class, self.reduced)
        return np.where(taken, self.size[self.pair_class], 0)

    @cached_property
    def best_reduced(self) -> float:
        """Reduced value of all best choices."""
        return _dot(self.reduced, self.best_count)

    @cached_property
    def regret(self) -> Array:
        """What taking each pair loses at least against its class's best choice, (n_pairs,)."""
        return self.step.regret_of_pairs(self.starts, self.pair_class, self.reduced)

    @cached_property
    def fewest(self) -> Index:
        """Fewest coupons of each class, (n_classes,)."""
        return self.step.bounds(self.size)[0]

    @cached_property
    def most(self) -> Index:
        """Most coupons of each class, (n_classes,)."""
        return self.step.bounds(self.size)[1]

    @property
    def dual(self) -> float:
        """No whole counts are worth more: value less what violations cost, others' choices being given."""
        return self.best_reduced + float(self.rules.slack_cost(self.decided).sum())

    def part(self, classes: Index, rows: Index) -> tuple[Classes, Index]:
        """Return some classes alone under some rows, which no other class may use; and their pairs."""
        inside = np.zeros(len(self.size), np.bool_)
        inside[classes] = True
        pairs = np.flatnonzero(inside[self.pair_class])
        starts = np.concatenate([[0], np.cumsum(np.diff(self.starts)[inside])]).astype(np.int64)
        part = Classes(
            starts=starts,
            pair_class=np.repeat(np.arange(len(starts) - 1), np.diff(starts)),
            reduced=self.reduced[pairs],
            uses=sp.csc_array(sp.csr_array(self.uses[:, pairs])[rows]),
            size=self.size[inside],
            step=self.step,
            decided=self.decided[rows],
            rules=self.rules.part(rows),
        )
        return part, pairs

    def merged(self) -> Classes:
        """Return the classes with those made one whose pairs have equal reduced values and uses."""
        n_rows, most = self.uses.shape[0], int(np.diff(self.starts).max(initial=0))
        place = np.arange(len(self.pair_class)) - self.starts[self.pair_class]
        keys = np.full((len(self.size), most, 1 + n_rows), np.inf)
        keys[self.pair_class, place, 0] = self.reduced
        keys[self.pair_class, place, 1:] = self.uses.T.toarray()
        first, inverse = equal_rows(keys.reshape(len(self.size), -1))
        kept, _ = self.part(np.sort(first), np.arange(n_rows))
        rank = np.argsort(np.argsort(first))  # merged classes in the order of their first
        return replace(kept, size=np.bincount(rank[inverse], self.size).astype(np.int64))

    def standing(self, count: Index) -> Standing:
        """Return where whole counts of the pairs, (n_pairs,), stand."""
        total = np.bincount(self.pair_class, count, len(self.size)).astype(np.int64)
        regret = self.best_reduced - _dot(self.reduced, count)
        return Standing(self, count, total, np.asarray(self.decided + self.uses @ count), regret)


@dataclass(frozen=True)
class Standing:
    """Whole counts of the pairs, and what follows: coupons of each class, usage of each row, regret."""

    classes: Classes
    count: Index
    total: Index
    used: Array
    regret: float

    @property
    def loss(self) -> float:
        """What the plan loses against the dual bound; infinite if it violates a hard row."""
        rules = self.classes.rules
        charge = rules.charge(self.used)
        if (charge[rules.fixed > 0] > 0).any():
            return np.inf
        return float(self.regret + rules.slack_cost(self.used).sum() + charge.sum())

    def moved(self, moves: Moves, chosen: Index) -> Standing:
        """Return where chosen moves lead."""
        count, total = self.count.copy(), self.total.copy()
        for pairs, step in ((moves.source[chosen], -1), (moves.target[chosen], 1)):
            real = pairs[pairs >= 0]
            np.add.at(count, real, step)
            np.add.at(total, self.classes.pair_class[real], step)
        used = self.used + moves.change[chosen].sum(axis=0)
        return Standing(self.classes, count, total, used, self.regret + float(moves.regret[chosen].sum()))

    def moves(self, most_regret: float) -> Moves:
        """List the moves of least regret, at most `most_regret`."""
        source, target = np.empty((2, MOST_MOVES), np.int64)
        regret = np.empty(MOST_MOVES)
        classes = self.classes
        state = (
            classes.starts, classes.reduced, self.count, self.total, classes.size, classes.fewest,
            classes.most,
        )  # fmt: skip
        found = kernels.list_moves(*state, most_regret, source, target, regret)
        if found > MOST_MOVES:  # not even room for all: keep the least
            every = np.empty((2, found), np.int64), np.empty(found)
            kernels.list_moves(*state, most_regret, *every[0], every[1])
            least = np.argpartition(every[1], MOST_MOVES)[:MOST_MOVES]
            source, target, regret = every[0][0][least], every[0][1][least], every[1][least]
            found = MOST_MOVES
        order = np.argsort(regret[:found], kind="stable")
        source, target, regret = source[order], target[order], regret[order]
        of_class = classes.pair_class[np.where(source >= 0, source, target)]
        return Moves(source, target, of_class, regret, np.zeros((found, 0)))

    def with_change(self, moves: Moves) -> Moves:
        """Return the moves with what they change."""
        uses = self.classes.uses
        change = np.zeros((len(moves), uses.shape[0]))
        kernels.fill_change(moves.source, moves.target, uses.indptr, uses.indices, uses.data, change)
        return replace(moves, change=change)

    def best_set(
        self, moves: Moves, *, most: int, nodes: int, at_least: float, reach: float
    ) -> tuple[float, Index, bool]:
        """Find the set of moves that gains most: value less what rows' violations cost.

        Parameters
        ----------
        moves
            To choose from, with their changes.
        most
            Moves in a set.
        nodes
            Sets to look at before giving up.
        at_least
            Gain that a set must exceed.
        reach
            No set of regret R gains more than reach - R.

        Returns
        -------
        tuple
            The gain, the chosen moves, and whether no better set exists.
        """
        rules = self.classes.rules
        gain = np.einsum("ij,j->i", moves.change, rules.prices) - moves.regret
        row, column = np.nonzero(moves.change)
        pointer = np.searchsorted(row, np.arange(len(moves) + 1))
        chosen = np.full(most, -1, np.int64)
        best, complete = kernels.best_set(
            moves.source, moves.target, moves.of_class, gain, moves.regret, moves.change, pointer, column,
            self.count.copy(), self.total.copy(), self.classes.size, self.classes.fewest, self.classes.most,
            self.used, rules.low, rules.high, rules.rate, rules.fixed, reach, at_least, nodes, chosen,
        )  # fmt: skip
        return best, chosen[chosen >= 0], complete


def classes_of(contested: Contested, prices: Array) -> Classes:
    """Return contested classes with reduced values at exact prices."""
    model = contested.model
    uses = sp.csc_array(contested.uses)
    uses.sort_indices()
    soft = np.isfinite(model.penalty)
    largest = contested.size[contested.pair_class]
    starts = np.searchsorted(contested.pair_class, np.arange(len(contested.size) + 1)).astype(np.int64)
    reduced = contested.value - np.asarray(uses.T @ prices)
    # A bound of zero has no size of its own: what the choices use tells how far sums of it may be off.
    best = np.where(model.step.best_pairs(starts, contested.pair_class, reduced), largest, 0)
    room = model.tolerance(np.abs(contested.decided) + abs(uses) @ best)
    stake = _dot(np.abs(contested.value), largest) + 1.0
    unit = abs(uses).max(axis=1).toarray().ravel() if uses.nnz else np.zeros(model.n_rows)
    return Classes(
        starts=starts,
        pair_class=contested.pair_class,
        reduced=reduced,
        uses=uses,
        size=contested.size.astype(np.int64),
        step=model.step,
        decided=contested.decided,
        rules=Rules(
            low=model.at_least - np.where(soft, 0.0, room),
            high=model.at_most + np.where(soft, 0.0, room),
            prices=prices,
            rate=np.where(soft, model.penalty, stake / np.where(unit > 0, unit, 1.0)),
            fixed=np.where(soft, 0.0, stake),
        ),
    )


def _dot(amount: Array, count: Index) -> float:
    """Return a sum of products, in an order that does not depend on threads, which BLAS would wait for."""
    return float(np.sum(amount * count))
