"""The certificate accepts what is right and rejects everything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import Budget, Exclude, Inventory, Parity, Problem, certify, solve
from allocator.certificate import recount
from support.small_problems import small_problems


@pytest.fixture(scope="module")
def solution():
    generator = np.random.default_rng(2)
    region = generator.choice(["a", "b"], 2_000)
    problem = Problem(
        generator.gamma(2, 1, (2_000, 3)),
        {"cost": generator.uniform(1, 3, (2_000, 3))},
        groups={"region": region},
    )
    limits = [Budget(1_000, label="total"), Inventory({"0": 150}), Parity("region", 0.02)]
    return solve(problem, limits, gap=1e-4)


def tampered(solution, change):
    choice = solution.choice.copy()
    change(choice)
    return certify(
        solution.problem, solution.limits, choice, solution.prices, solution.objective, solution.bound
    )


def test_untouched_plan_passes(solution):
    assert solution.verify().valid


def test_verify_notices_an_assignment_changed_in_place(solution):
    user = int(np.argmax(solution.choice < 0))
    solution.choice[user] = 1
    try:
        assert not solution.verify().valid
    finally:
        solution.choice[user] = -1
    assert solution.verify().valid


def test_one_more_assignment_breaks_budget_and_statement(solution):
    def add(choice):
        choice[np.flatnonzero(choice < 0)[:5]] = 1

    problems = " ".join(tampered(solution, add).problems)
    assert "limit 'total' is violated" in problems
    assert "as stated" in problems


def test_one_assignment_less_is_not_worth_what_is_stated(solution):
    def drop(choice):
        choice[np.argmax(choice >= 0)] = -1

    assert any("as stated" in problem for problem in tampered(solution, drop).problems)


def test_unknown_coupon_and_ineligible_user_are_named(solution):
    assert "name no coupon" in tampered(solution, lambda choice: choice.__setitem__(0, 7)).problems[0]
    problem = Problem([[np.nan, 1.0]], user_ids=["u1"])
    assert "not eligible" in certify(problem, [], np.array([0]), {}).problems[0]


def test_a_coupon_twice_and_too_many_coupons_are_named():
    problem = Problem([[1.0, 1.0, 1.0]], per_user=(0, 2))
    assert "twice" in certify(problem, [], np.array([[1, 1]]), {}).problems[0]
    assert "more than 2" in certify(problem, [], np.array([[0, 1, 2]]), {}).problems[0]


def test_prices_of_the_wrong_sign_or_of_no_limit_are_rejected(solution):
    choice = solution.choice
    wrong = certify(solution.problem, solution.limits, choice, {**solution.prices, "total": -1.0})
    assert any("wrong sign" in problem for problem in wrong.problems)
    unknown = certify(solution.problem, solution.limits, choice, {**solution.prices, "nothing": 1.0})
    assert any("unknown limits" in problem for problem in unknown.problems)


def test_stated_bound_below_the_plan_is_rejected(solution):
    certificate = certify(
        solution.problem, solution.limits, solution.choice, solution.prices, None, 0.9 * solution.objective
    )
    assert any("bound" in problem for problem in certificate.problems)


def test_exclusion_is_checked_and_counts_in_the_bound():
    problem = Problem([[5.0, 1.0]], groups={"g": ["x"]})
    limits = [Exclude(label="no 0 for x", users={"g": "x"}, coupons=["0"])]
    assert "violated" in certify(problem, limits, np.array([0]), {}).problems[0]
    assert certify(problem, limits, np.array([1]), {}).dual_bound == 1.0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(small_problems(users=(2, 6), coupons=(1, 3)), st.data())
def test_weak_duality_any_prices_bound_any_feasible_plan(case, data):
    problem, limits = case
    rows = [row for limit in limits for row in limit.rows(problem)]
    prices = {}
    for row in rows:
        low = -2.0 if np.isfinite(row.at_least) else 0.0
        high = 2.0 if np.isfinite(row.at_most) else 0.0
        prices[row.label] = data.draw(st.floats(low, high))
    choice = np.array([data.draw(st.integers(-1, problem.n_coupons - 1)) for _ in range(problem.n_users)])
    certificate = certify(problem, limits, choice, prices)
    if certificate.valid:
        assert certificate.dual_bound >= certificate.objective - 1e-9


def plain_certificate(problem, limits, choice, prices):
    """Return objective, dual bound and usage by plain masks, without the certificate's own loop."""
    rows = [row for limit in limits for row in limit.rows(problem)]

    def pairs(term):
        users = np.ones(problem.n_users, bool)
        for column, codes in term.users.items():
            users &= np.isin(problem.groups[column].codes, list(codes))
        measure = np.ones(problem.value.shape) if term.measure == "count" else problem.measure(term.measure)
        return term.weight * np.where(users[:, None] & term.coupons, measure, 0.0)

    given = np.zeros(problem.value.shape, bool)
    user, slot = np.nonzero(choice >= 0)
    given[user, choice[user, slot]] = True
    reduced, bound, used = problem.value.astype(float), 0.0, {}
    for row in rows:
        amount = sum(pairs(term) for term in row.terms)
        used[row.label] = amount[given].sum()
        if row.is_exclusion:
            reduced[amount > 0] = -np.inf
        else:
            price = prices.get(row.label, 0.0)
            bound += price * (row.at_most if price > 0 else row.at_least) if price else 0.0
            reduced = reduced - price * amount
    ordered = -np.sort(-np.where(np.isnan(reduced), -np.inf, reduced), axis=1)
    fewest, most = problem.per_user
    gains = [ordered[:, k] if k < fewest else np.maximum(ordered[:, k], 0.0) for k in range(most)]
    return problem.value[given].sum(), bound + sum(gain.sum() for gain in gains), used


