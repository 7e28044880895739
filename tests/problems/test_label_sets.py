"""Several labels for one user: limits, prices and decisions online count everyone who has one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator import Budget, Exclude, Floor, InputError, LabelSets, Limit, MaxMin, Problem, certify, solve
from allocator.online import Decider, DecisionRequest, MemoryLedger, OnlinePlan
from allocator.problem.label_sets import labels_in
from allocator.problem.labels import MISSING
from support.small_problems import slow_data

NAMES = ("staff", "VIP", "loyal", "new")
SETS = st.lists(st.sampled_from(NAMES), max_size=4).map(", ".join)


def problem_of(cells: list[str], value: list[list[float]] | None = None) -> Problem:
    worth = (
        np.array(value)
        if value
        else np.tile([3.0, 2.0], (len(cells), 1)) + 0.1 * np.arange(len(cells))[:, None]
    )
    return Problem(worth, {"cost": np.ones(worth.shape)}, groups={"tags": LabelSets.from_cells(cells)})


def test_order_and_spaces_make_no_other_set() -> None:
    sets = LabelSets.from_cells(["VIP,staff", " staff , VIP", "staff,staff", "", None])
    assert sets.labels == (MISSING, "VIP, staff", "staff")
    assert sets.names == (MISSING, "VIP", "staff")
    assert sets.codes.tolist() == [1, 1, 2, 0, 0]
    assert labels_in("a b  c", " ") == ("a", "b", "c")
    assert LabelSets.from_cells(["a|b", "b"], "|").labels == ("a| b", "b")


@slow_data(40)
@given(
    st.lists(SETS, min_size=1, max_size=12),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True),
)
def test_a_limit_counts_whoever_has_one_of_its_labels(cells: list[str], asked: list[str]) -> None:
    problem = problem_of(cells)
    have = np.array([bool({part.strip() for part in cell.split(",")} & set(asked)) for cell in cells])
    if not all(any(name in cell for cell in cells) for name in asked):
        with pytest.raises(InputError, match="is called this"):
            Limit(label="x", measure="count", users={"tags": asked}, at_most=1).rows(problem)
        return
    limits = [
        Limit(label="few", measure="count", users={"tags": asked}, at_most=1),
        Floor(0.0, label="each", by="tags"),
    ]
    solution = solve(problem, limits)
    given = solution.choice >= 0
    assert given[~have].all()
    assert given[have].sum() == min(1, have.sum())
    used = {row.label: row.used for row in solution.usage}
    for name in {part for cell in cells for part in labels_in(cell, ",")}:
        assert used[f"each[{name}]"] == sum(
            given[i] for i, cell in enumerate(cells) if name in labels_in(cell, ",")
        )
    assert certify(problem, limits, solution.choice, solution.prices).valid


def test_combinations_with_another_column_are_of_single_labels() -> None:
    groups = {"tags": LabelSets.from_cells(["a,b", "b", "a"]), "region": ["n", "n", "s"]}
    problem = Problem(np.ones((3, 1)), groups=groups)
    rows = Floor(0.0, label="each", by=["region", "tags"]).rows(problem)
    assert [row.label for row in rows] == ["each[n, a]", "each[n, b]", "each[s, a]"]


def test_a_fair_objective_needs_groups_that_share_nobody() -> None:
    with pytest.raises(InputError, match="share no user"):
        solve(problem_of(["staff", "staff, VIP"]), objective=MaxMin("tags"))


CELLS = ["staff", "staff, VIP", "VIP", "loyal", "loyal, VIP", ""]


def decided(cell: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a pricer and an online plan give a user with these labels."""
    value = [[3.0, 2.0]] * len(CELLS)
    solution = solve(problem_of(CELLS, value), [Budget(100), Exclude(label="no", users={"tags": "staff"})])
    plan = OnlinePlan.from_json(OnlinePlan.from_solution(solution, "plan").to_json())
    decider = Decider(plan, MemoryLedger(), clock=lambda: 0.0)
    request = DecisionRequest("r1", np.array([3.0, 2.0]), {"cost": np.ones(2)}, groups={"tags": cell})
    priced = solution.pricer().decide([3.0, 2.0], {"cost": [1.0, 1.0]}, {"tags": cell})
    given = [one.coupon_id for one in decider.decide([request])[0] if one.coupon_id is not None]
    return priced, tuple(given)


@pytest.mark.parametrize("cell", ["staff", "VIP, staff", "new,staff", "staff , loyal,x"])
def test_users_who_come_later_with_another_set_are_excluded_too(cell: str) -> None:
    assert decided(cell) == ((), ())


@pytest.mark.parametrize("cell", ["", "VIP", "new", "staffing, VIP"])
def test_others_are_not_excluded(cell: str) -> None:
    assert decided(cell) == (("0",), ("0",))


def test_problems_of_some_users_keep_their_sets() -> None:
    part = problem_of(CELLS).of_users(np.array([1, 4]))
    sets = part.groups["tags"]
    assert isinstance(sets, LabelSets)
    assert [sets.names_of(code) for code in sets.codes] == [("VIP", "staff"), ("VIP", "loyal")]


def test_plans_without_sets_say_nothing_of_them() -> None:
    solution = solve(Problem([[1.0]], groups={"region": ["n"]}))
    assert "separators" not in OnlinePlan.from_solution(solution, "p").to_json()
