"""What a predicted uplift rests on: how much each input of the predictor adds or takes off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from allocator.wording import number

Floats = NDArray[np.float64]
Value = str | float | int | bool | None
"""What is known of one user; None is missing."""

TELLING = 0.0005
"""Smallest effect worth a word: it is not rounded to 0.0 points."""
OUTER = 0.25
"""A number is high if so small a share of the customers compared with have more, and low if less."""
COMMON = 0.2
"""Smallest share of customers with one text for it to be called usual."""


@dataclass(frozen=True)
class Attributions:
    """The uplift of u users by c coupons, divided among m inputs.

    Parameters
    ----------
    user_ids, coupon_ids
        The labels of rows and columns.
    inputs, units
        (m,) what a marketer calls each input, and the unit of its values; empty for none.
    uplift
        (u, c) change of the probability of a conversion if the coupon is sent.
    usual_uplift
        (c,) its mean over the customers that the users are compared with.
    effects
        (u, c, m) what each input adds to the uplift; they add up to ``uplift - usual_uplift``.
    values
        For each user, the value of each input.
    background
        The same for the customers that the users are compared with.
    """

    user_ids: NDArray[np.str_]
    coupon_ids: NDArray[np.str_]
    inputs: tuple[str, ...]
    units: tuple[str, ...]
    uplift: Floats
    usual_uplift: Floats
    effects: Floats
    values: Sequence[Sequence[Value]]
    background: Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Driver:
    """One input and what it adds to the uplift, as a probability.

    `usual` is the median, or the most frequent text, of the customers compared with; `level` is ``high``
    or ``low`` where a number is far from theirs.
    """

    input: str
    value: Value
    usual: Value
    unit: str
    level: str
    effect: float


@dataclass(frozen=True)
class UpliftView:
    """One user's uplift by one coupon, what drives it (most first), and that in one sentence."""

    coupon_id: str
    uplift: float
    usual_uplift: float
    drivers: tuple[Driver, ...]
    words: str


@dataclass(frozen=True)
class Importance:
    """How much one input moves the uplift: mean absolute effect, over all coupons and by coupon."""

    input: str
    effect: float
    coupons: Mapping[str, float]


def uplift_view(found: Attributions, user_id: str, coupon_id: str) -> UpliftView:
    """Say what drives the uplift of one user by one coupon."""
    i = found.user_ids.tolist().index(user_id)
    j = found.coupon_ids.tolist().index(coupon_id)
    drivers = [
        _driver(found.inputs[k], found.units[k], found.values[i][k], others, float(found.effects[i, j, k]))
        for k, others in enumerate(_columns(found))
    ]
    drivers.sort(key=lambda driver: (-abs(driver.effect), driver.input))
    uplift, usual = float(found.uplift[i, j]), float(found.usual_uplift[j])
    words = _sentence(user_id, coupon_id, uplift, usual, drivers)
    return UpliftView(coupon_id, uplift, usual, tuple(drivers), words)


def importance(found: Attributions) -> tuple[Importance, ...]:
    """Return how much each input moves the uplift of these users, most first."""
    size = np.abs(found.effects).mean(axis=0)
    coupons = [str(coupon) for coupon in found.coupon_ids]
    rows = [
        Importance(
            name,
            float(size[:, k].mean()),
            dict(zip(coupons, size[:, k].tolist(), strict=True)),
        )
        for k, name in enumerate(found.inputs)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.effect, row.input)))


def shown(value: Value, unit: str = "") -> str:
    """Return a value as a person writes it."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if unit == "days":
        unit = "day" if value == 1 else "days"
        return f"{value:,.0f} {unit}"
    if unit == "events" and value == 1:
        unit = "event"
    return f"{number(value)} {unit}".rstrip()


def points(effect: float) -> str:
    """Return a signed change of a probability in percentage points."""
    return f"{100 * effect:+.1f}" if abs(effect) >= TELLING else "0.0"


def _columns(found: Attributions) -> list[tuple[Value, ...]]:
    """Return the values of each input in turn, of the customers compared with."""
    return list(zip(*found.background, strict=True)) or [() for _ in found.inputs]


def _driver(name: str, unit: str, value: Value, others: Sequence[Value], effect: float) -> Driver:
    numbers = np.array([other for other in others if _is_number(other)], dtype=np.float64)
    level = ""
    if _is_number(value) and len(numbers):
        below, above = float(np.mean(numbers < value)), float(np.mean(numbers > value))
        if min(below, above) < OUTER and max(below, above) >= 0.5:
            level = "high" if below > above else "low"
    return Driver(name, value, _usual(others, numbers), unit, level, effect)


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _usual(others: Sequence[Value], numbers: Floats) -> Value:
    """Return the median or the most frequent value; None where most are missing, "varies" for mixed texts."""
    if 2 * len(numbers) > len(others):
        return float(np.median(numbers))
    counts = Counter(others)
    if not counts:
        return None
    value, times = max(counts.items(), key=lambda entry: (entry[1], str(entry[0])))
    return value if times >= COMMON * len(others) else "varies"


def _sentence(user: str, coupon: str, uplift: float, usual: float, drivers: Sequence[Driver]) -> str:
    more = uplift - usual
    if uplift >= TELLING:
        start = f"{coupon} adds {100 * uplift:.1f} points to {user}'s chance of buying"
    elif uplift <= -TELLING:
        start = f"{coupon} takes {-100 * uplift:.1f} points off {user}'s chance of buying"
    else:
        start = f"{coupon} changes nothing in {user}'s chance of buying"
    if abs(more) < TELLING:
        return f"{start}, as for the usual customer."
    if uplift >= TELLING and usual >= TELLING:
        start += f", {abs(100 * more):.1f} {'more' if more > 0 else 'less'} than for the usual customer"
    else:
        start += f", against {points(usual)} for the usual customer"
    telling = [driver for driver in drivers if driver.effect * more > 0 and abs(driver.effect) >= TELLING][:2]
    if not telling:
        return f"{start}."
    share = sum(driver.effect for driver in telling) / more
    because = "mostly because" if share >= 0.5 else "in part because"
    return f"{start}, {because} {' and '.join(_reason(driver) for driver in telling)}."


def _reason(driver: Driver) -> str:
    state = driver.level or shown(driver.value, driver.unit)
    return f"{driver.input} is {state} ({points(driver.effect)})"
