"""What a model reads of a user, in a marketer's words: columns that stand or fall together."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.schema import EVENT_KINDS
from allocator.plugins.attribution import Value
from predictors.features.behaviour import LONG, WINDOWS, Behaviour
from predictors.features.contexts import Contexts
from predictors.features.coupons import Coupons
from predictors.features.encoder import Encoder
from predictors.features.past_redemption import WINDOW

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

DAYS = WINDOWS[LONG]
CURRENCY, PERCENT = "currency", "%"
INTEREST = re.compile(r"(?:events\.in|purchases\.share_in) (.*)", re.DOTALL)
LATEST = "latest event"

FIGURES = {
    **{f"events.{kind}_{DAYS}d": (f"number of {kind}s in {DAYS} days", "") for kind in EVENT_KINDS},
    f"events.search_{DAYS}d": (f"number of searches in {DAYS} days", ""),
    f"events.cart_{DAYS}d": (f"times put in the cart in {DAYS} days", ""),
    f"events.spend_{DAYS}d": (f"spend in {DAYS} days", CURRENCY),
    "events.days_since_event": ("time since the last event", "days"),
    "events.days_since_purchase": ("time since the last purchase", "days"),
    "events.days_since_first": ("time since the first event", "days"),
    "purchases.mean_amount": ("mean order value", CURRENCY),
    "purchases.discounted_share": ("share of orders with a discount", PERCENT),
    f"sends.count_{WINDOW}d": (f"number of coupons in {WINDOW} days", ""),
    "sends.redeemed_share": ("share of coupons redeemed", PERCENT),
}
"""Figures of behaviour that stand for an input, with its label and unit."""
TOLD_BY = {
    **{f"events.{name}_{WINDOWS[0]}d": f"events.{name}_{DAYS}d" for name in (*EVENT_KINDS, "spend")},
    "purchases.discount_depth": "purchases.discounted_share",
    "sends.days_since_send": f"sends.count_{WINDOW}d",
    "sends.days_since_redemption": "sends.redeemed_share",
}
"""Figures that belong to the input of another figure."""


@dataclass(frozen=True)
class Input:
    """One thing that is known of a user: a column of ``users``, a total, an interest, the latest events.

    `source` is the name of the column or figure, or the category.
    """

    kind: str
    source: str

    @classmethod
    def of_figure(cls, name: str) -> Self:
        """Return the input that a figure of behaviour belongs to."""
        interest = INTEREST.fullmatch(name)
        return cls("interest", interest[1]) if interest else cls("figure", TOLD_BY.get(name, name))

    @property
    def label(self) -> str:
        """What a marketer calls it; of the latest events, the last stands for all that are read."""
        if self.kind == "figure":
            return FIGURES.get(self.source, (self.source, ""))[0]
        return {"interest": f"interest in {self.source}", "sequence": LATEST}.get(self.kind, self.source)

    def unit(self, currency: str) -> str:
        """Return the unit of its value; empty for counts and texts."""
        if self.kind == "interest":
            return "events"
        unit = FIGURES.get(self.source, ("", ""))[1] if self.kind == "figure" else ""
        return currency if unit == CURRENCY else unit

    def values(self, campaign: Campaign, behaviour: Behaviour, user: Ints, time: Ints) -> list[Value]:
        """Return its value for each user, as of just before `time`; None is missing."""
        if self.kind == "column":
            return [_plain(value) for value in campaign.users[self.source][user].to_list()]
        if self.kind == "sequence":
            return _latest(behaviour, user, time)
        if self.kind == "interest":
            return _numbers(np.expm1(behaviour.affinity(user, time, [self.source])[:, 0, LONG]))
        found = behaviour.features(user, time, ())[self.source]
        if self.source not in FIGURES:
            return _numbers(found)
        return _numbers(100.0 * found if FIGURES[self.source][1] == PERCENT else np.expm1(found))


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model, and which columns of its `Contexts` belong to which.

    Parameters
    ----------
    names
        The inputs.
    numeric, categorical, slots
        For each column of ``Contexts.numeric`` and ``.categorical``, and each slot of ``.affinity``, the
        position of its input; -1 for the slot of no category.
    sequence
        Position of the latest events; -1 if the model reads none.
    """

    names: tuple[Input, ...]
    numeric: Ints
    categorical: Ints
    slots: Ints
    sequence: int

    @classmethod
    def of(cls, encoder: Encoder, coupons: Coupons) -> Self:
        """Return what a model reads of users to score some coupons."""
        numeric = [
            Input.of_figure(feature.name) if feature.derived else Input("column", feature.name)
            for feature in encoder.numeric
        ]
        categorical = [Input("column", feature.name) for feature in encoder.categorical]
        slots = [Input("interest", name) for name in coupons.categories]
        sequence = [Input("sequence", "")] if encoder.max_events else []
        position: dict[Input, int] = {}
        for name in (*categorical, *numeric, *slots, *sequence):
            position.setdefault(name, len(position))
        return cls(
            names=tuple(position),
            numeric=np.array([position[name] for name in numeric], dtype=np.int64),
            categorical=np.array([position[name] for name in categorical], dtype=np.int64),
            slots=np.array([*(position[name] for name in slots), -1], dtype=np.int64),
            sequence=position[sequence[0]] if sequence else -1,
        )

    def __len__(self) -> int:
        return len(self.names)

    def mix(self, own: Contexts, others: Contexts, keep: Bools) -> Contexts:
        """Return contexts with the inputs of `own` where `keep`, (n, n_inputs), else those of `others`."""
        last = keep[:, [self.sequence]]
        chosen: dict[str, tuple[Bools, Any]] = {
            "numeric": (keep[:, self.numeric], np.float32),
            "categorical": (keep[:, self.categorical], np.int64),
            "affinity": (keep[:, self.slots, None], np.float32),
            "event_kind": (last, np.int64),
            "event_category": (last, np.int64),
            "event_numbers": (last[:, :, None], np.float32),
        }
        mixed = {
            name: np.where(where, getattr(own, name), getattr(others, name)).astype(kind, copy=False)
            for name, (where, kind) in chosen.items()
        }
        return replace(own, **mixed)


def _plain(value: Any) -> Value:
    """Return a value as JSON knows it; NaN is missing."""
    if value is None or value != value:
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def _numbers(values: NDArray[np.float64]) -> list[Value]:
    """Return numbers rounded, because undoing a logarithm leaves noise in the last digits."""
    return [_plain(round(value, 6)) for value in values.tolist()]


def _latest(behaviour: Behaviour, user: Ints, time: Ints) -> list[Value]:
    """Return each user's last event in words."""
    last = behaviour.sequences(user, time, 1)
    words: list[Value] = []
    for present, kind, category, age in zip(
        last.present[:, 0], last.kind[:, 0], last.category[:, 0], last.age[:, 0], strict=True
    ):
        what = EVENT_KINDS[kind] + (f" of {behaviour.categories[category]}" if category >= 0 else "")
        words.append(f"{what} {_ago(age)}" if present else None)
    return words


def _ago(days: float) -> str:
    whole = int(days)
    return f"{whole:,} days ago" if whole > 1 else ("today", "1 day ago")[whole]


def only(campaign: Campaign, users: Ints) -> Campaign:
    """Return a campaign with some of the users, given by position, and what is known of them."""
    chosen = campaign.users[users]
    tables = {
        name: table.filter(pl.col("user_id").is_in(chosen["user_id"].implode()))
        for name in ("events", "orders", "history")
        if (table := getattr(campaign, name)) is not None
    }
    return replace(campaign, users=chosen, **tables)
