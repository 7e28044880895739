"""The pricer decides for unseen users: one by one, in batches and in threads, always the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import (
    Budget,
    Exclude,
    Floor,
    InputError,
    Inventory,
    Limit,
    Parity,
    Pricer,
    Problem,
    ReturnFloor,
)

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
LIMITS = [
    Budget(50, label="total"),
    Budget(9, label="points", measure="points", users={"region": ["b", "c"]}),
    Inventory({"1": 20, "3": 5}),
    Floor(0.1, label="each", by="region", per_head=True),
    Parity("age", 0.05, label="parity"),
    ReturnFloor(0.5, label="return", users={"age": "x"}),
    Limit(label="old in a", measure="value", users={"age": "y", "region": "a"}, at_most=5),
    Exclude(label="no 2 for y", users={"age": "y"}, coupons=["2"]),
]


def users(seed: int, n: int = 60, per_user: tuple[int, int] = (0, 1)) -> tuple[Problem, dict[str, float]]:
    generator = np.random.default_rng(seed)
    value = generator.normal(1, 2, (n, 4))
    value[:, 2:][generator.random((n, 2)) < 0.3] = np.nan
    problem = Problem(
        value,
        {"cost": generator.uniform(0, 3, (n, 4)), "points": generator.uniform(-1, 1, (n, 4))},
        groups={"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)},
        per_user=per_user,
    )
    labels = [row.label for limit in LIMITS for row in limit.rows(problem) if not row.is_exclusion]
    return problem, {label: float(p) for label, p in zip(labels, generator.normal(0, 0.5, 99), strict=False)}


def groups_of(problem: Problem, user: int) -> dict[str, str]:
    return {name: g.labels[g.codes[user]] for name, g in problem.groups.items()}


def reduced_by_rows(problem: Problem, prices: dict[str, float], user: int) -> np.ndarray:
    """Return value less prices paid, term by term from the rows' own statements."""
    reduced = problem.value[user].astype(float)
    for row in [row for limit in LIMITS for row in limit.rows(problem)]:
        for term in row.terms:
            if any(problem.groups[c].codes[user] not in codes for c, codes in term.users.items()):
                continue
            if row.is_exclusion:
                reduced = np.where(term.coupons, -np.inf, reduced)
                continue
            amount = 1.0 if term.measure == "count" else problem.measure(term.measure)[user]
            reduced = reduced - prices[row.label] * term.weight * amount * term.coupons
    return np.where(np.isnan(problem.value[user]), -np.inf, reduced)


@QUICK
@given(st.integers(0, 10_000), st.sampled_from([(0, 1), (0, 2), (1, 1), (1, 3), (2, 4)]))
def test_one_by_one_in_batches_and_by_the_rows_agree(seed, per_user):
    problem, prices = users(seed, per_user=(min(per_user[0], 2), per_user[1]))
    pricer = Pricer(problem, LIMITS, prices)
    labels = {name: np.array(g.labels)[g.codes] for name, g in problem.groups.items()}
    many = pricer.decide_many(problem.value, problem.measures, labels).reshape(problem.n_users, -1)
    for i in range(problem.n_users):
        amounts = {name: array[i] for name, array in problem.measures.items()}
        expected = reduced_by_rows(problem, prices, i)
        assert pricer.reduced_values(problem.value[i], amounts, groups_of(problem, i)) == pytest.approx(
            expected, rel=1e-12, abs=1e-12
        )
        one = pricer.decide(problem.value[i], amounts, groups_of(problem, i))
        assert one == tuple(str(j) for j in many[i] if j >= 0)
        best = sorted(range(4), key=lambda j: -expected[j])[: per_user[1]]
        right = [
            j for k, j in enumerate(best) if np.isfinite(expected[j]) and (expected[j] > 0 or k < per_user[0])
        ]
        assert one == tuple(map(str, right))


def test_threads_share_a_pricer():
    problem, prices = users(3, n=400)
    pricer = Pricer(problem, LIMITS, prices)

    def decide(i: int) -> tuple[str, ...]:
        amounts = {name: array[i] for name, array in problem.measures.items()}
        return pricer.decide(problem.value[i], amounts, groups_of(problem, i))

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(decide, range(400)))
    assert together == [decide(i) for i in range(400)]


def test_a_label_the_plan_has_not_seen_belongs_to_no_group():
    problem, prices = users(4)
    pricer = Pricer(problem, LIMITS, prices)
    value, amounts = [5.0, 5.0, 5.0, 5.0], {"cost": np.zeros(4), "points": np.zeros(4)}
    new = pricer.reduced_values(value, amounts, {"region": "new", "age": "new"})
    everyone = sum(prices[f"each[{g}]"] for g in "abc")  # who belongs to no region pays for none
    assert np.isfinite(new[2])
    assert not np.isclose(new[0], 5.0 - everyone)
    many = pricer.decide_many([value] * 2, {name: [a] * 2 for name, a in amounts.items()},
                              {"region": ["new", "a"], "age": ["new", "y"]})  # fmt: skip
    assert pricer.decide(value, amounts, {"region": "new", "age": "new"}) == (str(many[0]),)


def test_a_batch_of_no_users_and_wrong_shapes():
    problem, prices = users(5)
    pricer = Pricer(problem, LIMITS, prices)
    nobody = pricer.decide_many(
        np.zeros((0, 4)), {"cost": np.zeros((0, 4)), "points": 0.0}, {"region": [], "age": []}
    )
    assert nobody.shape == (0,)
    with pytest.raises(InputError, match="4 coupons"):
        pricer.decide_many(np.zeros((2, 3)), {}, {})
    ages = {"age": ["x", "y"]}
    with pytest.raises(InputError, match="label in this column"):
        pricer.decide_many(np.zeros((2, 4)), {}, ages)
    with pytest.raises(InputError, match="wrong number of labels"):
        pricer.decide_many(np.zeros((2, 4)), {}, {"region": ["a"], **ages})
    with pytest.raises(InputError, match="needs this measure"):
        pricer.decide_many(np.zeros((2, 4)), {}, {"region": ["a", "b"], **ages})
    with pytest.raises(InputError, match="wrong shape"):
        pricer.decide_many(
            np.zeros((2, 4)), {"cost": np.zeros((3, 4)), "points": 0.0}, {"region": ["a", "b"], **ages}
        )
