"""How many decisions a second the service answers, how fast, and in how much memory.

An open loop: requests are due at fixed times whether or not earlier ones are answered, and a request's time
counts from when it was due, so that a stall shows in everything that waited for it. The generator runs on
the same machine as the service. What a decision costs is set against a health check, which is what the
framework and the network take. In the fight so many clients ask at once for the last units of a budget,
which are then counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.record import Columns, Row

ABOUT = "the HTTP service under load, and its memory over time"
HEALTH, DECISION, FIGHT = "health check", "decision", "the last units"
BUDGET = 1e6  # never used up
UNITS = 500
COUPONS = 10
USERS = 2000  # of the plan
CONNECTIONS = 64
WARMING = 50
ROOT = Path(__file__).parents[1]


class Connection(asyncio.Protocol):
    """One kept-alive connection with one request at a time, as lean as can be."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once all of an answer is there."""
        self._buffer += data
        head, mark, rest = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) >= length and self._answer is not None:
            self._buffer = rest[length:]
            answer, self._answer = self._answer, None
            answer.set_result((int(head[9:12]), rest[:length]))

    def connection_lost(self, error: Exception | None) -> None:
        """Say so to whoever waits."""
        if self._answer is not None:
            self._answer.set_exception(error or ConnectionResetError())

    def close(self) -> None:
        """Leave at once."""
        self._transport.abort()

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request; return status and body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return await self._answer


