"""What a problem and its limits accept, and what they say of what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from allocator import (
    Budget,
    Capacity,
    Exclude,
    Floor,
    InputError,
    Inventory,
    Limit,
    Parity,
    Problem,
    ReturnFloor,
    Share,
    solve,
)


def test_all_problems_of_the_arrays_are_reported_at_once():
    with pytest.raises(InputError) as caught:
        Problem(
            [[1.0, np.inf], [2.0, 3.0]],
            {"cost": [[1.0, 1.0], [-1.0, 1.0]], "points": [1.0, 2.0, 3.0], "count": 1.0},
            user_ids=["a", "a"],
            groups={"region": ["x"]},
        )
    found = str(caught.value)
    for piece in (
        "infinite",
        "cost is negative",
        "another shape",
        "built in",
        "occurs twice",
        "wrong number of labels",
    ):
        assert piece in found


def test_measure_missing_where_value_is_given_is_an_error():
    with pytest.raises(InputError, match="missing or infinite where value is given"):
        Problem([[1.0, np.nan]], {"cost": [[np.nan, np.nan]]})
    Problem([[1.0, np.nan]], {"cost": [[1.0, np.nan]]})  # fine where the user is not eligible


@pytest.mark.parametrize("value", [[1.0, 2.0], [[]], [["a"]]])
def test_value_must_be_a_matrix_of_numbers(value):
    with pytest.raises(InputError, match="value must be"):
        Problem(value)


def test_per_user_is_checked():
    with pytest.raises(InputError, match="fewest, most"):
        Problem([[1.0]], per_user=(2, 1))
    with pytest.raises(InputError, match="eligible for fewer than 1"):
        Problem([[np.nan]], per_user=(1, 1), user_ids=["u9"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Budget(0, label="b"), "more than 0"),
        (lambda: Budget(-5, label="b"), "more than 0"),
        (lambda: Budget(float("nan"), label="b"), "finite"),
        (lambda: Limit(label="l"), "neither at_least nor at_most"),
        (lambda: Limit(label="l", at_least=3, at_most=1), "at_least is more than at_most"),
        (lambda: Limit(label=" ", at_most=1), "needs a label"),
        (lambda: Parity("g", -0.1), "at least 0"),
        (lambda: Share(label="s", at_least=0.2), "must name users or coupons"),
        (lambda: Share(label="s", coupons=["0"], at_least=1.2), "between 0 and 1"),
        (lambda: Exclude(), "must name users or coupons"),
        (lambda: Capacity(5, channel="sms", coupons=["0"]), "name one of them"),
        (lambda: Floor(1, by="g", users={"g": "x"}), "both by and users"),
        (lambda: Capacity(5, penalty=-1), "penalty is negative"),
    ],
)
def test_limits_that_make_no_sense_say_why(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (Budget(1, label="b", measure="points"), "unknown measure"),
        (Floor(1, by="shop"), "unknown column"),
        (Limit(label="l", users={"region": "mars"}, at_most=1), "no 'region' is called this"),
        (Inventory({"C9": 1}), "unknown coupon"),
        (Capacity(1, channel="sms"), "unknown column"),
        (ReturnFloor(1, cost="points"), "unknown measure"),
    ],
)
def test_limits_that_name_what_is_not_there_say_what_is(limit, words):
    problem = Problem([[1.0]], {"cost": [[1.0]]}, groups={"region": ["north"]})
    with pytest.raises(InputError, match=words):
        solve(problem, [limit])


def test_usage_reports_every_row_by_label():
    problem = Problem(np.ones((4, 1)), groups={"region": ["n", "n", "s", "s"]})
    usage = {
        row.label: row for row in solve(problem, [Floor(1, by="region", label="floor"), Capacity(3)]).usage
    }
    assert set(usage) == {"floor[n]", "floor[s]", "capacity"}
    assert usage["capacity"].used == 3
    assert usage["capacity"].binding
    assert usage["capacity"].price == pytest.approx(1.0)
    assert usage["floor[n]"].slack >= 0


def test_missing_group_labels_form_a_group_of_their_own():
    problem = Problem(np.ones((3, 1)), groups={"region": ["n", None, float("nan")]})
    assert problem.groups["region"].labels == ("(missing)", "n")


def test_a_problem_of_some_coupons_is_the_one_built_without_the_others():
    value = np.array([[1.0, 2.0, np.nan], [3.0, 4.0, 5.0]])
    cost = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    channels = np.array(["sms", "push", "sms"])
    users = {"user_ids": ["u", "v"], "groups": {"region": ["east", "west"]}}
    kept = np.array([True, False, True])
    whole = Problem(
        value, {"cost": cost}, coupon_ids=["A", "B", "C"], coupon_groups={"channel": channels}, **users
    )
    part = whole.of_coupons(kept)
    built = Problem(
        value[:, kept], {"cost": cost[:, kept]},
        coupon_ids=["A", "C"], coupon_groups={"channel": channels[kept]}, **users,
    )  # fmt: skip
    limits = [Budget(0.9, label="total"), Capacity(2, label="sms capacity", channel="sms")]
    assert part.coupon_ids.tolist() == built.coupon_ids.tolist()
    assert part.coupon_groups["channel"].labels == ("sms",)
    assert whole.coupon_ids.tolist() == ["A", "B", "C"]
    assert solve(part, limits).assignments().equals(solve(built, limits).assignments())
