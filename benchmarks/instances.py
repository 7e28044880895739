"""The instances that the solver benchmarks share: each a function of the number of users and a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from allocator import Budget, Floor, Inventory, Limit, Parity, Problem, ReturnFloor
from allocator.limits.rows import LimitLike

Instance = tuple[Problem, list[LimitLike]]
Array = NDArray[np.float64]
COUPONS = 10


def retail(n_users: int, seed: int = 0) -> Instance:
    """Return a problem with 26 rows: a budget, stocks, region budgets and floors, age parity."""
    generator = np.random.default_rng(seed)
    value = generator.gamma(2, 1, (n_users, COUPONS)) * generator.lognormal(0, 0.5, (n_users, 1))
    cost = generator.uniform(0.5, 5, (n_users, COUPONS))
    region = generator.choice(["east", "north", "south", "west"], n_users)
    age = generator.choice(["18-24", "25-34", "35-44", "45-54", "55-64", "65-74", "75+"], n_users)
    problem = Problem(value, {"cost": cost}, groups={"region": region, "age": age})
    return problem, retail_limits(problem)


def retail_limits(problem: Problem) -> list[LimitLike]:
    """Return the limits of `retail`: 26 rows."""
    n_users = problem.n_users
    shares = (0.10, 0.11, 0.12, 0.13)
    return [
        Budget(0.4 * n_users, label="total"),
        Inventory({str(j): 0.06 * n_users for j in range(COUPONS)}),
        Floor(0.15, by="region", per_head=True, label="every region"),
        Parity("age", 0.02, label="age fairness"),
        *(
            Budget(share * n_users, label=f"{name} budget", users={"region": name})
            for name, share in zip(problem.groups["region"].labels, shares, strict=True)
        ),
    ]


def _with_limit(place: int, change: Callable[[Problem], list[LimitLike]]) -> Callable[[Instance], Instance]:
    """Return what puts others in the place of one limit of `retail`."""

    def changed(instance: Instance) -> Instance:
        problem, limits = instance
        return problem, [*limits[:place], *change(problem), *limits[place + 1 :]]

    return changed


def _new_values(instance: Instance) -> Instance:
    """Draw the values of 1% of the users anew."""
    problem, limits = instance
    generator = np.random.default_rng(1)
    users = generator.choice(problem.n_users, max(problem.n_users // 100, 1), replace=False)
    value = problem.value.copy()
    value[users] = generator.gamma(2, 1, (len(users), COUPONS))
    groups = {name: np.array(group.labels)[group.codes] for name, group in problem.groups.items()}
    return Problem(value, problem.measures, groups=groups), limits


CHANGES: dict[str, Callable[[Instance], Instance]] = {
    "budget 5% lower": _with_limit(0, lambda problem: [Budget(0.38 * problem.n_users, label="total")]),
    "budget 5% higher": _with_limit(0, lambda problem: [Budget(0.42 * problem.n_users, label="total")]),
    "floors raised until they bind": _with_limit(
        2, lambda problem: [Floor(0.382, by="region", per_head=True, label="every region")]
    ),
    "floors removed": _with_limit(2, lambda problem: []),
    "new values for 1% of the users": _new_values,
}
"""Changes to `retail` after which to solve again."""


def plain(n: int, seed: int = 0) -> Instance:
    """Return gamma-distributed values, uniform costs, and about 30 rows."""
    value, cost, groups = _base(n, seed)
    return Problem(value, {"cost": cost}, groups=groups), _usual(n)


def correlated(n: int, seed: int = 0) -> Instance:
    """Return values that are the cost and a little noise: every pair is worth about the same a unit."""
    value, cost, groups = _base(n, seed)
    value = cost + np.random.default_rng(seed + 1).normal(0, 0.1, value.shape)
    return Problem(value, {"cost": cost}, groups=groups), _usual(n)


def ties(n: int, seed: int = 0) -> Instance:
    """Return users with only 50 distinct rows, as segment-level scores give."""
    value, cost, groups = _base(n, seed)
    segment = np.random.default_rng(seed + 1).integers(0, 50, n)
    return Problem(value[:50][segment], {"cost": cost[:50][segment]}, groups=groups), _usual(n)


def negative(n: int, seed: int = 0) -> Instance:
    """Return values most of which are negative."""
    _, cost, groups = _base(n, seed)
    value = np.random.default_rng(seed + 1).normal(-1, 1, cost.shape)
    return Problem(value, {"cost": cost}, groups=groups), _usual(n)


def sparse(n: int, seed: int = 0) -> Instance:
    """Return a problem with 70% of the pairs not eligible."""
    value, cost, groups = _base(n, seed)
    value[np.random.default_rng(seed + 1).random(value.shape) < 0.7] = np.nan
    return Problem(value, {"cost": cost}, groups=groups), _usual(n)


def exactly_one(n: int, seed: int = 0) -> Instance:
    """Return a problem in which every user gets exactly one coupon."""
    value, cost, groups = _base(n, seed)
    stock = Inventory({str(j): 0.2 * n for j in range(COUPONS)})
    return Problem(value, {"cost": cost}, groups=groups, per_user=(1, 1)), [
        Budget(1.2 * n, label="total"),
        stock,
    ]


def up_to_three(n: int, seed: int = 0) -> Instance:
    """Return a problem in which every user gets at most three coupons."""
    value, cost, groups = _base(n, seed)
    return Problem(value, {"cost": cost}, groups=groups, per_user=(0, 3)), _usual(n, budget=1.0, stock=0.2)


def soft(n: int, seed: int = 0) -> Instance:
    """Return a problem whose budget and floors may be broken at a price."""
    value, cost, groups = _base(n, seed)
    return Problem(value, {"cost": cost}, groups=groups), [
        Budget(0.4 * n, label="total", penalty=1.0),
        Floor(0.2, by="region", per_head=True, penalty=0.05),
    ]


def many(n: int, seed: int = 0) -> Instance:
    """Return about 200 rows, about 50 of them binding, with values that follow costs.

    60 stores' budgets and floors, parity in three attributes, a stock of each coupon, a return floor.
    """
    value, cost, groups = _base(n, seed)
    generator = np.random.default_rng(seed + 1)
    value = cost + generator.normal(0, 0.1, value.shape)
    stores = [f"s{i:02d}" for i in range(60)]
    groups["store"] = generator.choice(stores, n)
    budgets: list[LimitLike] = [
        Budget(0.4 * n / 60 * generator.uniform(0.8, 1.2), label=f"{store} budget", users={"store": store})
        for store in stores
    ]
    rest = [
        Floor(0.12, by="store", per_head=True, label="every store"),
        Parity("region", 0.03, label="region fairness"),
        ReturnFloor(0.9, label="return"),
    ]
    return Problem(value, {"cost": cost}, groups=groups), [*_usual(n), *budgets, *rest]


def beyond(n: int, seed: int = 0) -> Instance:
    """Return a plain problem with one pair that is worth more than all others and costs 1.5 budgets."""
    value, cost, groups = _base(n, seed)
    value[n // 2, 1], cost[n // 2, 1] = 20 * n, 0.6 * n
    return Problem(value, {"cost": cost}, groups=groups), _usual(n)


def rich(n: int, seed: int = 0) -> Instance:
    """Return a plain problem with two pairs of great worth, each of which costs 0.6 budgets."""
    value, cost, groups = _base(n, seed)
    for user, worth in ((n // 2, 20 * n), (n // 3, 19 * n)):
        value[user, 1], cost[user, 1] = worth, 0.24 * n
    return Problem(value, {"cost": cost}, groups=groups), _usual(n)


def heavy_tails(n: int, seed: int = 0) -> Instance:
    """Return a budget over values of a heavy tail (Pareto, 1.1), each of about its cost."""
    generator = np.random.default_rng(seed)
    value = generator.pareto(1.1, (n, COUPONS)) + 1
    cost = value * generator.uniform(0.8, 1.2, value.shape)
    return Problem(value, {"cost": cost}), [Budget(0.1 * float(cost.min(axis=1).sum()), label="total")]


def handful(n: int, seed: int = 0) -> Instance:
    """Return a budget that buys a handful of all users."""
    value, cost, _ = _base(n, seed)
    return Problem(value, {"cost": cost}), [Budget(5, label="total")]


def by_columns(n: int, seed: int = 0) -> Instance:
    """Return about 160 rows by five columns, whose combinations are nearly as many as users."""
    value, cost, _ = _base(n, seed)
    generator = np.random.default_rng(seed + 1)
    groups = {f"trait {k}": generator.integers(0, 10, n).astype(str) for k in range(4)}
    groups["store"] = generator.integers(0, 60, n).astype(str)
    return Problem(value, {"cost": cost}, groups=groups), [
        Budget(0.35 * n, label="total"),
        Floor(0.15, by="store", per_head=True, label="every store"),
        Limit(label="spend in one store", users={"store": "0"}, at_most=0.4 * n / 60),
        *(Parity(f"trait {k}", 0.05, label=f"trait {k}") for k in range(4)),
    ]


def hundreds(n: int, seed: int = 0) -> Instance:
    """Return 50 coupons under about 500 rows, some 350 of them binding.

    150 stores' budgets and floors, ten categories' caps in each of ten regions, a stock of each coupon, and
    parity in four attributes (of 10, 3, 5 and 32 labels; within 0.005, or more where users are few).
    """
    generator = np.random.default_rng(seed)
    value = generator.gamma(2, 1, (n, 50)) * generator.lognormal(0, 0.5, (n, 1))
    cost = generator.uniform(0.5, 5, value.shape)
    columns = {"store": 150, "region": 10, "trait 0": 10, "trait 1": 3, "trait 2": 5, "trait 3": 32}
    groups = {name: generator.integers(0, labels, n).astype(str) for name, labels in columns.items()}
    share = 0.4 * n / 150 * generator.uniform(0.8, 1.2, 150)
    return Problem(value, {"cost": cost}, groups=groups), [
        Budget(0.4 * n, label="total"),
        Inventory({str(j): n / 50 for j in range(50)}),
        *(Budget(float(share[k]), label=f"store {k}", users={"store": str(k)}) for k in range(150)),
        Floor(0.3, by="store", per_head=True, label="every store"),
        *(
            Limit(
                label=f"category {kind} in region {region}",
                users={"region": str(region)},
                coupons=[str(j) for j in range(5 * kind, 5 * kind + 5)],
                at_most=0.006 * n,
            )
            for kind in range(10)
            for region in range(10)
        ),
        *(Parity(f"trait {k}", max(0.005, 50 / n), label=f"trait {k}") for k in range(4)),
    ]


def khan(path: Path) -> Instance:
    """Read a multi-dimensional multiple-choice knapsack: each class takes exactly one item."""
    numbers = iter(path.read_text(encoding="utf-8").split())
    n_classes, n_items, n_resources = (int(next(numbers)) for _ in range(3))
    capacity = [float(next(numbers)) for _ in range(n_resources)]
    table = np.full((n_resources + 1, n_classes, n_items), np.nan)
    for i in range(n_classes):
        next(numbers)
        for j in range(n_items):
            table[:, i, j] = [float(next(numbers)) for _ in range(n_resources + 1)]
    measures = {f"resource {k + 1}": use for k, use in enumerate(table[1:])}
    limits: list[LimitLike] = [
        Limit(label=name, measure=name, at_most=most) for name, most in zip(measures, capacity, strict=True)
    ]
    return Problem(table[0], measures, per_user=(1, 1)), limits


def khan_like(n: int) -> Instance:
    """Return a knapsack of the kind of Khan's I07 to I13: 10 items in each of n classes, 10 resources.

    Use is 0 to 9 of each resource, capacity 5 a class; an item's profit is its use at prices of its own for
    each resource, and noise. Prices add up to 44, which makes the linear bound about 246 a class, as theirs.
    """
    generator = np.random.default_rng(n)
    prices = generator.integers(0, 10, 10)
    while prices.sum() != 44:
        prices = generator.integers(0, 10, 10)
    use = generator.integers(0, 10, (n, 10, 10))
    profit = (use @ prices + generator.integers(0, 30, (n, 10))).astype(float)
    measures = {f"resource {k + 1}": use[:, :, k].astype(float) for k in range(10)}
    return Problem(profit, measures, per_user=(1, 1)), [
        Limit(label=name, measure=name, at_most=5.0 * n) for name in measures
    ]


KHAN_LIKE = {"I07": 100, "I08": 150, "I09": 200, "I10": 250, "I11": 300, "I12": 350, "I13": 400}
"""Khan's large instances by their number of classes: what generated ones are like."""

