"""A table or a query of a database -> a frame of text. Databases are opened to read, never to write."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import polars as pl

from allocator.campaign.formats.columnar import without_zeros
from allocator.campaign.formats.layout import check_header
from allocator.campaign.formats.raw import NamedRows, RawTable
from allocator.campaign.formats.sources import FILE, Source
from allocator.errors import Finding, InputError

INSTALL = "{} needs a driver that is not installed: pip install 'allocate[sql]' brings it"
TABLE = re.compile(r'^\s*((?:"[^"]+"|\w+)(?:\s*\.\s*(?:"[^"]+"|\w+))*)\s*$')
NO_DOWNLOADS = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}  # of DuckDB
ROWS = 50_000  # of SQLite at a time
SECONDS = 10  # to reach a server
ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
# PostgreSQL's types, by their category (pg_type.typcategory) and by name.
KINDS = {"N": "number", "D": "date", "B": "flag"}
NESTED = ("A", "C", "P", "R", "T")  # arrays, composites, pseudo-types, ranges, spans of time
NO_CELLS = ("bytea", "json", "jsonb", "money", "xml")


def read_database(source: Source) -> RawTable:
    """Read a table or a query.

    The rows of a query come in no order of their own: they are sorted, so that the same rows give the same
    plan.

    Raises
    ------
    InputError
        If the database cannot be reached, the query fails or does more than read, or a driver is missing.
    """
    readers = {"duckdb": _duckdb, "sqlite": _sqlite, "postgresql": _postgresql}
    frame, stored = readers[source.kind](source)
    numbers = [name for name, kinds in stored.items() if kinds == {"number"}]
    frame = frame.with_columns(without_zeros(pl.col(numbers)))
    frame = frame.sort(frame.columns, nulls_last=True) if frame.width else frame
    names = frame.to_series() if frame.width else pl.Series(dtype=pl.String)
    return RawTable(source.name, frame, stored, NamedRows(names))


def query_of(source: Source) -> str:
    """Return the query: the one that is stated, or one for all of the table that is named."""
    part = (source.part or "").strip().rstrip(";").strip()
    return f"SELECT * FROM {part}" if TABLE.match(part) else part


def _failed(source: Source, error: Exception, what: str = "the query fails") -> InputError:
    detail = " ".join(source.without_secrets(str(error)).split())
    message = f"{what}: {detail[:400]}"
    return InputError(Finding(message, FILE, None, f"tables.{source.table}"))


def _refused(source: Source, message: str, column: str | None = None, found: str | None = None) -> InputError:
    return InputError(Finding(message, source.name, None, column, found))


def _duckdb(source: Source) -> tuple[pl.DataFrame, dict[str, frozenset[str]]]:
    try:
        import duckdb
    except ImportError as error:
        raise _refused(source, INSTALL.format("DuckDB")) from error
    try:
        with duckdb.connect(str(source.path), read_only=True, config={**NO_DOWNLOADS}) as connection:
            query = query_of(source)
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise _refused(source, "only one query that reads is run")
            relation = connection.sql(query)
            types = {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
            check_header(list(types), source.name)
            for name, kind in types.items():
                if kind.endswith("]") or kind.startswith(
                    ("STRUCT", "MAP", "UNION", "BLOB", "INTERVAL", "BIT")
                ):
                    message = "the column holds what is no cell of a table; convert it in the query"
                    raise _refused(source, message, name, kind)
            cast = ", ".join(f"CAST({_quoted(name)} AS VARCHAR) AS {_quoted(name)}" for name in types)
            frame = pl.DataFrame(relation.project(cast))
    except duckdb.Error as error:
        raise _failed(source, error) from error
    stored = {name: frozenset({known}) for name, declared in types.items() if (known := _declared(declared))}
    return frame, stored


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _declared(kind: str) -> str | None:
    if kind.startswith(("DATE", "TIMESTAMP")):
        return "date"
    if kind == "BOOLEAN":
        return "flag"
    numeric = re.match(r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*|BIGNUM)$", kind)
    return "number" if numeric else None


def _sqlite(source: Source) -> tuple[pl.DataFrame, dict[str, frozenset[str]]]:
    assert source.path is not None
    uri = f"file:{quote(str(source.path.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_OK if action in ALLOWED else sqlite3.SQLITE_DENY
            )
            cursor = connection.execute(query_of(source))
            if cursor.description is None:
                raise _refused(source, "only one query that reads is run")
            names = [column[0] for column in cursor.description]
            check_header(names, source.name)
            return _sqlite_frame(source, names, _chunks(cursor))
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _failed(source, error) from error


def _chunks(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(ROWS):
        yield rows


def _sqlite_frame(
    source: Source, names: list[str], chunks: Iterator[list[tuple[Any, ...]]]
) -> tuple[pl.DataFrame, dict[str, frozenset[str]]]:
    """SQLite knows the type of each cell, not of a column."""
    kinds: list[set[str]] = [set() for _ in names]
    frames = [pl.DataFrame(schema=dict.fromkeys(names, pl.String))]
    for rows in chunks:
        columns = []
        for name, cells, seen in zip(names, zip(*rows, strict=True), kinds, strict=True):
            types = set(map(type, cells))
            if bytes in types:
                raise _refused(source, "the column holds binary data; convert it in the query", name)
            seen |= {"number" if kind in (int, float) else "text" for kind in types - {type(None)}}
            columns.append(pl.Series(name, [_sqlite_text(cell) for cell in cells], pl.String))
        frames.append(pl.DataFrame(columns))
    stored = {name: frozenset(seen) for name, seen in zip(names, kinds, strict=True) if "number" in seen}
    return pl.concat(frames), stored


def _sqlite_text(cell: Any) -> str | None:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    return None if cell is None else str(cell)


def _postgresql(source: Source) -> tuple[pl.DataFrame, dict[str, frozenset[str]]]:
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise _refused(source, INSTALL.format("PostgreSQL")) from error
    try:
        wait = {} if "connect_timeout" in conninfo_to_dict(source.address) else {"connect_timeout": SECONDS}
        connecting = psycopg.connect(source.address, **wait)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise _failed(source, error, "the server cannot be reached") from error
    try:
        with connecting as connection:
            connection.read_only = True
            connection.execute("SET datestyle TO 'ISO', 'YMD'")
            connection.execute("SET client_encoding TO 'UTF8'")
            return _copied(source, connection)
    except psycopg.Error as error:
        raise _failed(source, error) from error


def _copied(source: Source, connection: Any) -> tuple[pl.DataFrame, dict[str, frozenset[str]]]:
    """Let the server write the rows as CSV, which keeps every digit, and ask it for the columns' types."""
    query = f"{query_of(source)}\n"  # the line end closes a comment
    columns = connection.execute(f"SELECT * FROM ({query}) AS rows LIMIT 0").description or ()
    codes = {column.name: column.type_code for column in columns}
    check_header([column.name for column in columns], source.name)
    asked = "SELECT oid::int8, typname, typcategory::text FROM pg_type WHERE oid = ANY(%s)"
    types = {oid: (name, kind) for oid, name, kind in connection.execute(asked, [list(codes.values())])}
    stored: dict[str, frozenset[str]] = {}
    for column, code in codes.items():
        name, kind = types.get(code, ("", ""))
        if name in NO_CELLS or kind in NESTED:
            message = "the column holds what is no cell of a table; convert it in the query"
            raise _refused(source, message, column, name)
        if kind in KINDS:
            stored[column] = frozenset({KINDS[kind]})
    whole = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)") as copy:
        for part in copy:
            whole.write(part)
    frame = pl.read_csv(whole.getvalue(), infer_schema=False) if codes else pl.DataFrame()
    frame.columns = list(codes)
    return frame, stored
