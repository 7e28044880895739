"""Users with a pair that is large against a row's room, and that a better plan may hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.problem.batch import Batch
from allocator.solver.large.screening import AT_ONCE, Sizes, room_of, use_of
from allocator.solver.model import VALUE, Model

Array = NDArray[np.float64]
Index = NDArray[np.int64]

LARGE = 0.01  # of a row's room
FEW_OPEN = 2_000  # pairs that a better plan may hold, up to which one integer program decides them all
MOST_SHARE = 0.02  # of all users; where more have a large pair, the whole problem is one of whole numbers
MOST_LARGE = 300  # users with a large pair that are decided first; of more, those that use most of a room


@dataclass(frozen=True)
class Large:
    """The pairs to decide in whole numbers: all of users with a large one that a better plan may hold.

    Parameters
    ----------
    users
        Rising indices of the users, (n_large,).
    place, coupon
        (n_pairs,) each pair's user, as a place among `users`, and its coupon.
    value
        (n_pairs,) what each earns.
    uses
        (n_rows, n_pairs) what each uses of every row.
    """

    users: Index
    place: Index
    coupon: Index
    value: Array
    uses: Array


def find_large(model: Model, prices: Array, loss: float) -> Large | None:
    """Return the pairs to decide first; None if there are none, one integer program can decide all that a
    better plan may hold, or the problem is not in memory.

    Parameters
    ----------
    model, prices
        The rows, and prices to tell by what cannot be in a better plan.
    loss
        What the best plan loses against the dual value at the prices; infinite if there is none.
    """
    if not model.problem.in_memory:
        return None
    rooms = _rooms(model)
    if not rooms:
        return None
    share, users, open_pairs = [], [], 0
    for batch in model.problem.batches(model.measures[2:]):
        for part in batch.parts(AT_ONCE):
            regret = _regret(model, prices, part)
            open_pairs += int(((regret > 0) & (regret <= loss)).sum())
            found = _share(model, rooms, regret <= loss, part)
            near = np.flatnonzero(found > LARGE)
            share.append(found[near])
            users.append(part.indices()[near])
    largest, of_users = np.concatenate(share), np.concatenate(users)
    few = len(of_users) <= max(MOST_SHARE * model.problem.n_users, 1)
    if len(of_users) == 0 or not few or open_pairs <= FEW_OPEN:
        return None
    if len(of_users) > MOST_LARGE:
        of_users = np.sort(of_users[np.argsort(-largest, kind="stable")[:MOST_LARGE]])
    return _pairs(model, prices, loss, of_users)


def _rooms(model: Model) -> list[tuple[int, float]]:
    """Return row and room of each bound that some pair may use much of."""
    sizes, found = Sizes(model), []
    for row in np.flatnonzero(np.isinf(model.penalty)).tolist():
        for sign, bound in ((1.0, model.at_most[row]), (-1.0, -model.at_least[row])):
            largest = max(sizes.largest(row, 1.0), sizes.largest(row, -1.0))
            if np.isfinite(bound) and largest > LARGE * abs(bound):
                room = room_of(model, row, sign)
                if largest > LARGE * room > 0:
                    found.append((row, room))
    return found


def _share(model: Model, rooms: list[tuple[int, float]], open_: NDArray[np.bool_], part: Batch) -> Array:
    """Return for each user the greatest share of a room that an open pair uses."""
    share = np.zeros(part.n_users)
    for row, room in rooms:
        use = np.abs(use_of(model, row, part))
        share = np.maximum(share, np.max(use, axis=1, where=open_, initial=0.0) / room)
    return share


def _regret(model: Model, prices: Array, part: Batch) -> Array:
    """Return what taking each pair loses at least against the user's best choice; infinite if ineligible."""
    cell = model.cell[part.users]
    price = model.at(model.price_table(prices), cell)
    reduced = part.value - price[VALUE] * part.value - price[0]
    for k in range(2, len(model.measures)):
        reduced = reduced - price[k] * part.measure(model.measures[k])
    reduced = np.where(np.isnan(part.value) | model.forbids(cell), -np.inf, reduced)
    return model.step.regret(reduced)


def _pairs(model: Model, prices: Array, loss: float, users: Index) -> Large:
    batch = model.gather(users)
    regret = _regret(model, prices, batch)
    place, coupon = np.nonzero((regret <= loss) & np.isfinite(regret))
    cell = model.cell[users][place]
    value = batch.value[place, coupon] * model.worth_of(cell, coupon)
    uses = model.coefficients(batch, place, coupon).toarray()
    return Large(users, place, coupon, np.asarray(value, np.float64), uses)
