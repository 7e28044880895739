"""No order of deciding, settling and expiring ever exceeds a cap, or loses a unit."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.online import Answer, Decider, MemoryLedger, Outcome, State
from support.online_plans import Clock, request, small_plan

EIGHTHS = st.integers(0, 40).map(lambda n: n / 8)
MAYBE = st.one_of(st.none(), EIGHTHS)
REQUESTS = st.builds(  # an id is always the same user's
    lambda number, value, cost, region, most: request(
        number, value, cost, region, (None, "u", "v")[number % 3], most
    ),
    st.integers(0, 12),
    st.tuples(*[st.sampled_from([np.nan, -1.0, 0.5, 1.0, 2.0])] * 3),
    st.tuples(EIGHTHS, EIGHTHS, EIGHTHS),
    st.sampled_from(["east", "west", "moon"]),
    st.one_of(st.none(), st.tuples(EIGHTHS, EIGHTHS, EIGHTHS)),
)
OUTCOMES = st.builds(
    lambda request_id, coupon, used, cost: Outcome(
        str(request_id), coupon, used, {} if cost is None else {"cost": cost}
    ),
    st.integers(0, 12),
    st.sampled_from([None, "A", "B", "C"]),
    st.booleans(),
    MAYBE,
)
DEEDS = st.lists(
    st.one_of(
        st.lists(REQUESTS, min_size=1, max_size=4).map(lambda batch: ("decide", batch)),
        st.lists(OUTCOMES, min_size=1, max_size=4).map(lambda batch: ("settle", batch)),
        st.integers(1, 15).map(lambda seconds: ("wait", seconds)),
        st.integers(0, 3).map(lambda most: ("expire", most)),
    ),
    max_size=25,
)


def check(decider, ledger, answers):
    """Compare the counters with what the reservations say, and with the caps."""
    with ledger.open(decider.plan.plan_id) as entries:
        held, expected, users = Counter(), Counter(), Counter()
        for kept in entries.of_requests(answers).values():
            for reservation in kept:
                held.update(reservation.held)
                expected.update(reservation.expected)
                if reservation.state in (State.HELD, State.USED) and reservation.user:
                    users[reservation.user] += 1
                if reservation.state in (State.EXPIRED, State.RELEASED, State.NOTHING):
                    assert not reservation.held
        assert +held == +Counter(entries.held)
        assert +expected == +Counter(entries.expected)
        assert users == Counter(entries.coupons_of_users(users))
        assert all(count <= decider.plan.per_user[1] for count in users.values())
    for row in decider.plan.guaranteed:
        assert held[row.label] <= round(row.at_most * 1_000_000)


@settings(max_examples=150, deadline=None)
@given(DEEDS, st.sampled_from([(0, 1), (0, 2), (1, 2)]), st.sampled_from(["fixed", "adaptive"]))
def test_counters_equal_what_reservations_hold_and_never_exceed_a_cap(deeds, per_user, pacing):
    clock, ledger = Clock(), MemoryLedger()
    plan = small_plan(total=8.125, stock=3, east=4.5, per_user=per_user, starts_at=0.0, ends_at=500.0)
    decider = Decider(plan, ledger, clock=clock, hold_for=20, pacing=pacing)
    answers, told = {}, {}
    for kind, deed in deeds:
        if kind == "wait":
            clock.now += deed
        elif kind == "expire":
            decider.expire(deed)
        elif kind == "decide":
            for asked, answer in zip(deed, decider.decide(deed), strict=True):
                given_ = [r.coupon_id for r in answer]
                assert answers.setdefault(asked.request_id, given_) == given_
        else:
            for outcome, taken in zip(deed, decider.settle(deed), strict=True):
                if taken.answer is Answer.SETTLED:
                    place = (outcome.request_id, taken.reservation.coupon_id)
                    assert told.setdefault(place, outcome.used) == outcome.used
        check(decider, ledger, answers)


class BrokenOffError(Exception):
    """Something that ends a call half way."""


@settings(max_examples=50, deadline=None)
@given(DEEDS, st.lists(REQUESTS, min_size=1, max_size=4), st.lists(OUTCOMES, max_size=4))
def test_a_call_that_fails_leaves_no_trace(deeds, batch, outcomes):
    clock, ledger = Clock(), MemoryLedger()
    decider = Decider(small_plan(total=8.125, stock=3), ledger, clock=clock, hold_for=20)
    for kind, deed in deeds:
        if kind == "wait":
            clock.now += deed
        elif kind != "expire":
            getattr(decider, kind)(deed)
    before, ids = decider.standings(), {str(i) for i in range(13)}
    with ledger.open("spring") as entries:
        kept, pacing = entries.of_requests(ids), entries.pacing

    failing = Decider(decider.plan, Failing(ledger), clock=clock, hold_for=20)
    for call, argument in ((failing.decide, batch), (failing.settle, outcomes), (failing.expire, 5)):
        with pytest.raises(BrokenOffError):
            call(argument)
    with ledger.open("spring") as entries:
        assert (entries.of_requests(ids), entries.pacing) == (kept, pacing)
    assert decider.standings() == before


class Failing:
    """A ledger whose every context ends with an error."""

    def __init__(self, ledger):
        self.ledger = ledger

    @contextmanager
    def open(self, plan_id):
        with self.ledger.open(plan_id) as entries:
            yield entries
            raise BrokenOffError
