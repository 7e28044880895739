"""The behaviour log: what a user did before a moment, never after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.schema import EVENT_KINDS
from predictors.features.past_redemption import PastSends
from predictors.features.timeline import DAY, Floats, Ints, Timeline, running, seconds

WINDOWS = (30, 180)
LONG = 1
AFFINITY = 3
"""Affinity features for each user and category: events in 30 and in 180 days, spend in 180 days.
`LONG` is the position of the second."""
PURCHASE = EVENT_KINDS.index("purchase")


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
    """Events and purchases with running totals, so that any window is two look-ups; made by `Log`.

    Parameters
    ----------
    entries
        ``user, at, kind, category, amount``, and ``discount, order_id`` where there are orders, whose
        lines are purchases; sorted by user and time.
    categories
        All that occur, sorted.
    sends
        Past sends, sorted by user and time.
    """

    def __init__(self, entries: pl.DataFrame, categories: list[str], sends: pl.DataFrame) -> None:
        self.categories = categories
        self._sends = PastSends(sends)
        self._timeline = Timeline(entries["user"].to_numpy().astype(np.int64), seconds(entries["at"]))
        self._kind = _codes(entries["kind"], list(EVENT_KINDS))
        self._category = _codes(entries["category"], categories)
        self._amount = _currency(entries["amount"])
        purchase = self._kind == PURCHASE
        # Whole cents add up exactly, so later events cannot change an earlier window by rounding.
        self._cents = running(np.where(purchase, np.rint(self._amount * 100), 0.0))
        orders, discounted, cents = _orders(entries, purchase)
        self._count = [running(self._kind == kind) for kind in range(len(EVENT_KINDS))]
        self._count[PURCHASE] = running(orders)
        self._discounted, self._discount_cents = running(discounted), running(cents)
        self._last_purchase = np.maximum.accumulate(np.where(purchase, np.arange(len(purchase)), -1))

    def __len__(self) -> int:
        return len(self._timeline)

    def category_counts(self, user: Ints, time: Ints) -> dict[str, int]:
        """Return how many events of each category come before the last of each user's moments."""
        users, position = np.unique(user, return_inverse=True)
        last = np.full(len(users), np.iinfo(np.int64).min)
        np.maximum.at(last, position, time)
        edges = np.zeros(len(self) + 1, dtype=np.int64)
        np.add.at(edges, self._timeline.first(users), 1)
        np.add.at(edges, self._timeline.before(users, last), -1)
        seen = (np.cumsum(edges)[:-1] > 0) & (self._category >= 0)
        counts = np.bincount(self._category[seen], minlength=len(self.categories))
        return {name: int(n) for name, n in zip(self.categories, counts, strict=True) if n}

    def features(self, user: Ints, time: Ints, categories: tuple[str, ...]) -> dict[str, Floats]:
        """Return all that is known of users before `time` as numbers, each (n,); NaN is not known.

        Counts, currency and days are logs of 1 + x.
        """
        found = self.aggregates(user, time) | self._prices(user, time)
        spend = np.expm1(found[f"events.spend_{WINDOWS[LONG]}d"])
        for name in categories:
            interest = self._interest(name, user, time)
            found[f"events.in {name}"] = interest[:, LONG]
            share = np.expm1(interest[:, 2]) / np.maximum(spend, 0.01)
            found[f"purchases.share_in {name}"] = np.where(spend > 0.005, share, np.nan)
        return found | self._sends.features(user, time)

    def aggregates(self, user: Ints, time: Ints) -> dict[str, Floats]:
        """Return recency, frequency and spend before `time`, each (n,); NaN where there was none."""
        first, end = self._timeline.first(user), self._timeline.before(user, time)
        features: dict[str, Floats] = {}
        for days in WINDOWS:
            begin = self._timeline.before(user, time - days * DAY)
            for kind, count in zip(EVENT_KINDS, self._count, strict=True):
                features[f"events.{kind}_{days}d"] = np.log1p(count[end] - count[begin])
            features[f"events.spend_{days}d"] = np.log1p((self._cents[end] - self._cents[begin]) / 100)
        last = end - 1
        features["events.days_since_event"] = self._timeline.log_days_since(last, first, time)
        bought = np.where(end > first, self._last_purchase[last] if len(self) else last, -1)
        features["events.days_since_purchase"] = self._timeline.log_days_since(bought, first, time)
        oldest = np.where(end > first, first, -1)
        features["events.days_since_first"] = self._timeline.log_days_since(oldest, first, time)
        return features

    def affinity(self, user: Ints, time: Ints, categories: list[str]) -> Floats:
        """Return each user's interest in each category before `time`, (n, n_categories, AFFINITY)."""
        out = np.zeros((len(user), len(categories), AFFINITY))
        for slot, name in enumerate(categories):
            out[:, slot] = self._interest(name, user, time)
        return out

    def sequences(self, user: Ints, time: Ints, length: int) -> Sequences:
        """Return the last `length` events of each user before `time`."""
        first, end = self._timeline.first(user), self._timeline.before(user, time)
        index = end[:, None] - length + np.arange(length)
        present = index >= first[:, None]
        if not len(self):
            empty = np.zeros(index.shape)
            return Sequences(empty.astype(np.int64), empty.astype(np.int64), empty, empty, present & False)
        index = np.where(present, index, 0)
        age = (time[:, None] - self._timeline.time[index]) / DAY
        return Sequences(
            self._kind[index],
            self._category[index],
            self._amount[index],
            np.where(present, age, 0.0),
            present,
        )

    def _interest(self, category: str, user: Ints, time: Ints) -> Floats:
        """Return interest in one category before `time`, (n, AFFINITY)."""
        if category not in self.categories:
            return np.zeros((len(user), AFFINITY))
        rows = np.flatnonzero(self._category == self.categories.index(category))
        timeline, cents = self._timeline.only(rows), running(np.diff(self._cents)[rows])
        end = timeline.before(user, time)
        month, half_year = (timeline.before(user, time - days * DAY) for days in WINDOWS)
        spend = np.log1p((cents[end] - cents[half_year]) / 100)
        return np.stack([np.log1p(end - month), np.log1p(end - half_year), spend], axis=1)

    def _prices(self, user: Ints, time: Ints) -> dict[str, Floats]:
        """Return what purchases before `time` were worth, and how much of that was discounted."""
        first, end = self._timeline.first(user), self._timeline.before(user, time)
        bought, paid, discounted, saved = (
            total[end] - total[first]
            for total in (self._count[PURCHASE], self._cents, self._discounted, self._discount_cents)
        )
        return {
            "purchases.mean_amount": np.log1p(_ratio(paid / 100, bought)),
            "purchases.discounted_share": _ratio(discounted, bought),
            "purchases.discount_depth": _ratio(saved, paid + saved),
        }


