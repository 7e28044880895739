"""Pairs that fit no plan: they are left out before any price is asked for.

A pair that alone uses more of a row than all other users can leave is in no plan, but it would sit in the
relaxation in part, and raise the bound by what it is worth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.errors import InfeasibleError
from allocator.problem.batch import Batch
from allocator.solver.model import COUNT, VALUE, Model
from allocator.solver.pricing import engine_for

Array = NDArray[np.float64]
CLEARLY = 1e-6  # relative; what is beyond a row by less may fit but for rounding
AT_ONCE = 65_536  # users looked at together
SHARE = 1e-3  # of a bound that some pair uses, from where on what every user must get is counted
ROUNDS = 5  # each leaves pairs out, and others less room


@dataclass(frozen=True)
class Screened:
    """A model without the pairs that fit no plan, and the labels of the rows that rule them out."""

    model: Model
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Side:
    """One bound of a row: `sign` times the usage is at most `bound`, of which obligations leave `room`."""

    row: int
    sign: float
    bound: float
    room: float


def screen(model: Model) -> Screened:
    """Leave out the pairs, of a problem in memory, that a hard row rules out by itself.

    Raises
    ------
    InfeasibleError
        If that leaves a user fewer coupons than each must get; names the rows.
    """
    labels: dict[str, None] = {}
    if not model.problem.in_memory:
        return Screened(model)
    for _ in range(ROUNDS):
        value = model.problem.value
        for side in _narrow_sides(model):
            unfit = np.concatenate([_unfit(model, side, part) for part in _parts(model)])
            if unfit.any():
                value = np.where(unfit, np.nan, value)
                labels[model.labels[side.row]] = None
        if value is model.problem.value:
            break
        model = replace(model, problem=model.problem.with_values(value))
        left = [(~np.isnan(part.value) & ~model.forbids(model.cell[part.users])) for part in _parts(model)]
        if min(int(of_part.sum(axis=1).min()) for of_part in left) < model.problem.per_user[0]:
            raise InfeasibleError(list(labels))
    return Screened(model, tuple(labels))


def _narrow_sides(model: Model) -> list[_Side]:
    """Return the bounds of hard rows of which some pair may use more than obligations leave."""
    sizes = Sizes(model)
    narrow = []
    for row in np.flatnonzero(np.isinf(model.penalty)).tolist():
        for sign, bound in ((1.0, model.at_most[row]), (-1.0, -model.at_least[row])):
            if not np.isfinite(bound):
                continue
            largest = sizes.largest(row, sign)
            free = model.problem.per_user[0] == 0 or largest <= SHARE * bound
            if largest == 0 or (largest <= bound and free):
                continue  # even if nobody else earns room
            room = room_of(model, row, sign)
            if largest > room >= 0:
                narrow.append(_Side(row, sign, bound, room))
    return narrow


def room_of(model: Model, row: int, sign: float) -> float:
    """Return how much of a bound is left if all users use as little of it as they may."""
    nothing = model.without_values()
    prices = np.zeros(model.n_rows)
    prices[row] = sign
    return float(engine_for(nothing).price(prices).reduced + model.bound_cost(prices))


class Sizes:
    """The greatest use that a pair can make of each row, from the range of each measure."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[int, tuple[float, float]] = {COUNT: (1.0, 1.0)}

    def largest(self, row: int, sign: float) -> float:
        """Return a number, at least 0, that `sign` times no pair's use of a row exceeds."""
        weights = self._model.weights[[row]].tocoo()
        _, n_places, n_coupons = self._model.shape
        measure = weights.col // (n_places * n_coupons)
        total = 0.0
        for k in np.unique(measure).tolist():
            weight, (low, high) = sign * weights.data[measure == k], self._range(k)
            least, most = float(weight.min()), float(weight.max())
            total += max(most * high, least * low, most * low, 0.0)
        return total

    def _range(self, k: int) -> tuple[float, float]:
        """Return the least and the greatest entry of a measure."""
        if k not in self._known:
            array = self._model.problem.measure(self._model.measures[k])
            blocks = [array[start : start + AT_ONCE] for start in range(0, len(array), AT_ONCE)]
            least = min(float(np.fmin.reduce(block, axis=None, initial=np.inf)) for block in blocks)
            most = max(float(np.fmax.reduce(block, axis=None, initial=-np.inf)) for block in blocks)
            self._known[k] = least, most
        return self._known[k]


def _parts(model: Model) -> Iterator[Batch]:
    for batch in model.problem.batches(model.measures[2:]):
        yield from batch.parts(AT_ONCE)


def use_of(model: Model, row: int, part: Batch) -> Array:
    """Return what each pair of a batch uses of a row, (n, n_coupons); of ineligible pairs anything."""
    weights = model.weights[[row]].toarray().reshape(model.shape)
    cell = model.cell[part.users]
    use = model.at(weights[COUNT], cell)
    for k in range(VALUE, len(model.measures)):
        if weights[k].any():
            use = use + model.at(weights[k], cell) * np.nan_to_num(part.measure(model.measures[k]))
    return use


def _unfit(model: Model, side: _Side, part: Batch) -> NDArray[np.bool_]:
    """Return the pairs of a batch that leave less of a bound than the others must have."""
    fewest, most = model.problem.per_user
    allowed = ~np.isnan(part.value) & ~model.forbids(model.cell[part.users])
    use = side.sign * use_of(model, side.row, part)
    room = side.room + _least(use, allowed, fewest, most) - _least(use, allowed, max(fewest - 1, 0), most - 1)
    clearly = CLEARLY * np.maximum(np.abs(use), abs(side.bound) + abs(side.bound - side.room))
    return np.asarray(allowed & (use > room[:, None] + clearly))


def _least(use: Array, allowed: NDArray[np.bool_], fewest: int, most: int) -> Array:
    """Return the least that each user uses with at least `fewest` and at most `most` coupons, (n,)."""
    lowest = np.sort(np.where(allowed, use, np.inf), axis=1)[:, :most]
    lowest[np.isinf(lowest)] = 0.0
    return np.asarray(lowest[:, :fewest].sum(axis=1) + np.minimum(lowest[:, fewest:], 0.0).sum(axis=1))