@asynccontextmanager
async def connected(host: str, port: int, count: int) -> AsyncIterator[list[Connection]]:
    """Open connections, and close them at the end."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, host, port))[1] for _ in range(count)]
    try:
        yield opened
    finally:
        for connection in opened:
            connection.close()
        await asyncio.sleep(0)  # the loop closes them in its next turn


@dataclass
class Measured:
    """What came of one run."""

    rate: float
    seconds: float
    times: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    given: int = 0
    memory: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def percentile(self, share: float) -> float:
        """Return a percentile of the times, in milliseconds."""
        return 1000 * sorted(self.times)[min(len(self.times) - 1, int(share * len(self.times)))]

    def row(self) -> Row:
        """Return the figures; memory in MiB over the run."""
        return {
            "asked_per_s": self.rate,
            "answered_per_s": len(self.times) / self.seconds,
            "answers": len(self.times),
            "refused": len(self.times) - self.statuses.get(200, 0),
            "given": self.given,
            "p50_ms": self.percentile(0.5),
            "p99_ms": self.percentile(0.99),
            "max_ms": 1000 * max(self.times),
            "cpu_ms_each": 1000 * self.cpu / len(self.times),
            "memory_mib": [round(size, 1) for size in self.memory],
        }


@contextmanager
def service(folder: Path, *options: str) -> Iterator[tuple[str, int, int]]:
    """Start the service; yield its host, port and process id, and stop it at the end."""
    command = [sys.executable, "-m", "cli", "serve", "--port", "0", "--data", str(folder), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    line = process.stderr.readline()
    log = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    process.stderr.close()
    try:
        host, port = line.split("http://")[1].split()[0].rsplit(":", 1)
        yield host, int(port), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.wait(30)


def problem(budget: float, rng: random.Random) -> bytes:
    """Return a problem of as many users as a plan needs to have good prices."""
    pairs: dict[str, list[Any]] = {"user_id": [], "coupon_id": [], "value": [], "cost": []}
    for user in range(USERS):
        for coupon in range(COUPONS):
            cost = 1.0 + coupon % 5
            for name, cell in zip(
                pairs, (f"u{user}", f"C{coupon}", cost * rng.uniform(0, 2), cost), strict=True
            ):
                pairs[name].append(cell)
    limits = [{"kind": "budget", "label": "total", "at_most": budget}]
    stock = {f"C{coupon}": budget for coupon in range(COUPONS)}
    limits.append({"kind": "inventory", "label": "stock", "at_most": stock})
    return json.dumps({"pairs": pairs, "limits": limits, "time_limit": 20}).encode()


def decision(plan: str, number: int, rng: random.Random) -> bytes:
    """Return the body of one decision."""
    cost = {f"C{coupon}": 1.0 + coupon % 5 for coupon in range(COUPONS)}
    value = {coupon: round(amount * rng.uniform(0, 2), 4) for coupon, amount in cost.items()}
    request = {
        "request_id": f"r{number}",
        "user_id": f"v{number}",
        "value": value,
        "measures": {"cost": cost},
    }
    return json.dumps({"plan": plan, "requests": [request]}).encode()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return the memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def load(host: str, port: int, pid: int, asked: str, rate: float, seconds: float) -> Measured:
    """Ask for decisions, or for its health, at a constant rate."""
    async with connected(host, port, CONNECTIONS) as opened:
        return await _load(opened, pid, asked, rate, seconds)


async def _load(opened: list[Connection], pid: int, asked: str, rate: float, seconds: float) -> Measured:
    loop, rng = asyncio.get_running_loop(), random.Random(7)
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in opened[1:]:
        idle.put_nowait(connection)
    first = opened[0]
    while (await first.ask("GET", "/readyz"))[0] != 200:
        await asyncio.sleep(0.2)
    status, answer = await first.ask("POST", "/v1/solve", problem(BUDGET, rng))
    if status != 200:
        raise SystemExit(f"the plan was not solved: {answer[:500]!r}")
    plan = json.loads(answer)["plan"]
    for number in range(WARMING):  # a first decision also reads the plan
        await first.ask("POST", "/v1/decide", decision(plan, -1 - number, rng))
    idle.put_nowait(first)
    measured = Measured(rate, seconds)
    running: set[asyncio.Task[None]] = set()

    async def one(due: float, body: bytes) -> None:
        connection = await idle.get()
        status, answer = await connection.ask(
            *(("POST", "/v1/decide") if body else ("GET", "/healthz")), body
        )
        measured.times.append(loop.time() - due)
        measured.statuses[status] = measured.statuses.get(status, 0) + 1
        measured.given += b'"state":"held"' in answer
        idle.put_nowait(connection)

    used = cpu_seconds(pid)
    began, every = loop.time(), max(1, int(rate * seconds / 20))
    for number in range(int(rate * seconds)):
        due = began + number / rate
        body = decision(plan, number, rng) if asked == DECISION else b""
        if (early := due - loop.time()) > 0:
            await asyncio.sleep(early)
        if number % every == 0:
            measured.memory.append(resident(pid))
        task = asyncio.create_task(one(due, body))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    measured.cpu = cpu_seconds(pid) - used
    measured.seconds = loop.time() - began
    measured.memory.append(resident(pid))
    return measured


async def fight(host: str, port: int, clients: int, units: int) -> dict[str, int]:
    """Let many clients ask at once until nothing is left; return what they were given, and what is booked."""
    async with connected(host, port, clients) as connections:
        return await _fight(connections, units)


async def _fight(connections: list[Connection], units: int) -> dict[str, int]:
    rng, clients = random.Random(7), len(connections)
    while (await connections[0].ask("GET", "/readyz"))[0] != 200:
        await asyncio.sleep(0.2)
    plan = json.loads((await connections[0].ask("POST", "/v1/solve", problem(units, rng)))[1])["plan"]

    async def client(place: int) -> int:
        spent = 0
        for number in range(2 * USERS // clients):
            _, answer = await connections[place].ask(
                "POST", "/v1/decide", decision(plan, 1_000_000 * place + number, random.Random(place))
            )
            (given,) = json.loads(answer)["decisions"]
            spent += 0 if given["coupon_id"] is None else 1 + int(given["coupon_id"][1:]) % 5
        return spent

    spent = sum(await asyncio.gather(*(client(place) for place in range(clients))))
    rows = json.loads((await connections[0].ask("GET", f"/v1/plans/{plan}"))[1])["rows"]
    return {"budget": units, "given": spent, "booked": next(r["held"] for r in rows if r["label"] == "total")}


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield a health check and a decision at each length, and the fight for the last units."""
    health: Row | None = None
    for seconds in settings.seconds:
        for asked in (HEALTH, DECISION) if health is None else (DECISION,):
            with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as there:
                found = asyncio.run(load(*there, asked, settings.rate, seconds)).row()
            health = health or found
            ratio = found["cpu_ms_each"] / health["cpu_ms_each"]
            yield {"asked": asked, "seconds": seconds, "ratio": ratio, **found}
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as (host, port, _):
        yield {"asked": FIGHT, **asyncio.run(fight(host, port, settings.clients, UNITS))}


def _number(key: str, form: str) -> Callable[[Row], str]:
    return lambda row: format(row[key], form) if key in row else ""


def _memory(row: Row) -> str:
    if "memory_mib" not in row:
        return ""
    sizes = row["memory_mib"]
    return " / ".join(f"{sizes[i]:.0f}" for i in (0, len(sizes) // 2, -1))


COLUMNS: Columns = {
    "asked for": lambda row: str(row["asked"]),
    "seconds": _number("seconds", "g"),
    "answered a second": _number("answered_per_s", ",.0f"),
    "not answered 200": _number("refused", ",d"),
    "p50, ms": _number("p50_ms", ".1f"),
    "p99, ms": _number("p99_ms", ".1f"),
    "longest, ms": _number("max_ms", ".0f"),
    "processor, ms each": _number("cpu_ms_each", ".2f"),
    "of a health check": _number("ratio", ".1f"),
    "memory at start / middle / end, MiB": _memory,
    "units": lambda row: (
        "{given:,d} given, {booked:,.0f} booked, of {budget:,d}".format(**row) if "booked" in row else ""
    ),
}
SETTINGS: dict[str, Any] = {"rate": 1000.0, "seconds": [30.0, 300.0], "clients": 64}
