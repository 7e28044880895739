"""Fairness: groups of several columns, max-min plans, and what fairness costs."""

from __future__ import annotations

import itertools

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator import (
    Budget,
    Floor,
    InfeasibleError,
    InputError,
    Inventory,
    MaxMin,
    Parity,
    Problem,
    ProportionalFairness,
    Share,
    certify,
    solve,
)


def shop(n: int, seed: int = 0) -> Problem:
    """Users of four groups by region and age, one of them rare and poor, one combination missing."""
    generator = np.random.default_rng(seed)
    region = generator.choice(["east", "west"], n, p=[0.7, 0.3])
    age = np.where(region == "west", "18-24", generator.choice(["18-24", "25+"], n))
    scale = np.where(region == "west", 0.3, 1.0) * np.where(age == "18-24", 0.7, 1.0)
    value = generator.gamma(2, 1, (n, 3)) * scale[:, None]
    cost = generator.uniform(0.5, 3, (n, 3))
    return Problem(value, {"cost": cost}, groups={"region": region, "age": age})


def per_head(solution, *columns: str) -> dict[str, float]:
    """Return each group's value a head, by plain loops."""
    problem = solution.problem
    names = [", ".join(problem.groups[c].labels[problem.groups[c].codes[i]] for c in columns)
             for i in range(problem.n_users)]  # fmt: skip
    total: dict[str, float] = dict.fromkeys(names, 0.0)
    for i, j in enumerate(solution.choice):
        total[names[i]] += float(problem.value[i, j]) if j >= 0 else 0.0
    return {name: total[name] / names.count(name) for name in total}


def labels(limit, problem: Problem) -> list[str]:
    return [row.label for row in limit.rows(problem)]


def test_several_columns_make_a_row_for_each_combination_that_occurs():
    problem = shop(200)
    by = ["region", "age"]
    expected = ["[east, 18-24]", "[east, 25+]", "[west, 18-24]"]
    assert labels(Parity(by, 0.1), problem) == [f"parity{name}" for name in expected]
    assert labels(Floor(0.1, by=by, per_head=True), problem) == [f"floor{name}" for name in expected]
    assert labels(Share(label="s", by=tuple(by), at_least=0.1), problem) == [f"s{name}" for name in expected]
    both = Share(label="s", by="region", at_least=0.1, at_most=0.8)
    assert labels(both, problem) == [
        f"s[{r}][{side}]" for r in ("east", "west") for side in ("at_least", "at_most")
    ]
    assert labels(Floor(1, by="age", users={"region": "west"}), problem) == ["floor[18-24]"]


@pytest.mark.parametrize("rate", ["assigned", "benefit"])
def test_parity_of_combinations_holds_by_hand(rate):
    problem = shop(3_000)
    tolerance = 0.05
    parity = Parity(["region", "age"], tolerance, label="fair", rate=rate)
    free = solve(problem, [Budget(600, label="total")], gap=1e-3)
    fair = solve(problem, [Budget(600, label="total"), parity], gap=1e-3, time_limit=3)

    def gaps(solution):
        given = np.where(solution.choice >= 0, 1.0 if rate == "assigned" else np.take_along_axis(
            problem.value, np.maximum(solution.choice, 0)[:, None].astype(int), 1)[:, 0], 0.0)  # fmt: skip
        codes = problem.groups["region"].codes * 2 + problem.groups["age"].codes
        return [abs(given[codes == code].mean() - given.mean()) for code in np.unique(codes)]

    assert max(gaps(free)) > 2 * tolerance
    assert max(gaps(fair)) <= tolerance + 1e-9


