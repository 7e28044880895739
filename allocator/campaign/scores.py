"""Ready predictions as numbers of users x coupons, put together from parts of their table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.cell_types import MOST_AMOUNT
from allocator.campaign.formats import FIRST_ROW

Numbers = NDArray[np.floating[Any]]
IDS = ("user_id", "coupon_id")
AMOUNTS = ("value", "cost")
ERROR = "value_error"
MISSING = {"value": np.nan, ERROR: np.nan}
"""What stands where a pair has no number; 0 in measures, so that nothing counts."""
FEW = 1 << 16  # ids whose table polars keeps in the processor's cache


@dataclass(frozen=True)
class Beyond:
    """Numbers that can hardly be meant: how many, and the row and number of the first."""

    count: int
    row: int
    first: float


@dataclass(frozen=True)
class Scores:
    """Ready predictions.

    Parameters
    ----------
    user_ids, coupon_ids
        All users and coupons of the campaign, in file order.
    numbers
        ``value``, ``cost``, any other measure and, if any pair has one, ``value_error``: (n_users, n_coupons)
        each, float32 where the file holds it. Where there is no pair, value and its error are NaN, a measure
        is 0.
    height
        How many pairs there are.
    beyond
        By column, amounts beyond `MOST_AMOUNT`.
    """

    user_ids: pl.Series
    coupon_ids: pl.Series
    numbers: Mapping[str, Numbers]
    height: int
    beyond: Mapping[str, Beyond] = field(default_factory=dict)

    @staticmethod
    def of(table: pl.DataFrame, users: pl.Series, coupons: pl.Series) -> Scores | None:
        """Return the scores of a table; None if it names an unknown id, or a pair twice."""
        parts = ScoreParts(users, coupons)
        return parts.scores() if parts.add(table) else None

    @property
    def columns(self) -> list[str]:
        """Names of the table's columns."""
        return [*IDS, *self.numbers]

    @property
    def without_error(self) -> int:
        """How many pairs have no standard error."""
        if ERROR not in self.numbers:
            return self.height
        return int(np.count_nonzero(np.isnan(self.numbers[ERROR]) & ~np.isnan(self.numbers["value"])))

    def of_coupons(self, wanted: NDArray[np.bool_]) -> dict[str, Numbers]:
        """Return the numbers of some coupons, (n_users, n_wanted) each; those of all are not copied."""
        if wanted.all():
            return dict(self.numbers)
        return {name: np.compress(wanted, numbers, axis=1) for name, numbers in self.numbers.items()}

    def scaled(self, factors: Mapping[str, float]) -> Self:
        """Return scores with some columns multiplied."""
        changed = {name: self.numbers[name] * factors[name] for name in factors if name in self.numbers}
        return replace(self, numbers={**self.numbers, **changed})

    def frame(self) -> pl.DataFrame:
        """Return one row a pair, ordered by user and then by coupon: ids and every column."""
        users, coupons = np.nonzero(~np.isnan(self.numbers["value"]))
        ids = [self.user_ids.gather(users), self.coupon_ids.gather(coupons)]
        columns = {name: numbers[users, coupons] for name, numbers in self.numbers.items()}
        error = pl.Series(columns.pop(ERROR, np.full(len(users), np.nan)), dtype=pl.Float64)
        return pl.DataFrame({**dict(zip(IDS, ids, strict=True)), **columns, ERROR: error.fill_nan(None)})


