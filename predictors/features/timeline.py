"""Entries of a log sorted by user and time: how many came before a moment, in one look-up."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY = 86_400


def seconds(column: pl.Series) -> Ints:
    """Return dates or times as whole seconds since 1970, rounded down."""
    return column.cast(pl.Datetime("us")).dt.epoch("s").to_numpy().astype(np.int64)


def running(values: NDArray[np.generic]) -> Floats:
    """Return the sums of the first 0, 1, ..., n values, (n + 1,)."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def log_days(later: Ints, earlier: Ints) -> Floats:
    """Return the log of 1 + the days from one moment to another, both in seconds."""
    return np.asarray(np.log1p(np.maximum((later - earlier) / DAY, 0.0)))


class Timeline:
    """When the entries of a log happened, by user.

    Parameters
    ----------
    user, time
        (n,) position of the user and seconds since 1970, sorted by user, then by time.
    """

    def __init__(self, user: Ints, time: Ints) -> None:
        self.user, self.time = user, time
        self._origin = int(time.min()) if len(time) else 0
        self._span = int(time.max()) - self._origin + 2 if len(time) else 1
        self._key = user * self._span + (time - self._origin)

    def __len__(self) -> int:
        return len(self._key)

    def first(self, user: Ints) -> Ints:
        """Return the index of each user's first entry, or where it would be."""
        return np.searchsorted(self._key, user * self._span)

    def before(self, user: Ints, time: Ints) -> Ints:
        """Return how many entries come before (user, time): those of earlier users are among them."""
        return np.searchsorted(self._key, user * self._span + np.clip(time - self._origin, 0, self._span - 1))

    def only(self, rows: Ints) -> Timeline:
        """Return some of the entries; `rows` ascend."""
        return Timeline(self.user[rows], self.time[rows])

    def log_days_since(self, index: Ints, first: Ints, time: Ints) -> Floats:
        """Return log days from entry `index` to `time`, (n,); NaN where it is before `first`."""
        if not len(self):
            return np.full(len(index), np.nan)
        return np.where(index >= first, log_days(time, self.time[np.maximum(index, 0)]), np.nan)
