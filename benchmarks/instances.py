"""The instance that the solver benchmarks share."""

from __future__ import annotations

import numpy as np

from allocator import Budget, Floor, Inventory, Parity, Problem
from allocator.limits import LimitLike


def retail(n_users: int, n_coupons: int = 10, seed: int = 0) -> tuple[Problem, list[LimitLike]]:
    """Return a problem with 26 rows: a budget, stocks, region budgets and floors, age parity."""
    generator = np.random.default_rng(seed)
    value = generator.gamma(2, 1, (n_users, n_coupons)) * generator.lognormal(0, 0.5, (n_users, 1))
    cost = generator.uniform(0.5, 5, (n_users, n_coupons))
    region = generator.choice(["east", "north", "south", "west"], n_users)
    age = generator.choice(["18-24", "25-34", "35-44", "45-54", "55-64", "65-74", "75+"], n_users)
    problem = Problem(value, {"cost": cost}, groups={"region": region, "age": age})
    limits: list[LimitLike] = [
        Budget(0.4 * n_users, label="total"),
        Inventory({str(j): 0.06 * n_users for j in range(n_coupons)}),
        Floor(0.15, by="region", per_head=True, label="every region"),
        Parity("age", 0.02, label="age fairness"),
    ]
    shares = (0.10, 0.11, 0.12, 0.13)
    limits += [
        Budget(share * n_users, label=f"{name} budget", users={"region": name})
        for name, share in zip(problem.groups["region"].labels, shares, strict=True)
    ]
    return problem, limits
