"""The service in a process of its own, as `allocate serve` starts it, and problems to send it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from support.paths import ROOT

PAIRS = {
    "user_id": ["u1", "u1", "u2", "u2", "u3", "u3", "u4", "u4"],
    "coupon_id": ["C1", "C2"] * 4,
    "value": [3.0, 5.0, 2.0, 4.0, 1.0, 6.0, 2.0, 1.0],
    "cost": [1.0, 3.0, 1.0, 2.0, 1.0, 3.0, 2.0, 1.0],
}
BUDGET = {"kind": "budget", "label": "total", "at_most": 6}
SMALL: dict[str, Any] = {"pairs": PAIRS, "limits": [BUDGET], "seed": 7}
SECONDS = 60.0


def hard(users: int = 120, coupons: int = 40, seed: int = 5) -> dict[str, Any]:
    """Return a problem that the exact method does not finish: the work to cancel and to kill."""
    state = seed
    pairs: dict[str, list[Any]] = {"user_id": [], "coupon_id": [], "value": [], "cost": []}
    for user in range(users):
        for coupon in range(coupons):
            state = (1103515245 * state + 12345) % 2**31
            pairs["user_id"].append(f"u{user}")
            pairs["coupon_id"].append(f"C{coupon}")
            pairs["cost"].append(100 + state % 97)
            pairs["value"].append(1000 + state % 97 + (state >> 8) % 13)
    limits = [
        {"kind": "budget", "label": "total", "at_most": 60 * users},
        *({"kind": "limit", "label": f"part {k}", "measure": "cost", "at_most": 7 * users + k,
           "coupons": [f"C{j}" for j in range(coupons) if j % 7 == k]} for k in range(7)),
    ]  # fmt: skip
    return {"pairs": pairs, "limits": limits, "method": "exact", "gap": 0, "time_limit": 60}


def wait_for(found: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Return what `found` returns once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not so within {seconds:g} s")


def finished(client: httpx2.Client, job: str, seconds: float = SECONDS) -> dict[str, Any]:
    """Return a job once it is over."""

    def over() -> Any:
        document = client.get(f"/v1/jobs/{job}").json()
        return document if document["status"] not in ("queued", "running") else None

    return wait_for(over, seconds)


class Served:
    """A running `allocate serve`."""

    def __init__(self, data: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "cli", "serve", "--port", "0", "--data", str(data), *options]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})},
            cwd=ROOT,
        )  # fmt: skip
        self.log: list[str] = []
        self._clients: list[httpx2.Client] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_for(lambda: any("http://" in line for line in self.log) or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        line = next(line for line in self.log if "http://" in line)
        self.url = line[line.index("http://") :].split()[0]

    def client(self, key: str | None = None) -> httpx2.Client:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._clients.append(httpx2.Client(base_url=self.url, headers=headers, timeout=SECONDS))
        return self._clients[-1]

    def ready(self, key: str | None = None) -> httpx2.Client:
        client = self.client(key)
        wait_for(lambda: client.get("/readyz").status_code == 200)
        return client

    def children(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def end(self, sign: int = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        """Leave nothing behind."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self._reader.join(SECONDS)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.log.extend(lines)


@contextmanager
def served(data: Path, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Start the service, and leave none behind."""
    service = Served(data, *options, env=env)
    try:
        yield service
    finally:
        service.close()


def is_alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def log_documents(lines: list[str]) -> list[dict[str, Any]]:
    """Return the lines of a log in JSON."""
    return [json.loads(line) for line in lines if line.startswith("{")]
