"""Whatever a caller hands over is read by its labels or refused in words: no other error comes out."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import (
    Budget,
    Capacity,
    Exclude,
    Floor,
    InputError,
    Inventory,
    Limit,
    MaxMin,
    Parity,
    Pricer,
    Problem,
    ProportionalFairness,
    ReturnFloor,
    Share,
    certify,
    solve,
)
from allocator.online import Decider, DecisionRequest, MemoryLedger, OnlinePlan, RequestReader
from allocator.solution.risk import redemption_cost, simulate_spend

USERS, COUPONS = ["u1", "u2", "u3"], ["A", "B"]
VALUE = pd.DataFrame([[5.0, 1.0], [4.0, 2.0], [3.0, 3.0]], USERS, COUPONS)
COST = VALUE * 0 + 1


def problem(**other: Any) -> Problem:
    named: dict[str, Any] = {"user_ids": USERS, "coupon_ids": COUPONS}
    return Problem(VALUE.to_numpy(), {"cost": COST.to_numpy()}, **(named | other))


def plan() -> Any:
    regions = {"region": ["n", "s", "n"]}
    return solve(problem(groups=regions), [Budget(2, label="total"), Floor(1, by="region")])


# What has labels


def by_users(series: pd.Series) -> dict[str, Any]:
    return {"groups": {"region": series}}


def by_coupons(series: pd.Series) -> dict[str, Any]:
    return {"coupon_groups": {"channel": series}}


SAME = pd.Series(["n", "n", "s"], USERS)


@pytest.mark.parametrize(
    "inputs",
    [
        by_users(SAME[["u3", "u1", "u2"]]),
        by_users(SAME.rename({"u3": "u9"})),
        by_coupons(pd.Series(["sms", "mail"], ["B", "A"])),
        {"groups": pd.DataFrame({"region": SAME})[::-1]},
        {"groups": {"region": {"u1": "n", "u2": "s"}}},
        {"groups": {"region": {"u1": "n", "u2": "s", "u3": "n", "u4": "n"}}},
    ],
)
def test_labels_of_others_or_in_another_order_are_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"another order|named otherwise|one label for each"):
        problem(**inputs)


@pytest.mark.parametrize(
    "inputs",
    [
        by_users(SAME),
        by_users(SAME.reset_index(drop=True)),
        by_users(SAME.to_numpy()),
        {"groups": pd.DataFrame({"region": SAME})},
        {"groups": pl.DataFrame({"region": SAME.to_list()})},
        {"groups": {"region": {"u3": "s", "u1": "n", "u2": "n"}}},
    ],
)
def test_labels_in_order_or_none_go_together(inputs: dict[str, Any]) -> None:
    found = problem(**inputs)
    limited = solve(found, [Limit(label="n", measure="count", users={"region": "n"}, at_most=0)])
    assert limited.assignments()["user_id"].to_list() == ["u3"]


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (COST[["B", "A"]], "the columns are in another order than those of value"),
        (COST.loc[["u2", "u1", "u3"]], "the rows are in another order than those of value"),
        (COST.rename({"u3": "u9"}), "the rows are named otherwise than those of value, .*found 'u9'"),
        (COST.rename(columns={"B": "C"}), "the columns are named otherwise"),
        (pd.Series([1.0, 2.0], ["B", "A"]), "the columns are in another order"),
        (pd.Series([1.0, 2.0, 3.0], USERS), "another shape"),
        ({"A": COST["A"], "B": COST["B"][::-1]}, "in another order than those of measures"),
        ({"A": [1.0], "B": [1.0, 2.0]}, "differ in length"),
    ],
)
def test_measures_go_by_labels_or_are_refused(measure: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Problem(VALUE, {"cost": measure}, user_ids=USERS, coupon_ids=COUPONS)


def test_one_number_for_each_coupon_goes_by_coupon() -> None:
    found = Problem(VALUE, {"cost": pd.Series([1.0, 2.0], COUPONS)}, coupon_ids=COUPONS)
    assert found.measures["cost"].tolist() == [[1.0, 2.0]] * 3
    square = VALUE.iloc[:2]
    with pytest.raises(InputError, match="one number for each user is no number for each coupon"):
        Problem(square, {"cost": pd.Series([1.0, 2.0], ["u1", "u2"])}, user_ids=["u1", "u2"])


def test_row_numbers_of_a_filtered_table_are_no_ids() -> None:
    frame = VALUE.reset_index(names="id").iloc[[0, 2]]
    found = Problem(
        frame[COUPONS], {"cost": frame[COUPONS] * 0}, user_ids=frame["id"], groups={"x": frame["id"]}
    )
    assert found.user_ids.tolist() == ["u1", "u3"]
    whole = VALUE.reset_index(drop=True)
    assert Problem(whole, user_ids=[7, 8, 9]).user_ids.tolist() == ["7", "8", "9"]
    with pytest.raises(InputError, match="user_ids"):
        Problem(whole, user_ids=[2, 0, 1])  # may mean either


@given(st.permutations(range(4)), st.permutations(range(3)))
@settings(max_examples=60, deadline=None)
def test_no_order_of_labels_gives_another_plan(rows: list[int], columns: list[int]) -> None:
    users, coupons = [f"u{i}" for i in range(4)], [f"c{j}" for j in range(3)]
    value = pd.DataFrame(np.arange(12.0).reshape(4, 3) % 5, users, coupons)
    cost = pd.DataFrame(np.arange(12.0).reshape(4, 3) % 7, users, coupons)
    moved = cost.iloc[rows, columns]
    try:
        found = Problem(value, {"cost": moved}, user_ids=users, coupon_ids=coupons)
    except InputError:
        assert (list(rows), list(columns)) != ([0, 1, 2, 3], [0, 1, 2])
        return
    assert found.measures["cost"].tolist() == cost.to_numpy().tolist()


def test_limits_take_series_by_label() -> None:
    stock = pd.Series([1, 0], ["B", "A"])
    assert solve(problem(), [Inventory(stock)]).assignments()["coupon_id"].to_list() == ["B"]
    named = Exclude(users=pd.Series({"region": "n"}), coupons=(coupon for coupon in COUPONS))
    assert named.coupons == COUPONS
    weights = pd.Series([1.0, 2.0], ["s", "n"])
    assert MaxMin("region", weights).weights == {"s": 1.0, "n": 2.0}
    with pytest.raises(InputError, match="a label occurs twice"):
        Inventory(pd.Series([1, 2], ["A", "A"]))
    errors = Budget(3, confidence=0.9, coupon_error={7: 0.5}).coupon_error
    assert errors == {"7": 0.5}


# Deciding


def test_a_pricer_takes_one_number_for_each_coupon() -> None:
    pricer, cost, groups = plan().pricer(), {"cost": [1.0, 1.0]}, {"region": "n"}
    assert pricer.decide([9.0, 1.0], cost, groups) == ("A",)
    for value in ([9.0], [9.0, 1.0, 2.0], [[9.0, 1.0]], 9.0, ["a", "b"], None, {"A": 1.0}):
        with pytest.raises(InputError, match="value"):
            pricer.decide(value, cost, groups)
    for amount in ([1.0], [1.0, 2.0, 3.0], "x", None):
        with pytest.raises(InputError, match="cost"):
            pricer.decide([9.0, 1.0], {"cost": amount}, groups)
    assert pricer.decide([9.0, 1.0], {"cost": 1.0}, groups) == ("A",)


def test_a_pricer_goes_by_label() -> None:
    pricer, groups = plan().pricer(), {"region": "n"}
    value, cost = pd.Series([9.0, 1.0], COUPONS), pd.Series([1.0, 1.0], COUPONS)
    assert pricer.decide(value, {"cost": cost}, groups) == ("A",)
    with pytest.raises(InputError, match="another order"):
        pricer.decide(value[::-1], {"cost": cost}, groups)
    with pytest.raises(InputError, match="another order"):
        pricer.decide_many(VALUE[["B", "A"]], {"cost": COST}, {"region": ["n", "n", "s"]})
    with pytest.raises(InputError, match="another order"):
        pricer.decide_many(VALUE, {"cost": COST}, {"region": pd.Series(list("nns"), USERS)[::-1]})
    assert pricer.decide_many(VALUE, {"cost": COST}, {"region": list("nns")}).shape == (3,)


def test_a_pricer_refuses_what_is_missing_or_infinite() -> None:
    pricer, groups = plan().pricer(), {"region": "n"}
    with pytest.raises(InputError, match="missing or infinite where value is given"):
        pricer.decide([9.0, 1.0], {"cost": [np.nan, 1.0]}, groups)
    with pytest.raises(InputError, match="infinite"):
        pricer.decide([np.inf, 1.0], {"cost": [1.0, 1.0]}, groups)
    assert pricer.decide([np.nan, 1.0], {"cost": [np.nan, 1.0]}, groups) in ((), ("B",))
    with pytest.raises(InputError, match="missing or infinite"):
        pricer.decide_many([[9.0, 1.0]], {"cost": [[np.inf, 1.0]]}, {"region": ["n"]})


def test_labels_of_one_user_are_those_of_many() -> None:
    tiers = Problem([[5.0], [4.0], [3.0]], groups={"tier": [1, 2, None]})
    limits = [Exclude(label=f"not {t}", users={"tier": t}) for t in (1, "(missing)")]
    pricer = solve(tiers, limits).pricer()
    for tier, chosen in ((1, ()), (np.int64(1), ()), (2, ("0",)), (None, ()), (np.nan, ()), ("2", ("0",))):
        assert pricer.decide([5.0], {}, {"tier": tier}) == chosen
        many = pricer.decide_many([[5.0]], {}, {"tier": [tier]})
        assert (many.tolist() == [0]) == (chosen != ())
    with pytest.raises(InputError, match=r"one label|is no label"):
        pricer.decide([5.0], {}, {"tier": [1, 2]})


def test_a_decider_takes_one_number_for_each_coupon() -> None:
    online = OnlinePlan.from_solution(plan(), "spring")
    decider, reader = Decider(online, MemoryLedger()), RequestReader(online)
    cost, groups = {"cost": np.ones(2)}, {"region": "n"}
    wrong = [
        np.ones(1),
        np.ones(3),
        np.ones((1, 2)),
        [1.0, 1.0],
        np.array(["a", "b"]),
        None,
        np.full(2, np.inf),
    ]
    for value in wrong:
        with pytest.raises(InputError, match="value"):
            decider.decide([DecisionRequest("r", value, cost, groups)])
    with pytest.raises(InputError, match=r"measures\.cost"):
        decider.decide([DecisionRequest("r", np.ones(2), {"cost": np.ones(1)}, groups)])
    with pytest.raises(InputError, match="no DecisionRequest"):
        decider.decide(["r"])  # type: ignore[list-item]
    for amounts in ([1.0, 2.0], 5, {"cost": [1.0, 2.0]}):
        with pytest.raises(InputError, match="by name"):
            reader.read("r", {"A": 1.0}, amounts, groups)  # type: ignore[arg-type]
    assert decider.standings()[0].expected == 0


# What is no number, no label, no table


class Stubborn:
    """An array that says no."""

    def __array__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("not now")

    def __repr__(self) -> str:
        return "a stubborn\nthing"


ODDITIES: list[Any] = [
    None, True, 5, -1, 2**63, 10**400, 1.5, float("nan"), float("inf"), 1j, "x", "", b"x", "\ud800",
    [], [[]], {}, (), [1, [2]], [[1.0], [2.0, 3.0]], [None], {"a": 1}, {"a": [1, 2]}, {1: 2}, {("a", "b"): 1},
    set("ab"), object(), Stubborn(), [Stubborn()], lambda: 1, (x for x in "ab"), range(2), Problem, Budget(1),
    np.ma.masked_array([1.0, 2.0], [True, False]), np.array([1 + 2j]), np.array(["2026-01-01"], "M8[D]"),
    np.array([1], "m8[s]"), np.array([b"\xff"]), np.zeros((0, 2)), np.zeros((2, 2, 2)), np.float32(1),
    np.array(5), decimal.Decimal("NaN"), fractions.Fraction(1, 3), dt.date(2026, 1, 1), pd.NA, pd.NaT,
    pd.Series([1.0, 2.0]), pd.Series(["a", None]), pd.DataFrame({"a": [1], "b": ["x"]}), pd.Index(["a"]),
    pd.Series([dt.timedelta(1)]), pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]),
    pd.Series([1.0, 2.0], ["a", "a"]), pl.Series([1, None]), pl.Series([dt.timedelta(days=1)]),
    pl.Series([[1], [2]]), pl.Series([b"x"]), pl.Series([{"a": 1}]), pl.DataFrame({"a": [[1.0]]}),
    pl.DataFrame({"a": [1.0], "b": [dt.timedelta(1)]}), scipy.sparse.eye_array(2),
    pl.LazyFrame({"a": [1]}).select(pl.col("nowhere")),
]  # fmt: skip

MATRIX = [[1.0, 2.0], [3.0, 4.0]]


def made(**other: Any) -> Problem:
    return Problem(**({"value": MATRIX, "measures": {"cost": MATRIX}, "groups": {"g": ["a", "b"]}} | other))


def scores(**other: Any) -> Problem:
    table = {"user_id": [1, 2], "coupon_id": ["a", "b"], "value": [1.0, 2.0], "cost": [1.0, 1.0]}
    return Problem.from_scores(**({"scores": table, "measures": ["cost"]} | other))


SMALL = made()
SOLVED = solve(SMALL, [Budget(5, label="b")])

ENTRIES: dict[str, Callable[[Any], Any]] = {
    "value": lambda x: made(value=x),
    "measures": lambda x: made(measures=x),
    "a measure": lambda x: made(measures={"cost": x}),
    "user_ids": lambda x: made(user_ids=x),
    "coupon_ids": lambda x: made(coupon_ids=x),
    "groups": lambda x: made(groups=x),
    "a group": lambda x: made(groups={"g": x}),
    "groups with ids": lambda x: made(groups={"g": x}, user_ids=["a", "b"]),
    "coupon_groups": lambda x: made(coupon_groups={"g": x}),
    "per_user": lambda x: made(per_user=x),
    "scores": lambda x: scores(scores=x),
    "score columns": lambda x: scores(scores={"user_id": x, "coupon_id": x, "value": x, "cost": [1.0]}),
    "score values": lambda x: scores(
        scores={"user_id": [1, 2], "coupon_id": ["a", "b"], "value": x, "cost": x}
    ),
    "score names": lambda x: scores(measures=x, groups=x),
    "score users": lambda x: scores(users=x, coupons=x),
    "score id": lambda x: scores(user_id=x, value=x),
    "Budget": lambda x: Budget(x).rows(SMALL),
    "budget keys": lambda x: Budget(5, at_least=x, penalty=x),
    "budget risk": lambda x: Budget(5, confidence=x, coupon_error=x).rows(SMALL),
    "budget label": lambda x: Budget(5, label=x, measure=x).rows(SMALL),
    "Inventory": lambda x: Inventory(x).rows(SMALL),
    "a stock": lambda x: Inventory({"0": x}).rows(SMALL),
    "Capacity": lambda x: Capacity(5, channel=x, users=x).rows(SMALL),
    "Exclude": lambda x: Exclude(users=x, coupons=x).rows(SMALL),
    "excluded users": lambda x: Exclude(users={"g": x}).rows(SMALL),
    "excluded coupons": lambda x: Exclude(coupons=x).rows(SMALL),
    "Floor": lambda x: Floor(x, by=x, per_head=x).rows(SMALL),
    "Limit": lambda x: Limit(label="l", measure=x, at_least=x, at_most=x).rows(SMALL),
    "Parity": lambda x: Parity(x, x, rate=x).rows(SMALL),
    "ReturnFloor": lambda x: ReturnFloor(x, cost=x).rows(SMALL),
    "Share": lambda x: Share(label="s", by=x, at_least=x).rows(SMALL),
    "MaxMin": lambda x: solve(SMALL, objective=MaxMin(x, x)),
    "weights": lambda x: solve(SMALL, objective=ProportionalFairness("g", {"a": x, "b": x})),
    "solve": lambda x: solve(x),
    "limits": lambda x: solve(SMALL, x),
    "a limit": lambda x: solve(SMALL, [x]),
    "objective": lambda x: solve(SMALL, objective=x),
    "settings": lambda x: solve(SMALL, gap=x, time_limit=x, seed=x),
    "choices": lambda x: solve(SMALL, method=x, on_infeasible=x),
    "engine": lambda x: solve(SMALL, engine=x, device=x),
    "threads": lambda x: solve(SMALL, threads=x),
    "warm_start": lambda x: solve(SMALL, warm_start=x),
    "certify": lambda x: certify(SMALL, [], x, {}),
    "certified problem": lambda x: certify(x, [], [0, 0], {}),
    "certified prices": lambda x: certify(SMALL, x, [0, 0], x),
    "Pricer": lambda x: Pricer(SMALL, [], x),
    "pricer": lambda x: Pricer(x, x, {}),
    "decide": lambda x: SOLVED.pricer().decide(x, {"cost": x}),
    "decide measures": lambda x: SOLVED.pricer().decide([1.0, 2.0], x, x),
    "decide_many": lambda x: SOLVED.pricer().decide_many(x, {"cost": x}, {"g": x}),
    "decide_many groups": lambda x: SOLVED.pricer().decide_many(MATRIX, {"cost": MATRIX}, x),
    "with_values": lambda x: SMALL.with_values(x),
    "of_users": lambda x: SMALL.of_users(x),
    "of_coupons": lambda x: SMALL.of_coupons(x),
    "gather": lambda x: SMALL.gather(x),
    "measure": lambda x: SMALL.measure(x),
    "assignments": lambda x: SOLVED.assignments(x),
    "redemption_cost": lambda x: redemption_cost(x, x),
    "simulate_spend": lambda x: simulate_spend(SOLVED, x, 1.0, coupon_error=x, draws=2),
    "OnlinePlan": lambda x: OnlinePlan.from_solution(SOLVED, x),
    "plan parts": lambda x: OnlinePlan(
        plan_id="p", coupon_ids=x, per_user=x, groups=x, rows=(), users=x, objective=1.0
    ),
    "plan times": lambda x: OnlinePlan.from_solution(SOLVED, "p", starts_at=x, ends_at=x, profile=x),
    "plan text": OnlinePlan.from_json,
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_but_input_errors_comes_out(entry: str) -> None:
    """Each finding says what is wrong, in one line, and no warning is left behind."""
    found = [refusal(ENTRIES[entry], oddity) for oddity in ODDITIES]
    refused = [error for error in found if error is not None]
    assert len(refused) >= len(ODDITIES) // 6, "most of these are nonsense everywhere"
    for error in refused:
        assert error.findings
        assert all(finding.message and "\n" not in (finding.found or "") for finding in error.findings)


def refusal(entry: Callable[[Any], Any], oddity: Any) -> InputError | None:
    try:
        entry(oddity)
    except InputError as error:
        return error
    return None


def test_what_is_masked_is_missing() -> None:
    value = np.ma.masked_array(MATRIX, [[False, True], [False, False]])
    assert made(value=value).eligible().tolist() == [[True, False], [True, True]]


def test_numbers_of_every_kind_count() -> None:
    rows = [
        [decimal.Decimal("1.5"), fractions.Fraction(1, 2)],
        [np.int8(1), True],
        [None, pd.NA],
    ]
    assert Problem(rows).value.tolist()[:2] == [[1.5, 0.5], [1.0, 1.0]]
    assert not Problem(rows).eligible()[2].any()
    assert Problem(pl.DataFrame({"a": [1, None]}, schema={"a": pl.Decimal(10, 2)})).eligible().sum() == 1


# Files


def parquet(folder: Any, **columns: Any) -> Any:
    frame = pl.DataFrame({"id": ["a", "b"], "v": [1.0, 2.0], "w": [2.0, 1.0]} | columns)
    frame.write_parquet(folder / "users.parquet")
    return folder / "users.parquet"


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"v": [dt.timedelta(1)] * 2}, {}, "v: wrong type .found Duration"),
        ({"v": ["1", "2"]}, {}, "v: wrong type .found String"),
        ({"id": [1.0, 2.0]}, {"user_id": "id"}, "ids must be text or whole numbers .found Float64"),
        ({"id": [dt.timedelta(1), None]}, {"user_id": "id"}, "ids must be text or whole numbers .found Dur"),
        ({"id": [[1], [2]]}, {"user_id": "id"}, "ids must be text or whole numbers"),
        ({"id": [[1], [2]]}, {"groups": ["id"]}, "id: the column holds no labels"),
        ({"id": [b"x", b"y"]}, {"groups": ["id"]}, "id: the column holds no labels .found Binary"),
        ({"id": [dt.timedelta(1)] * 2}, {"groups": ["id"]}, "id: the column holds no labels"),
        ({}, {"groups": "id"}, "must be a list of columns"),
        ({}, {"value": 5}, "value: must be a column"),
        ({}, {"measures": ["w"]}, "must be given by name"),
        ({}, {"coupon_ids": [1.5, 2.5]}, "coupon_ids"),
        ({}, {"coupon_groups": {"c": pd.Series(["x", "y"], ["B", "A"])}, "coupon_ids": COUPONS}, "other ord"),
    ],
)  # fmt: skip
def test_files_with_odd_columns_are_refused(
    tmp_path: Any, columns: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    path = parquet(tmp_path, **columns)
    with pytest.raises(InputError, match=words):
        Problem.from_parquet(path, **({"value": ["v", "w"]} | options))


def test_whole_and_decimal_numbers_in_files_count(tmp_path: Any) -> None:
    path = tmp_path / "users.parquet"
    kinds = {"a": pl.Int64, "b": pl.Decimal(10, 2), "c": pl.List(pl.Int32)}
    pl.DataFrame({"a": [1, None], "b": [2, 3], "c": [[1, 2], [3, 4]]}, schema=kinds).write_parquet(path)
    found = Problem.from_parquet(path, ["a", "b"], {"cost": "c"})
    (batch,) = found.batches()
    assert batch.value.tolist()[0] == [1.0, 2.0]
    assert np.isnan(batch.value[1, 0])
    assert batch.measures["cost"][0].tolist() == [1.0, 2.0]


def test_a_file_that_is_cut_short_is_named(tmp_path: Any) -> None:
    path = parquet(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a Parquet file"):
        Problem.from_parquet(path, ["v"])
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[:4] + b"\0" * (footer - 4) + whole[footer:])
    with pytest.raises(InputError, match=r"cannot be read|Parquet"):
        solve(Problem.from_parquet(path, ["v", "w"]))
    for place in (5, None, tmp_path / "nowhere", "\0"):
        with pytest.raises(InputError):
            Problem.from_parquet(place, ["v"])  # type: ignore[arg-type]