class ScoreParts:
    """Scores as they are put together.

    Parameters
    ----------
    users, coupons
        All ids of the campaign, in file order, each once.
    """

    def __init__(self, users: pl.Series, coupons: pl.Series) -> None:
        self._users, self._coupons = Places(users), Places(coupons)
        self._numbers: dict[str, Numbers] = {}
        self._height = 0
        self._beyond: dict[str, Beyond] = {}

    def add(self, part: pl.DataFrame) -> bool:
        """Put the next rows in their places; return False where an id is unknown."""
        user = self._users.of(part["user_id"])
        coupon = None if user is None else self._coupons.of(part["coupon_id"])
        if user is None or coupon is None:
            return False
        place = user * len(self._coupons.known) + coupon
        for column in part.iter_columns():
            if column.name in IDS or (column.name == ERROR and not column.count()):
                continue
            numbers = column.to_numpy()
            self._note_beyond(column.name, numbers)
            self._room(column).reshape(-1)[place] = numbers
        self._height += part.height
        return True

    def scores(self) -> Scores | None:
        """Return all that was added; None if it is nothing, or some pair was there twice."""
        numbers, users, coupons = self._numbers, self._users.known, self._coupons.known
        if not self._height or np.count_nonzero(~np.isnan(numbers["value"])) != self._height:
            return None
        return Scores(users, coupons, numbers, self._height, self._beyond)

    def _room(self, column: pl.Series) -> Numbers:
        """Return the array of a column; parts of one file have one type."""
        if column.name not in self._numbers:
            shape = (len(self._users.known), len(self._coupons.known))
            narrow = column.dtype == pl.Float32
            self._numbers[column.name] = np.full(
                shape, MISSING.get(column.name, 0.0), np.float32 if narrow else np.float64
            )
        return self._numbers[column.name]

    def _note_beyond(self, name: str, numbers: Numbers) -> None:
        if name not in AMOUNTS:
            return
        large = np.flatnonzero(np.abs(numbers) >= MOST_AMOUNT)
        if len(large):
            first = Beyond(0, self._height + int(large[0]) + FIRST_ROW, float(numbers[large[0]]))
            before = self._beyond.get(name, first)
            self._beyond[name] = replace(before, count=before.count + len(large))


@dataclass
class Places:
    """Where ids stand among those that are known, for one part of a column after another.

    Ids that follow each other as they do among the known ones, each once or several times in a row, are
    compared with these; only others are looked up.
    """

    known: pl.Series
    _last: int = 0

    def of(self, ids: pl.Series) -> NDArray[np.int64] | None:
        """Return the place of each id, (n,); None if one is not known."""
        if ids.is_empty():
            return np.empty(0, np.int64)
        begins = ids.ne_missing(ids.shift(1))
        begins[0] = True
        runs = ids.filter(begins)
        place = self._of_runs(runs)
        if place is None:
            return None
        self._last = int(place[-1])
        return place if len(runs) == len(ids) else place[begins.cum_sum().to_numpy().astype(np.int64) - 1]

    def _of_runs(self, runs: pl.Series) -> NDArray[np.int64] | None:
        start = self._last + (runs[0] != self.known[self._last])
        if self.known.slice(start, len(runs)).equals(runs):
            return np.arange(start, start + len(runs))
        return self._of_few(runs) if len(self.known) <= FEW else self._of_many(runs)

    def _of_few(self, ids: pl.Series) -> NDArray[np.int64] | None:
        codes = ids.cast(self._enum, strict=False).to_physical()
        return None if codes.null_count() else codes.to_numpy().astype(np.int64)

    def _of_many(self, ids: pl.Series) -> NDArray[np.int64] | None:
        """Look up sorted hashes among sorted hashes, which stays in the processor's cache."""
        known, order = self._hashes
        hashes = ids.hash().to_numpy()
        rising = np.argsort(hashes)
        place = np.empty(len(ids), np.int64)
        place[rising] = order[np.minimum(np.searchsorted(known, hashes[rising]), len(known) - 1)]
        other = (self.known.gather(place) != ids).fill_null(True)
        if other.any():  # an id that is not known, or has the hash of another
            rest = self._of_few(ids.filter(other))
            if rest is None:
                return None
            place[other.to_numpy()] = rest
        return place

    @cached_property
    def _enum(self) -> pl.Enum:
        return pl.Enum(self.known)

    @cached_property
    def _hashes(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        hashes = self.known.hash().to_numpy()
        order = np.argsort(hashes)
        return hashes[order], order
