"""Tables and queries of databases: what cannot be run is named, nothing is written, no secret is shown."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.campaign_folders import ROWS, Folder
from support.table_forms import write_book, write_duckdb, write_sqlite

DATABASES = {
    "no table": ("shop.sqlite", ("name the table or the query after #", "shop.sqlite#users")),
    "a table that is not there": ("shop.sqlite#people", ("the query fails: no such table: people",)),
    "a column that is not there": (
        "shop.sqlite#select nope from users",
        ("the query fails: no such column: nope",),
    ),
    "a query that writes": ("shop.sqlite#delete from users", ("the query fails: not authorized",)),
    "a query that attaches": ("shop.sqlite#attach 'x.db' as x", ("the query fails: not authorized",)),
    "two queries": ("shop.sqlite#select 1; drop table users", ("one statement at a time",)),
    "no database": ("users.csv#users", ("no parts",)),
    "bytes": ("shop.sqlite#select user_id, x'00' as b from users", ("b: the column holds binary data",)),
    "one name twice": (
        "shop.sqlite#select user_id, region as user_id from users",
        ("two columns have this name",),
    ),
    "a bad cell": (
        "shop.sqlite#select user_id, 'x' as messages_7d from users",
        ("messages_7d: this value cannot be used, in the row of user_id 'u1'",),
    ),
    "a missing table of DuckDB": ("shop.duckdb#people", ("the query fails: Catalog Error",)),
    "DuckDB that writes": ("shop.duckdb#drop table users", ("only one query that reads is run",)),
    "two queries of DuckDB": ("shop.duckdb#select 1; select 2", ("only one query that reads is run",)),
    "DuckDB that writes a file": (
        "shop.duckdb#copy users to 'out.csv'",
        ("only one query that reads is run",),
    ),
    "lists of DuckDB": (
        "shop.duckdb#select user_id, [1] as l from users",
        ("l: the column holds what is no cell",),
    ),
    "spans of DuckDB": (
        "shop.duckdb#select user_id, interval 1 day as i from users",
        ("i: the column holds what",),
    ),
    "an unset variable": (
        "postgresql://me:${NO_SUCH_VARIABLE}@host/shop#users",
        ("the environment variable NO_SUCH_VARIABLE is not set",),
    ),
    "an unset variable in a path": ("${NO_SUCH_VARIABLE}/users.csv", ("NO_SUCH_VARIABLE is not set",)),
    "no query": ("postgresql://me@host/shop", ("name the table or the query after #",)),
    "a server that is not read": (
        "mysql://me@host/shop#users",
        ("tables are not read from there ['mysql://']",),
    ),
}


@pytest.mark.parametrize("kind", DATABASES)
def test_a_query_that_cannot_be_run_is_named(check: Callable[..., str], tiny: Folder, kind: str) -> None:
    stated, words = DATABASES[kind]
    write_sqlite(tiny.path / "shop.sqlite", {"users": ROWS})
    write_duckdb(tiny.path / "shop.duckdb", {"users": ROWS})
    said = check({}, f'[tables]\nusers = "{stated}"\n', drop=())
    assert all(word in said for word in words), said
    assert not (tiny.path / "out.csv").exists()
    assert check({}, '[tables]\nusers = "shop.sqlite#users"\n', drop=()) == "accepted"


@pytest.mark.parametrize(
    "where", ["me:hunter2@host", "me@host/?password=hunter2", "host/?sslpassword=hunter2"]
)
def test_a_password_in_campaign_toml_is_refused_and_not_repeated(
    check: Callable[..., str], where: str
) -> None:
    said = check({}, f'[tables]\nusers = "postgresql://{where}#users"\n', drop=())
    assert "a password does not belong in campaign.toml" in said
    assert "hunter2" not in said


def test_a_secret_of_the_environment_is_in_no_message(
    check: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOP_HOST", str(tmp_path / "hunter2"))
    said = check({}, '[tables]\nusers = "postgresql:///shop?host=${SHOP_HOST}#users"\n', drop=())
    assert "the server cannot be reached" in said
    assert "hunter2" not in said
    assert "${SHOP_HOST}" in said


@pytest.mark.parametrize(
    ("stated", "module", "extra"),
    [
        ("book.xlsx#One", "python_calamine", "excel"),
        ("shop.duckdb#users", "duckdb", "sql"),
        ("postgresql://host/shop#users", "psycopg", "sql"),
    ],
)
def test_a_reader_that_is_not_installed_is_named(
    check: Callable[..., str],
    tiny: Folder,
    monkeypatch: pytest.MonkeyPatch,
    stated: str,
    module: str,
    extra: str,
) -> None:
    write_book(tiny.path / "book.xlsx", {"One": ROWS, "Two": ROWS})
    write_duckdb(tiny.path / "shop.duckdb", {"users": ROWS})
    monkeypatch.setitem(sys.modules, module, None)
    said = check({}, f'[tables]\nusers = "{stated}"\n', drop=())
    assert f"pip install 'allocate[{extra}]' brings it" in said