KINDS: dict[str, Callable[[int], Instance]] = {
    "plain": plain,
    "value correlated with cost": correlated,
    "ties (50 distinct rows)": ties,
    "mostly negative": negative,
    "70% not eligible": sparse,
    "exactly one": exactly_one,
    "at most three": up_to_three,
    "soft limits": soft,
    "many limits": many,
    "a pair beyond the budget": beyond,
    "two pairs of most of the budget": rich,
    "heavy tails": heavy_tails,
    "a budget for a handful": handful,
    "limits by five columns": by_columns,
}
"""The hard kinds of the quality table."""


def _base(n: int, seed: int) -> tuple[Array, Array, dict[str, NDArray[np.str_]]]:
    generator = np.random.default_rng(seed)
    cost = generator.uniform(0.5, 5, (n, COUPONS))
    value = generator.gamma(2, 1, (n, COUPONS))
    labels = {"region": [f"r{i:02d}" for i in range(12)], "age": list("abcde"), "sex": ["m", "f"]}
    return value, cost, {column: generator.choice(names, n) for column, names in labels.items()}


def _usual(n: int, budget: float = 0.4, stock: float = 0.06) -> list[LimitLike]:
    return [
        Budget(budget * n, label="total"),
        Inventory({str(j): stock * n for j in range(COUPONS)}),
        Floor(0.1, by="region", per_head=True, label="every region"),
        Parity("age", 0.02, label="age fairness"),
        Parity("sex", 0.01, label="benefit fairness", rate="benefit"),
    ]
