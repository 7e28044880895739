"""The service's database: what its URL may say, how it is made, and what is said when it is not there."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from allocator.errors import InputError
from allocator.online.records import MILLIONTHS
from allocator.service.database import (
    UnavailableError,
    connect,
    create_tables,
    reading,
    schema_version,
    writing,
)
from allocator.service.plans.sql_ledger import SqlLedger
from support.ledger_worker import PLAN, ROW, decider, is_given
from support.postgres_server import PostgresServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.db"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "cannot be read"),
        ("postgresql://ann:secret/@host:port/db", "percent-encoded"),
        ("mysql://ann:secret@host/db", "no support for databases of kind 'mysql'"),
        ("sqlite://", "keeps nothing"),
        ("sqlite:///:memory:", "keeps nothing"),
        ("sqlite:////no/such/folder/x.db", "no folder /no/such/folder"),
        ("sqlite:///x.db?synchronous=off", "write normal or full"),
        ("sqlite:///x.db?mode=ro", "not mode"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        connect(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:secret@127.0.0.1:1/db",
        "postgresql+psycopg://ann@127.0.0.1:1/db?password=secret",
        "postgres://ann:secret@127.0.0.1:1/db",
    ],
)
def test_a_server_that_does_not_answer_is_named_without_its_password(url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UnavailableError, match=r"://ann.*@127\.0\.0\.1:1/db cannot") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"pip install 'allocate\[postgres\]'"):
        connect("postgresql://127.0.0.1:1/db")


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(UnavailableError, match="not a database"):
        connect(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("option", "synchronous"), [("", 1), ("?synchronous=normal", 1), ("?synchronous=full", 2)]
)
def test_a_file_is_opened_as_its_url_says(path: Path, option: str, synchronous: int) -> None:
    engine = connect(f"sqlite:///{path}{option}")
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_may_create_the_tables_at_once(kind: str, path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{path}" if kind == "sqlite" else request.getfixturevalue("postgres").new_database()

    def start(_: int) -> None:
        engine = connect(url)
        create_tables(engine)
        engine.dispose()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    engine = connect(url)
    with reading(engine) as connection:
        assert connection.execute(sa.select(schema_version)).all() == [(1,)]
        assert "reservations" in sa.inspect(connection).get_table_names()
    engine.dispose()


def test_tables_of_a_newer_version_are_left_alone(path: Path) -> None:
    engine = connect(f"sqlite:///{path}")
    create_tables(engine)
    with writing(engine) as connection:
        connection.execute(sa.update(schema_version).values(version=99))
    with pytest.raises(InputError, match="version 99, made by a newer Allocate"):
        create_tables(engine)
    engine.dispose()


def test_readers_do_not_wait_for_the_writer(path: Path) -> None:
    engine = connect(f"sqlite:///{path}")
    create_tables(engine)
    with writing(engine) as writer:
        writer.execute(sa.update(schema_version).values(version=0))
        with reading(engine) as reader:
            assert reader.execute(sa.select(schema_version)).all() == [(1,)]
    engine.dispose()


def test_a_broken_transaction_does_not_block_the_next(path: Path) -> None:
    engine = connect(f"sqlite:///{path}")
    create_tables(engine)

    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(sa.delete(schema_version))
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail()
    with reading(engine) as connection:
        assert connection.execute(sa.select(schema_version)).all() == [(1,)]
    engine.dispose()


def test_decisions_go_on_after_the_server_was_restarted(postgres: PostgresServer) -> None:
    engine = connect(postgres.new_database())
    create_tables(engine)
    by = decider(ledger := SqlLedger(engine), cap=10)
    assert is_given(by, "before")
    postgres.stop()
    for _ in range(2):
        with pytest.raises(UnavailableError, match="cannot be used"):
            is_given(by, "meanwhile")
    postgres.start()
    assert is_given(by, "after")
    assert is_given(by, "before")  # decided once, answered again
    with ledger.open(PLAN) as entries:
        assert entries.held[ROW] == 2 * MILLIONTHS
    engine.dispose()