def _orders(entries: pl.DataFrame, purchase: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return what each entry adds to the number of orders, of discounted ones, and of cents taken off.

    Lines of one order count once, at the first line; a line without an order id is an order.
    """
    if "order_id" not in entries.columns:
        nothing = np.zeros(len(purchase))
        return purchase.astype(np.float64), nothing, nothing
    cents = np.where(purchase, np.rint(_currency(entries["discount"]) * 100), 0.0)
    lines = entries.select("user", "order_id", discounted=pl.Series(cents > 0, dtype=pl.Boolean))
    alone = lines["order_id"].is_null()
    first = lines.select(pl.struct("user", "order_id").is_first_distinct()).to_series() | alone
    cheap = lines.select(pl.struct("user", "order_id", "discounted").is_first_distinct()).to_series() | alone
    return (
        (purchase & first.to_numpy()).astype(np.float64),
        ((cents > 0) & cheap.to_numpy()).astype(np.float64),
        cents,
    )


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole; NaN where the whole is zero."""
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan))


def _currency(column: pl.Series) -> Floats:
    """Return amounts as numbers of at least 0; missing ones are 0."""
    return np.asarray(np.maximum(column.cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy(), 0.0))


def _codes(column: pl.Series, values: list[str]) -> Ints:
    """Return the position of each entry in `values`; -1 where it is missing or unknown."""
    codes = column.cast(pl.String).replace_strict(
        values, list(range(len(values))), default=-1, return_dtype=pl.Int64
    )
    return codes.to_numpy().astype(np.int64)
