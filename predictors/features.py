"""From campaign tables to arrays, by an encoder that is fitted once and stored as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from predictors.behaviour import AFFINITY, LONG, Behaviour, Ints

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Float32 = NDArray[np.float32]

BINS = 8
MAX_VALUES = 50
"""Most values of a text feature that get an index of their own; rarer ones share the unknown index."""
EVENT_CATEGORIES = 8
MISSING, UNKNOWN = 0, 1
NOT_FEATURES = ("user_id", "holdout")
COUPON_NUMBERS = ("percent", "amount", "shipping", "min_spend", "max_discount")
COUPON_TEXTS = ("kind", "category", "channel", "coupon_id")


@dataclass(frozen=True)
class Numeric:
    """A numeric feature: clipped to [low, high], then (x - mean) / scale; `knots` are its quantiles."""

    name: str
    low: float
    high: float
    mean: float
    scale: float
    knots: tuple[float, ...]

    @classmethod
    def fit(cls, name: str, values: NDArray[np.float64]) -> Numeric | None:
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
        return cls(name, float(low), float(high), mean, scale, tuple(((knots - mean) / scale).tolist()))

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standardised values; NaN stays NaN."""
        finite = np.where(np.isfinite(values), values, np.nan)
        return (np.clip(finite, self.low, self.high) - self.mean) / self.scale


