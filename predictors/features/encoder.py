"""From campaign tables to arrays, by an encoder that is fitted once and stored as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.columns.meanings import CATEGORY, NUMBER
from allocator.campaign.columns.readings import readings
from allocator.campaign.schema import CONSENT
from allocator.errors import Finding, InputError
from predictors.features.behaviour import AFFINITY, Behaviour
from predictors.features.columns import (
    BINS,
    MAX_VALUES,
    Numeric,
    Vocabulary,
    are_codes,
    is_category,
    is_text,
    numbers,
)
from predictors.features.contexts import Contexts
from predictors.features.coupons import COUPON_TEXTS, Coupons, encode_coupons
from predictors.features.timeline import Ints

if TYPE_CHECKING:
    from allocator.campaign import Campaign

__all__ = ["BINS", "COUPON_TEXTS", "Contexts", "Coupons", "Encoder"]

EVENT_CATEGORIES = 8
NOT_FEATURES = ("user_id", "holdout", *CONSENT.values())
SENT_BEFORE = 0.1
"""Past sends are features only if so many training rows have one: of fewer, nothing general is learnt."""
COUNTS = ("messages_7d",)
"""Columns that are known to be amounts."""
SHOWN = 5
UNSEEN = 0.05
"""From this share of values that training did not see, a note says so."""


@dataclass(frozen=True)
class Encoder:
    """Turns users, events and coupons into arrays; fitted on the training rows only.

    Parameters
    ----------
    numeric, categorical
        Columns of ``users``, and figures of behaviour and past sends, that are features.
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
        stated = readings(campaign.config.columns.get("users", {}), table)
        texts = [name for name in columns if is_text(table[name])]
        own = {
            name: numbers(campaign.users[name][user])
            for name in columns
            if name not in texts and stated.get(name) != CATEGORY
        }
        amounts = {name for name, word in stated.items() if word == NUMBER} | set(COUNTS)
        codes = [name for name, column in own.items() if name not in amounts and are_codes(column)]
        codes += [name for name in columns if stated.get(name) == CATEGORY]
        counts = behaviour.category_counts(user, time)
        favourites = tuple(sorted(counts, key=lambda name: (-counts[name], name))[:EVENT_CATEGORIES])
        derived = behaviour.features(user, time, favourites)
        fitted = [Numeric.fit(name, column) for name, column in own.items()]
        fitted += [
            Numeric.fit(name, column, derived=True)
            for name, column in derived.items()
            # A column of the user's own wins over a figure of the same name.
            if name not in table.columns and not (name.startswith("sends.") and _rarely_sent(derived))
        ]
        seen = pl.concat(
            [coupons["category"].cast(pl.String), pl.Series("category", list(counts), pl.String)]
        )
        affinity = behaviour.affinity(user, time, sorted(coupons["category"].drop_nulls().unique().to_list()))
        scale = affinity.reshape(-1, AFFINITY).std(axis=0) if affinity.size else np.ones(AFFINITY)
        return cls(
            numeric=tuple(column for column in fitted if column is not None),
            categorical=tuple(
                Vocabulary.fit(name, table[name], codes=name not in texts)
                for name in columns
                if name in codes or (name in texts and is_category(table[name]))
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
        self.check(campaign.users)
        rows = campaign.users[user]  # before a choice of columns, which would copy the whole table
        derived = behaviour.features(user, time, self.event_categories)
        numeric = [
            feature.encode(derived[feature.name] if feature.derived else numbers(rows[feature.name]))
            for feature in self.numeric
        ]
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
        return encode_coupons(table, self.coupon_texts)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild an encoder from `to_json`'s data."""
        return cls(
            numeric=tuple(_numeric(entry) for entry in data["numeric"]),
            categorical=_vocabularies(data["categorical"]),
            coupon_texts=_vocabularies(data["coupon_texts"]),
            max_events=int(data["max_events"]),
            affinity_scale=tuple(data["affinity_scale"]),
            event_categories=tuple(data["event_categories"]),
        )

    def check(self, users: pl.DataFrame) -> None:
        """Check that ``users`` has the columns that training had, and of the same type.

        Raises
        ------
        InputError
            With every column that is missing or changed its type.
        """
        findings = []
        for feature in self._columns:
            wanted = "numbers" if isinstance(feature, Numeric) or feature.codes else "text"
            if feature.name not in users.columns:
                hint = "the predictor was trained with this column; add it, or train again"
            elif is_text(column := users[feature.name]) != (wanted == "text") and column.null_count() < len(
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

    def notes(self, campaign: Campaign) -> tuple[str, ...]:
        """Return what in a campaign differs from the training data, as sentences for a planner."""
        return (*self._unseen(campaign.users), *self._absent(campaign))

    def assumptions(self) -> tuple[str, ...]:
        """Return what was assumed of columns whose numbers may be codes, as sentences for a planner."""
        amounts = {feature.name for feature in self.numeric if not feature.derived}
        both = [feature.name for feature in self.categorical if feature.name in amounts]
        if not both:
            return ()
        shown = ", ".join(both[:SHOWN]) + (f" and {len(both) - SHOWN} more" if len(both) > SHOWN else "")
        return (
            f"users.csv, {shown}: few whole numbers, read both as amounts and as codes. If you know which, "
            f'say so in campaign.toml: [columns.users] "{both[0]}" = "{CATEGORY}" or "{NUMBER}".',
        )

    @property
    def _columns(self) -> tuple[Numeric | Vocabulary, ...]:
        """The features that are columns of ``users``, one each."""
        amounts = [feature for feature in self.numeric if not feature.derived]
        known = {feature.name for feature in amounts}
        return (*amounts, *(feature for feature in self.categorical if feature.name not in known))

    def _unseen(self, users: pl.DataFrame) -> Iterator[str]:
        for feature in self.categorical:
            column = feature.texts(users[feature.name])
            new = column.is_not_null() & ~column.is_in(feature.values)
            share = new.sum() / max(len(column) - column.null_count(), 1)
            if share >= UNSEEN and len(feature.values) < MAX_VALUES:
                example = column.filter(new)[0]
                yield (
                    f"users.csv, {feature.name}: {share:.0%} of the values were not in the training data "
                    f"(such as '{example}') and count as unknown; train again if they are here to stay."
                )

    def _absent(self, campaign: Campaign) -> Iterator[str]:
        for feature in self._columns:
            if campaign.users[feature.name].is_null().all():
                yield f"users.csv, {feature.name}: the column is empty; the predictor was trained with it."
        needed = {"events": "events.", "orders": "purchases.discount", "history": "sends."}
        for name, prefix in needed.items():
            used = any(feature.derived and feature.name.startswith(prefix) for feature in self.numeric)
            if (
                used
                and getattr(campaign, name) is None
                and not (name == "events" and campaign.orders is not None)
            ):
                yield (
                    f"There is no {name}.csv, and the predictor was trained with one: what it says of users "
                    "counts as missing."
                )


def _is_feature(name: str) -> bool:
    return name not in NOT_FEATURES


def _rarely_sent(derived: dict[str, NDArray[np.float64]]) -> bool:
    return float(np.isfinite(derived["sends.days_since_send"]).mean()) < SENT_BEFORE


def _stack(columns: list[Any], rows: int) -> NDArray[Any]:
    return np.stack(columns, axis=1) if columns else np.zeros((rows, 0))


def _numeric(entry: dict[str, Any]) -> Numeric:
    return Numeric(**{**entry, "knots": tuple(entry["knots"]), "shares": tuple(entry.get("shares", ()))})


def _vocabularies(data: list[dict[str, Any]]) -> tuple[Vocabulary, ...]:
    # A model that was saved before there were codes and shares says nothing of them.
    return tuple(
        Vocabulary(
            entry["name"],
            tuple(entry["values"]),
            bool(entry.get("codes", False)),
            tuple(entry.get("shares", ())),
        )
        for entry in data
    )
