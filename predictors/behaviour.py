"""The behaviour log: what a user did before a moment, never after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.schema import EVENT_KINDS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY = 86_400
WINDOWS = (30, 180)
LONG = 1
AFFINITY = 3
"""Affinity features for each user and category: events in 30 and in 180 days, spend in 180 days.
`LONG` is the position of the second."""


def seconds(column: pl.Series) -> Ints:
    """Return dates or times as whole seconds since 1970, rounded down."""
    return column.cast(pl.Datetime("us")).dt.epoch("s").to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Sequences:
    """The last events before a moment, oldest first and padded in front; arrays are (n, length).

    `category` indexes `Behaviour.categories`, -1 is missing. `amount` is in currency, `age` in days.
    """

    kind: NDArray[np.int64]
    category: NDArray[np.int64]
    amount: Floats
    age: Floats
    present: NDArray[np.bool_]


class Behaviour:
    """Events sorted by user and time, with running totals, so that any window is two look-ups.

    Parameters
    ----------
    events
        ``user_id, at, kind, category, amount``; events of users not in `user_ids` are left out.
    user_ids
        Users; all methods take positions in it.
    """

    def __init__(self, events: pl.DataFrame | None, user_ids: pl.Series) -> None:
        users = pl.DataFrame({"user_id": user_ids, "user": np.arange(len(user_ids))})
        if events is None:
            events = pl.DataFrame(schema={"user_id": pl.String, "at": pl.Datetime("us")}).with_columns(
                kind=pl.lit(None, pl.String),
                category=pl.lit(None, pl.String),
                amount=pl.lit(None, pl.Float64),
            )
        log = events.join(users, on="user_id", how="inner", maintain_order="left")
        log = log.sort("user", "at", maintain_order=True)
        self.categories: list[str] = sorted(log["category"].drop_nulls().unique().to_list())
        self._user = log["user"].to_numpy().astype(np.int64)
        self._time = seconds(log["at"])
        self._kind = _codes(log["kind"], list(EVENT_KINDS))
        self._category = _codes(log["category"], self.categories)
        self._amount = np.maximum(log["amount"].cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy(), 0.0)
        self._origin = int(self._time.min()) if len(self._time) else 0
        self._span = int(self._time.max()) - self._origin + 2 if len(self._time) else 1
        self._key = self._user * self._span + (self._time - self._origin)
        purchase = self._kind == EVENT_KINDS.index("purchase")
        # Whole cents add up exactly, so later events cannot change an earlier window by rounding.
        self._cents = _running(np.where(purchase, np.rint(self._amount * 100), 0.0))
        self._count = [_running(self._kind == kind) for kind in range(len(EVENT_KINDS))]
        self._last_purchase = np.maximum.accumulate(np.where(purchase, np.arange(len(purchase)), -1))

    def __len__(self) -> int:
        return len(self._key)

    def frequent_categories(self, most: int) -> tuple[str, ...]:
        """Return the categories with the most events, ties by name."""
        counts = np.bincount(self._category[self._category >= 0], minlength=len(self.categories))
        return tuple(self.categories[i] for i in np.argsort(-counts, kind="stable")[:most])

    def aggregates(self, user: Ints, time: Ints) -> dict[str, Floats]:
        """Return recency, frequency and spend before `time`, each (n,); NaN where there was none."""
        end = self._position(self._key, user, time)
        features: dict[str, Floats] = {}
        for days in WINDOWS:
            begin = self._position(self._key, user, time - days * DAY)
            for kind, count in zip(EVENT_KINDS, self._count, strict=True):
                features[f"events.{kind}_{days}d"] = np.log1p(count[end] - count[begin])
            features[f"events.spend_{days}d"] = np.log1p((self._cents[end] - self._cents[begin]) / 100)
        first = np.searchsorted(self._key, user * self._span)
        last = end - 1
        features["events.days_since_event"] = self._age(last, first, time)
        bought = self._last_purchase[last] if len(self) else last
        features["events.days_since_purchase"] = self._age(np.where(end > first, bought, -1), first, time)
        return features

    def affinity(self, user: Ints, time: Ints, categories: list[str]) -> Floats:
        """Return each user's interest in each category before `time`, (n, n_categories, AFFINITY)."""
        out = np.zeros((len(user), len(categories), AFFINITY))
        for slot, name in enumerate(categories):
            if name not in self.categories:
                continue
            rows = np.flatnonzero(self._category == self.categories.index(name))
            key = self._key[rows]
            cents = _running(np.diff(self._cents)[rows])
            end = self._position(key, user, time)
            month, half_year = (self._position(key, user, time - days * DAY) for days in WINDOWS)
            out[:, slot, 0] = np.log1p(end - month)
            out[:, slot, 1] = np.log1p(end - half_year)
            out[:, slot, 2] = np.log1p((cents[end] - cents[half_year]) / 100)
        return out

    def sequences(self, user: Ints, time: Ints, length: int) -> Sequences:
        """Return the last `length` events of each user before `time`."""
        end = self._position(self._key, user, time)
        first = np.searchsorted(self._key, user * self._span)
        index = end[:, None] - length + np.arange(length)
        present = index >= first[:, None]
        if not len(self):
            empty = np.zeros(index.shape)
            return Sequences(empty.astype(np.int64), empty.astype(np.int64), empty, empty, present & False)
        index = np.where(present, index, 0)
        age = (time[:, None] - self._time[index]) / DAY
        return Sequences(
            self._kind[index],
            self._category[index],
            self._amount[index],
            np.where(present, age, 0.0),
            present,
        )

    def _position(self, key: Ints, user: Ints, time: Ints) -> Ints:
        """Return how many entries of `key` come before (user, time)."""
        return np.searchsorted(key, user * self._span + np.clip(time - self._origin, 0, self._span - 1))

    def _age(self, index: Ints, first: Ints, time: Ints) -> Floats:
        """Return log days from event `index` to `time`; NaN where it is not an event of this user."""
        if not len(self):
            return np.full(len(index), np.nan)
        days = (time - self._time[index]) / DAY
        return np.where(index >= first, np.log1p(np.maximum(days, 0.0)), np.nan)


def _running(values: NDArray[np.generic]) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _codes(column: pl.Series, values: list[str]) -> Ints:
    """Return the position of each entry in `values`; -1 where it is missing or unknown."""
    codes = column.cast(pl.String).replace_strict(
        values, list(range(len(values))), default=-1, return_dtype=pl.Int64
    )
    return codes.to_numpy().astype(np.int64)
