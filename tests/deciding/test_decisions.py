"""Decisions as users arrive: what fits is given, what is told twice is answered twice alike."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from allocator import InputError
from allocator.online import Answer, Decider, MemoryLedger, Outcome, RequestReader, State
from support.online_plans import COUPONS, Clock, request, row, small_plan


def decider(plan=None, clock=None, ledger=None, **options):
    return Decider(plan or small_plan(), ledger or MemoryLedger(), clock=clock or Clock(), **options)


def given(decided, *requests):
    """Return the coupons of each request."""
    return ["".join(r.coupon_id or "-" for r in answer) for answer in decided.decide(requests)]


def standing(decided, label):
    return next(s for s in decided.standings() if s.label == label)


def test_the_best_is_given_until_a_limit_is_used_up_then_the_next_best():
    decided = decider(pacing="fixed")
    answers = decided.decide([request(i) for i in range(7)])
    assert [a[0].coupon_id for a in answers] == ["A", "A", "A", "A", "B", "B", None]
    assert "limit 'stock[A]' is used up" in answers[4][0].reason
    assert answers[6][0].state is State.NOTHING
    assert answers[6][0].reason == "limit 'total' is used up"
    assert standing(decided, "total").held == 10.0
    assert standing(decided, "stock[A]").held == 4
    left = decided.decide([request("last", value=(np.nan, 2.0, np.nan))])[0][0]
    assert left.reason == "limit 'total' is used up"


def test_a_limit_that_holds_a_little_less_says_how_much():
    answer = decider(small_plan(total=1.5)).decide([request(0, value=(3.0, np.nan, np.nan))])[0][0]
    assert answer.reason == "limit 'total' has only 1.5 left"


def test_a_request_is_answered_once_and_for_all():
    decided = decider()
    first = decided.decide([request("r1"), request("r1"), request("r2", value=(-1.0, np.nan, -2.0))])
    assert first[0] == first[1]
    assert first[2][0].reason == "no coupon is expected to earn anything"
    again = decided.decide([request("r2", value=(9.0, 9.0, 9.0)), request("r1", value=(0.0, 9.0, 0.0))])
    assert again == [first[2], first[0]]
    assert standing(decided, "total").held == 2.0


def test_a_user_gets_no_more_than_the_plan_allows_over_all_requests():
    decided = decider(small_plan(per_user=(0, 2), total=100))
    assert given(decided, request(1, user="u"), request(2, user="u"), request(3, user="v")) == [
        "AB",
        "-",
        "AB",
    ]
    assert given(decided, request(4, user="u")) == ["-"]
    assert "2 coupons already" in decided.decide([request(4)])[0][0].reason
    assert given(decided, *map(request, (5, 6, 7))) == ["AB", "AB", "BC"]  # the stock of A is used up
    kept = json.dumps([repr(r) for r in decided.decide([request(1)])[0]])
    assert "'u'" not in kept  # a digest stands for the user


def test_what_a_coupon_may_come_to_is_held_until_it_is_settled():
    decided = decider(small_plan(total=5.0))
    assert given(decided, request(1, most=(4.0, 4.0, 4.0)), request(2, most=(4.0, 4.0, 4.0))) == ["A", "-"]
    assert (standing(decided, "total").held, standing(decided, "total").expected) == (4.0, 2.0)
    (done,) = decided.settle([Outcome("1", None, True, {"cost": 1.5})])
    assert (done.answer, done.reservation.state) == (Answer.SETTLED, State.USED)
    assert standing(decided, "total").held == standing(decided, "total").expected == 1.5
    assert given(decided, request(3, most=(3.0, 3.0, 3.0))) == ["A"]


def test_more_than_was_held_must_fit():
    decided = decider(small_plan(total=5.0))
    decided.decide([request(1), request(2)])
    (refused,) = decided.settle([Outcome("1", "A", True, {"cost": 3.5})])
    assert refused.answer is Answer.REFUSED
    assert "'total' has only 1 left" in refused.message
    assert standing(decided, "total").held == 4.0
    assert decided.settle([Outcome("1", "A", True, {"cost": 3.0})])[0].answer is Answer.SETTLED
    assert standing(decided, "total").held == 5.0


def test_an_outcome_told_twice_is_answered_alike_and_a_contradiction_is_a_conflict():
    decided = decider()
    decided.decide([request(1), request(2), request(3, value=(-1, -1, -1))])
    used, back = Outcome("1", "A", True, {"cost": 1.0}), Outcome("2", "A", False)
    first = decided.settle([used, back, used, back])
    assert first[:2] == first[2:]
    assert {s.answer for s in first} == {Answer.SETTLED}
    others = [
        Outcome("1", "A", False), Outcome("1", "A", True, {"cost": 2.0}), Outcome("2", "A", True),
        Outcome("3", None, True), Outcome("4", None, True), Outcome("1", "B", True),
        Outcome("1", "A", True, {"cost": -1.0}), Outcome("1", "A", True, {"points": 1.0}),
    ]  # fmt: skip
    assert [s.answer for s in decided.settle(others)] == [
        Answer.CONFLICT, Answer.CONFLICT, Answer.CONFLICT, Answer.UNKNOWN, Answer.UNKNOWN, Answer.UNKNOWN,
        Answer.INVALID, Answer.INVALID,
    ]  # fmt: skip
    assert standing(decided, "total").held == 1.0
    assert standing(decided, "stock[A]").held == 1


def test_a_coupon_expires_and_may_still_be_used_where_it_fits():
    clock = Clock()
    decided = decider(small_plan(total=4.0), clock, hold_for=100)
    assert given(decided, request(1, user="u"), request(2, user="v"), request(3)) == ["A", "A", "-"]
    clock.now = 100.0
    assert given(decided, request(4, user="u"), request(5, cost=(1, 1, 1))) == ["A", "A"]
    first, second = decided.settle([Outcome("1", "A", True), Outcome("2", "A", True, {"cost": 1.5})])
    assert (first.answer, second.answer) == (Answer.REFUSED, Answer.REFUSED)
    assert "limit 'total'" in first.message
    assert decided.settle([Outcome("2", "A", True, {"cost": 1.0})])[0].answer is Answer.SETTLED
    assert decided.settle([Outcome("5", "A", False)])[0].answer is Answer.SETTLED
    (third,) = decided.settle([Outcome("1", "A", True, {"cost": 0.5})])
    assert "the user has another by now" in third.message
    assert standing(decided, "total").held == 3.0


def test_overdue_coupons_are_freed_a_few_at_a_time_and_all_of_them_in_the_end():
    clock = Clock()
    decided = decider(small_plan(total=300, stock=300), clock, hold_for=1)
    decided.decide([request(i) for i in range(150)])
    clock.now = 1.0
    decided.decide([request("next")])
    assert standing(decided, "stock[A]").held == 150 - 65 + 1
    assert [decided.expire(50), decided.expire(), decided.expire()] == [50, 35, 0]
    assert standing(decided, "stock[A]").held == 1


def test_a_plan_gives_nothing_outside_its_time():
    clock = Clock(9.0)
    decided = decider(small_plan(starts_at=10.0, ends_at=20.0), clock)
    assert decided.decide([request(1)])[0][0].reason == "the plan has not started"
    clock.now = 20.5
    assert decided.decide([request(2)])[0][0].reason == "the plan is over"
    clock.now = 15.0
    assert given(decided, request(3)) == ["A"]


def test_an_exclusion_holds_and_a_group_the_plan_has_not_seen_pays_for_none():
    rows = (row("no east", "count", ["A", "B"], {"region": ("east",)}, at_most=0), row("total", at_most=10))
    decided = decider(small_plan(rows=rows))
    assert given(decided, request(1, region="east"), request(2), request(3, region="moon")) == ["C", "A", "A"]


def test_a_confident_budget_keeps_its_margin_of_what_is_expected():
    rows = (row("total", at_most=10.0, margin=4.0),)
    decided = decider(small_plan(rows=rows), pacing="fixed")
    assert given(decided, *(request(i, value=(3, np.nan, np.nan)) for i in range(5))) == list("AAA--")
    (late,) = decided.settle([Outcome("0", "A", True, {"cost": 6.0})])  # bad luck may use the margin
    assert late.answer is Answer.SETTLED


def test_soft_and_signed_rows_steer_and_never_block():
    rows = (
        row("soft", at_most=1.0, penalty=0.5),
        row("share", weight=-0.5, at_most=0.0),
        row("earned", "value", at_most=1.0),
    )
    plan = small_plan(rows=rows)
    assert plan.guaranteed == ()
    decided = decider(plan, pacing="fixed")
    assert given(decided, *(request(i) for i in range(5))) == ["A"] * 5
    assert standing(decided, "share").expected == -5.0
    assert standing(decided, "soft").held is None


def test_no_counter_grows_beyond_what_a_database_can_hold():
    rows = (row("spent", at_least=1.0), row("huge", at_most=1e305))
    decided = decider(small_plan(rows=rows))
    for i in range(12):
        decided.decide([request(i, cost=(3e11,) * 3)])
    assert 9e11 <= standing(decided, "spent").expected <= 1e12
    assert decided.decide([request("one more", cost=(3e11,) * 3)])[0][0].coupon_id is None
    (first,) = decided.settle([Outcome("0", None, True, {"cost": 9e11})])
    assert first.answer is Answer.REFUSED
    (first,) = decided.settle([Outcome("0", None, True, {"cost": 1e11})])
    assert first.answer is Answer.SETTLED


def test_what_is_missing_is_said_at_once_and_nothing_is_decided():
    decided = decider()
    lacking = request(2)
    lacking = type(lacking)("2", lacking.value, {}, {})
    with pytest.raises(InputError) as error:
        decided.decide([request(1), lacking])
    assert len(error.value.findings) == 2
    assert standing(decided, "total").held == 0


@pytest.mark.parametrize("pacing", ["fixed", "adaptive"])
def test_threads_fighting_for_the_last_units_get_exactly_what_there_is(pacing):
    ledger, plan = MemoryLedger(), small_plan(total=50.0, stock=37, east=1.0)
    deciders = [Decider(plan, ledger, clock=Clock(), pacing=pacing) for _ in range(2)]
    only_a = (3.0, np.nan, np.nan)

    def work(worker: int) -> int:
        decided = deciders[worker % 2]
        batches = [[request((worker, i, k), only_a, (1, 1, 1)) for k in range(3)] for i in range(20)]
        return sum(r.coupon_id == "A" for batch in batches for (r,) in decided.decide(batch))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 37
    assert standing(deciders[0], "stock[A]").held == 37


def test_requests_from_mappings_name_all_that_is_wrong():
    reader = RequestReader(small_plan())
    read = reader.read("r", {"B": 2, "A": 1.5}, {"cost": {"A": 1, "B": 1}}, {"region": "west"}, "u")
    assert np.isnan(read.value[COUPONS.index("C")])
    assert given(decider(), read) == ["B"]
    with pytest.raises(InputError) as error:
        reader.read(
            "",
            {"A": float("nan"), "Z": 1.0, "B": True, "C": 1.0},
            {"cost": {"A": -1.0, "C": "3"}, "points": {}},
            {"planet": "earth"},
            most={"cost": {"A": -2.0}},
        )
    text = str(error.value)
    for part in (
        "request_id", "'A': must be a number of", "no such coupon", "'B': must be a number", "none for 'B'",
        "must be 0 or more", "measures.cost", "no such measure", "planet", "groups.region", "most.cost",
    ):  # fmt: skip
        assert part in text
    assert len(error.value.findings) == 11


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="adaptive or fixed"):
        decider(pacing="quick")
    with pytest.raises(InputError, match="hold_for"):
        decider(hold_for=0)


def test_deciding_needs_numpy_and_nothing_heavier():
    code = (
        "import sys, allocator.online; "
        "heavy = {'pydantic', 'polars', 'numba', 'scipy', 'sqlalchemy', 'fastapi'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
