"""What a model learns from: rows of a history, encoded."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from predictors.features.encoder import Contexts, Coupons, Encoder
from predictors.history.history import History
from predictors.history.propensity import Propensity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Part = TypeVar("Part")


@dataclass(frozen=True)
class DoublyRobust:
    """Scores of n rows and c coupons, NaN where the row says nothing about the coupon.

    Parameters
    ----------
    control, sent
        (n, c) score of the outcome without and with the coupon; unbiased, and far outside [0, 1]
        for a row that got an unlikely arm.
    propensity
        Weights, comparable pairs and notes on overlap.
    """

    control: Floats
    sent: Floats
    propensity: Propensity

    @property
    def effect(self) -> Floats:
        """Pseudo-outcome of the uplift, (n, c)."""
        return np.asarray(self.sent - self.control)

    def take(self, rows: Ints) -> DoublyRobust:
        """Return some of the rows."""
        return DoublyRobust(self.control[rows], self.sent[rows], self.propensity.take(rows))


@dataclass(frozen=True)
class TrainingData:
    """n rows of a history with what was known of their users, and c coupons.

    Parameters
    ----------
    encoder
        Made `contexts` and `coupons`.
    history, contexts
        One entry a row, in the same order.
    coupons
        One entry for each of ``history.coupons``.
    seed
        Of everything that training draws.
    scores
        Doubly robust scores of the rows, where they are known before: whoever needs some takes
        these. They may come from models that saw rows which are held out now: what is wrong with
        such a model has no effect on the mean of a score, as long as the propensities are right.
    made
        What `shared` made of these rows; other rows, or rows weighed otherwise, start with nothing.
    """

    encoder: Encoder
    history: History
    contexts: Contexts
    coupons: Coupons
    seed: int
    scores: DoublyRobust | None = None
    made: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def shared(self, key: Hashable, make: Callable[[], Part]) -> Part:
        """Return what `make` makes of these very rows, made once, whoever asks for it."""
        if key not in self.made:
            self.made[key] = make()
        found: Part = self.made[key]
        return found

    def __len__(self) -> int:
        return len(self.history)

    def take(self, rows: Ints) -> TrainingData:
        """Return some of the rows."""
        return replace(
            self,
            history=self.history.take(rows),
            contexts=self.contexts.take(rows),
            scores=self.scores and self.scores.take(rows),
            made={},
        )

    @property
    def own(self) -> Bools:
        """Whether a row's outcome is about the products of the coupon it names, sent or not, (n,)."""
        return (self.history.coupon >= 0) & self.history.own_control[self.history.coupon]

    @property
    def observed(self) -> Bools:
        """Which coupons each row shows the outcome with, or without, (n, c)."""
        mine = self.history.coupon[:, None] == np.arange(len(self.coupons))
        return np.where(self.history.treated[:, None], mine, True)
