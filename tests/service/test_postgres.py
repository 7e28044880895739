"""Two servers on one PostgreSQL database: they share plans and counters, and one may be killed."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from allocator.online.records import MILLIONTHS
from allocator.service.database import connect, reading
from allocator.service.plans import ledger_tables as tables
from support.postgres_server import PostgresServer
from support.services import SMALL, Served, served

CAP = 20


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def servers(database: str, tmp_path: Path) -> Iterator[list[Served]]:
    with (
        served(tmp_path / "one", "--database", database) as one,
        served(tmp_path / "two", "--database", database) as two,
    ):
        yield [one, two]


def ask(client: httpx2.Client, plan: str, request_id: str) -> dict[str, Any]:
    request = {"request_id": request_id, "value": {"C1": 9.0}, "measures": {"cost": {"C1": 1.0}}}
    answer = client.post("/v1/decide", json={"plan": plan, "requests": [request]})
    assert answer.status_code == 200, answer.text
    decided: dict[str, Any] = answer.json()["decisions"][0]
    return decided


def sums(database: str) -> tuple[int, int]:
    """Return what the only plan's counter holds, and how many coupons its reservations say were given."""
    engine = connect(database)
    held, kept = tables.counters.c.held, tables.reservations.c
    with reading(engine) as connection:
        counter = connection.execute(sa.select(held)).scalar_one()
        given = sa.select(sa.func.count()).where(kept.coupon_id.is_not(None))
        coupons = connection.execute(given).scalar_one()
    engine.dispose()
    return counter, coupons


def test_two_servers_share_the_last_units_though_one_is_killed(servers: list[Served], database: str) -> None:
    clients = [server.ready() for server in servers]
    body = {**SMALL, "limits": [{"kind": "budget", "label": "total", "at_most": CAP}]}
    plan = clients[0].post("/v1/solve", json=body).json()["plan"]
    assert ask(clients[0], plan, "first")["coupon_id"] == "C1"
    assert ask(clients[1], plan, "first")["replayed"]  # one's plan and its decisions are the other's
    answered, killed = {"first": "C1"}, Event()

    def fight(number: int) -> None:
        name = f"r{number}"
        try:
            answered[name] = ask(clients[number % 2], plan, name)["coupon_id"]
        except httpx2.TransportError:
            assert number % 2 == 1  # only ever of the one that is killed
            return
        if number == 7 and not killed.is_set():
            killed.set()
            servers[1].process.send_signal(signal.SIGKILL)

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(fight, range(160)))
    assert killed.is_set()
    assert sums(database) == (CAP * MILLIONTHS, CAP)
    assert sum(coupon is not None for coupon in answered.values()) <= CAP
    for name, coupon in answered.items():
        again = ask(clients[0], plan, name)
        assert (again["coupon_id"], again["replayed"]) == (coupon, True)
    for client in clients:
        client.close()