@pytest.mark.parametrize("per_user", [(0, 1), (0, 2), (1, 1), (1, 3)])
@pytest.mark.parametrize("room", [1 << 20, 0])
def test_certificate_agrees_with_plain_masks(monkeypatch, per_user, room):
    monkeypatch.setattr(recount, "DENSE", room)  # both ways of finding a group's place
    monkeypatch.setattr(recount, "CHUNK", 100)
    generator = np.random.default_rng(7)
    n, m = 1_000, 4
    value = generator.normal(1, 1, (n, m))
    value[generator.random((n, m)) < 0.2] = np.nan
    value[:, 0] = generator.normal(1, 1, n)
    problem = Problem(
        value,
        {
            "cost": generator.uniform(0, 2, (n, m)).astype(np.float32),
            "points": generator.normal(0, 1, (n, m)),
        },
        groups={"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)},
        per_user=per_user,
    )
    limits = [
        Budget(1e6, label="total"),
        Budget(1e6, label="of b", users={"region": "b"}),
        Budget(
            1e6, label="both", measure="points", users={"region": ["a", "c"], "age": "y"}, coupons=["1", "2"]
        ),
        Parity("age", 1.0, rate="benefit"),
        Parity(["region", "age"], 1.0, label="cross"),
        Exclude(users={"age": "x"}, coupons=["3"]),
    ]
    labels = [row.label for limit in limits for row in limit.rows(problem) if not row.is_exclusion]
    prices = {
        label: float(price) for label, price in zip(labels, generator.uniform(0, 0.3, 99), strict=False)
    }
    choice = np.full((n, per_user[1]), -1)
    choice[:, 0] = 0
    expected = plain_certificate(problem, limits, choice, prices)
    found = certify(problem, limits, choice, prices)
    assert found.objective == pytest.approx(expected[0], rel=1e-12)
    assert found.dual_bound == pytest.approx(expected[1], rel=1e-12)
    assert {row.label: row.used for row in found.rows} == pytest.approx(expected[2], rel=1e-9, abs=1e-9)
    assert certify(problem, limits, choice, prices, threads=1) == found


def test_a_coupon_for_an_ineligible_user_is_named_wherever_the_user_is(monkeypatch):
    monkeypatch.setattr(recount, "CHUNK", 10)
    value = np.ones((100, 1))
    value[[37, 64]] = np.nan
    (problem,) = certify(Problem(value), [], np.zeros(100, int), {}).problems
    assert problem == "2 users get a coupon they are not eligible for, for example '37'"
