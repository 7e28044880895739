"""What drives a predicted uplift: Shapley values of the inputs, for any model.

A user's uplift less the mean uplift of some customers of the campaign is divided among the inputs. An
input's share is what it adds when it becomes the user's own, averaged over these customers and over the
orders in which the inputs do so: Strumbelj and Kononenko, "Explaining Prediction Models and Individual
Predictions with Feature Contributions", Knowledge and Information Systems 2014. Each order is also taken
backwards, which is exact for interactions of two inputs: Mitchell, Cooper, Frank and Holmes, "Sampling
Permutations for Shapley Value Estimation", JMLR 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.attribution import Attributions
from allocator.progress import Progress, no_progress
from predictors.features.contexts import Contexts
from predictors.features.coupons import Coupons
from predictors.features.encoder import Encoder
from predictors.features.inputs import Inputs, only
from predictors.features.log import Log
from predictors.history.history import decision_time
from predictors.parts import cores, in_order, one_thread_each

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

AT_ONCE = 8192


def attribute(
    score: Callable[[Contexts], Floats],
    encoder: Encoder,
    coupons: Coupons,
    campaign: Campaign,
    users: Ints,
    *,
    seed: int,
    compared_with: int,
    progress: Progress = no_progress,
) -> Attributions:
    """Divide the uplift of users, as of the campaign's day, among what is known of them.

    The customers to compare with are drawn from the campaign by `seed`; what is said of a user does not
    depend on the other users asked for.

    Parameters
    ----------
    score
        Returns the uplift of n contexts by the coupons of the campaign, (n, c).
    encoder, coupons
        Fitted; the campaign's active coupons.
    users
        Positions in ``campaign.users``, at least one.
    compared_with
        How many customers to compare with.
    """
    inputs, now = Inputs.of(encoder, coupons), decision_time(campaign)
    crowd = _draw(campaign.users.height, compared_with, seed)
    # Only these users' entries are read, whatever the size of the campaign.
    positions, place = np.unique(np.concatenate([users, crowd]), return_inverse=True)
    known = only(campaign, positions)
    behaviour, time = Log.of(known).behaviour(), np.full(len(positions), now)
    everyone = encoder.contexts(known, behaviour, np.arange(len(positions)), time, coupons)
    others = everyone.take(place[len(users) :])

    def shares(row: int) -> tuple[Floats, Floats, Floats]:
        own = everyone.take(place[row : row + 1])
        rng = np.random.default_rng([seed, int(users[row])])

        def value(keep: Bools, other: Ints) -> Floats:
            return _in_parts(
                lambda part: score(inputs.mix(own, others.take(other[part]), keep[part])), len(keep)
            )

        return shapley_values(value, len(inputs), len(others), rng)

    found = []
    progress("explain", 0, len(users))
    with one_thread_each():
        for part in in_order(shares, range(len(users)), cores()):
            found.append(part)
            progress("explain", len(found), len(users))
    effects, uplift, usual = (np.stack(arrays) for arrays in zip(*found, strict=True))
    values = [name.values(known, behaviour, place, time[place]) for name in inputs.names]
    table = list(zip(*values, strict=True)) if values else [()] * len(place)
    return Attributions(
        user_ids=campaign.user_ids[users],
        coupon_ids=campaign.coupon_ids,
        inputs=tuple(name.label for name in inputs.names),
        units=tuple(name.unit(campaign.config.currency) for name in inputs.names),
        uplift=uplift,
        usual_uplift=usual[0],
        effects=effects,
        values=tuple(table[: len(users)]),
        background=tuple(table[len(users) :]),
    )


def shapley_values(
    value: Callable[[Bools, Ints], Floats], inputs: int, others: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Estimate Shapley values by one random order of the inputs, taken both ways, for each other customer.

    Parameters
    ----------
    value
        Returns (n, c) for n mixtures: which inputs are the user's own, (n, inputs), the others being those
        of a customer (n,), from 0 to `others` - 1.
    inputs, others
        How many.

    Returns
    -------
    tuple
        The values, (c, inputs), which add up to the difference of the other two: the value with all
        inputs the user's own, and its mean with none, (c,) each.
    """
    rank = rng.permuted(np.tile(np.arange(inputs), (others, 1)), axis=1)
    # Step k has the k inputs that come first; without them remain those that come first backwards.
    first = rank[:, None, :] < np.arange(inputs + 1)[:, None]
    keep = np.concatenate([first, ~first[:, 1:inputs]], axis=1)
    steps = keep.shape[1]
    flat = value(keep.reshape(others * steps, inputs), np.repeat(np.arange(others), steps))
    found = flat.reshape(others, steps, flat.shape[1])
    there = found[:, : inputs + 1]
    back = np.concatenate([there[:, -1:], found[:, inputs + 1 :], there[:, :1]], axis=1)[:, : inputs + 1]
    added = (np.diff(there, axis=1) - np.diff(back, axis=1)) / 2
    shares = np.take_along_axis(added, rank[:, :, None], axis=1).mean(axis=0)
    return shares.T, there[:, -1].mean(axis=0), there[:, 0].mean(axis=0)


def _draw(users: int, size: int, seed: int) -> Ints:
    drawn = np.random.default_rng(seed).choice(users, min(size, users), replace=False)
    return np.sort(drawn).astype(np.int64)


def _in_parts(function: Callable[[Ints], Floats], rows: int) -> Floats:
    parts = [np.arange(start, min(start + AT_ONCE, rows)) for start in range(0, rows, AT_ONCE)]
    return np.concatenate([function(part) for part in parts])