@dataclass(frozen=True)
class Vocabulary:
    """A text feature: index 0 is missing, 1 unknown, then `values` in order."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def fit(cls, name: str, column: pl.Series) -> Vocabulary:
        """Keep the most frequent values, ties by name."""
        counts = column.cast(pl.String).drop_nulls().value_counts().rows()
        ranked = sorted(counts, key=lambda entry: (-entry[1], entry[0]))
        return cls(name, tuple(value for value, _ in ranked[:MAX_VALUES]))

    @property
    def size(self) -> int:
        """Number of indices."""
        return len(self.values) + 2

    def encode(self, column: pl.Series) -> Ints:
        """Return the index of each entry."""
        text = column.cast(pl.String)
        index = text.replace_strict(
            list(self.values), list(range(2, self.size)), default=UNKNOWN, return_dtype=pl.Int64
        )
        return np.where(text.is_null().to_numpy(), MISSING, index.to_numpy()).astype(np.int64)


@dataclass(frozen=True)
class Contexts:
    """What is known of n users, each at its moment.

    Parameters
    ----------
    numeric
        (n, n_numeric), standardised, NaN where missing.
    categorical
        (n, n_categorical) indices.
    event_kind, event_category
        (n, max_events) indices; kind 0 is "no event".
    event_numbers
        (n, max_events, 2): log amount and log age, about unit scale.
    affinity
        (n, n_slots, AFFINITY): interest in each of the coupons' categories; `Coupons.slot` says
        which. The last slot is "no category", all zero.
    category_sizes
        Number of indices of each categorical feature.
    """

    numeric: Float32
    categorical: Ints
    event_kind: Ints
    event_category: Ints
    event_numbers: Float32
    affinity: Float32
    category_sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numeric)

    def take(self, rows: Ints) -> Contexts:
        """Return some of the users."""
        names = ("numeric", "categorical", "event_kind", "event_category", "event_numbers", "affinity")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def design(self) -> NDArray[np.float64]:
        """Return one matrix for linear models: numbers (0 if missing), missing flags, one-hot texts."""
        missing = np.isnan(self.numeric)
        parts = [np.where(missing, 0.0, self.numeric), missing]
        for column, size in zip(self.categorical.T, self.category_sizes, strict=True):
            parts.append(column[:, None] == np.arange(size))
        return np.concatenate(parts, axis=1, dtype=np.float64)


@dataclass(frozen=True)
class Coupons:
    """Coupon attributes: `numbers` (n, 5) with NaN for none, `texts` (n, 4) indices, `slot` (n,)."""

    numbers: Float32
    texts: Ints
    slot: Ints
    categories: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Ints) -> Coupons:
        """Return some of the coupons."""
        return replace(self, numbers=self.numbers[rows], texts=self.texts[rows], slot=self.slot[rows])

    @property
    def known(self) -> Ints:
        """Position of each coupon among those trained on, plus 1; 0 for a new coupon."""
        return np.maximum(self.texts[:, COUPON_TEXTS.index("coupon_id")] - 1, 0)


@dataclass(frozen=True)
class Encoder:
    """Turns users, events and coupons into arrays; fitted on the training rows only.

    Parameters
    ----------
    numeric, categorical
        Columns of ``users`` and behaviour totals that are features.
    coupon_texts
        Vocabularies of `COUPON_TEXTS`; that of the category also serves the events.
    max_events
        Length of the event sequence; 0 without events.
    affinity_scale
        Standard deviation of each affinity feature.
    event_categories
        The most frequent categories of events; a user's events in each are a feature.
    """

    numeric: tuple[Numeric, ...]
    categorical: tuple[Vocabulary, ...]
    coupon_texts: tuple[Vocabulary, ...]
    max_events: int
    affinity_scale: tuple[float, ...]
    event_categories: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        campaign: Campaign,
        behaviour: Behaviour,
        user: Ints,
        time: Ints,
        coupons: pl.DataFrame,
        max_events: int,
    ) -> Self:
        """Fit on the users and times of the training rows; `coupons` are those of the history."""
        table = campaign.users[np.unique(user)]
        columns = [name for name in table.columns if _is_feature(name)]
        texts = [name for name in columns if _is_text(table[name])]
        values = _numbers(campaign.users, [name for name in columns if name not in texts], user)
        favourites = behaviour.frequent_categories(EVENT_CATEGORIES)
        values |= _behaviour_totals(behaviour, user, time, favourites) if len(behaviour) else {}
        fitted = [Numeric.fit(name, column) for name, column in values.items()]
        seen = pl.concat(
            [coupons["category"].cast(pl.String), pl.Series("category", behaviour.categories, pl.String)]
        )
        affinity = behaviour.affinity(user, time, sorted(coupons["category"].drop_nulls().unique().to_list()))
        scale = affinity.reshape(-1, AFFINITY).std(axis=0) if affinity.size else np.ones(AFFINITY)
        return cls(
            numeric=tuple(column for column in fitted if column is not None),
            categorical=tuple(
                Vocabulary.fit(name, table[name]) for name in texts if _is_category(table[name])
            ),
            coupon_texts=tuple(
                Vocabulary(name, tuple(coupons["coupon_id"]))
                if name == "coupon_id"
                else Vocabulary.fit(name, seen if name == "category" else coupons[name])
                for name in COUPON_TEXTS
            ),
            max_events=max_events if len(behaviour) else 0,
            affinity_scale=tuple(np.where(scale > 0, scale, 1.0).tolist()),
            event_categories=favourites,
        )

    def contexts(
        self, campaign: Campaign, behaviour: Behaviour, user: Ints, time: Ints, coupons: Coupons
    ) -> Contexts:
        """Encode users (positions in ``campaign.users``) as they were just before `time` (seconds).

        Raises
        ------
        InputError
            A feature column is missing or changed its type since training.
        """
        self._check(campaign.users)
        own = [feature.name for feature in self.numeric if not feature.name.startswith("events.")]
        values = _numbers(campaign.users, own, user)
        values |= _behaviour_totals(behaviour, user, time, self.event_categories)
        numeric = [feature.encode(values[feature.name]) for feature in self.numeric]
        rows = campaign.users[user] if self.categorical else campaign.users[:0]
        categorical = [feature.encode(rows[feature.name]) for feature in self.categorical]
        events = behaviour.sequences(user, time, self.max_events)
        category = self.coupon_texts[COUPON_TEXTS.index("category")]
        lookup = category.encode(pl.Series([*behaviour.categories, None], dtype=pl.String))
        affinity = behaviour.affinity(user, time, list(coupons.categories)) / np.array(self.affinity_scale)
        none = np.zeros((len(user), 1, AFFINITY))
        return Contexts(
            numeric=_stack(numeric, len(user)).astype(np.float32),
            categorical=_stack(categorical, len(user)).astype(np.int64),
            event_kind=np.where(events.present, events.kind + 1, 0),
            event_category=lookup[events.category],
            event_numbers=np.stack([np.log1p(events.amount) / 3, np.log1p(events.age) / 3], axis=-1).astype(
                np.float32
            ),
            affinity=np.concatenate([affinity, none], axis=1).astype(np.float32),
            category_sizes=tuple(feature.size for feature in self.categorical),
        )

    def coupons(self, table: pl.DataFrame) -> Coupons:
        """Encode rows of ``campaign.coupons``; a coupon unknown to training keeps its attributes."""
        value = table["value"].cast(pl.Float64).to_numpy()
        kind = table["kind"].to_numpy()
        spend, cap = (table[name].cast(pl.Float64).to_numpy() for name in ("min_spend", "max_discount"))
        numbers = [
            np.where(kind == "percent", value / 20.0, np.nan),
            np.where(kind == "amount", np.log1p(value) / 3, np.nan),
            np.where(kind == "free_shipping", np.log1p(value) / 3, np.nan),
            np.log1p(np.where(np.isfinite(spend), spend, np.nan)) / 3,
            np.log1p(np.where(np.isfinite(cap), cap, np.nan)) / 3,
        ]
        names: list[str | None] = table["category"].cast(pl.String).to_list()
        categories = sorted({name for name in names if name is not None})
        slot = [categories.index(name) if name is not None else len(categories) for name in names]
        return Coupons(
            numbers=np.stack(numbers, axis=1).astype(np.float32),
            texts=np.stack([text.encode(table[text.name]) for text in self.coupon_texts], axis=1),
            slot=np.asarray(slot, dtype=np.int64),
            categories=tuple(categories),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild an encoder from `to_json`'s data."""
        return cls(
            numeric=tuple(Numeric(**{**entry, "knots": tuple(entry["knots"])}) for entry in data["numeric"]),
            categorical=_vocabularies(data["categorical"]),
            coupon_texts=_vocabularies(data["coupon_texts"]),
            max_events=int(data["max_events"]),
            affinity_scale=tuple(data["affinity_scale"]),
            event_categories=tuple(data["event_categories"]),
        )

    def _check(self, users: pl.DataFrame) -> None:
        findings = []
        features: list[Numeric | Vocabulary] = [*self.numeric, *self.categorical]
        for feature in features:
            if feature.name.startswith("events."):
                continue
            wanted = "numbers" if isinstance(feature, Numeric) else "text"
            if feature.name not in users.columns:
                hint = "the predictor was trained with this column; add it, or train again"
            elif _is_text(column := users[feature.name]) != (wanted == "text") and column.null_count() < len(
                column
            ):
                hint = (
                    "the column changed its type since the predictor was trained; correct it, or train again"
                )
            else:
                continue
            findings.append(Finding(hint, file="users.csv", column=feature.name, expected=wanted))
        if findings:
            raise InputError(findings)


