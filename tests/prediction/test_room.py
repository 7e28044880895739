"""Uplift and conversion are made to fit together without touching the ranking."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from predictors.scoring.room import with_uplift


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0.0, 0.95))
def test_the_uplift_is_kept_and_both_probabilities_are_inside(seed, coupons, most):
    rng = np.random.default_rng(seed)
    before, uplift = rng.random((20, coupons)), rng.uniform(-most, most, (20, coupons))
    moved, kept = with_uplift(before, uplift, rng.random(coupons) < 0.5)
    np.testing.assert_array_equal(kept, uplift)
    for chance in (moved, moved + kept):
        assert (chance > -1e-12).all()
        assert (chance < 1 + 1e-12).all()


@given(st.integers(0, 2**32 - 1))
def test_a_conversion_with_room_stays_where_it_is(seed):
    before, uplift = np.full((4, 3), 0.5), np.random.default_rng(seed).uniform(-0.4, 0.4, (4, 3))
    moved, _ = with_uplift(before, uplift, np.array([True, False, False]))
    np.testing.assert_array_equal(moved, before)


def test_a_user_converts_alike_without_either_of_two_coupons_that_share_control_rows():
    before = np.full((2, 3), 0.01)
    uplift = np.array([[-0.05, 0.02, -0.2], [0.01, 0.0, 0.03]])
    moved, _ = with_uplift(before, uplift, np.array([False, False, True]))
    assert moved[0, 0] == moved[0, 1] > 0.05
    assert moved[0, 2] > 0.2  # about products of its own
    np.testing.assert_array_equal(moved[1], before[1])


def test_coupons_that_cannot_share_a_conversion_get_one_each():
    moved, kept = with_uplift(np.array([[0.5, 0.5]]), np.array([[-0.7, 0.7]]), np.zeros(2, dtype=bool))
    assert moved[0, 0] > 0.7
    assert moved[0, 1] < 0.3
    assert kept.tolist() == [[-0.7, 0.7]]
