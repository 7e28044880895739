"""A ledger gives each unit once, keeps what it acknowledged, and counts exactly what it keeps."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from allocator.online.ledger import Ledger, MemoryLedger
from allocator.online.records import MILLIONTHS, State
from allocator.service.database import connect, create_tables, reading
from allocator.service.plans import ledger_tables as tables
from allocator.service.plans.sql_ledger import SqlLedger
from support import ledger_worker
from support.ledger_worker import COST, PLAN, ROW, decider, is_given, nothing, unit
from support.postgres_server import PostgresServer

CAP = 100


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    return new_database(request.param, request, tmp_path)


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    made = connect(url)
    create_tables(made)
    yield made
    made.dispose()


@pytest.fixture
def sql(engine: sa.Engine) -> SqlLedger:
    return SqlLedger(engine)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    engine = connect(new_database(request.param, request, tmp_path))
    create_tables(engine)
    yield SqlLedger(engine)
    engine.dispose()


def new_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'service.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def count_exactly(engine: sa.Engine) -> dict[str, int]:
    """Return what each counter holds, after checking it against the sum over reservations."""
    with reading(engine) as connection:
        counters = connection.execute(sa.select(tables.counters)).all()
        kept = connection.execute(sa.select(tables.reservations)).all()
    for name in ("held", "expected"):
        sums: Counter[str] = Counter()
        for reservation in kept:
            sums.update(json.loads(getattr(reservation, name)))
        assert {counter.label: getattr(counter, name) for counter in counters} == sums
    return {counter.label: counter.held for counter in counters}


def workers(url: str, names: Sequence[str], number: int, cap: int) -> list[subprocess.Popen[str]]:
    """Start processes that decide on requests, all at the same time."""
    started = [
        subprocess.Popen(
            [sys.executable, ledger_worker.__file__, url, name, str(number), str(cap)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        print(file=process.stdin, flush=True)
    return started


def acknowledged(process: subprocess.Popen[str]) -> dict[str, bool]:
    """Wait for its end; return what it said it had decided, whether a unit was given by request."""
    with process:
        assert process.stdout is not None
        said = [line.removesuffix("\n") for line in process.stdout if line.endswith("\n")]
    return {line.split()[0]: line.split()[1] == "1" for line in said}


def test_what_was_written_is_read_again(ledger: Ledger) -> None:
    first, second = unit("a", user="u1"), unit("a", user="u1", position=1)
    with ledger.open(PLAN) as entries:
        assert entries.pacing is None
        assert dict(entries.held) == {}
        entries.add([second, first, nothing("b")])
        entries.set_pacing({"prices": [0.1, 1 / 3]})
        assert entries.held[ROW] == 2 * MILLIONTHS  # at once
        assert entries.of_requests(["a", "b", "c"]) == {"a": [first, second], "b": [nothing("b")]}
        assert entries.coupons_of_users(["u1", "u2"]) == {"u1": 2}
    with ledger.open(PLAN) as entries:
        assert entries.of_requests(["c", "b", "a", "a"]) == {"a": [first, second], "b": [nothing("b")]}
        assert entries.coupons_of_users(["u2", "u1"]) == {"u1": 2}
        assert entries.pacing == {"prices": [0.1, 1 / 3]}
        assert dict(entries.held) == {ROW: 2 * MILLIONTHS, "budget": 2 * COST}
        assert dict(entries.expected) == {ROW: 2 * MILLIONTHS, "budget": COST}
    with ledger.open("another plan") as entries:
        assert dict(entries.held) == {}
        assert entries.of_requests(["a"]) == {}


def test_an_exception_leaves_nothing(ledger: Ledger) -> None:
    with ledger.open(PLAN) as entries:
        entries.add([unit("a", user="u1")])
        entries.set_pacing({"step": 1})

    def fail() -> None:
        with ledger.open(PLAN) as entries:
            entries.add([unit("b", user="u1")])
            entries.replace(unit("a", user="u1"), replace(unit("a", user="u1"), state=State.USED))
            entries.set_pacing({"step": 2})
            assert len(entries.of_requests(["a", "b"])) == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with ledger.open(PLAN) as entries:
        assert entries.of_requests(["a", "b"]) == {"a": [unit("a", user="u1")]}
        assert entries.coupons_of_users(["u1"]) == {"u1": 1}
        assert entries.held[ROW] == MILLIONTHS
        assert entries.pacing == {"step": 1}


def test_an_outcome_moves_the_counters_by_the_difference(ledger: Ledger) -> None:
    used, released = unit("a", user="u1"), unit("b", user="u1")
    with ledger.open(PLAN) as entries:
        entries.add([used, released])
    spent = {ROW: MILLIONTHS, "budget": 2_718_281}
    with ledger.open(PLAN) as entries:
        entries.replace(
            used, replace(used, state=State.USED, held=spent, expected=spent, measures={"cost": 2.718281})
        )
        entries.replace(released, replace(released, state=State.RELEASED, held={}, expected={}))
        assert entries.coupons_of_users(["u1"]) == {"u1": 1}
    with ledger.open(PLAN) as entries:
        assert dict(entries.held) == spent
        assert dict(entries.expected) == spent
        assert entries.of_requests(["a"])["a"][0].measures == {"cost": 2.718281}
        assert entries.of_requests(["b"])["b"][0].state is State.RELEASED


def test_expired_reservations_come_oldest_first_until_they_are_replaced(ledger: Ledger) -> None:
    late, early, open_ = (unit(name, expires_at=at) for name, at in (("c", 30.0), ("b", 20.0), ("a", 40.0)))
    with ledger.open(PLAN) as entries:
        entries.add([late, early, open_, nothing("d")])
        assert entries.expired(19.9, 10) == []
        assert entries.expired(30.0, 1) == [early]
    with ledger.open(PLAN) as entries:
        assert entries.expired(30.0, 10) == [early, late]
        entries.replace(early, replace(early, state=State.EXPIRED, held={}, expected={}))
        assert entries.expired(30.0, 10) == [late]


def test_a_request_is_decided_once(ledger: Ledger) -> None:
    def again() -> None:
        with ledger.open(PLAN) as entries:
            entries.add([unit("a")])

    again()
    with pytest.raises(ValueError, match="decided"):
        again()
    with ledger.open(PLAN) as entries:
        assert entries.held[ROW] == MILLIONTHS


def test_a_reservation_that_changed_meanwhile_is_not_replaced(ledger: Ledger) -> None:
    def use() -> None:
        with ledger.open(PLAN) as entries:
            entries.replace(unit("a"), replace(unit("a"), state=State.USED))

    with ledger.open(PLAN) as entries:
        entries.add([unit("a")])
    use()
    with pytest.raises(ValueError, match=r"replaced|changed"):
        use()


def test_many_ids_are_found(ledger: Ledger) -> None:
    names = [f"r{i}" for i in range(1_500)]
    with ledger.open(PLAN) as entries:
        entries.add([unit(name, user=name) for name in names])
    with ledger.open(PLAN) as entries:
        assert entries.of_requests(names) == {name: [unit(name, user=name)] for name in names}
        assert entries.coupons_of_users(names) == dict.fromkeys(names, 1)


def test_threads_share_the_last_units_exactly(ledger: Ledger) -> None:
    start, by = threading.Barrier(64), decider(ledger, CAP)

    def fight(name: int) -> int:
        start.wait()
        return sum(is_given(by, f"{name}-{i}") for i in range(4))

    with ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(fight, range(64))) == CAP
    with ledger.open(PLAN) as entries:
        assert dict(entries.held) == {ROW: CAP * MILLIONTHS, "budget": CAP * COST}
        assert dict(entries.expected) == dict(entries.held)


def test_counters_are_the_sums_over_reservations(engine: sa.Engine, sql: SqlLedger) -> None:
    by = decider(sql, CAP)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: is_given(by, f"r{i % 150}"), range(300)))  # each request twice
    assert count_exactly(engine)[ROW] == CAP * MILLIONTHS


def test_processes_share_the_last_units_exactly(url: str, engine: sa.Engine) -> None:
    said = [acknowledged(process) for process in workers(url, ["a", "b", "c"], 60, CAP)]
    assert [len(decisions) for decisions in said] == [60] * 3
    assert all(any(decisions.values()) for decisions in said)  # they did meet
    assert sum(sum(decisions.values()) for decisions in said) == CAP
    assert count_exactly(engine)[ROW] == CAP * MILLIONTHS


def test_a_ledger_sees_at_once_what_another_wrote(url: str, sql: SqlLedger) -> None:
    engine = connect(url)
    for i in range(10):
        for turn, ledger in enumerate((sql, SqlLedger(engine), sql)):
            with ledger.open(PLAN) as entries:
                entries.add([unit(f"{i}-{turn}")])
                entries.set_pacing({"steps": (entries.pacing or {"steps": 0})["steps"] + 1})
    with sql.open(PLAN) as entries:
        assert entries.pacing == {"steps": 30}
        assert entries.held[ROW] == 30 * MILLIONTHS
    engine.dispose()


def test_a_killed_process_loses_nothing_that_it_acknowledged(url: str, engine: sa.Engine) -> None:
    cap, said = 100_000, dict[str, bool]()
    for i, after in enumerate((1, 60)):
        process, other = workers(url, [f"killed{i}", f"other{i}"], 200, cap)
        assert process.stdout is not None
        for _ in range(after):
            said[process.stdout.readline().split()[0]] = True
        process.kill()
        said |= acknowledged(process) | acknowledged(other)  # the other goes on undisturbed
        assert other.returncode == 0
    with SqlLedger(engine).open(PLAN) as entries:
        kept = entries.of_requests(said)
    assert set(kept) == set(said)
    held = count_exactly(engine)[ROW]
    assert len(said) <= held // MILLIONTHS <= len(said) + 2  # what was committed but not said, one a kill


def test_killed_processes_never_give_more_than_there_is(url: str, engine: sa.Engine) -> None:
    for i in range(2):
        [process] = workers(url, [f"p{i}"], 1_000, CAP)
        assert process.stdout is not None
        for _ in range(70):
            process.stdout.readline()
        process.kill()
        acknowledged(process)
    assert count_exactly(engine)[ROW] == CAP * MILLIONTHS


def test_forgetting_a_plan_leaves_the_others(sql: SqlLedger, engine: sa.Engine) -> None:
    with sql.open(PLAN) as entries:
        entries.add([unit(f"r{i}") for i in range(6_000)])
    with sql.open("another plan") as entries:
        entries.add([unit("a")])
    sql.forget(PLAN)
    with sql.open("another plan") as entries:
        assert entries.held[ROW] == MILLIONTHS
    assert count_exactly(engine)[ROW] == MILLIONTHS
    with sql.open(PLAN) as entries:
        assert dict(entries.held) == {}
        assert entries.of_requests(["r0"]) == {}