def _behaviour_totals(
    behaviour: Behaviour, user: Ints, time: Ints, categories: tuple[str, ...]
) -> dict[str, NDArray[np.float64]]:
    """Return recency, frequency and spend, and events by category, before `time`."""
    interest = behaviour.affinity(user, time, list(categories))[:, :, LONG]
    by_category = {f"events.in {name}": interest[:, i] for i, name in enumerate(categories)}
    return behaviour.aggregates(user, time) | by_category


def _is_feature(name: str) -> bool:
    return name not in NOT_FEATURES and not name.startswith("consent_")


def _is_text(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Categorical)


def _is_category(column: pl.Series) -> bool:
    """Tell categories from names, addresses and other texts that differ for nearly every user."""
    distinct = column.n_unique()
    return distinct <= MAX_VALUES or distinct < 0.2 * len(column)


def _numbers(table: pl.DataFrame, names: Iterable[str], rows: Ints) -> dict[str, NDArray[np.float64]]:
    """Return columns as float64, NaN where missing; a text column of nothing but nulls is all NaN."""
    return {name: table[name].cast(pl.Float64, strict=False).to_numpy()[rows] for name in names}


def _stack(columns: list[Any], rows: int) -> NDArray[Any]:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))


def _vocabularies(data: list[dict[str, Any]]) -> tuple[Vocabulary, ...]:
    return tuple(Vocabulary(entry["name"], tuple(entry["values"])) for entry in data)
