"""Fitted columns: how a number is scaled and a text numbered, learnt from training rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]

BINS = 8
MAX_VALUES = 50
"""Most values of a text feature that get an index of their own; rarer ones share the unknown index."""
MOST_CODES = 20
"""A column of so many whole numbers at most may hold codes; two are the same either way."""
MISSING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Numeric:
    """A numeric feature: clipped to [low, high], then (x - mean) / scale; `knots` are its quantiles.

    `derived` ones come from behaviour and past sends, the others are columns of ``users``. `shares` are of
    the training rows: without a value, then between the knots; empty if a model was saved without them.
    """

    name: str
    low: float
    high: float
    mean: float
    scale: float
    knots: tuple[float, ...]
    derived: bool = False
    shares: tuple[float, ...] = ()

    @classmethod
    def fit(cls, name: str, values: NDArray[np.float64], derived: bool = False) -> Numeric | None:
        """Return None for a feature that is constant or always missing."""
        finite = values[np.isfinite(values)]
        if not len(finite) or finite.min() == finite.max():
            return None
        low, high = np.quantile(finite, [0.002, 0.998])
        if low == high:
            low, high = finite.min(), finite.max()
        clipped = np.clip(finite, low, high)
        mean, scale = float(clipped.mean()), float(clipped.std())
        knots = np.unique(np.quantile(clipped, np.linspace(0, 1, BINS + 1)))
        scaled = tuple(((knots - mean) / scale).tolist())
        found = cls(name, float(low), float(high), mean, scale, scaled, derived)
        return replace(found, shares=tuple(found.histogram(found.encode(values)).tolist()))

    def histogram(self, encoded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shares of encoded values that are missing, and between each two knots."""
        place = np.searchsorted(np.array(self.knots[1:-1]), encoded, side="right") + 1
        place = np.where(np.isnan(encoded), 0, place)
        return np.bincount(place, minlength=len(self.knots)) / max(len(encoded), 1)

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standardised values; NaN stays NaN."""
        finite = np.where(np.isfinite(values), values, np.nan)
        return (np.clip(finite, self.low, self.high) - self.mean) / self.scale


@dataclass(frozen=True)
class Vocabulary:
    """A category: index 0 is missing, 1 unknown, then `values` in order; `codes` are written as numbers.

    `shares` are of the training users, by index; empty if a model was saved without them.
    """

    name: str
    values: tuple[str, ...]
    codes: bool = False
    shares: tuple[float, ...] = ()

    @classmethod
    def fit(cls, name: str, column: pl.Series, codes: bool = False) -> Vocabulary:
        """Keep the most frequent values, ties by name."""
        found = cls(name, (), codes)
        counts = found.texts(column).drop_nulls().alias("text").value_counts().rows()
        ranked = sorted(counts, key=lambda entry: (-entry[1], entry[0]))
        found = replace(found, values=tuple(value for value, _ in ranked[:MAX_VALUES]))
        return replace(found, shares=tuple(found.histogram(found.encode(column)).tolist()))

    def histogram(self, index: Ints) -> NDArray[np.float64]:
        """Return the share of each index."""
        return np.bincount(index, minlength=self.size) / max(len(index), 1)

    @property
    def size(self) -> int:
        """Number of indices."""
        return len(self.values) + 2

    def encode(self, column: pl.Series) -> Ints:
        """Return the index of each entry."""
        text = self.texts(column)
        index = text.replace_strict(
            list(self.values), list(range(2, self.size)), default=UNKNOWN, return_dtype=pl.Int64
        )
        return np.where(text.is_null().to_numpy(), MISSING, index.to_numpy()).astype(np.int64)

    def texts(self, column: pl.Series) -> pl.Series:
        """Return each entry as a text; of a number the same whatever type the column has."""
        if not self.codes:
            return column.cast(pl.String)
        number = pl.Series(numbers(column), nan_to_null=True)
        whole = number.round() == number
        return number.cast(pl.Int64, strict=False).cast(pl.String).zip_with(whole, number.cast(pl.String))


def is_text(column: pl.Series) -> bool:
    """Return whether a column of ``users`` is a text feature."""
    return column.dtype in (pl.String, pl.Categorical)


def is_category(column: pl.Series) -> bool:
    """Tell categories from names, addresses and other texts that differ for nearly every user."""
    distinct = column.n_unique()
    return distinct <= MAX_VALUES or distinct < 0.2 * len(column)


def are_codes(values: NDArray[np.float64]) -> bool:
    """Tell whether numbers may be codes: they are whole, and of more than two values but few."""
    distinct = np.unique(values[np.isfinite(values)])
    return 2 < len(distinct) <= MOST_CODES and bool((distinct == np.round(distinct)).all())


def numbers(column: pl.Series) -> NDArray[np.float64]:
    """Return a column as float64, NaN where missing; a text column of nothing but nulls is all NaN."""
    return column.cast(pl.Float64, strict=False).to_numpy()
