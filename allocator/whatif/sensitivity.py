"""What a plan's prices say without another solve: how far they hold, and what each coupon must not cost.

Everything here is read from the plan's dual prices by a few passes over the data. It is exact for prices
as they are; what a larger change does is the business of a scenario.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.limits.rows import LimitLike, is_risky
from allocator.problem import Problem
from allocator.problem.batch import BLOCK, Batch
from allocator.solution import LimitUsage, Solution
from allocator.solver.fairness_price import FairnessPrice, price_of_fairness
from allocator.solver.large.screening import screen
from allocator.solver.model import COUNT, VALUE, Model, compile_model
from allocator.solver.pricing import engine_for
from allocator.solver.pricing.engine import Engine

Array = NDArray[np.float64]
STEP = 0.1
"""A price is said to hold while it changes by no more than this share."""


MOST_WITHOUT = 12
"""Limits whose whole cost is worked out: a few dozen passes each."""


@dataclass(frozen=True)
class LimitSensitivity:
    """What the price of one row of a limit is worth, and how far.

    Parameters
    ----------
    label, used, at_least, at_most, price, binding
        As in `allocator.solution.LimitUsage`.
    holds_from, holds_to
        While the bound that binds lies between these and the other prices stay, the price stays within
        `STEP`. For a limit that does not bind: between which bounds it goes on not to (infinite: any).
    """

    label: str
    used: float
    at_least: float
    at_most: float
    price: float
    binding: bool
    holds_from: float
    holds_to: float


@dataclass(frozen=True)
class CouponSensitivity:
    """What the plan has from one coupon, at its prices.

    Parameters
    ----------
    coupon_id, users, value, cost
        What the plan gives out: users, their value and cost in total.
    advantage
        By how much its users are better off, in objective units, than with their next best at the
        plan's prices: what is lost at once where the coupon is dropped.
    cost_each
        Mean expected cost of the coupon: of its users, or of all who are eligible if it has none.
    break_even_cost
        For a coupon in use, the mean cost at which its whole advantage would be gone. For one that is
        not, the cost each at which the first user would get it; None where no cost would do. None, too,
        where cost has no price.
    """

    coupon_id: str
    users: int
    value: float
    cost: float
    advantage: float
    cost_each: float | None
    break_even_cost: float | None


@dataclass(frozen=True)
class Sensitivity:
    """All of it: every row of every limit, every coupon, and what limits as a whole cost.

    `without` has the limits that hold the plan back most; one that does not bind costs nothing.
    """

    limits: tuple[LimitSensitivity, ...]
    coupons: tuple[CouponSensitivity, ...]
    without: tuple[FairnessPrice, ...]


def check_prices_hold(problem: Problem, limits: Sequence[LimitLike], *, fair: bool) -> None:
    """Raise InputError if a plan's prices will not say all, as with a fair objective or a confidence."""
    if fair or is_risky(problem, limits):
        message = "the prices of a fair objective or of a budget with a confidence do not hold by themselves"
        raise InputError(Finding(f"{message}; compare scenarios instead", column="sensitivity"))


def sensitivity(solution: Solution, threads: int | None = None) -> Sensitivity:
    """Return how far a plan's prices hold, what its coupons may cost, and what its limits cost.

    Parameters
    ----------
    solution
        Of the sum of values; its problem in memory.
    threads
        Worker threads; all cores unless given.

    Raises
    ------
    InputError
        If the plan is for a concave objective or has a budget with a confidence: its prices are not all.
    """
    check_prices_hold(solution.problem, solution.limits, fair=solution.utility is not None)
    model = screen(compile_model(solution.problem, solution.limits)).model
    engine = engine_for(model, threads=threads)
    prices = np.array([solution.prices.get(label, 0.0) for label in model.labels])
    rows = {label: i for i, label in enumerate(model.labels)}
    limits = tuple(
        _limit(usage, engine, prices, rows[usage.label]) for usage in solution.usage if usage.label in rows
    )
    without = price_of_fairness(solution, _dearest(solution), threads)
    return Sensitivity(limits, _coupons(solution, model, prices), without)


def _dearest(solution: Solution) -> list[str]:
    """Return the labels of the limits that hold the plan back most, by price times usage."""
    worth = {row.label: row.price * max(abs(row.used), 1.0) for row in solution.usage if row.binding}
    total = {
        limit.label: sum(worth.get(row.label, 0.0) for row in limit.rows(solution.problem))
        for limit in solution.limits
    }
    binding = sorted((label for label in total if total[label] > 0), key=lambda label: -total[label])
    return binding[:MOST_WITHOUT]


def sensitivity_table(found: Sensitivity) -> pl.DataFrame:
    """Return one figure a row: ``about`` (limit, coupon or without), ``item, figure, value``."""
    lines: list[tuple[str, str, str, float | None]] = []
    for about, rows in (("limit", found.limits), ("coupon", found.coupons), ("without", found.without)):
        for row in rows:
            item, *figures = asdict(row).items()
            lines += [
                (about, item[1], name, None if value is None or math.isinf(value) else float(value))
                for name, value in figures
            ]
    schema = {"about": pl.String, "item": pl.String, "figure": pl.String, "value": pl.Float64}
    return pl.DataFrame(lines, schema, orient="row")


