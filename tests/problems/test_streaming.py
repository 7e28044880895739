"""A problem on disk gives the answers of the same problem in memory, and bad files say what is wrong."""

from __future__ import annotations

import subprocess
import sys
import weakref

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import Budget, Exclude, Floor, InputError, Inventory, Parity, Problem, certify, solve
from allocator.problem.batch import SHELF
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for, restrict
from support.small_problems import small_problems

COUPONS = 3
VALUE = [f"value_{j}" for j in range(COUPONS)]
COST = [f"cost_{j}" for j in range(COUPONS)]


def table(n: int, dtype=np.float32) -> pl.DataFrame:
    generator = np.random.default_rng(n)
    value = generator.gamma(2, 1, (n, COUPONS)).astype(dtype)
    value[generator.random((n, COUPONS)) < 0.2] = np.nan
    cost = generator.uniform(0.5, 3, (n, COUPONS)).astype(dtype)
    cost[np.isnan(value)] = np.nan
    return pl.DataFrame(
        {
            "user": [f"u{i}" for i in range(n)],
            "region": generator.choice(["north", "south"], n),
            "age": generator.integers(1, 4, n),
            **{name: value[:, j] for j, name in enumerate(VALUE)},
            **{name: cost[:, j] for j, name in enumerate(COST)},
        }
    ).with_columns(pl.col(VALUE + COST).fill_nan(None))


def in_memory(frame: pl.DataFrame, **options) -> Problem:
    return Problem(
        frame.select(VALUE).to_numpy(),
        {"cost": frame.select(COST).to_numpy()},
        user_ids=frame["user"].to_numpy(),
        groups={"region": frame["region"].to_list(), "age": frame["age"].to_list()},
        **options,
    )


def on_disk(path, **options) -> Problem:
    return Problem.from_parquet(
        path, VALUE, {"cost": COST}, user_id="user", groups=["region", "age"], **options
    )


def limits_of(n: int) -> list:
    return [
        Budget(0.3 * n, label="total"),
        Inventory({"1": 0.2 * n}),
        Floor(0.1, by="region", per_head=True),
        Parity("age", 0.05),
        Exclude(users={"age": "2"}, coupons=["2"]),
    ]


def write(frame: pl.DataFrame, folder, layout: str):
    if layout == "folder":
        (folder / "data").mkdir()
        cut = frame.height // 3 + 1
        frame[:cut].write_parquet(folder / "data" / "a.parquet", row_group_size=1_000)
        frame[cut:].write_parquet(folder / "data" / "b.parquet", compression="uncompressed")
        return folder / "data"
    path = folder / f"{layout}.parquet"
    if layout == "lists":
        lists = [
            pl.concat_list(VALUE).alias("value"),
            pl.concat_list(COST).list.to_array(COUPONS).alias("cost"),
        ]
        frame.select("user", "region", "age", *lists).write_parquet(path)
    else:
        frame.write_parquet(path, compression=layout, row_group_size=70_000)
    return path


@pytest.fixture(scope="module")
def plan():
    frame = table(30_000)
    problem = in_memory(frame)
    return frame, solve(problem, limits_of(frame.height), gap=1e-5)


@pytest.mark.parametrize("layout", ["uncompressed", "zstd", "folder", "lists"])
def test_the_plan_is_the_one_of_the_problem_in_memory(tmp_path, plan, layout):
    frame, expected = plan
    path = write(frame, tmp_path, layout)
    if layout == "lists":
        problem = Problem.from_parquet(
            path, "value", {"cost": "cost"}, user_id="user", groups=["region", "age"]
        )
    else:
        problem = on_disk(path)
    found = solve(problem, limits_of(frame.height), gap=1e-5)
    assert found.gap <= 1e-5
    assert np.array_equal(found.choice, expected.choice)
    assert found.prices == expected.prices
    assert found.certificate == expected.certificate
    assert found.verify().valid
    assert found.assignments().equals(expected.assignments())
    found.write_assignments(tmp_path / "plan.parquet")
    assert pl.read_parquet(tmp_path / "plan.parquet").equals(expected.assignments())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_passes_over_several_batches_give_the_same_sums(tmp_path, dtype):
    n = 5 * SHELF + 1_234  # two batches at least
    frame = table(n, dtype)
    path = write(frame, tmp_path, "lz4")
    models = [compile_model(problem, limits_of(n)) for problem in (in_memory(frame), on_disk(path))]
    generator = np.random.default_rng(5)
    prices = generator.normal(0, 0.3, models[0].n_rows)
    inside = generator.random(n) < 0.01
    choices = [np.empty((n, 1), np.int16) for _ in models]
    results = []
    for model, choice in zip(models, choices, strict=True):
        engine = engine_for(model)
        whole = engine.price(prices, choice)
        part = restrict(engine, np.flatnonzero(inside), prices, whole.table)
        results.append(
            [
                engine.extent(), whole, part.price(0.9 * prices), *engine.radius(prices, np.abs(prices)),
                part.batch().value, part.batch().measures["cost"],
            ]
        )  # fmt: skip
    assert np.array_equal(*choices)
    for one, other in zip(*results, strict=True):
        if hasattr(one, "table"):
            assert one.reduced == other.reduced
            assert np.array_equal(one.table, other.table)
        else:
            assert np.array_equal(one, other, equal_nan=True)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(small_problems(users=(2, 6), coupons=(1, 3), per_user=((0, 1), (0, 2), (1, 2))), st.integers(1, 3))
