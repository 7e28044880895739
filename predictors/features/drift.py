"""Which columns of users have moved since training, by the population stability index.

Siddiqi, "Credit Risk Scorecards", 2006: the sum over bins of (now - then) log(now / then), where up to 0.1 is
no change to speak of and from 0.25 on a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from predictors.features.columns import Numeric, Vocabulary, numbers
from predictors.features.contexts import Contexts
from predictors.features.coupons import Coupons
from predictors.features.encoder import Encoder
from predictors.features.inputs import only
from predictors.features.log import Log

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Floats = NDArray[np.float64]

LARGE = 0.25
CHANCE = 3.0
"""So many times what chance alone makes of an index is needed beside `LARGE`: few users scatter."""
LEAST = 1e-3
"""Least share of a bin in an index."""
SAMPLE = 2_000
"""Users of whom is told what a move does to predictions."""
SHOWN = 3


def drift_notes(
    encoder: Encoder,
    campaign: Campaign,
    coupons: Coupons,
    now: int,
    uplift: Callable[[Contexts], Floats],
) -> tuple[str, ...]:
    """Say which columns of users differ from the training data, and what that does to predictions.

    Parameters
    ----------
    encoder
        As fitted.
    campaign, coupons, now
        What is to be scored, and the moment of it in seconds.
    uplift
        Scores contexts, (n, c).
    """
    found = moves(encoder, campaign.users) if len(coupons) else []
    if not found:
        return ()
    last = campaign.users.height - 1
    some = only(campaign, np.unique(np.linspace(0, last, min(SAMPLE, last + 1)).astype(np.int64)))
    users = np.arange(some.users.height)
    behaviour = Log.of(some).behaviour()
    contexts = encoder.contexts(some, behaviour, users, np.full(len(users), now), coupons)
    return (_describe(found, contexts, uplift),)


@dataclass(frozen=True)
class Move:
    """A column that has moved: its place among the encoder's features of its kind, and its index."""

    feature: Numeric | Vocabulary
    place: int
    index: float


def moves(encoder: Encoder, users: pl.DataFrame) -> list[Move]:
    """Return the columns of users that have moved since training, the most first.

    A model that was saved before shares were kept says nothing.
    """
    found: list[Move] = []
    kinds: tuple[Sequence[Numeric | Vocabulary], ...] = (encoder.numeric, encoder.categorical)
    for kind in kinds:
        for place, feature in enumerate(kind):
            derived = isinstance(feature, Numeric) and feature.derived
            if feature.shares and not derived:
                index = stability(np.array(feature.shares), _shares(feature, users), users.height)
                found += [Move(feature, place, index)] if index > 0 else []
    return sorted(found, key=lambda move: -move.index)


def stability(then: Floats, now: Floats, rows: int) -> float:
    """Return the population stability index of two histograms; 0 if it is not large, or may be chance."""
    before, after = np.maximum(then, LEAST), np.maximum(now, LEAST)
    index = float(((after - before) * np.log(after / before)).sum())
    return index if index > LARGE + CHANCE * len(then) / max(rows, 1) else 0.0


def put_back(contexts: Contexts, move: Move, rng: np.random.Generator) -> Contexts:
    """Return contexts whose column is drawn anew as it was in training, whatever else is known of a user."""
    drawn = rng.choice(len(move.feature.shares), len(contexts), p=_normal(move.feature.shares))
    if isinstance(move.feature, Vocabulary):
        categorical = contexts.categorical.copy()
        categorical[:, move.place] = drawn
        return replace(contexts, categorical=categorical)
    knots = np.array(move.feature.knots)
    middles = np.r_[np.nan, 0.5 * (knots[1:] + knots[:-1])]  # the first share is that of missing values
    numeric = contexts.numeric.copy()
    numeric[:, move.place] = middles[drawn]
    return replace(contexts, numeric=numeric)


def _describe(found: Sequence[Move], contexts: Contexts, uplift: Callable[[Contexts], Floats]) -> str:
    """Say which columns have moved and what that does to the mean uplift of some users."""
    usual, names = float(uplift(contexts).mean()), list(dict.fromkeys(move.feature.name for move in found))
    said = []
    for name in names[:SHOWN]:
        before = contexts
        index = max(move.index for move in found if move.feature.name == name)
        for move in (move for move in found if move.feature.name == name):
            before = put_back(before, move, np.random.default_rng(0))
        change = usual - float(uplift(before).mean())
        said.append(f"{name} (index {index:.2f}, mean uplift {100 * change:+.2f} points)")
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (
        f"users.csv differs from the training data: {', '.join(said)}{more}. In brackets the population "
        "stability index, large from 0.25, and what the difference alone does to predictions; train again "
        "on sends to such users if there are any."
    )


def _shares(feature: Numeric | Vocabulary, users: pl.DataFrame) -> Floats:
    column = users[feature.name]
    if isinstance(feature, Vocabulary):
        return feature.histogram(feature.encode(column))
    return feature.histogram(feature.encode(numbers(column)))


def _normal(shares: Sequence[float]) -> Floats:
    values = np.array(shares)
    return np.asarray(values / values.sum())
