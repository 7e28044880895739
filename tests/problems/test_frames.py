"""Tables of NumPy, pandas, polars and Arrow go in and come out alike, and wrong ones say what is wrong."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from allocator import Budget, Floor, InputError, Inventory, Limit, Problem, solve

PAIRS = {
    "customer": ["u2", "u1", "u2", "u3"],
    "offer": [20, 10, 10, 20],
    "uplift": [5.0, 1.0, 2.0, None],
    "cost": [1.0, 1.0, 1.0, 1.0],
}
USERS = {"customer": ["u1", "u2", "u3", "u4"], "region": ["n", "s", None, "n"]}
COUPONS = {"offer": [10, 20], "channel": ["sms", "mail"]}
NAMES = {"user_id": "customer", "coupon_id": "offer", "value": "uplift", "measures": ["cost"]}

KINDS = {
    "dict": lambda table: table,
    "arrays": lambda table: {name: np.array(column) for name, column in table.items()},
    "polars": pl.DataFrame,
    "lazy": pl.LazyFrame,
    "polars categorical": lambda table: pl.DataFrame(table).cast({pl.String: pl.Categorical}),
    "arrow": pa.table,
    "arrow dictionary": lambda table: pa.table(
        {k: pa.array(v).dictionary_encode() if isinstance(v[0], str) else v for k, v in table.items()}
    ),
    "arrow stream": lambda table: pa.RecordBatchReader.from_batches(
        pa.table(table).schema, pa.table(table).to_batches()
    ),
    "pandas": pd.DataFrame,
    "pandas, odd index": lambda table: pd.DataFrame(table, index=["x"] * len(_first(table))),
    "pandas nullable": lambda table: pd.DataFrame(table).convert_dtypes(),
    "pandas arrow": lambda table: pd.DataFrame(table).convert_dtypes(dtype_backend="pyarrow"),
    "pandas categorical": lambda table: pd.DataFrame(table).astype(dict.fromkeys(_texts(table), "category")),
    "pandas objects": lambda table: pd.DataFrame(table).astype(dict.fromkeys(_texts(table), object)),
}  # fmt: skip


def _first(table: dict) -> list:
    return next(iter(table.values()))


def _texts(table: dict) -> list[str]:
    return [name for name, column in table.items() if isinstance(column[0], str)]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_any_kind_of_table_give_the_same_plan(kind):
    make = KINDS[kind]
    problem = Problem.from_scores(
        make(PAIRS), users=make(USERS), groups=["region"], coupons=make(COUPONS), coupon_groups=["channel"],
        **NAMES,
    )  # fmt: skip
    assert problem.user_ids.tolist() == ["u1", "u2", "u3", "u4"]
    assert problem.groups["region"].labels == ("(missing)", "n", "s")
    limits = [Inventory({10: 1}), Limit(label="mail", coupons={"channel": "mail"}, at_most=5)]
    plan = solve(problem, limits).assignments()
    assert plan.schema == {
        "user_id": pl.String, "coupon_id": pl.Int64, "value": pl.Float64, "cost": pl.Float64,
    }  # fmt: skip
    assert plan.rows() == [("u1", 10, 1.0, 1.0), ("u2", 20, 5.0, 1.0)]


@pytest.mark.parametrize(
    "make",
    [
        lambda array: array.tolist(),
        np.asarray,
        lambda array: pl.DataFrame(array, schema=["A", "B"]).fill_nan(None),
        lambda array: pa.table(pl.DataFrame(array, schema=["A", "B"])),
        lambda array: pd.DataFrame(array, columns=["A", "B"]).convert_dtypes(),
        lambda array: pd.DataFrame(array, columns=["A", "B"], index=["x", "x", "y"]),
        lambda array: {"A": array[:, 0], "B": pd.Series(array[:, 1])},
    ],
)
def test_a_matrix_of_any_kind_gives_the_same_plan(make):
    value, cost = np.array([[1.0, np.nan], [3.0, 4.0], [np.nan, np.nan]]), np.ones((3, 2))
    problem = Problem(make(value), {"cost": make(cost)}, coupon_ids=["A", "B"], user_ids=[7, 8, 9])
    np.testing.assert_array_equal(problem.value, value)
    solution = solve(problem, [Budget(1, label="total")])
    assert solution.assignments().rows() == [(8, "B", 4.0, 1.0)]


def test_narrow_tables_stay_narrow():
    frame = pl.DataFrame({"A": [1.0], "B": [None]}, schema={"A": pl.Float32, "B": pl.Float32})
    assert Problem(frame, {"cost": frame.fill_null(1)}).value.dtype == np.float32
    assert Problem(frame.to_pandas()).value.dtype == np.float32


def test_names_of_a_table_are_ids_only_where_that_is_said():
    frame = pd.DataFrame({"A": [1.0, 2.0], "B": [3.0, 1.0]}, index=["u", "v"])
    assert solve(Problem(frame)).assignments().rows() == [(0, 1, 3.0), (1, 0, 2.0)]
    named = Problem(frame, user_ids=frame.index, coupon_ids=frame.columns)
    assert solve(named).assignments().rows() == [("u", "B", 3.0), ("v", "A", 2.0)]


def test_a_table_in_another_order_is_an_error_and_no_wrong_plan():
    frame = pd.DataFrame({"A": [1.0, 2.0], "B": [3.0, 1.0]}, index=["u", "v"])
    with pytest.raises(InputError) as caught:
        Problem(
            frame,
            {"cost": frame[["B", "A"]], "points": frame.loc[["v", "u"]]},
            coupon_ids=["B", "A"],
            user_ids=["v", "u"],
        )
    for place in ("measures[cost]: the columns", "measures[points]: the rows", "coupon_ids", "user_ids"):
        assert place in str(caught.value)
    Problem(frame, {"cost": frame[["B", "A"]].to_numpy()})  # arrays go by position


def test_the_plan_comes_back_as_the_kind_asked_for():
    problem = Problem([[1.0, 2.0]], {"cost": np.ones((1, 2))}, user_ids=["u"], coupon_ids=[10, 20])
    solution = solve(problem)
    row = {"user_id": ["u"], "coupon_id": [20], "value": [2.0], "cost": [1.0]}
    assert solution.assignments(to="arrow").to_pydict() == row
    frame = solution.assignments(to="pandas")
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("list") == row
    arrays = solution.assignments(to="numpy")
    assert {name: array.tolist() for name, array in arrays.items()} == row
    assert arrays["coupon_id"].dtype == np.int64
    assert pa.table(solution.assignments()).num_rows == 1
    with pytest.raises(
        InputError, match=r"to: unknown kind of table .found 'excel', expected polars, pandas"
    ):
        solution.assignments(to="excel")


def test_neither_pandas_nor_pyarrow_is_needed_nor_imported():
    code = (
        "import sys; sys.modules['pyarrow'] = None; sys.modules['pandas'] = None\n"
        "import polars as pl\n"
        "from allocator import PluginError, Problem, solve\n"
        "table = pl.DataFrame({'user_id': ['a'], 'coupon_id': ['x'], 'value': [1.0]})\n"
        "solution = solve(Problem.from_scores(table))\n"
        "print(solution.assignments(to='polars').rows(), solution.assignments(to='numpy')['user_id'])\n"
        "for kind in ('arrow', 'pandas'):\n"
        "    try: solution.assignments(to=kind)\n"
        "    except PluginError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    printed = done.stdout.splitlines()
    assert printed[0] == "[('a', 'x', 1.0)] ['a']", done.stderr
    assert "needs pyarrow" in printed[1]
    assert "needs pandas" in printed[2]


def test_everything_wrong_with_the_tables_is_said_at_once():
    scores = pl.DataFrame({"customer": ["u1", None], "offer": [1.5, 2.5], "cost": ["a", "b"]})
    with pytest.raises(InputError) as caught:
        Problem.from_scores(scores, groups=["region"], **NAMES)
    for piece in (
        "scores, uplift: the column is missing (expected one of customer, offer, cost)",
        "scores, cost: the column does not hold numbers (found String)",
        "users: a group column needs the table users",
        "scores, customer: ids are missing (found 1 of 2, the first in row 1, counted from 0)",
        "scores, offer: ids must be text or whole numbers",
    ):
        assert piece in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": {**PAIRS, "offer": [10] * 4}}, "1 rows too many, such as user 'u2' and coupon '10' in"),
        ({"users": {"customer": ["u1", "u2"]}}, "1 ids of the scores are not in the table users .found 'u3'"),
        ({"coupons": {"offer": [10, 20, 20]}}, "coupons, offer: an id occurs twice .found '20'"),
        ({"scores": {name: [] for name in PAIRS}}, "there are no pairs"),
        ({"scores": [1, 2]}, "scores: this is not a table .found list, expected a pandas or polars"),
        ({"scores": pd.DataFrame(PAIRS).set_index("offer")}, "the table's index, not a column"),
        ({"scores": pd.DataFrame(PAIRS)[["customer", "offer", "offer", "uplift", "cost"]]}, "occurs twice"),
        ({"measures": {"spend": "price"}}, "scores, price: the column is missing"),
        ({"scores": {**PAIRS, "cost": [1.0, None, 1.0, 1.0]}}, "cost: the measure is missing or infinite"),
    ],
)  # fmt: skip
def test_a_wrong_table_says_what_and_where(change, words):
    options = {"scores": PAIRS, "users": None, "coupons": None, **NAMES, **change}
    scores = options.pop("scores")
    with pytest.raises(InputError, match=words):
        Problem.from_scores(scores, **options)


def test_a_missing_value_is_not_eligible_and_its_row_may_repeat():
    scores = {"user_id": [1, 1, 2], "coupon_id": ["A", "A", "A"], "value": [None, 3.0, float("nan")]}
    problem = Problem.from_scores(scores)
    assert problem.eligible().tolist() == [[True], [False]]


def test_a_column_that_is_no_number_is_named_in_a_matrix_too():
    with pytest.raises(InputError, match=r"value, B: the column does not hold numbers .found String"):
        Problem(pl.DataFrame({"A": [1.0], "B": ["x"]}))
    with pytest.raises(InputError, match=r"measures\[cost\]: the measure must be numbers"):
        Problem([[1.0]], {"cost": [["x"]]})


def test_whole_numbers_name_labels_in_limits_too():
    problem = Problem(np.ones((4, 2)), groups={"age": pd.Series([1, 1, 2, 2])}, coupon_ids=[10, 20])
    solution = solve(
        problem, [Floor(1, users={"age": 2}), Limit(measure="count", label="ten", coupons=[10], at_most=1)]
    )
    assert {row.label for row in solution.usage} == {"floor", "ten"}


def test_a_streamed_problem_gives_ids_of_the_type_of_its_column(tmp_path):
    frame = pl.DataFrame({"user": [7, 8], "name": ["a", "b"], "v": [1.0, 2.0]})
    frame.write_parquet(tmp_path / "users.parquet")
    for column, kind in (("user", pl.Int64), ("name", pl.String), (None, pl.Int64)):
        problem = Problem.from_parquet(tmp_path / "users.parquet", ["v"], user_id=column)
        assert solve(problem).assignments().schema["user_id"] == kind


def test_ids_of_two_tables_match_by_what_they_say_and_come_back_as_in_the_table_of_users():
    scores = {"user_id": [7, 8], "coupon_id": ["A", "A"], "value": [1.0, 2.0]}
    problem = Problem.from_scores(scores, users={"user_id": ["8", "7"]})
    assert problem.value.ravel().tolist() == [2.0, 1.0]
    assert solve(problem).assignments()["user_id"].to_list() == ["8", "7"]
