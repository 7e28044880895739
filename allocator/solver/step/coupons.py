"""The step of a single send: a user takes the best few coupons, each at most once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.solver.step import kernels
from allocator.solver.step.step import Array, Choice, Flags, Index, Rows

if TYPE_CHECKING:
    import torch

    from allocator.solver.step.on_device import Picks


@dataclass(frozen=True)
class Coupons:
    """From `fewest` to `most` coupons, those of greatest reduced value: all above zero, and others only to
    make up the fewest. A `Step`.
    """

    fewest: int
    most: int

    @property
    def width(self) -> int:
        """Most coupons of a user."""
        return self.most

    @property
    def must(self) -> bool:
        """Whether everyone must get a coupon."""
        return self.fewest > 0

    @property
    def _least(self) -> float:
        """What one coupon must be worth to be taken."""
        return -np.inf if self.must else 0.0

    def choose(
        self, rows: Rows, price: Array, start: int, stop: int, table: Array, choice: Choice | None
    ) -> float:
        """Let users from `start` to `stop` choose, as `Step.choose`."""
        users, rest = (rows.value, rows.measures, rows.cell), (price, start, stop, table, self._kept(choice))
        one_set = rows.places.shape[1] == 1
        if self.most == 1 and one_set:
            return float(kernels.choose_one(*users, *rest, self._least))
        if self.most == 1:
            return float(kernels.choose_one_of_sets(*users, rows.places, *rest, self._least))
        if one_set:
            return float(kernels.choose_some(*users, *rest, self.fewest, self.most))
        return float(kernels.choose_some_of_sets(*users, rows.places, *rest, self.fewest, self.most))

    def radius(
        self, rows: Rows, price: Array, box: Array, start: int, stop: int, table: Array,
        choice: Choice | None, radius: Array,
    ) -> float:  # fmt: skip
        """Let users choose, and write the radius of each one's choice, as `Step.radius`."""
        users = rows.value, rows.measures, rows.cell
        rest = price, box, start, stop, table, self._kept(choice)
        one_set = rows.places.shape[1] == 1
        if self.most == 1 and one_set:
            return float(kernels.radius_of_one(*users, *rest, self._least, radius))
        if self.most == 1:
            return float(kernels.radius_of_one_of_sets(*users, rows.places, *rest, self._least, radius))
        if one_set:
            return float(kernels.radius(*users, *rest, self.fewest, self.most, radius))
        return float(kernels.radius_of_sets(*users, rows.places, *rest, self.fewest, self.most, radius))

    def picks(self, reduced: torch.Tensor) -> Picks:
        """Return what users take on a torch device, as `Step.picks`."""
        from allocator.solver.step.on_device import Picks

        return Picks(reduced, self.fewest, self.most)

    def lacks(self, allowed: Flags) -> Flags:
        """Return who has too few coupons to take, as `Step.lacks`."""
        return np.asarray(allowed.sum(axis=1) < self.fewest)

    def regret(self, reduced: Array) -> Array:
        """Return what taking each coupon loses, as `Step.regret`."""
        best = -np.sort(-reduced, axis=1)[:, : self.most]
        taken = np.clip((best > 0).sum(axis=1), self.fewest, self.most)
        worst = np.take_along_axis(best, np.maximum(taken - 1, 0)[:, None], axis=1)[:, 0]
        beside = np.where(taken > 0, np.minimum(worst, 0.0), 0.0)  # where there is room, another may come in
        level = np.where(taken < self.most, beside, worst)
        with np.errstate(invalid="ignore"):
            regret = np.maximum(level[:, None] - reduced, 0.0)
        return np.where(np.isinf(reduced), np.inf, regret)

    def least_use(self, use: Array, allowed: Flags) -> Array:
        """Return the least that each user uses, as `Step.least_use`."""
        return _least(use, allowed, self.fewest, self.most)

    def least_beside(self, use: Array, allowed: Flags) -> Array:
        """Return the least that a user's other coupons use, as `Step.least_beside`."""
        return _least(use, allowed, max(self.fewest - 1, 0), self.most - 1)

    def bounds(self, size: NDArray[np.integer]) -> tuple[Index, Index]:
        """Return the fewest and the most coupons of classes, as `Step.bounds`."""
        return np.asarray(self.fewest * size, np.int64), np.asarray(self.most * size, np.int64)

    def best_pairs(self, starts: Index, pair_class: Index, reduced: Array) -> Flags:
        """Return which pairs classes take, as `Step.best_pairs`."""
        order = np.lexsort((-reduced, pair_class))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order)) - starts[pair_class[order]]
        return (rank < self.most) & ((reduced > 0) | (rank < self.fewest))

    def regret_of_pairs(self, starts: Index, pair_class: Index, reduced: Array) -> Array:
        """Return what taking each pair loses, as `Step.regret_of_pairs`."""
        n_classes = len(starts) - 1
        taken = self.best_pairs(starts, pair_class, reduced)
        number = np.bincount(pair_class[taken], minlength=n_classes)
        worst = np.full(n_classes, np.inf)  # of what is taken: goes if another comes in its place
        np.minimum.at(worst, pair_class[taken], reduced[taken])
        in_place_of = np.where(number < self.most, np.minimum(worst, 0.0), worst)
        return np.where(taken, 0.0, np.maximum(in_place_of[pair_class] - reduced, 0.0))

    def contenders(self, n_classes: int, pair_class: Index, reduced: Array, spread: Array) -> Flags:
        """Return the pairs that may be chosen, as `Step.contenders`."""
        upper = reduced + spread
        # The most-th greatest lower bound of each class: what a pair must be able to beat.
        lower = reduced - spread
        order = np.lexsort((-lower, pair_class))
        place = np.arange(len(pair_class)) - np.searchsorted(
            pair_class[order], pair_class[order], side="left"
        )
        threshold = np.full(n_classes, -np.inf)
        at = order[place == self.most - 1]
        threshold[pair_class[at]] = lower[at]
        keep = upper >= threshold[pair_class]
        return keep if self.must else keep & (upper >= 0)

    def _kept(self, choice: Choice | None) -> Choice:
        return np.zeros((0, self.most), np.int16) if choice is None else choice


def _least(use: Array, allowed: Flags, fewest: int, most: int) -> Array:
    """Return the least that each user uses with at least `fewest` and at most `most` coupons, (n,)."""
    lowest = np.sort(np.where(allowed, use, np.inf), axis=1)[:, :most]
    lowest[np.isinf(lowest)] = 0.0
    return np.asarray(lowest[:, :fewest].sum(axis=1) + np.minimum(lowest[:, fewest:], 0.0).sum(axis=1))
