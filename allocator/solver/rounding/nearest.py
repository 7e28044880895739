"""The users and pairs that are nearest to a change at exact prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.problem.batch import Batch
from allocator.solver.contested import Contested, contest
from allocator.solver.model import COUNT, VALUE, Model
from allocator.solver.pricing import Engine, restrict

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]
Choices = Sequence[NDArray[np.int16]]

MOST_USERS = 60_000  # whose choice costs least to change
MOST_PAIRS, MOST_ENTRIES = 600_000, 8_000_000  # of theirs, and of what they use of all rows


def nearest_users(
    engine: Engine, prices: Array, table: Array, loss: float, choices: Choices
) -> tuple[Contested, float]:
    """Return the users whose choice costs least to change, with the pairs that cost least to take.

    Parameters
    ----------
    engine
        All users.
    prices
        (n_rows,) exact prices.
    table
        Aggregate table of what all users choose at them.
    loss
        Of the best plan so far: no change that loses more is part of a better one.
    choices
        (n_users, most) each: choices whose pairs are kept whatever they cost.

    Returns
    -------
    tuple
        The contested users, and a cost below that of any change that they leave out.
    """
    model = engine.model
    margin = _margin(engine, prices)
    inside, beyond = np.isfinite(margin), np.inf
    if inside.sum() > MOST_USERS:
        inside = margin <= loss
        if inside.sum() > MOST_USERS:
            inside = margin < np.partition(margin, MOST_USERS)[MOST_USERS]
        beyond = float(np.min(margin, where=~inside, initial=np.inf))
    near = restrict(engine, np.flatnonzero(inside), prices, table)
    assert near.base is not None
    cut = _Cut(model, prices, loss, choices)
    contested = contest(model, near.batch(), model.usage(near.base), cut.keeps)
    useful, _ = contested.within(prices, np.full(model.n_rows, np.inf))
    return useful, min(beyond, cut.beyond)


class _Cut:
    """Leaves out pairs that lose too much; `beyond` is the least that one of those loses."""

    def __init__(self, model: Model, prices: Array, loss: float, choices: Choices) -> None:
        self._model, self._prices, self._loss, self._choices = model, prices, loss, choices
        self.beyond = np.inf
        _, n_places, n_coupons = model.shape
        entries = model.weights.nnz / (n_places * n_coupons) * len(model.sizes)  # of a pair
        self._most = int(min(MOST_PAIRS, MOST_ENTRIES / max(entries, 1.0)))

    def keeps(self, batch: Batch, starts: Index, allowed: Flags) -> Flags:
        """Return which pairs of classes to keep, as `contest` asks."""
        if allowed.sum() <= self._most:
            return allowed
        regret = np.where(allowed, _regret(self._model, self._prices, batch.take(starts[:-1])), np.inf)
        keep = allowed & (regret <= self._loss)
        if keep.sum() > self._most:
            keep = allowed & (regret < np.partition(regret, self._most, axis=None)[self._most])
        of_class = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        for choice in self._choices:
            chosen = choice[batch.indices()]
            user, slot = np.nonzero(chosen >= 0)
            keep[of_class[user], chosen[user, slot]] = True
        self.beyond = float(np.min(regret, where=allowed & ~keep, initial=np.inf))
        return keep


def _regret(model: Model, prices: Array, batch: Batch) -> Array:
    """Return what taking each pair loses at least against its user's best choice, (n, n_coupons)."""
    fewest, most = model.problem.per_user
    price, cell = model.price_table(prices), model.cell[batch.users]
    value = batch.value.astype(np.float64)
    reduced = value - value * model.at(price[VALUE], cell) - model.at(price[COUNT], cell)
    for k, name in enumerate(model.measures[2:], start=2):
        reduced -= model.at(price[k], cell) * batch.measure(name)
    reduced[np.isnan(reduced)] = -np.inf
    best = -np.sort(-reduced, axis=1)[:, :most]
    taken = np.clip((best > 0).sum(axis=1), fewest, most)
    worst = np.take_along_axis(best, np.maximum(taken - 1, 0)[:, None], axis=1)[:, 0]
    level = np.where(taken < most, np.where(taken > 0, np.minimum(worst, 0.0), 0.0), worst)
    return np.asarray(np.maximum(level[:, None] - reduced, 0.0))


def _margin(engine: Engine, prices: Array) -> Array:
    """Return for each user a cost, in objective units, below which the choice cannot change."""
    model = engine.model
    _, n_places, n_coupons = model.shape
    first = COUNT * n_places * n_coupons
    everything = np.zeros((1, model.weights.shape[1]))
    everything[0, first : first + model.sizes[0] * n_coupons] = 1.0
    counted = replace(
        model,
        labels=(*model.labels, "everything"),
        weights=sp.csr_array(sp.vstack([model.weights, everything])),
        at_least=np.append(model.at_least, -np.inf),
        at_most=np.append(model.at_most, np.inf),
        penalty=np.append(model.penalty, np.inf),
    )
    # With a price on every choice, a radius is a regret for one choice, and half of it for a swap.
    unit = np.append(np.zeros(model.n_rows), 1.0)
    margin, _ = engine.with_model(counted).radius(np.append(prices, 0.0), unit)
    return margin
