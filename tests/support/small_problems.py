"""Random small problems, and the best plan by trying every one."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from allocator import Budget, Capacity, Floor, Inventory, Limit, Parity, Problem, ReturnFloor, Share, certify


def best_by_trying(problem: Problem, limits: list) -> float | None:
    """Return the best objective over all plans, None if none is feasible."""
    fewest, most = problem.per_user
    options = []
    for i in range(problem.n_users):
        allowed = [j for j in range(problem.n_coupons) if not math.isnan(problem.value[i, j])]
        options.append([pick for k in range(fewest, most + 1) for pick in itertools.combinations(allowed, k)])
    best = None
    choice = np.full((problem.n_users, most), -1)
    for plan in itertools.product(*options):
        choice[:] = -1
        for i, pick in enumerate(plan):
            choice[i, : len(pick)] = pick
        certificate = certify(problem, limits, choice, {})
        if certificate.valid and (best is None or certificate.objective > best):
            best = certificate.objective
    return best


def slow_data(examples: int) -> settings:
    """Return settings for examples that take long to draw."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@st.composite
def small_problems(draw, users=(2, 5), coupons=(1, 2), per_user=((0, 1),)):
    """A problem of a few users and limits of several kinds, in cents so that sums are exact."""
    n = draw(st.integers(*users))
    m = draw(st.integers(*coupons))
    cents = st.integers(-300, 600)
    value = np.array(draw(st.lists(cents, min_size=n * m, max_size=n * m))).reshape(n, m) / 128
    cost = np.array(draw(st.lists(st.integers(0, 300), min_size=n * m, max_size=n * m))).reshape(n, m) / 128
    gone = np.array(draw(st.lists(st.booleans(), min_size=n * m, max_size=n * m))).reshape(n, m)
    if draw(st.booleans()):
        value[gone & np.array([draw(st.booleans()) for _ in range(m)])] = np.nan
    region = draw(st.lists(st.sampled_from(["north", "south"]), min_size=n, max_size=n))
    fewest, most = draw(st.sampled_from(per_user))
    most = min(most, m)
    if fewest and (~np.isnan(value)).sum(axis=1).min() < fewest:
        fewest = 0
    problem = Problem(value, {"cost": cost}, groups={"region": region}, per_user=(fewest, most))
    some = problem.groups["region"].labels[0]
    kinds = {
        "budget": Budget(draw(st.integers(1, 10 * n)) / 8, label="total"),
        "stock": Inventory({"0": draw(st.integers(0, n))}),
        "capacity": Capacity(draw(st.integers(0, n)), label="messages"),
        "floor": Floor(draw(st.integers(0, 1)), label="some each", by="region"),
        "parity": Parity("region", draw(st.sampled_from([0.25, 0.5])), label="parity"),
        "benefit": Parity("region", 1.0, label="benefit parity", rate="benefit"),
        "share": Share(label="share", users={"region": some}, at_most=0.75),
        "return": ReturnFloor(draw(st.sampled_from([0.5, 1.5])), label="return"),
        "range": Limit(label="count range", measure="count", at_least=0, at_most=draw(st.integers(1, n))),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), max_size=4, unique=True))
    return problem, [kinds[name] for name in chosen]