def test_shares_of_each_group_hold():
    problem = shop(2_000)
    solution = solve(
        problem, [Budget(500, label="total"), Share(label="s", by="region", at_least=0.35)], gap=1e-4
    )
    spend = {"east": 0.0, "west": 0.0}
    for i, j in enumerate(solution.choice):
        if j >= 0:
            spend[problem.groups["region"].labels[problem.groups["region"].codes[i]]] += problem.measures[
                "cost"
            ][i, j]
    assert min(spend.values()) >= 0.35 * sum(spend.values()) - 1e-6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Floor(1, by=["region", "region"]), "names 'region' twice"),
        (lambda: Floor(1, by=[]), "by names no column"),
        (lambda: Floor(1, by=["age", "region"], users={"region": "east"}), "both by and users"),
        (lambda: Parity(["region", "height"], 0.1).rows(shop(20)), "unknown column"),
        (lambda: solve(shop(20), objective=MaxMin(["region", "height"])), "unknown group column"),
        (lambda: solve(shop(20), objective=MaxMin([])), "unknown group column"),
        (lambda: solve(shop(20), objective=MaxMin("region", {"east": 1})), "one weight above 0"),
        (lambda: solve(shop(20), objective=MaxMin("region"), method="exact"), "convex or auto"),
    ],
)  # fmt: skip
def test_groups_that_make_no_sense_say_why(make, words):
    with pytest.raises(InputError, match=words):
        make()


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10_000), st.sampled_from([None, {"a": 2.0, "b": 1.0}]))
def test_max_min_agrees_with_trying_every_plan(seed, weights):
    generator = np.random.default_rng(seed)
    value = generator.integers(1, 50, (5, 2)) / 8
    problem = Problem(
        value, {"cost": generator.integers(1, 5, (5, 2))}, groups={"g": ["a", "a", "b", "b", "b"]}
    )
    limits = [Budget(6, label="total")]
    owed = {g: size * (weights or {"a": 1, "b": 1})[g] for g, size in (("a", 2), ("b", 3))}
    best = (-1.0, 0.0)
    for plan in itertools.product([-1, 0, 1], repeat=5):
        if not certify(problem, limits, np.array(plan), {}).valid:
            continue
        earned = [value[i, j] if j >= 0 else 0.0 for i, j in enumerate(plan)]
        best = max(best, (min(sum(earned[:2]) / owed["a"], sum(earned[2:]) / owed["b"]), sum(earned)))
    solution = solve(problem, limits, objective=MaxMin("g", weights))
    assert solution.utility == pytest.approx(best[0], rel=1e-5)
    assert solution.utility_bound >= best[0] * (1 - 1e-9)
    assert solution.objective == pytest.approx(best[1], rel=1e-5)


def test_max_min_bound_is_the_optimum_of_the_linear_program():
    problem = shop(300, seed=2)
    value, cost = problem.value, problem.measures["cost"]
    codes = problem.groups["region"].codes
    x, least = cp.Variable(value.size, nonneg=True), cp.Variable()
    member, user = np.kron(np.eye(300), np.ones(3)), np.repeat(codes, 3)
    heads = [(value.ravel() * (user == g)) @ x / (codes == g).sum() for g in (0, 1)]
    within = [member @ x <= 1, cost.ravel() @ x <= 60]
    relaxed = cp.Problem(cp.Maximize(least), [*within, *(head >= least for head in heads)]).solve(
        solver=cp.HIGHS
    )
    solution = solve(problem, [Budget(60, label="total")], objective=MaxMin("region"), gap=1e-4, time_limit=4)
    assert solution.utility <= relaxed * (1 + 1e-9)
    assert relaxed * (1 - 1e-9) <= max(solution.utility_bound, relaxed)
    assert solution.utility >= 0.995 * relaxed
    assert solution.utility_bound <= relaxed * (1 + 1e-5)


def test_max_min_at_size_is_certified_and_lifts_the_worst_off():
    problem = shop(20_000)
    limits = [Budget(4_000, label="total"), Inventory({"0": 1_500})]
    fair = solve(problem, limits, objective=MaxMin(["region", "age"]), gap=1e-4)
    greedy = solve(problem, limits, gap=1e-4)
    heads = per_head(fair, "region", "age")
    assert fair.gap <= 1e-4
    assert fair.utility == pytest.approx(min(heads.values()), rel=1e-9)
    assert min(heads.values()) > 2 * min(per_head(greedy, "region", "age").values())
    assert fair.objective < greedy.objective
    assert fair.verify().valid


def test_what_one_group_cannot_use_is_not_wasted():
    # Group b can get 1 a head at most, whatever is spent; the rest of the budget must go to group a.
    problem = Problem([[4.0], [4.0], [1.0]], {"cost": [[1.0]] * 3}, groups={"g": ["a", "a", "b"]})
    solution = solve(problem, [Budget(3, label="total")], objective=MaxMin("g"))
    assert solution.choice.tolist() == [0, 0, 0]
    assert solution.utility == 1.0


