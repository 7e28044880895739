"""A real PostgreSQL server in a temporary folder, reached through its socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

START_SECONDS = 60
SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=60")
NUMBERS = count()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the context ends; skip the test where no server is installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (on Debian: apt-get install postgresql)")
    as_user = _other_user()
    with tempfile.TemporaryDirectory(prefix="pg-") as name:  # a socket's path must be short
        folder = Path(name)
        if as_user:
            os.chown(folder, as_user["user"], as_user["group"])
        data = folder / "data"
        subprocess.run(
            [
                programs / "initdb",
                "-D",
                data,
                "-U",
                "tester",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **as_user,
        )
        server = PostgresServer(programs, folder, as_user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


class PostgresServer:
    """A server that a test may stop and start again."""

    def __init__(self, programs: Path, folder: Path, as_user: dict[str, Any]) -> None:
        self._command = [programs / "postgres", "-D", folder / "data", "-k", folder]
        self._command += [word for setting in SETTINGS for word in ("-c", setting)]
        self._folder = folder
        self._as_user = as_user
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://tester@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"test_{next(NUMBERS)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, cwd=self._folder, **self._as_user
            )
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(log.read_text(encoding="utf-8")) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Shut down at once, as on a restart: connections are cut, their transactions rolled back."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)


def find_programs() -> Path | None:
    """Return the folder of the newest server's programs, None if there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if pg_config := shutil.which("pg_config"):
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=True).stdout
        folders.append(Path(said.strip()))
    return next((folder for folder in reversed(folders) if (folder / "postgres").exists()), None)


def _other_user() -> dict[str, Any]:
    """Return whom to run the server as: it refuses root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
