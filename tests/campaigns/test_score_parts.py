"""Scores that are read part by part: the same numbers, notes and findings as of the table read whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.campaign import read_campaign, table_files
from allocator.campaign.formats import columnar, delimited
from allocator.campaign.scores import ScoreParts
from allocator.errors import InputError
from support.campaign_folders import COUPONS, USERS, Folder

CONFIG = 'schema = 1\nname = "tiny"\ncurrency = "USD"\nas_of = 2026-06-01\n[copy]\nwriter = "template"\n'
PLAIN = ["1.5", "0.25", "3", "-2.125", "1e3", "+4.5", ".5"]
ODD = ["1,5", "1.234", "1.234,5", "NA", "", " 2.5 ", "nan", "inf", "$3", "2e15", "x", "1'000.5"]
USER = st.sampled_from(["u1", "u2", "u3", "u4"])
STRANGE = st.sampled_from(["u9", " u1", "U1", "", "u2\t", "none"])


def lines(cells: st.SearchStrategy[str], users: st.SearchStrategy[str]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.tuples(users, st.sampled_from(["C1", "C2"]), cells, cells), min_size=1, max_size=9)


def outcome(folder: Path) -> Any:
    """Return what comes of reading, as it can be compared."""
    try:
        campaign = read_campaign(folder)
    except InputError as error:
        return [str(finding) for finding in error.findings]
    assert campaign.scores is not None
    return campaign.scores.to_dict(as_series=False), campaign.notes, campaign.digests


def both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    with monkeypatch.context() as patch:
        patch.setattr(delimited, "BLOCK", 40)
        patch.setattr(columnar, "PART", 2)
        parts = outcome(folder)
        patch.setattr(table_files, "read_in_parts", lambda *_: None)
        return parts, outcome(folder)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in (("campaign.toml", CONFIG), ("users.csv", USERS), ("coupons.csv", COUPONS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("mark", "quote"), [(",", ""), (";", '"')])
def test_a_csv_file_in_parts_is_as_the_whole(
    shop: Path, monkeypatch: pytest.MonkeyPatch, mark: str, quote: str
) -> None:
    @settings(max_examples=12, deadline=None)
    @given(lines(st.sampled_from(PLAIN), USER) | lines(st.sampled_from(PLAIN + ODD), USER | STRANGE))
    def check(rows: list[tuple[str, ...]]) -> None:
        header = mark.join(("user_id", "coupon_id", "value", "cost"))
        body = [mark.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
        (shop / "scores.csv").write_text("\n".join([header, *body, ""]), encoding="utf-8")
        parts, whole = both(shop, monkeypatch)
        assert parts == whole

    check()


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            USER | STRANGE,
            st.sampled_from(["C1", "C2"]),
            st.sampled_from([1.5, 2.0, -0.25, 1e16, float("nan"), None]),
            st.sampled_from([0.5, 0.0, -1.0, float("inf")]),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_a_parquet_file_in_parts_is_as_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    for name, text in (("campaign.toml", CONFIG), ("users.csv", USERS), ("coupons.csv", COUPONS)):
        (folder / name).write_text(text, encoding="utf-8")
    schema = {"user_id": pl.String, "coupon_id": pl.String, "value": pl.Float64, "cost": pl.Float64}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "scores.parquet")
    with pytest.MonkeyPatch.context() as patch:
        parts, whole = both(folder, patch)
    assert parts == whole


def test_rows_in_any_order_find_their_places() -> None:
    users = pl.Series([f"u{i}" for i in range(100_000)])  # too many to look up one by one
    coupons = pl.Series(["C1", "C2"])
    table = pl.DataFrame({"user_id": users, "cost": np.arange(100_000.0)}).with_columns(
        coupon_id=pl.lit("C2"), value=pl.col("cost") + 1
    )
    parts = ScoreParts(users, coupons)
    for part in table.sample(fraction=1.0, shuffle=True, seed=1).iter_slices(30_000):
        assert parts.add(part)
    scores = parts.scores()
    assert scores is not None
    assert (scores.numbers["cost"][:, 1] == np.arange(100_000)).all()
    assert np.isnan(scores.numbers["value"][:, 0]).all()
    assert not parts.add(table.head(1).with_columns(user_id=pl.lit("nobody")))
    assert parts.add(table.head(1))
    assert parts.scores() is None  # a pair is there twice


def test_single_precision_stays_single_precision(tiny: Folder) -> None:
    scores = pl.read_csv(tiny.path / "scores.csv").cast({"value": pl.Float32, "cost": pl.Float32})
    (tiny.path / "scores.csv").unlink()
    scores.write_parquet(tiny.path / "scores.parquet")
    campaign = read_campaign(tiny.path)
    assert campaign.ready is not None
    assert {numbers.dtype for numbers in campaign.ready.numbers.values()} == {np.dtype(np.float32)}


def test_a_folder_of_parquet_files_is_one_table(tiny: Folder) -> None:
    whole = read_campaign(tiny.path).scores
    scores = pl.read_csv(tiny.path / "scores.csv")
    (tiny.path / "scores.csv").unlink()
    (tiny.path / "scores.parquet" / "later").mkdir(parents=True)
    scores.head(3).write_parquet(tiny.path / "scores.parquet" / "a.parquet")
    scores.slice(3).write_parquet(tiny.path / "scores.parquet" / "later" / "b.parquet")
    campaign = read_campaign(tiny.path)
    assert campaign.scores is not None
    assert campaign.scores.equals(whole)
    assert campaign.digests["scores.parquet"] != read_campaign(tiny.path).digests["users.csv"]
    scores.slice(3).with_columns(cost=-pl.col("cost")).write_parquet(
        tiny.path / "scores.parquet" / "later" / "b.parquet"
    )
    with pytest.raises(InputError, match=r"scores.parquet:5, cost: this value cannot be used.*at least 0"):
        read_campaign(tiny.path)
    scores.rename({"cost": "price"}).write_parquet(tiny.path / "scores.parquet" / "later" / "b.parquet")
    with pytest.raises(InputError, match=r"b.parquet: this file of scores.parquet has other columns"):
        read_campaign(tiny.path)


def test_progress_says_how_many_rows_of_a_large_table_are_read(
    tiny: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, int]] = []
    read_campaign(tiny.path, progress=lambda *step: told.append(step))
    assert told == []  # one part is no large table
    monkeypatch.setattr(delimited, "BLOCK", 30)
    read_campaign(tiny.path, progress=lambda *step: told.append(step))
    assert {step for step, _, _ in told} == {"read scores"}
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})
    assert told[-1] == ("read scores", 8, 8)
    assert all(done <= total <= 12 for _, done, total in told)


def test_scores_may_begin_with_a_column_of_numbers(tiny):
    usual = read_campaign(tiny.path).scores
    table = pl.read_csv(tiny.path / "scores.csv", infer_schema=False)
    numbers = table.select("value", pl.exclude("value")).with_columns(value=pl.col("value") + ".5")
    numbers.write_csv(tiny.path / "scores.csv")
    assert read_campaign(tiny.path).scores["value"].to_list() == [value + 0.5 for value in usual["value"]]
    with (tiny.path / "scores.csv").open("a", encoding="utf-8") as file:
        file.write(",".join(["100.5", *[""] * (len(table.columns) - 1)]) + "\n")
    with pytest.raises(InputError):
        read_campaign(tiny.path)