def test_fair_objectives_take_combinations():
    problem = shop(2_000)
    weights = {"east, 18-24": 1.0, "east, 25+": 1.0, "west, 18-24": 6.0}
    limits = [Budget(400, label="total")]
    even, west = (
        solve(problem, limits, objective=ProportionalFairness(["region", "age"], w), gap=1e-3, time_limit=8)
        for w in (None, weights)
    )
    assert per_head(west, "region")["west"] > per_head(even, "region")["west"]


def test_clashing_limits_are_named_under_a_fair_objective():
    problem = shop(100)
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, [Budget(1, label="total"), Floor(90, label="many")], objective=MaxMin("region"))
    assert set(caught.value.labels) == {"total", "many"}


def test_the_price_of_fairness_holds_what_solving_again_finds():
    problem = shop(20_000)
    limits = [
        Budget(4_000, label="total"),
        Floor(0.25, by="region", per_head=True, label="every region"),
        Parity("age", 0.02, label="ages"),
        Floor(1, label="anyone"),
    ]
    plan = solve(problem, limits, gap=1e-4, time_limit=5)
    prices = {price.label: price for price in plan.price_of_fairness()}
    assert set(prices) == {"every region", "ages", "anyone"}
    for label in ("every region", "ages"):
        without = solve(problem, [limit for limit in limits if limit.label != label], gap=1e-5, time_limit=5)
        lost = without.objective - plan.objective
        assert prices[label].lost_at_least <= lost + 1e-5 * plan.objective
        assert lost <= prices[label].lost_at_most + 1e-9 * plan.objective
        assert prices[label].lost_at_most - lost <= 3e-4 * plan.objective
    assert prices["every region"].lost_at_most > 0.005 * plan.objective
    assert prices["every region"].lost_at_least > 0.9 * prices["every region"].lost_at_most
    assert prices["anyone"].lost_at_most <= 3e-4 * plan.objective


def test_the_price_of_a_fair_objective_and_of_any_limit():
    problem = shop(20_000)
    limits = [Budget(4_000, label="total")]
    fair = solve(problem, limits, objective=MaxMin("region"), gap=1e-4)
    greedy = solve(problem, limits, gap=1e-5)
    (price,) = fair.price_of_fairness()
    lost = greedy.objective - fair.objective
    assert price.label == "fair objective"
    assert 0.9 * lost <= price.lost_at_least <= lost * (1 + 1e-6)
    assert lost * (1 - 1e-9) <= price.lost_at_most <= lost * (1 + 1e-2)
    (budget,) = greedy.price_of_fairness(["total"])
    free = float(np.maximum(problem.value.max(axis=1), 0).sum())
    assert budget.lost_at_most == pytest.approx(free - greedy.objective, rel=1e-6)
    with pytest.raises(InputError, match="no limit has this label"):
        greedy.price_of_fairness(["nothing"])


def test_a_campaign_asks_for_fairness(tiny):
    from allocator.campaign import read_campaign
    from allocator.runs.pipeline import run_campaign

    def objective(text: str):
        return tiny.replace("campaign.toml", "[copy]", f"[objective]\n{text}\n[copy]")

    folder = objective('fairness = "max_min"\nby = "region"')
    result = run_campaign(folder.path, predict=False, copy=False)
    assert result.summary["fairness"]["kind"] == "max_min"
    assert result.summary["fairness"]["utility"] == min(
        row["value"] / row["users"] for row in result.summary["by_group"]["region"]
    )
    assert result.summary["price_of_fairness"][0]["label"] == "fair objective"
    for old, new, column in (
        ('by = "region"', 'by = ["region", "height"]', "objective.by"),
        ('by = ["region", "height"]', "", "objective"),
        ('fairness = "max_min"', 'by = "region"', "objective"),
        ('by = "region"', 'fairness = "most"', "objective.fairness"),
    ):
        wrong = tiny.replace("campaign.toml", old, new)
        with pytest.raises(InputError) as caught:
            read_campaign(wrong.path)
        assert [finding.column for finding in caught.value.findings] == [column]
