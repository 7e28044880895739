"""Combinations of labels are counted the same with and without room for every one of them."""

from __future__ import annotations

import numpy as np
import pytest

from allocator.problem import combinations
from allocator.problem.combinations import Combinations
from allocator.problem.labels import Grouping


def columns(n: int, *lengths: int) -> list[Grouping]:
    generator = np.random.default_rng(n)
    return [
        Grouping(generator.integers(0, length, n), tuple(f"{k:04}" for k in range(length)))
        for length in lengths
    ]


@pytest.mark.parametrize("lengths", [(3,), (2, 5), (4, 1, 7)])
def test_counting_with_and_without_a_place_for_each_agree(monkeypatch, lengths):
    monkeypatch.setattr(combinations, "CHUNK", 64)
    given = columns(500, *lengths)
    dense = Combinations.of(given, 500)
    monkeypatch.setattr(combinations, "DENSE", 0)
    found = Combinations.of(given, 500)
    assert np.array_equal(dense.codes, found.codes)
    assert np.array_equal(dense.sizes, found.sizes)
    assert np.array_equal(dense.of_users(), found.of_users())
    of_users = dense.codes[dense.of_users()]
    assert all(np.array_equal(of_users[:, k], grouping.codes) for k, grouping in enumerate(given))


def test_more_combinations_than_numbers_are_still_told_apart():
    given = columns(2_000, *([1_000] * 8))  # 10**24 of them
    found = Combinations.of(given, 2_000)
    assert len(found.codes) == 2_000
    assert np.array_equal(found.codes[found.of_users()][:, 7], given[7].codes)


def test_without_columns_everyone_is_together():
    found = Combinations.of([], 7)
    assert found.sizes.tolist() == [7]
    assert found.of_users().tolist() == [0] * 7
