"""The same campaign in every form of tables: the same tables are read and the same plan is made."""

import datetime as dt
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from allocator.campaign import Campaign, read_campaign
from allocator.campaign.predictions import read_predictions
from allocator.service.campaigns import is_small
from support.command_line import Command
from support.postgres_server import PostgresServer
from support.table_forms import (
    SPELLINGS,
    TABLES,
    Spelling,
    frame_of,
    without,
    write_book,
    write_campaign,
    write_duckdb,
    write_packed,
    write_postgres,
    write_sqlite,
)

NAMES = ("users", "coupons", "history", "scores")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return read_campaign(write_campaign(tmp_path_factory.mktemp("plain") / "plain"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The campaign's folder without its tables."""
    made = write_campaign(tmp_path / "forms")
    without(made)
    return made


def state(folder: Path, text: str) -> Path:
    path = folder / "campaign.toml"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}\n", encoding="utf-8")
    return folder


def assert_same(folder: Path, plain: Campaign, allocate: Command, ordered: bool = True) -> list[str]:
    """Check that a folder holds the plain campaign, and solve it; return the notes of `check`."""
    campaign = read_campaign(folder)
    for name in NAMES:
        one, other = getattr(plain, name), getattr(campaign, name)
        if not ordered:
            one, other = (frame.sort(frame.columns) for frame in (one, other))
        assert one.equals(other), f"{name}: {one} {other}"
    checked = allocate("check", folder, "--json")
    assert checked.code == 0, checked.err
    solved = allocate("solve", folder, "--json")
    assert solved.code == 0, solved.err
    assert solved.document["objective"] == pytest.approx(1238.75)
    return [note for note in checked.document["notes"] if "too few users" not in note]  # to learn from


def test_the_plain_campaign_needs_no_word(tmp_path: Path, plain: Campaign, allocate: Command) -> None:
    assert assert_same(write_campaign(tmp_path / "again"), plain, allocate) == []
    assert plain.users["spend"].to_list() == [1234.5, 0.25, 12345678.75, None]
    assert plain.coupons["value"].to_list() == [12.5, 5.25]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_text_as_programs_and_countries_write_it(
    folder: Path, plain: Campaign, allocate: Command, spelling: str
) -> None:
    written, words = SPELLINGS[spelling]
    for name, rows in TABLES.items():
        (folder / f"{name}.csv").write_bytes(written.text(rows))
    notes = assert_same(folder, plain, allocate)
    assert any(words in note for note in notes) if words else notes == []


@pytest.mark.parametrize("ending", ["tsv", "txt"])
def test_other_endings_of_text(folder: Path, plain: Campaign, allocate: Command, ending: str) -> None:
    mark = "\t" if ending == "tsv" else ","
    for name, rows in TABLES.items():
        (folder / f"{name}.{ending}").write_bytes(Spelling(mark).text(rows))
    assert assert_same(folder, plain, allocate) == []


def columnar(folder: Path, name: str, rows: Any, *, ending: str) -> None:
    frame, path = frame_of(rows), folder / f"{name}.{ending}"
    {"parquet": frame.write_parquet, "arrow": frame.write_ipc, "feather": frame.write_ipc_stream}[ending](
        path
    )


FILES: dict[str, Callable[..., None]] = {
    "gzip": partial(write_packed, program="gzip"),
    "zstd": partial(write_packed, program="zstd"),
    "Parquet": partial(columnar, ending="parquet"),
    "Arrow": partial(columnar, ending="arrow"),
    "Arrow stream": partial(columnar, ending="feather"),
    "Excel": lambda folder, name, rows: write_book(folder / f"{name}.xlsx", {"Sheet1": rows}),
}


@pytest.mark.parametrize("form", FILES)
def test_files_of_other_forms(folder: Path, plain: Campaign, allocate: Command, form: str) -> None:
    for name, rows in TABLES.items():
        FILES[form](folder, name, rows)
    assert assert_same(folder, plain, allocate) == []


def test_a_workbook_with_a_sheet_for_each_table(folder: Path, plain: Campaign, allocate: Command) -> None:
    write_book(folder / "export 2026.xlsx", dict(TABLES))
    lines = [f'{name} = "export 2026.xlsx#{name}"' for name in TABLES]
    assert assert_same(state(folder, "[tables]\n" + "\n".join(lines)), plain, allocate) == []
    digests = read_campaign(folder).digests
    assert set(digests) == {"campaign.toml", "export 2026.xlsx"}


def test_a_sheet_below_a_title_beside_notes(folder: Path, plain: Campaign, allocate: Command) -> None:
    for name, rows in TABLES.items():
        write_book(
            folder / f"{name}.xlsx", {"About": [["Notes"]], name.title(): [["Report"], [], *rows]}, top=2
        )
    notes = assert_same(folder, plain, allocate)
    assert "users.xlsx#Users is read with header in row 5, below 'Report'" in notes


def test_percentages_of_excel_are_those_that_it_shows(
    folder: Path, plain: Campaign, allocate: Command
) -> None:
    shown = [list(row) for row in TABLES["coupons"]]
    shown[1][2] = ("0.0%", 0.125)
    shown[2][2] = ('"€" 0.00', 5.25)
    tables = {**TABLES, "coupons": shown}
    for name, rows in tables.items():
        write_book(folder / f"{name}.xlsx", {"Sheet1": rows})
    assert assert_same(folder, plain, allocate) == []


def test_sqlite(folder: Path, plain: Campaign, allocate: Command) -> None:
    write_sqlite(folder / "shop.sqlite")
    lines = [f'{name} = "shop.sqlite#{name}"' for name in NAMES]
    assert assert_same(state(folder, "[tables]\n" + "\n".join(lines)), plain, allocate, ordered=False) == []


def test_duckdb(folder: Path, plain: Campaign, allocate: Command) -> None:
    write_duckdb(folder / "shop.duckdb")
    lines = [f'{name} = "shop.duckdb#{name}"' for name in NAMES if name != "users"]
    lines.append("users = \"shop.duckdb#select * from users where user_id like 'u%' -- ours\"")
    assert assert_same(state(folder, "[tables]\n" + "\n".join(lines)), plain, allocate, ordered=False) == []


def test_postgresql(
    folder: Path,
    plain: Campaign,
    allocate: Command,
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = postgres.new_database()
    write_postgres(url)
    monkeypatch.setenv("SHOP_DATABASE", url.removeprefix("postgresql://"))
    lines = [f'{name} = "postgresql://${{SHOP_DATABASE}}#{name}"' for name in NAMES if name != "users"]
    lines.append(
        'users = "postgresql://${SHOP_DATABASE}#select * from users where spend is null or 1=1 -- all"'
    )
    state(folder, "[tables]\n" + "\n".join(lines))
    assert assert_same(folder, plain, allocate, ordered=False) == []
    out = tmp_path / "run"
    assert allocate("run", folder, "--no-predict", "--out", out).code == 0
    kept = "".join(file.read_text(encoding="utf-8") for file in out.iterdir() if file.is_file())
    assert "${SHOP_DATABASE}" in kept
    assert url.removeprefix("postgresql://") not in kept
    assert allocate("check", out).code == 0
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("UPDATE users SET spend = 1 WHERE user_id = 'u1'")
    found = allocate("check", out)
    assert found.code == 3
    assert "the table has changed since the run" in " ".join(found.err.split())
    bad = allocate("check", state_table(folder, "users", "select nope from users"))
    assert bad.code == 3
    assert 'column "nope" does not exist' in " ".join(bad.err.split())
    for query in (
        "delete from users returning *",
        "with gone as (delete from users returning *) select * from gone",
    ):
        refused = allocate("check", state_table(folder, "users", query))
        assert refused.code == 3
        assert "the query fails" in refused.err
    for cell, words in (("array[1, 2]", "no cell of a table"), ("interval '1 day'", "no cell of a table")):
        found = allocate("check", state_table(folder, "users", f"select user_id, {cell} as odd from users"))
        assert words in " ".join(found.err.split())
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (4,)


def state_table(folder: Path, table: str, query: str) -> Path:
    path = folder / "campaign.toml"
    lines = [
        f'{table} = "postgresql://${{SHOP_DATABASE}}#{query}"' if line.startswith(f"{table} = ") else line
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_rows_of_a_query_come_in_one_order(folder: Path) -> None:
    """The same rows give the same plan and the same digest, in whatever order the database holds them."""
    kept = []
    for rows in (TABLES["users"], [TABLES["users"][0], *reversed(TABLES["users"][1:])]):
        write_sqlite(folder / "shop.sqlite", {**TABLES, "users": rows})
        lines = [f'{name} = "shop.sqlite#{name}"' for name in NAMES]
        path = folder / "campaign.toml"
        text = path.read_text(encoding="utf-8").partition("\n[tables]")[0]
        path.write_text(text + "\n[tables]\n" + "\n".join(lines), encoding="utf-8")
        campaign = read_campaign(folder)
        kept.append((campaign.user_ids.tolist(), campaign.digests))
        (folder / "shop.sqlite").unlink()
    assert kept[0] == kept[1]


def test_a_run_of_tables_elsewhere_opens_again(folder: Path, allocate: Command, tmp_path: Path) -> None:
    write_book(tmp_path / "book.xlsx", dict(TABLES))
    lines = [f'{name} = "../book.xlsx#{name}"' for name in NAMES]
    state(folder, "[tables]\n" + "\n".join(lines))
    out = tmp_path / "run"
    assert allocate("run", folder, "--no-predict", "--no-copy", "--out", out).code == 0
    assert allocate("check", out).code == 0
    assert allocate("whatif", out, "--set", "total.at_most=9", "--json").code == 0
    write_book(tmp_path / "book.xlsx", {**TABLES, "users": [*TABLES["users"], ["u5", "south", 1.5, 1]]})
    assert "has changed since the run" in " ".join(allocate("check", out).err.split())


# Types that are not what they seem


def test_types_of_parquet(folder: Path) -> None:
    for name in ("coupons", "scores"):
        (folder / f"{name}.csv").write_bytes(Spelling().text(TABLES[name]))
    frame = pl.DataFrame(
        {
            "user_id": ["u1", "u2", "u3", "u4"],
            "exact": pl.Series(["1.234", "2.345", "3.456", None]).cast(pl.Decimal(10, 3)),
            "kind": pl.Series(["a", "b", "a", "b"], dtype=pl.Enum(["a", "b"])),
            "since": pl.Series([dt.time(3, 4)] * 4),
        }
    )
    frame.write_parquet(folder / "users.parquet")
    moment = pl.Series([dt.datetime(2026, 1, 1, 0, 30)]).dt.replace_time_zone("Europe/Berlin")
    history = pl.DataFrame({"user_id": ["u1"], "coupon_id": ["C1"], "converted": [True], "sent_at": moment})
    history.write_parquet(folder / "history.parquet")
    campaign = read_campaign(folder)
    assert campaign.users["exact"].to_list() == [1.234, 2.345, 3.456, None]
    assert campaign.users["kind"].to_list() == ["a", "b", "a", "b"]
    assert campaign.history is not None
    assert campaign.history["sent_at"].to_list() == [dt.datetime(2025, 12, 31, 23, 30)]


@pytest.mark.parametrize("form", ["parquet", "Excel", "sqlite", "duckdb"])
def test_ids_that_a_source_holds_as_floats_are_whole(folder: Path, form: str) -> None:
    rows = [["user_id", "spend"], [7.0, 1.25], [1234567890.0, 1.234], [3.0, 2.5], [4.0, 3.5]]
    write = {
        "parquet": lambda: frame_of(rows).write_parquet(folder / "users.parquet"),
        "Excel": lambda: write_book(folder / "users.xlsx", {"Sheet1": rows}),
        "sqlite": lambda: write_sqlite(folder / "u.sqlite", {"users": rows}),
        "duckdb": lambda: doubles(folder / "u.duckdb", rows),
    }
    write[form]()
    if form in ("sqlite", "duckdb"):
        state(folder, f'[tables]\nusers = "u.{form}#users"')
    (folder / "coupons.csv").write_bytes(Spelling().text(TABLES["coupons"]))
    (folder / "scores.csv").write_text("user_id,coupon_id,value,cost\n7,C1,1,1\n", encoding="utf-8")
    users = read_campaign(folder).users
    assert sorted(users["user_id"]) == ["1234567890", "3", "4", "7"]
    assert sorted(users["spend"]) == [1.234, 1.25, 2.5, 3.5]


def doubles(path: Path, rows: Any) -> None:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE users (user_id double, spend double)")
        connection.executemany("INSERT INTO users VALUES (?, ?)", rows[1:])


# Names


def test_names_that_differ_in_case_are_found_and_named(
    folder: Path, plain: Campaign, allocate: Command
) -> None:
    for name, rows in TABLES.items():
        (folder / f"{name.title()}.CSV").write_bytes(Spelling().text(rows))
    notes = assert_same(folder, plain, allocate)
    assert "users is read from 'Users.CSV', whose name is not in small letters" in notes


def test_notes_and_findings_name_the_file_that_is_there(folder: Path, allocate: Command) -> None:
    history = [*TABLES["history"], ["u9", None, DAY_OF_SEND, 0.5, 0, 0, 0, 0]]
    for name, rows in {**TABLES, "history": history}.items():
        write_book(folder / f"{name}.xlsx", {"Sheet1": [["Title"], [], *rows]})
    notes = " ".join(read_campaign(folder).notes)
    assert "history.xlsx: 1 row" in notes
    assert "not in users.xlsx" in notes
    scores = [*TABLES["scores"], ["u9", "C9", 1, 1]]
    write_book(folder / "scores.xlsx", {"Sheet1": [["Title"], [], *scores]})
    found = " ".join(allocate("check", folder).err.split())
    assert "scores.xlsx:8, user_id" in found
    assert "scores.xlsx:8, coupon_id" in found


DAY_OF_SEND = dt.date(2026, 3, 5)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "xlsx", "parquet", "arrow"])
def test_predictions_in_other_forms(tmp_path: Path, ending: str) -> None:
    header = ["user_id", "coupon_id", "conversion", "uplift", "redemption", "revenue", "expected_cost"]
    rows = [header, ["1", "A", 0.5, 0.25, 0.125, 30.5, 1.5], ["=2", "A", 0.5, -0.25, 0.125, 1234.5, 1.5]]
    path = tmp_path / f"p.{ending}"
    if ending == "xlsx":
        write_book(path, {"Sheet1": rows})
    elif ending in ("parquet", "arrow"):
        columnar(tmp_path, "p", rows, ending=ending)
    elif ending == "csv.gz":
        write_packed(tmp_path, "p", rows, program="gzip")
    else:
        path.write_bytes(Spelling("\t" if ending == "tsv" else ",").text(rows))
    found = read_predictions(path)
    assert found.user_ids.tolist() == ["1", "=2"]
    assert found.revenue.ravel().tolist() == [30.5, 1234.5]


def test_the_service_sees_how_large_scores_are_whatever_their_form(folder: Path) -> None:
    for name in ("users", "coupons"):
        (folder / f"{name}.csv").write_bytes(Spelling().text(TABLES[name]))
    assert is_small(folder, 1)  # there is nothing to solve with, which is said at once
    state(folder, '[tables]\nscores = "pairs.csv"')
    (folder / "pairs.csv").write_bytes(Spelling().text(TABLES["scores"]))
    assert is_small(folder, 4)
    assert not is_small(folder, 3)
    (folder / "pairs.csv").unlink()
    columnar(folder, "pairs", TABLES["scores"], ending="parquet")
    path = folder / "campaign.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("pairs.csv", "pairs.parquet"), encoding="utf-8")
    assert is_small(folder, 4)
    assert not is_small(folder, 3)


def test_check_says_how_a_table_is_read_on_every_surface(
    folder: Path, allocate: Command, tmp_path: Path
) -> None:
    for name, rows in TABLES.items():
        (folder / f"{name}.csv").write_bytes(SPELLINGS["German"][0].text(rows))
    words = "users.csv is read with semicolons between cells, decimal commas"
    assert words in " ".join(allocate("check", folder).out.split())
    out = tmp_path / "run"
    assert allocate("run", folder, "--no-predict", "--no-copy", "--out", out).code == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert any(words in note for note in summary["notes"])
