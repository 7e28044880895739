"""A plan for online decisions: what it holds of a solved one, its file, and its agreement with `Pricer`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator import Budget, Exclude, InputError, MaxMin, Pricer, Problem, run_campaign, solve
from allocator.campaign.config import parse_config, read_config
from allocator.limits.row_tables import named_terms
from allocator.online import (
    Decider,
    DecisionRequest,
    MemoryLedger,
    OnlinePlan,
    PlanRow,
    read_online_plan,
)
from allocator.online.records import to_amount, to_cap
from allocator.runs.options import Options
from benchmarks.instances import retail
from support.online_plans import Clock, row, small_plan
from support.small_problems import small_problems


@pytest.fixture(scope="module")
def solved():
    return solve(*retail(2_000), gap=1e-3)


def test_a_plan_holds_every_row_with_its_price_and_says_which_are_guaranteed(solved):
    plan = OnlinePlan.from_solution(solved, "retail")
    assert {r.label: r.price for r in plan.rows} == dict(solved.prices)
    assert (plan.users, plan.objective, plan.measures) == (2_000, solved.objective, ("cost",))
    assert plan.group_columns == ("age", "region")
    names = {r.label for r in plan.guaranteed}
    assert {"total", "east budget", "inventory[0]"} <= names
    assert not any("region[" in name or "age" in name or "every" in name for name in names)
    usage = {u.label: u.used for u in solved.usage}
    assert all(r.rate >= abs(usage[r.label]) / 2_000 - 1e-12 and r.worth > 0 for r in plan.rows)


def test_a_plan_survives_its_file(solved, tmp_path):
    plan = OnlinePlan.from_solution(solved, "retail", starts_at=1.0, ends_at=9.0, profile=(1, 2, 1))
    (tmp_path / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    assert read_online_plan(tmp_path) == read_online_plan(tmp_path / "plan.json") == plan
    json.loads(plan.to_json(), parse_constant=pytest.fail)  # no infinities


ARRIVALS = """
[online]
starts_at = 2026-06-01T00:00:00Z
ends_at = 2026-06-29T00:00:00+02:00
profile = [1, 3]
"""


def test_a_campaign_says_when_users_arrive(tiny, tmp_path):
    toml = tiny.path / "campaign.toml"
    toml.write_text(toml.read_text() + ARRIVALS)
    run_campaign(tiny.path, tmp_path / "run", options=Options(charts=False), predict=False, copy=False)
    plan = read_online_plan(tmp_path / "run")
    assert (plan.starts_at, plan.ends_at, plan.profile) == (1780272000.0, 1782684000.0, (1.0, 3.0))
    resolved = read_config(tmp_path / "run")
    assert resolved.online == read_config(tiny.path).online


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("starts_at = 2026-06-01T00:00:00Z", "starts_at and ends_at belong together"),
        ("starts_at = 2026-06-02\nends_at = 2026-06-01", "ends_at must be after starts_at"),
        ("profile = [1, 2]", "give starts_at and ends_at"),
        ('starts_at = "soon"\nends_at = 2026-06-01', "online.starts_at"),
        ("starts_at = 2026-06-01\nends_at = 2026-06-02\nprofile = [0, 0]", "not be all 0"),
        ("starts_at = 2026-06-01\nends_at = 2026-06-02\nprofile = [1, -1]", "profile\\[2\\]"),
    ],
)
def test_a_time_that_cannot_be_is_an_error(table, told):
    with pytest.raises(InputError, match=told):
        parse_config(f'schema = 1\nname = "x"\n[online]\n{table}\n')


DAMAGE = {
    "not JSON": (lambda d: "{", "cannot be read as JSON"),
    "another version": (lambda d: d | {"schema": 99}, "no plan of this version"),
    "no rows": (lambda d: {k: v for k, v in d.items() if k != "rows"}, "rows: .*field required"),
    "a text for a number": (lambda d: d | {"users": "many"}, "users: .*integer"),
    "an unknown key": (lambda d: d | {"secret": 1}, "secret"),
    "an unknown coupon": (lambda d: d | {"coupon_ids": ["0", "1"]}, "unknown coupon.*found '2'"),
    "an unknown column": (lambda d: d | {"groups": {}}, "unknown group column"),
    "a row twice": (lambda d: d | {"rows": [*d["rows"], d["rows"][0]]}, "two rows have this label"),
    "no id": (lambda d: d | {"plan_id": " "}, "needs an id"),
    "an end without a start": (lambda d: d | {"ends_at": 3.0}, "belong together"),
    "an end before the start": (lambda d: d | {"starts_at": 5.0, "ends_at": 3.0}, "ends before"),
    "a profile of nothing": (lambda d: d | {"profile": [0, 0]}, "profile"),
    "a negative size": (lambda d: d | {"rows": [d["rows"][0] | {"margin": -1}]}, "margin: .*0 or more"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_said_to_be_damaged(kind, solved, tmp_path):
    change, message = DAMAGE[kind]
    damaged = change(json.loads(OnlinePlan.from_solution(solved, "retail").to_json()))
    (tmp_path / "plan.json").write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    with pytest.raises(InputError, match=message) as error:
        read_online_plan(tmp_path)
    assert all("plan.json" in finding.file for finding in error.value.findings)
    with pytest.raises(InputError, match="no online plan here"):
        read_online_plan(tmp_path / "nothing")


def test_what_prices_do_not_carry_is_refused():
    problem = Problem([[3.0], [4.0]], {"cost": [[1.0], [1.0]]}, groups={"region": ["a", "b"]})
    with pytest.raises(InputError, match="fair objective"):
        OnlinePlan.from_solution(solve(problem, [Budget(1)], objective=MaxMin("region")), "fair")


def test_a_risky_budget_keeps_what_the_plan_keeps_free():
    generator = np.random.default_rng(0)
    cost = generator.uniform(1, 2, (200, 2))
    problem = Problem(generator.gamma(2, 1, (200, 2)), {"cost": cost, "cost_variance": cost**2})
    limits = [Budget(60, confidence=0.9, label="safe"), Exclude(coupons=["1"], label="none of 1")]
    solution = solve(problem, limits, gap=1e-2)
    plan = OnlinePlan.from_solution(solution, "risky")
    safe = next(r for r in plan.rows if r.label == "safe")
    assert 5 < safe.margin < 20
    assert safe.at_most == 60
    assert [r.label for r in plan.rows if r.is_exclusion] == ["none of 1"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(small_problems(users=(2, 5), coupons=(1, 3), per_user=((0, 1), (0, 2))), st.integers(0, 100))
def test_at_fixed_prices_it_decides_as_the_pricer_does(case, seed):
    problem, limits = case
    generator = np.random.default_rng(seed)
    labels = [r.label for limit in limits for r in limit.rows(problem)]
    prices = {label: float(p) for label, p in zip(labels, generator.normal(0, 1, 99), strict=False)}
    rows = [r for limit in limits for r in limit.rows(problem)]
    plan = OnlinePlan(
        plan_id="p",
        coupon_ids=tuple(problem.coupon_ids.tolist()),
        per_user=problem.per_user,
        groups={"region": problem.groups["region"].labels},
        rows=tuple(  # exclusions stay; all other bounds are out of reach
            PlanRow(label=r.label, terms=named_terms(problem, r), price=prices[r.label],
                    at_most=0.0 if r.is_exclusion else 1e6)
            for r in rows
        ),
        users=problem.n_users,
        objective=0.0,
    )  # fmt: skip
    pricer = Pricer(problem, limits, prices)
    decider = Decider(plan, MemoryLedger(), clock=Clock(), pacing="fixed")
    groups = problem.groups["region"]
    for i in range(problem.n_users):
        measures = {"cost": problem.measures["cost"][i]}
        where = {"region": groups.labels[groups.codes[i]]}
        (answer,) = decider.decide([DecisionRequest(str(i), problem.value[i], measures, where)])
        given_ = tuple(r.coupon_id for r in answer if r.coupon_id is not None)
        assert given_ == pricer.decide(problem.value[i], measures, where)


def test_amounts_are_exact_to_the_last_unit():
    assert to_amount(0.1) * 3 == to_cap(0.3) == to_amount(0.1 + 0.2)
    assert to_amount(1e-9) == 1
    assert to_cap(1.9999999) == 1_999_999
    assert small_plan().guaranteed[0].label == "total"
    assert not row("soft", at_most=1.0, penalty=2.0).is_guaranteed
