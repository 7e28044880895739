"""Ids of text in polars are matched as those of any other table are."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from allocator import InputError, Problem

IDS = st.lists(st.sampled_from(["a", "A", "7", "007", "é", "b c"]), min_size=1, max_size=6, unique=True)


def problem_of(table: Any, users: Any) -> Problem | str:
    try:
        return Problem.from_scores(table, measures=["cost"], users=users)
    except InputError as error:
        return str(error)


@given(IDS, IDS, st.integers(0, 10_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_polars_and_a_dict_give_one_problem(
    users: list[str], order: list[str], seed: int, some: bool
) -> None:
    generator = np.random.default_rng(seed)
    pairs = [(user, coupon) for user in users for coupon in ("x", "y") if generator.random() < 0.8]
    pairs += [("a", "x")] * int(generator.random() < 0.2)
    columns = {
        "user_id": [user for user, _ in pairs],
        "coupon_id": [coupon for _, coupon in pairs],
        "value": generator.normal(1, 1, len(pairs)).tolist(),
        "cost": generator.uniform(0, 1, len(pairs)).tolist(),
    }
    table = {"user_id": order} if some else None
    typed = pl.DataFrame(columns, schema_overrides={"user_id": pl.String, "coupon_id": pl.String})
    plain = problem_of({name: np.array(column) for name, column in columns.items()}, table)
    fast = problem_of(typed, None if table is None else pl.DataFrame(table))
    if isinstance(plain, str) or isinstance(fast, str):
        assert plain == fast
        return
    assert plain.user_ids.tolist() == fast.user_ids.tolist()
    assert plain.coupon_ids.tolist() == fast.coupon_ids.tolist()
    np.testing.assert_array_equal(plain.value, fast.value)
    np.testing.assert_array_equal(plain.measures["cost"], fast.measures["cost"])


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["a", "b"])])
def test_ids_of_a_few_kinds_of_text(kind: Any) -> None:
    table = pl.DataFrame({"user_id": ["b", "a"], "coupon_id": ["a", "a"], "value": [1.0, 2.0]})
    found = Problem.from_scores(table.with_columns(pl.col("user_id").cast(kind)))
    assert found.user_ids.tolist() == ["b", "a"]
    assert found.value.ravel().tolist() == [1.0, 2.0]
