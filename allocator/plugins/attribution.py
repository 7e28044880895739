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
ALIKE = 0.2
"""Two uplifts are about the same if so small a share of the strongest effect lies between them."""
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
    """Compare a user's uplift with the usual one, and name what makes most of the difference."""
    more = uplift - usual
    telling = [driver for driver in drivers if abs(driver.effect) >= TELLING]
    start = f"{_claim(coupon, uplift)} {user}'s chance of buying"
    if abs(more) < TELLING or abs(more) < ALIKE * abs(telling[0].effect if telling else 0.0):
        start += ", about as for the usual customer"
        up, down = [next((d for d in telling if d.effect * sign > 0), None) for sign in (1, -1)]
        return f"{start}: {_reason(up)}, but {_reason(down)}." if up and down else f"{start}."
    if uplift >= TELLING and usual >= TELLING:
        start += f", {abs(100 * more):.1f} {'more' if more > 0 else 'less'} than for the usual customer"
    else:
        start += f", against {points(usual)} for the usual customer"
    telling = [driver for driver in telling if driver.effect * more > 0][:2]
    if not telling:
        return f"{start}."
    because = "mostly" if sum(driver.effect for driver in telling) / more >= 0.5 else "in part"
    return f"{start}, {because} because {' and '.join(_reason(driver) for driver in telling)}."


def _claim(coupon: str, uplift: float) -> str:
    if abs(uplift) < TELLING:
        return f"{coupon} changes nothing in"
    size = f"{abs(100 * uplift):.1f} points"
    return f"{coupon} adds {size} to" if uplift > 0 else f"{coupon} takes {size} off"


def _reason(driver: Driver) -> str:
    state = driver.level or shown(driver.value, driver.unit)
    return f"{driver.input} is {state} ({points(driver.effect)})"
