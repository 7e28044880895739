"""`solve` finds the best plan, proves it, and says so when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from allocator import (
    Budget,
    Capacity,
    Exclude,
    Floor,
    InfeasibleError,
    InputError,
    Inventory,
    Limit,
    NoPlanError,
    Parity,
    Problem,
    ProportionalFairness,
    ReturnFloor,
    Share,
    Status,
    certify,
    solve,
)
from support.small_problems import best_by_trying, slow_data, small_problems

SLOW_DATA = slow_data(60)


def campaign(n: int, coupons: int = 6, seed: int = 0) -> tuple[Problem, list]:
    """A problem of realistic shape with limits of several kinds, some of which bind."""
    generator = np.random.default_rng(seed)
    value = generator.gamma(2, 1, (n, coupons)) * generator.lognormal(0, 0.5, (n, 1))
    value[generator.random((n, coupons)) < 0.2] = np.nan
    cost = generator.uniform(0.5, 5, (n, coupons))
    region = generator.choice(["east", "north", "south", "west"], n)
    age = generator.choice(["18-29", "30-49", "50+"], n)
    problem = Problem(value, {"cost": cost}, groups={"region": region, "age": age})
    limits = [
        Budget(0.4 * n, label="total"),
        Inventory({str(j): 0.1 * n for j in range(coupons)}),
        Floor(0.15, by="region", per_head=True, label="every region"),
        Parity("age", 0.02, label="age fairness"),
    ]
    return problem, limits


def check_against_trying_every_plan(problem: Problem, limits: list) -> None:
    best = best_by_trying(problem, limits)
    for method in ("decomposition", "exact"):
        if best is None:
            with pytest.raises((InfeasibleError, NoPlanError)):
                solve(problem, limits, method=method)
        else:
            assert solve(problem, limits, method=method).objective == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("method", ["decomposition", "exact", "convex", "auto"])
def test_methods_find_the_hand_made_optimum(method):
    problem = Problem([[3.0, 5.0], [4.0, 2.0], [1.0, 6.0]], {"cost": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.5]]})
    solution = solve(problem, [Budget(3.5, label="total")], method=method)
    assert solution.choice.tolist() == [-1, 0, 1]
    assert solution.objective == 10.0
    assert solution.status is Status.OPTIMAL


@SLOW_DATA
@given(small_problems())
def test_decomposition_and_exact_agree_with_trying_every_plan(case):
    check_against_trying_every_plan(*case)


@SLOW_DATA
@given(small_problems(users=(2, 3), coupons=(2, 3), per_user=((0, 2), (1, 1), (1, 2))))
def test_several_coupons_a_user_agree_with_trying_every_plan(case):
    check_against_trying_every_plan(*case)


@SLOW_DATA
@given(small_problems(users=(2, 8), coupons=(1, 3)))
def test_the_bound_is_never_below_a_feasible_plan(case):
    problem, limits = case
    try:
        solution = solve(problem, limits)
    except (InfeasibleError, NoPlanError):
        return
    assert solution.bound >= solution.objective - 1e-9
    assert solution.certificate.dual_bound >= solution.objective - 1e-9
    assert solution.verify().valid


def test_large_plan_is_certified_within_the_gap_and_keeps_every_limit():
    problem, limits = campaign(20_000)
    solution = solve(problem, limits, gap=1e-5)
    assert solution.status is Status.OPTIMAL
    assert solution.gap <= 1e-5
    spend = solution.assignments()["cost"].sum()
    assert spend <= 8_000 * (1 + 1e-9)
    rates = {
        age: float((solution.choice[problem.groups["age"].codes == code] >= 0).mean())
        for code, age in enumerate(problem.groups["age"].labels)
    }
    overall = float((solution.choice >= 0).mean())
    assert max(abs(rate - overall) for rate in rates.values()) <= 0.02 + 1e-9


def test_result_does_not_depend_on_threads_or_on_calling_again():
    problem, limits = campaign(70_000)
    plans = [solve(problem, limits, threads=threads, seed=3) for threads in (1, 2, 2)]
    assert all(np.array_equal(plans[0].choice, plan.choice) for plan in plans[1:])
    assert all(plans[0].prices == plan.prices for plan in plans[1:])


def test_order_of_limits_and_of_users_changes_nothing():
    problem, limits = campaign(300, coupons=3)
    first = solve(problem, limits, gap=0, time_limit=30)
    backwards = solve(problem, limits[::-1], gap=0, time_limit=30)
    assert backwards.objective == pytest.approx(first.objective, rel=1e-4)
    shuffled = np.random.default_rng(1).permutation(300)
    other = Problem(
        problem.value[shuffled],
        {"cost": problem.measures["cost"][shuffled]},
        groups={name: np.array(g.labels)[g.codes][shuffled] for name, g in problem.groups.items()},
    )
    assert solve(other, limits, gap=0, time_limit=30).objective == pytest.approx(first.objective, rel=1e-4)


def test_float32_input_solves_to_the_same_value():
    problem, limits = campaign(5_000)
    narrow = Problem(
        problem.value.astype(np.float32),
        {"cost": problem.measures["cost"].astype(np.float32)},
        groups={name: np.array(g.labels)[g.codes] for name, g in problem.groups.items()},
    )
    wide = solve(problem, limits, gap=1e-5).objective
    assert solve(narrow, limits, gap=1e-5).objective == pytest.approx(wide, rel=1e-4)


def test_many_equal_users_are_settled_as_classes():
    generator = np.random.default_rng(5)
    kinds = generator.integers(0, 20, 30_000)
    value, cost = generator.gamma(2, 1, (20, 4))[kinds], generator.uniform(0.5, 5, (20, 4))[kinds]
    solution = solve(Problem(value, {"cost": cost}), [Budget(20_000, label="total"), Inventory({"1": 500})])
    assert solution.gap <= 1e-6


def test_soft_limit_is_violated_only_where_it_pays():
    problem = Problem([[3.0], [2.0], [1.0]])
    cheap = solve(problem, [Capacity(1, label="messages", penalty=1.5)])
    assert cheap.choice.tolist() == [0, 0, -1]
    assert cheap.objective == pytest.approx(3.0 + 2.0 - 1.5)
    hard = solve(problem, [Capacity(1, label="messages")])
    assert hard.choice.tolist() == [0, -1, -1]


def test_every_kind_of_limit_holds_in_the_plan():
    problem, _ = campaign(2_000)
    limits = [
        Budget(900, label="total"),
        Budget(150, label="north budget", users={"region": "north"}),
        Capacity(700, label="messages"),
        Share(label="west share", users={"region": "west"}, at_least=0.3),
        ReturnFloor(1.2, label="return"),
        Exclude(label="no coupon 0 in the east", users={"region": "east"}, coupons=["0"]),
        Limit(label="old", measure="count", users={"age": "50+", "region": ["north", "west"]}, at_least=60),
    ]
    solution = solve(problem, limits, gap=1e-4)
    region = np.array(problem.groups["region"].labels)[problem.groups["region"].codes]
    age = np.array(problem.groups["age"].labels)[problem.groups["age"].codes]
    given, coupon = solution.choice >= 0, solution.choice
    cost = np.where(given, problem.measures["cost"][np.arange(2_000), coupon], 0.0)
    value = np.where(given, problem.value[np.arange(2_000), coupon], 0.0)
    assert cost.sum() <= 900 + 1e-6
    assert cost[region == "north"].sum() <= 150 + 1e-6
    assert given.sum() <= 700
    assert cost[region == "west"].sum() >= 0.3 * cost.sum() - 1e-6
    assert value.sum() >= 1.2 * cost.sum() - 1e-6
    assert not ((coupon == 0) & (region == "east")).any()
    assert (given & (age == "50+") & np.isin(region, ["north", "west"])).sum() >= 60


def test_prices_say_what_one_more_unit_is_worth():
    problem, limits = campaign(20_000)
    base = solve(problem, limits, gap=1e-6)
    price = base.prices["total"]
    more = solve(problem, [Budget(8_050, label="total"), *limits[1:]], gap=1e-6)
    assert (more.bound - base.bound) / 50 == pytest.approx(price, rel=0.02)


def test_warm_start_reaches_the_same_plan_value():
    problem, limits = campaign(20_000)
    base = solve(problem, limits, gap=1e-5)
    changed = [Budget(7_200, label="total"), *limits[1:]]
    warm, cold = solve(problem, changed, gap=1e-5, warm_start=base), solve(problem, changed, gap=1e-5)
    assert warm.objective == pytest.approx(cold.objective, rel=2e-5)


def test_a_warm_start_knows_that_values_are_in_another_unit():
    problem, limits = campaign(30_000)
    base = solve(problem, limits, gap=1e-6)
    cents = Problem(100.0 * problem.value, problem.measures, groups=problem.groups)
    warm, cold = solve(cents, limits, gap=1e-6, warm_start=base), solve(cents, limits, gap=1e-6)
    assert warm.objective == pytest.approx(100.0 * base.objective, rel=2e-6)
    assert warm.trace[-1].passes < cold.trace[-1].passes / 2


def test_a_warm_start_takes_fewer_passes_to_the_same_gap():
    problem, limits = campaign(120_000)
    small = solve(*campaign(3_000), gap=1e-4)
    base = solve(problem, limits, gap=1e-6)
    value = problem.value.copy()
    value[::100] = value[::100, ::-1]
    groups = {name: np.array(group.labels)[group.codes] for name, group in problem.groups.items()}
    for users, rows in (
        (problem, [Budget(0.39 * 120_000, label="total"), *limits[1:]]),
        (problem, [*limits[:2], *limits[3:]]),
        (Problem(value, problem.measures, groups=groups), limits),
    ):
        cold = solve(users, rows, gap=1e-6)
        for start in (base, small):
            warm = solve(users, rows, gap=1e-6, warm_start=start)
            assert warm.gap <= 1e-6
            assert warm.verify().valid
            assert warm.objective == pytest.approx(cold.objective, rel=2e-6)
            other = solve(users, rows, gap=1e-6, warm_start=start, threads=3)
            assert np.array_equal(other.choice, warm.choice)
            assert other.bound == warm.bound
        near = solve(users, rows, gap=1e-6, warm_start=base)
        assert near.trace[-1].passes < cold.trace[-1].passes


def test_pricer_decides_as_the_plan_did():
    problem, limits = campaign(5_000)
    solution = solve(problem, limits, gap=1e-5)
    pricer = solution.pricer()
    same = 0
    for i in range(500):
        groups = {name: g.labels[g.codes[i]] for name, g in problem.groups.items()}
        decided = pricer.decide(problem.value[i], {"cost": problem.measures["cost"][i]}, groups)
        planned = () if solution.choice[i] < 0 else (str(problem.coupon_ids[solution.choice[i]]),)
        same += decided == planned
    assert same >= 490  # all but the few that whole numbers settled


def test_clash_names_the_limits_and_the_repair():
    problem = Problem(
        np.ones((100, 2)), {"cost": np.ones((100, 2))}, groups={"region": ["n"] * 40 + ["s"] * 60}
    )
    limits = [
        Budget(30, label="total"),
        Floor(50, label="enough in the south", users={"region": "s"}),
        Inventory({"0": 90}),
    ]
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, limits)
    assert set(caught.value.labels) == {"total", "enough in the south"}
    assert sum(caught.value.repairs.values()) == pytest.approx(20, rel=0.05)


def test_clash_that_only_whole_numbers_bring_about_is_named():
    problem = Problem([[1.0], [1.0], [1.0]], groups={"g": ["a", "a", "b"]})
    limits = [Capacity(2, label="messages"), Floor(1, label="some"), Parity("g", 0.1, label="parity")]
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, limits)
    assert "messages" in caught.value.labels


def test_time_limit_returns_the_best_plan_so_far():
    problem, limits = campaign(3_000)
    solution = solve(problem, limits, gap=0, time_limit=3)
    assert solution.seconds < 30
    assert solution.verify().valid


def test_cancelling_from_progress_stops_the_solve():
    class CancelledError(Exception):
        pass

    def stop(step: str, done: int, total: int) -> None:
        raise CancelledError

    problem, limits = campaign(2_000)
    with pytest.raises(CancelledError):
        solve(problem, limits, progress=stop)


def test_no_limits_gives_everyone_their_best():
    assert solve(Problem([[1.0, 2.0], [-1.0, -2.0], [np.nan, 3.0]])).choice.tolist() == [1, -1, 1]


def test_nobody_is_eligible():
    solution = solve(Problem(np.full((3, 2), np.nan), {"cost": np.zeros((3, 2))}), [Budget(1, label="total")])
    assert solution.choice.tolist() == [-1, -1, -1]
    assert solution.gap == 0


def test_pricer_says_what_it_needs_and_gives_as_many_as_a_user_may_get():
    problem = Problem(
        np.ones((4, 2)), {"cost": np.ones((4, 2))}, groups={"g": ["a", "a", "b", "b"]}, per_user=(0, 2)
    )
    pricer = solve(
        problem, [Budget(3, label="total", users={"g": "a"}), Exclude(users={"g": "b"}, coupons=["0"])]
    ).pricer()
    assert pricer.decide([5.0, 4.0], {"cost": [1.0, 1.0]}, {"g": "a"}) == ("0", "1")
    assert pricer.decide([5.0, 4.0], {"cost": [1.0, 1.0]}, {"g": "b"}) == ("1",)
    assert pricer.decide([np.nan, -1.0], {"cost": [1.0, 1.0]}, {"g": "b"}) == ()
    with pytest.raises(InputError, match="no such group column"):
        pricer.decide([5.0, 4.0], {"cost": [1.0, 1.0]}, {"G": "a"})
    with pytest.raises(InputError, match="needs this measure"):
        pricer.decide([5.0, 4.0], {}, {"g": "a"})
    with pytest.raises(InputError, match="label in this column"):
        pricer.decide([5.0, 4.0], {"cost": [1.0, 1.0]})


@pytest.mark.parametrize("unit", [1e-9, 1e-4, 1e5, 1e9])
@pytest.mark.parametrize("method", ["decomposition", "exact"])
def test_the_unit_of_value_changes_no_plan(unit, method):
    generator = np.random.default_rng(8)
    value, cost = generator.random((150, 3)), generator.uniform(0.2, 2, (150, 3))
    plain, scaled = (
        solve(Problem(k * value, {"cost": cost}), [Budget(15, label="total")], method=method, gap=1e-5)
        for k in (1, unit)
    )
    assert scaled.objective == pytest.approx(unit * plain.objective, rel=2e-5)
    assert scaled.certificate.dual_bound == pytest.approx(unit * plain.certificate.dual_bound, rel=1e-6)


def test_a_budget_in_tiny_units_is_not_overspent():
    generator = np.random.default_rng(9)
    value, cost = generator.random((500, 3)), 1e-9 * generator.uniform(0.2, 2, (500, 3))
    solution = solve(Problem(value, {"cost": cost}), [Budget(5e-8, label="total")], gap=1e-3)
    assert solution.assignments()["cost"].sum() <= 5e-8 * (1 + 1e-9)


def test_exclusions_that_leave_someone_too_little_are_named():
    problem = Problem(np.ones((4, 1)), groups={"g": ["a", "a", "b", "b"]}, per_user=(1, 1))
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, [Exclude(label="none for a", users={"g": "a"})])
    assert caught.value.labels == ("none for a",)


def test_a_free_or_excluded_user_does_not_spoil_the_proof():
    generator = np.random.default_rng(10)
    value, cost = generator.random((300, 3)), generator.uniform(0.2, 2, (300, 3))
    cost[0] = 0.0
    problem = Problem(value, {"cost": cost}, groups={"g": ["a"] * 3 + ["b"] * 297})
    solution = solve(problem, [Budget(25, label="total"), Exclude(users={"g": "a"}, coupons=["1"])], gap=1e-6)
    assert solution.status is Status.OPTIMAL


def test_repairs_make_a_plan_possible():
    n = 400
    problem = Problem(
        np.ones((n, 2)), {"cost": np.ones((n, 2))}, groups={"g": [str(i % 6) for i in range(n)]}
    )
    floors = Floor(0.5, by="g", per_head=True, label="half of each")
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, [Budget(40, label="total"), floors])
    assert set(caught.value.repairs) == {"total"}
    more = caught.value.repairs["total"]
    assert more == pytest.approx(160, rel=0.05)
    assert solve(problem, [Budget(40 + 1.05 * more, label="total"), floors]).verify().valid


def test_a_penalty_beyond_any_value_still_counts():
    problem = Problem(np.zeros((4, 2)))
    solution = solve(problem, [Limit(label="many", measure="count", at_least=10, penalty=1.0)])
    assert solution.objective == pytest.approx(-6.0)
    assert solution.gap <= 1e-6


def test_no_time_at_all_still_gives_a_plan():
    problem, limits = campaign(60_000, coupons=8)
    budget_and_stock = [limit for limit in limits if not isinstance(limit, Floor | Parity)]
    solution = solve(problem, budget_and_stock, time_limit=0.01)
    assert solution.verify().valid
    assert (solution.choice >= 0).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gap": float("nan")}, "gap"),
        ({"time_limit": 0}, "time_limit"),
        ({"threads": -1}, "threads"),
        ({"seed": -1}, "seed"),
        ({"limits": Budget(3)}, "must be a list"),
        ({"limits": ["total"]}, "not a limit"),
    ],
)
def test_settings_that_make_no_sense_are_input_errors(settings, words):
    problem = Problem([[1.0]], {"cost": [[1.0]]})
    with pytest.raises(InputError, match=words):
        solve(problem, **settings)


def test_a_setting_that_a_method_would_ignore_is_an_error():
    problem = Problem([[1.0]], groups={"g": ["a"]})
    base = solve(problem)
    with pytest.raises(InputError, match="warm_start"):
        solve(problem, method="exact", warm_start=base)
    with pytest.raises(InputError, match="concave objective"):
        solve(problem, method="exact", objective=ProportionalFairness("g"))


def test_unknown_method_and_repeated_labels_are_input_errors():
    problem = Problem([[1.0]], {"cost": [[1.0]]})
    with pytest.raises(InputError, match="unknown method"):
        solve(problem, method="magic")
    with pytest.raises(InputError, match="two limits have this label"):
        solve(problem, [Budget(1, label="a"), Budget(2, label="a")])


def test_two_solves_at_once_do_not_disturb_each_other():
    from concurrent.futures import ThreadPoolExecutor

    problem, limits = campaign(5_000)
    alone = solve(problem, limits, gap=1e-4)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda _: solve(problem, limits, gap=1e-4), range(4)))
    assert all(np.array_equal(alone.choice, plan.choice) for plan in together)


def test_exact_and_decomposition_agree_on_a_middling_problem():
    problem, limits = campaign(400, coupons=3)
    plans = [
        solve(problem, limits, method=method, gap=1e-4, time_limit=40)
        for method in ("decomposition", "exact")
    ]
    assert plans[0].objective == pytest.approx(plans[1].objective, rel=2e-4)
    assert certify(problem, limits, plans[1].choice, plans[0].prices).valid


def test_a_best_plan_worth_nothing_is_optimal():
    """The bound differs from nothing by rounding only, against which no relative gap says anything."""
    for seed in range(60):
        generator = np.random.default_rng(seed)
        n, m = generator.integers(1, 5), generator.integers(1, 3)
        value, cost = generator.uniform(0.1, 5, (n, m)), generator.uniform(0.1, 2, (n, m))
        floor = ReturnFloor(1.1 * float((value / cost).max()), label="return")
        plan = solve(Problem(value, {"cost": cost}), [floor, Budget(3, label="total")])
        assert (plan.objective, plan.bound, plan.gap) == (0.0, 0.0, 0.0)
        assert plan.status is Status.OPTIMAL
