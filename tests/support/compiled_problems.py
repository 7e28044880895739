"""Random problems with limits of many kinds, compiled as the pricing passes read them."""

from __future__ import annotations

import numpy as np

from allocator import Budget, Exclude, Floor, Inventory, Parity, Problem, ReturnFloor
from allocator.solver.model import compile_model


def compiled_problem(
    seed: int, n: int = 200, coupons: int = 4, per_user: tuple[int, int] = (0, 1), dtype=np.float64
):
    """Return a problem in which everyone is eligible for something, its model, and the generator used."""
    generator = np.random.default_rng(seed)
    value = generator.normal(1, 2, (n, coupons)).astype(dtype)
    value[generator.random((n, coupons)) < 0.3] = np.nan
    value[:, 0] = generator.normal(1, 2, n)  # everyone is eligible for something
    value[:, 1] = np.where(np.isnan(value[:, 1]), 0.0, value[:, 1])
    problem = Problem(
        value,
        {"cost": generator.uniform(0, 3, (n, coupons)), "points": generator.uniform(-1, 1, (n, coupons))},
        groups={"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)},
        per_user=per_user,
    )
    limits = [
        Budget(0.3 * n, label="total"),
        Budget(0.1 * n, label="points", measure="points", users={"region": "b"}),
        Inventory({"1": 0.2 * n}),
        Floor(0.1, by="region", per_head=True),
        Parity("age", 0.05),
        ReturnFloor(0.5),
        Exclude(users={"age": "y"}, coupons=["2"]),
    ]
    return problem, compile_model(problem, limits), generator