def test_small_problems_agree_with_memory(tmp_path_factory, case, rows):
    problem, limits = case
    value = [f"v{j}" for j in range(problem.n_coupons)]
    cost = [f"c{j}" for j in range(problem.n_coupons)]
    labels = np.array(problem.groups["region"].labels)[problem.groups["region"].codes]
    frame = pl.DataFrame(
        {"region": labels}
        | {name: problem.value[:, j] for j, name in enumerate(value)}
        | {name: problem.measures["cost"][:, j] for j, name in enumerate(cost)}
    )
    path = tmp_path_factory.mktemp("small") / "problem.parquet"
    frame.write_parquet(path, row_group_size=rows)
    streamed = Problem.from_parquet(path, value, {"cost": cost}, groups=["region"], per_user=problem.per_user)
    answers = []
    for one in (problem, streamed):
        try:
            solution = solve(one, limits)
            answers.append((solution.choice.tolist(), solution.bound, solution.assignments().rows()))
        except Exception as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


def test_rows_of_some_users_and_their_labels_are_read_alone(tmp_path):
    frame = table(2_000)
    problem, same = on_disk(write(frame, tmp_path, "folder")), in_memory(frame)
    users = np.array([0, 17, 900, 1_999])
    assert np.array_equal(problem.gather(users).value, same.value[users], equal_nan=True)
    assert problem.ids_of(users).tolist() == ["u0", "u17", "u900", "u1999"]
    assert np.array_equal(problem.user_ids, same.user_ids)
    assert problem.groups["age"].labels == ("1", "2", "3")
    assert problem.groups["age"].codes.dtype == np.uint8
    nobody = problem.gather(np.zeros(0, np.int64))
    assert nobody.value.shape == (0, COUPONS)


def test_labels_are_numbers_unless_a_column_is_named(tmp_path):
    frame = table(10)
    problem = Problem.from_parquet(write(frame, tmp_path, "lz4"), VALUE, {"cost": COST})
    assert problem.user_ids.tolist() == [str(i) for i in range(10)]
    assert set(problem.measures) == {"cost"}


def test_arrays_of_a_problem_on_disk_are_refused_with_what_to_use(tmp_path):
    problem = on_disk(write(table(10), tmp_path, "lz4"))
    for ask in (lambda: problem.value, lambda: problem.measures["cost"], problem.eligible):
        with pytest.raises(InputError, match=r"on disk.*gather"):
            ask()


def test_what_is_wrong_with_the_columns_is_said_at_once(tmp_path):
    frame = table(10).with_columns(pl.lit("dear").alias("cost_1"))
    path = tmp_path / "users.parquet"
    frame.write_parquet(path)
    with pytest.raises(InputError) as caught:
        Problem.from_parquet(path, ["value_0", "valu_1"], {"cost": COST, "count": COST}, groups=["shop"])
    for piece in ("valu_1: the column is missing", "cost_1: wrong type", "shop: the column", "built in"):
        assert piece in str(caught.value)
    with pytest.raises(InputError, match="another number of coupons"):
        Problem.from_parquet(path, VALUE, {"cost": ["cost_0"]})
    with pytest.raises(InputError, match="list or array"):
        Problem.from_parquet(path, "value_0")


