"""The database of the service: one SQLite file, or a PostgreSQL server that several machines share.

What a commit survives: on SQLite the end of the process, by ``kill -9`` too. After a power cut or a crash of
the operating system the file is whole, but its last commits may be missing, unless the URL says
``?synchronous=full``, which waits for the disk at every commit. On PostgreSQL the server's settings say; as
it is installed, a commit survives all three.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from allocator.errors import AllocateError, InputError

SCHEMA_VERSION = 1
BUSY_SECONDS = 30  # how long a writer waits for another process's
RETRY_SECONDS = 0.0005  # between one look and the next
LOCK_SECONDS = 10  # the same on PostgreSQL; the holder of a lock is cut off after IDLE_SECONDS of silence
IDLE_SECONDS = 30
CONNECT_SECONDS = 5
STARTING = 0x616C6C6F63  # an advisory lock of PostgreSQL's: who creates the tables
SYNCHRONOUS = ("normal", "full")
EXAMPLES = "sqlite:///allocate.db, or postgresql://user:password@host/database"

metadata = sa.MetaData()
schema_version = sa.Table("schema_version", metadata, sa.Column("version", sa.Integer, primary_key=True))


class UnavailableError(AllocateError):
    """The database does not answer, or not in time; nothing of what was being written is kept."""


def connect(url: str) -> sa.Engine:
    """Return an engine for a database that answers.

    Parameters
    ----------
    url
        ``sqlite:///PATH``, with ``?synchronous=full`` if a commit must survive a power cut, or
        ``postgresql://USER:PASSWORD@HOST/DATABASE``.

    Raises
    ------
    InputError
        If the URL cannot be read, or its driver is not installed.
    UnavailableError
        If the database cannot be reached.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise InputError(
            f"The URL of the database cannot be read: write it as {EXAMPLES}, with special characters in "
            "a password percent-encoded."
        ) from None
    kinds = {"sqlite": _sqlite, "postgresql": _postgresql, "postgres": _postgresql}
    kind = parsed.get_backend_name()
    if kind not in kinds:
        raise InputError(f"There is no support for databases of kind '{kind}': write {EXAMPLES}.")
    engine = kinds[kind](parsed)
    try:
        with reading(engine):
            return engine
    except DBAPIError as error:  # such as an option in the URL that the driver does not know
        raise _unavailable(engine.url, error) from error


def create_tables(engine: sa.Engine) -> None:
    """Create the tables that are missing; any number of processes may do so at once.

    Raises
    ------
    InputError
        If a newer version of Allocate made the tables.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(STARTING)))
        metadata.create_all(connection)
        found = connection.execute(sa.select(sa.func.max(schema_version.c.version))).scalar()
        if found is None:
            connection.execute(sa.insert(schema_version).values(version=SCHEMA_VERSION))
        elif found > SCHEMA_VERSION:
            raise InputError(
                f"The tables in {shown(engine.url)} are of version {found}, made by a newer Allocate; this "
                f"one reads version {SCHEMA_VERSION}. Upgrade Allocate, or give another database."
            )


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that never waits for a writer, and must not write."""
    with _clear(engine), engine.connect() as connection:
        connection.execution_options(reads=True)
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction that may write, committed at the end unless it ends with an exception.

    On SQLite there is one writer at a time: threads queue here, and other processes' writers wait.
    Do not open one inside another.
    """
    with _clear(engine), engine.get_execution_options().get("queue", nullcontext()), engine.begin() as opened:
        yield opened


def shown(url: sa.URL) -> str:
    """Return a URL as messages may show it: without password and options."""
    return url.set(query={}, drivername=url.get_backend_name()).render_as_string(hide_password=True)


@contextmanager
def _clear(engine: sa.Engine) -> Iterator[None]:
    """Turn what a driver says of a database out of reach into an error of ours."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, sqlite3.OperationalError) as error:
        raise _unavailable(engine.url, error) from error
    except DBAPIError as error:
        if error.connection_invalidated or "not a database" in str(error.orig):
            raise _unavailable(engine.url, error) from error
        raise


def _unavailable(url: sa.URL, error: Exception) -> UnavailableError:
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")
    advice = (
        "Look whether the folder exists, may be written to and has room"
        if url.get_backend_name() == "sqlite"
        else "Look whether the server runs, and whether host, port, user, password and database are right"
    )
    return UnavailableError(f"The database {shown(url)} cannot be used: {said}. {advice}.")


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:"):
        raise InputError("A database in memory keeps nothing: give a file, such as sqlite:///allocate.db.")
    synchronous = str(url.query.get("synchronous", "normal")).lower()
    if other := ", ".join(sorted(url.query.keys() - {"synchronous"})):
        raise InputError(f"The URL of a SQLite database takes only 'synchronous' after its '?', not {other}.")
    if synchronous not in SYNCHRONOUS:
        raise InputError(
            f"synchronous={synchronous} in the URL of the database: write {' or '.join(SYNCHRONOUS)}."
        )
    if not Path(str(url.database)).parent.is_dir():
        raise InputError(f"There is no folder {Path(str(url.database)).parent} for the database: make it.")
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite").difference_update_query(["synchronous"]),
        # No BEGIN of the driver's own, which would come only before the first write.
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        execution_options={"queue": threading.Lock()},
    )

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        _use_wal(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        if connection.get_execution_options().get("reads"):
            raw.execute("BEGIN")
        else:
            _begin_to_write(raw)

    return engine


def _begin_to_write(connection: sqlite3.Connection) -> None:
    """Lock the file at once: who only reads first may find it changed when it comes to write.

    SQLite's own waiting sleeps longer each time, up to a tenth of a second, while others come and go.
    """
    until = time.monotonic() + BUSY_SECONDS
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(RETRY_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, where readers and the writer do not wait for each other."""
    until = time.monotonic() + BUSY_SECONDS
    while True:  # SQLite does not wait by itself when two switch a new file at once
        try:
            found = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    if found != "wal":
        raise sqlite3.OperationalError(
            f"its file system cannot hold a write-ahead log (journal_mode is {found})"
        )


def _postgresql(url: sa.URL) -> sa.Engine:
    settings = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "allocate",
        "options": f"-c lock_timeout={LOCK_SECONDS}s -c idle_in_transaction_session_timeout={IDLE_SECONDS}s",
    }
    try:
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={key: value for key, value in settings.items() if key not in url.query},
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
        )
    except ImportError:
        raise InputError(
            "PostgreSQL needs a driver that is not installed: pip install 'allocate[postgres]' brings it."
        ) from None
