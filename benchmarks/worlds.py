"""Synthetic experiments whose truth is known: each holds one thing that learners trip over.

Users have ten columns, some of them codes or skewed; two coupons and nothing are dealt out by chance. What a
coupon adds is a change of the probability, so that "the same uplift for everyone" is the same change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.experiments import Experiment

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

USERS = 12_000
COUPONS = [("small", "amount", 2.0), ("large", "amount", 5.0)]
SEED = 20_260_601


@dataclass(frozen=True)
class People:
    """n users.

    Parameters
    ----------
    x
        (n, 4) numbers, the last one skewed.
    code
        (n, 3) whole numbers, from 1 to 4, 6 and 12.
    later
        (n,) who are of the second period.
    """

    x: Floats
    code: Ints
    later: NDArray[np.bool_]

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator, *, drift: bool = False) -> People:
        """Draw users; with drift those of the second period are others: older, richer, other codes."""
        later = np.arange(n) >= n // 2
        x = rng.normal(size=(n, 4))
        x[:, 3] = np.exp(x[:, 3])
        code = np.column_stack([rng.integers(1, most + 1, n) for most in (4, 6, 12)])
        if drift:
            x[later, :2] += (0.8, -0.6)
            code[later, 0] = np.where(rng.random(later.sum()) < 0.5, 4, code[later, 0])
        return cls(x, code, later)

    def table(self, rng: np.random.Generator) -> pl.DataFrame:
        """Return the columns that a campaign has, three of them about nothing."""
        n = len(self.x)
        columns = {f"number_{i}": self.x[:, i] for i in range(4)}
        columns |= {f"code_{i}": self.code[:, i] for i in range(3)}
        columns |= {"visits": rng.poisson(3.0, n), "noise": rng.normal(size=n), "flag": rng.integers(0, 2, n)}
        return pl.DataFrame(columns)


def _codes(people: People) -> Floats:
    """Codes 1 and 3 react, 2 and 4 do not; another code halves or doubles it."""
    reacts = np.isin(people.code[:, 0], (1, 3)) * 0.06
    return np.asarray(reacts + 0.04 * np.isin(people.code[:, 1], (2, 5)))


def _steps(people: People) -> Floats:
    """Uplift jumps at two places of two numbers."""
    return np.asarray(0.07 * (people.x[:, 0] > 0.3) + 0.05 * (people.x[:, 3] > 1.5) - 0.02)


def _interaction(people: People) -> Floats:
    """Uplift where two numbers agree in sign."""
    return np.asarray(0.08 * ((people.x[:, 0] > 0) == (people.x[:, 1] > 0)))


def _linear(people: People) -> Floats:
    return np.asarray(0.05 + 0.03 * people.x[:, 0] - 0.02 * people.x[:, 2])


def _same(people: People) -> Floats:
    return np.full(len(people.x), 0.04)


def _base(people: People) -> Floats:
    """Conversion if nothing is sent."""
    z = -1.9 + 0.5 * people.x[:, 0] + 0.4 * people.x[:, 1] - 0.3 * (people.code[:, 2] % 3 == 0)
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


WORLDS: dict[str, Callable[[Path], Experiment]] = {}


def _world(key: str, uplift: Callable[[People], Floats], **options: float | bool) -> None:
    """Add a world to the experiments; it needs nothing of their folder."""
    WORLDS[f"world-{key.replace(' ', '-')}"] = lambda _: _draw(key, uplift, **options)


def _draw(
    key: str,
    uplift: Callable[[People], Floats],
    *,
    scale: float = 1.0,
    users: int = USERS,
    ties: bool = False,
    drift: bool = False,
) -> Experiment:
    rng = np.random.default_rng([SEED, sum(key.encode())])
    people = People.draw(int(users), rng, drift=bool(drift))
    if ties:
        people = People(np.sign(people.x).round(), np.minimum(people.code, 3), people.later)
    arm = rng.integers(-1, len(COUPONS), int(users))
    base = scale * _base(people)
    truth = scale * uplift(people)[:, None] * np.array([0.7, 1.3])
    truth = np.clip(base[:, None] + truth, 0.0, 1.0) - base[:, None]
    chance = base + np.where(arm >= 0, truth[np.arange(len(arm)), np.maximum(arm, 0)], 0.0)
    outcome = rng.random(int(users)) < chance
    table = people.table(rng)
    if ties:
        table = table.drop("noise")
    later = people.later if drift else None
    return Experiment(f"world: {key}", table, arm, outcome, COUPONS, truth=truth, later=later)


_world("codes", _codes)
_world("steps", _steps)
_world("interaction", _interaction)
_world("linear", _linear)
_world("ties", lambda people: _steps(people) + _codes(people) / 2, ties=True)
_world("drift", lambda people: _linear(people) + _codes(people) / 2, drift=True)
_world("rare", _linear, scale=0.025, users=40_000)
_world("same for all", _same)