def test_wrong_entries_are_found_in_the_first_pass_all_at_once(tmp_path):
    frame = table(5_000).with_columns(
        pl.when(pl.int_range(pl.len()) == 3_000).then(float("inf")).otherwise("value_0").alias("value_0"),
        pl.lit(1.0).alias("value_1"),
        pl.when(pl.int_range(pl.len()) < 7).then(None).otherwise(2.0).alias("cost_1"),
        pl.lit(1.0).alias("value_2"),
        pl.when(pl.int_range(pl.len()) == 40).then(-1.0).otherwise(2.0).alias("cost_2"),
    )
    problem = on_disk(write(frame, tmp_path, "folder"))
    for check in (
        lambda: solve(problem, [Budget(10, label="b")]),
        lambda: certify(problem, [], np.full(5_000, -1), {}),
    ):
        with pytest.raises(InputError) as caught:
            check()
        for piece in (
            "value has infinite entries; use NaN where a user is not eligible "
            "(found 1 entries, first at user 3000, coupon 0",
            "missing or infinite where value is given (found 7 entries, first at user 0, coupon 1",
            "cost is negative (found 1 entries, first at user 40, coupon 2",
        ):
            assert piece in str(caught.value)


def test_users_with_too_few_coupons_are_named(tmp_path):
    frame = table(100).with_columns(
        [pl.when(pl.col("user") == "u9").then(None).otherwise(1.0).alias(name) for name in VALUE + COST]
    )
    problem = on_disk(write(frame, tmp_path, "lz4"), per_user=(1, 1))
    with pytest.raises(InputError, match=r"1 users are eligible for fewer than 1 coupons, for example 'u9'"):
        solve(problem, [Budget(1_000, label="b")])


def test_files_that_cannot_be_one_problem_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        on_disk(tmp_path / "nothing.parquet")
    with pytest.raises(InputError, match="no Parquet file"):
        on_disk(tmp_path)
    (tmp_path / "text.parquet").write_text("user,value\n")
    with pytest.raises(InputError, match="not a Parquet file"):
        on_disk(tmp_path / "text.parquet")
    folder = write(table(100), tmp_path, "folder")
    table(10).with_columns(pl.col("cost_1").cast(pl.Float64)).drop("age").write_parquet(folder / "c.parquet")
    with pytest.raises(InputError) as caught:
        on_disk(folder)
    assert "c.parquet, cost_1: the files of a folder must have the same columns" in str(caught.value)
    assert "c.parquet, age" in str(caught.value)
    table(0).write_parquet(tmp_path / "empty.parquet")
    with pytest.raises(InputError, match="there are no rows"):
        on_disk(tmp_path / "empty.parquet")


def test_labels_that_repeat_or_lack_are_refused(tmp_path):
    twice = pl.concat([table(50), table(50)[30:31]])
    with pytest.raises(InputError, match=r"a label occurs twice \(found 'u30'"):
        on_disk(write(twice, tmp_path, "lz4"))
    lacking = table(50).with_columns(pl.when(pl.col("user") != "u3").then("user").alias("user"))
    with pytest.raises(InputError, match="users have no label"):
        on_disk(write(lacking, tmp_path, "zstd"))


def test_lists_of_different_lengths_are_refused(tmp_path):
    path = tmp_path / "lists.parquet"
    pl.DataFrame({"value": [[1.0, 2.0], [3.0]]}).write_parquet(path)
    with pytest.raises(InputError, match="lists differ in length"):
        solve(Problem.from_parquet(path, "value"))


def test_only_a_few_batches_are_held_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("allocator.problem.parquet.BATCH_BYTES", 1)
    n = 7 * SHELF
    problem = on_disk(write(table(n), tmp_path, "uncompressed"))
    read, seen, most = problem.batches, [], []

    def batches(*arguments):
        for batch in read(*arguments):
            seen.append(weakref.ref(batch.value))
            most.append(sum(1 for value in seen if value() is not None))
            yield batch

    problem.batches = batches
    assert solve(problem, limits_of(n), gap=1e-5).gap <= 1e-5
    assert len(seen) > 7 * 5
    assert max(most) <= 3


MEASURE_MEMORY = """
import numpy as np
from allocator import Budget, Floor, Inventory, Problem, solve
n = {n}
generator = np.random.default_rng(0)
value, cost = generator.random((n, 10)), generator.random((n, 10))
problem = Problem(value, {{"cost": cost}}, groups={{"region": np.repeat(["a", "b"], n // 2)}})
limits = [Budget(0.3 * n, label="total"), Inventory({{"1": 0.2 * n}}), Floor(0.1, by="region", per_head=True)]
assert solve(problem, limits, gap=1e-5).gap <= 1e-5
print(next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1])
"""


def peak_mb(n: int) -> float:
    code = MEASURE_MEMORY.format(n=n)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak where Linux has it")
def test_memory_is_that_of_the_arrays_and_a_little():
    peak_mb(2_000)  # compiles the kernels where they are not yet, which takes memory, too
    n = 1_500_000
    assert peak_mb(n) <= 1.3 * (n * 20 * 8 / 2**20) + 500
