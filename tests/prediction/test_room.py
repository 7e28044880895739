"""Uplift and conversion are made to fit together without touching the ranking."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictors.scoring.room import with_uplift

SHAPE = hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)


@given(st.data(), SHAPE)
def test_the_uplift_is_kept_and_both_probabilities_are_inside(data, shape):
    before = data.draw(hnp.arrays(float, shape, elements=st.floats(1e-6, 1 - 1e-6)))
    uplift = data.draw(hnp.arrays(float, shape, elements=st.floats(-0.95, 0.95)))
    own = data.draw(hnp.arrays(bool, shape[1]))
    moved, kept = with_uplift(before, uplift, own)
    np.testing.assert_array_equal(kept, uplift)
    for chance in (moved, moved + kept):
        assert (chance > -1e-12).all()
        assert (chance < 1 + 1e-12).all()


@given(hnp.arrays(float, (4, 3), elements=st.floats(-0.1, 0.1)))
def test_a_conversion_with_room_stays_where_it_is(uplift):
    before = np.full((4, 3), 0.5)
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