def _limit(usage: LimitUsage, engine: Engine, prices: Array, row: int) -> LimitSensitivity:
    low, high = -math.inf, math.inf
    if usage.binding:
        used = []
        for factor in (1 - STEP, 1 + STEP):
            changed = prices.copy()
            changed[row] *= factor
            used.append(float(engine.model.usage(engine.price(changed).table)[row]))
        bound = usage.at_most if prices[row] > 0 else usage.at_least
        low, high = min(*used, bound), max(*used, bound)
    elif math.isfinite(usage.at_most):
        low = usage.used
    elif math.isfinite(usage.at_least):
        high = usage.used
    return LimitSensitivity(
        usage.label, usage.used, usage.at_least, usage.at_most, usage.price, usage.binding, low, high
    )


@dataclass
class _Tally:
    """Sums over users, (n_coupons,) each.

    `charge` is the price of a unit of cost, summed over the coupon's users; `first` the least fall in cost
    that makes some user choose the coupon.
    """

    users: Array
    value: Array
    cost: Array
    advantage: Array
    charge: Array
    eligible: Array
    eligible_cost: Array
    first: Array

    @classmethod
    def empty(cls, n: int) -> _Tally:
        """Return sums over nobody."""
        sums = {field.name: np.zeros(n) for field in fields(cls)}
        return cls(**sums | {"first": np.full(n, np.inf)})


def _coupons(solution: Solution, model: Model, prices: Array) -> tuple[CouponSensitivity, ...]:
    problem = solution.problem
    tally = _Tally.empty(problem.n_coupons)
    table = model.price_table(prices)
    choice = solution.choice.reshape(problem.n_users, -1)
    names = tuple(dict.fromkeys((*model.measures[2:], *({"cost"} & set(problem.measures)))))
    for batch in problem.batches(names):
        for part in batch.parts(BLOCK):
            _add(tally, model, table, part, choice[part.users])
    return tuple(_coupon(problem, tally, j) for j in range(problem.n_coupons))


def _add(tally: _Tally, model: Model, table: Array, part: Batch, choice: NDArray[np.int16]) -> None:
    """Add some users to the sums."""
    price = model.at(table, model.cell[part.users])
    eligible = np.isfinite(part.value) & np.isfinite(price[COUNT])
    reduced = np.where(eligible, part.value * (1.0 - price[VALUE]) - price[COUNT], -np.inf)
    for k, name in enumerate(model.measures[2:], start=2):
        reduced -= np.where(eligible, price[k] * part.measures[name], 0.0)
    mine = np.zeros(reduced.shape, dtype=np.bool_)
    users, slots = np.nonzero(choice >= 0)
    mine[users, choice[users, slots]] = True
    held = np.where(mine, reduced, -np.inf).max(axis=1, initial=0.0, keepdims=True)
    other = np.where(mine, -np.inf, reduced).max(axis=1, initial=0.0, keepdims=True)
    cost, charge = _costs(model, part, price)
    tally.users += mine.sum(axis=0)
    tally.eligible += eligible.sum(axis=0)
    for sums, amounts, counted in (
        (tally.value, part.value, mine),
        (tally.cost, cost, mine),
        (tally.charge, charge, mine),
        (tally.advantage, reduced - other, mine),
        (tally.eligible_cost, cost, eligible),
    ):
        sums += np.where(counted, amounts, 0.0).sum(axis=0)
    fall = np.divide(
        held - reduced, charge, out=np.full(reduced.shape, np.inf), where=eligible & ~mine & (charge > 0)
    )
    # A cost does not fall below nothing.
    tally.first = np.minimum(tally.first, np.where(fall <= cost, fall, np.inf).min(axis=0, initial=np.inf))


def _costs(model: Model, part: Batch, price: Array) -> tuple[Array, Array]:
    """Return each pair's cost, and the price of a unit of it."""
    nothing = np.zeros(part.value.shape)
    cost = np.nan_to_num(part.measures["cost"].astype(np.float64)) if "cost" in part.measures else nothing
    return cost, price[model.measures.index("cost")] if "cost" in model.measures else nothing


def _coupon(problem: Problem, tally: _Tally, j: int) -> CouponSensitivity:
    users, eligible = tally.users[j], tally.eligible[j]
    each = tally.cost[j] / users if users else tally.eligible_cost[j] / eligible if eligible else None
    break_even = None
    if users and tally.charge[j] > 0:
        break_even = float(each + tally.advantage[j] / tally.charge[j])
    elif not users and each is not None and math.isfinite(tally.first[j]):
        break_even = float(each - tally.first[j])
    return CouponSensitivity(
        str(problem.coupon_ids[j]), int(users), float(tally.value[j]), float(tally.cost[j]),
        float(tally.advantage[j]), None if each is None else float(each), break_even,
    )  # fmt: skip
