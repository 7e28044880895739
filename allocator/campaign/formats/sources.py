"""Where a table comes from: a file of its name, or what ``[tables]`` states; names that hold no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from allocator.errors import Finding, InputError

FILE = "campaign.toml"
Kind = Literal["text", "workbook", "parquet", "arrow", "duckdb", "sqlite", "postgresql"]
KINDS: dict[str, Kind] = {
    "csv": "text", "tsv": "text", "txt": "text", "xlsx": "workbook", "xlsm": "workbook", "parquet": "parquet",
    "arrow": "arrow", "feather": "arrow", "duckdb": "duckdb", "sqlite": "sqlite", "sqlite3": "sqlite",
}  # fmt: skip
DATABASES = ("duckdb", "sqlite", "postgresql")
PACKED = ("gz", "zst")
ENDINGS = (
    *(f"{ending}{packed}" for ending in ("csv", "tsv", "txt") for packed in ("", ".gz", ".zst")),
    "xlsx", "xlsm", "parquet", "arrow", "feather",
)  # fmt: skip
# Endings of tables that are not read; a file of a table's name with one of these is not passed over.
OTHERS = (
    "xls", "xlsb", "ods", "numbers", "zip", "7z", "rar", "bz2", "xz", "json", "jsonl", "ndjson", "xml",
    "html", "avro", "orc", "dat", "tab", "sav", "dta", "pkl", "db", "sqlite", "sqlite3", "duckdb", "sql",
)  # fmt: skip
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SECRETS = ("password", "sslpassword", "passfile")
POSTGRESQL = re.compile(r"^postgres(?:ql)?://", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """Where a table comes from.

    Parameters
    ----------
    table
        Its name, such as ``users``.
    kind
        How it is read.
    stated
        What `[tables]` states, or the file's name: no secret is in it.
    path
        The file; None if it is on a server.
    address
        Of the server, with variables of the environment in place.
    part
        Sheet, table of a database, or query.
    secrets
        Values of environment variables, which no message may show, and the names to show instead.
    notes
        What is worth a word about how it was found.
    """

    table: str
    kind: Kind
    stated: str
    path: Path | None = None
    address: str = ""
    part: str | None = None
    secrets: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What findings call it."""
        if self.kind in DATABASES:
            return f"{self.table} ({self.stated.partition('#')[0]})"
        return self.stated

    @property
    def file_name(self) -> str:
        """Its name among the digests: without the sheet, which is of the same file."""
        return self.name if self.kind in DATABASES or self.part is None else self.stated.rpartition("#")[0]

    def without_secrets(self, text: str) -> str:
        """Return a message with the names of environment variables in place of their values."""
        for value, name in self.secrets:
            text = text.replace(value, name) if value else text
        return text


def source_of_file(path: Path, table: str = "") -> Source:
    """Return the source that is a file, by its ending.

    Raises
    ------
    InputError
        If its ending is none of a table.
    """
    kind = _kind(path.name)
    if kind is None or kind in DATABASES:
        raise InputError(_wrong_ending(path.name))
    return Source(table, kind, path.name, path)


def find_source(folder: Path, table: str, stated: str | None = None) -> Source | None:
    """Return where a table of a campaign folder comes from; None if there is no file of its name.

    Parameters
    ----------
    folder
        The campaign folder.
    table
        Its name.
    stated
        What ``[tables]`` states of it.

    Raises
    ------
    InputError
        If there are several files, the one that is stated is not there, or an environment variable is not
        set.
    """
    if stated is not None:
        return _stated(folder, table, stated)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() or files_of(path))
    stems = {name: name.casefold().removeprefix(f"{table}.") for name in names if name.casefold() != table}
    found = [
        name for name, ending in stems.items() if name.casefold() == f"{table}.{ending}" and ending in ENDINGS
    ]
    if len(found) > 1:
        message = "more than one file could be this table; keep one, or name it under [tables]"
        raise InputError(Finding(message, table, found=", ".join(found)))
    if not found:
        folders = [path.name for path in folder.iterdir() if path.is_dir() and _is_table(path.name, table)]
        if folders:
            message = "this is a folder; join its files into one, or query them with DuckDB"
            raise InputError(Finding(message, folders[0]))
        unread = [name for name, ending in stems.items() if _is_unread(name, table, ending)]
        if unread:
            raise InputError([_wrong_ending(name) for name in unread])
        return None
    kind = _kind(found[0])
    assert kind is not None
    odd = found[0] != found[0].lower()
    notes = (f"{table} is read from '{found[0]}', whose name is not in small letters",) if odd else ()
    return Source(table, kind, found[0], folder / found[0], notes=notes)


def files_of(path: Path) -> list[Path]:
    """Return the Parquet files of a folder that is one table, such as ``scores.parquet``, by their names."""
    is_one = path.suffix.casefold() == ".parquet" and path.is_dir()
    return sorted(path.rglob("*.parquet")) if is_one else []


def _is_table(name: str, table: str) -> bool:
    return name.casefold().startswith(f"{table}.") and name.casefold().removeprefix(f"{table}.") in ENDINGS


def _is_unread(name: str, table: str, ending: str) -> bool:
    return name.casefold() == f"{table}.{ending}" and ending.rpartition(".")[2] in OTHERS


def _kind(name: str) -> Kind | None:
    parts = name.casefold().split(".")
    if len(parts) > 2 and parts[-1] in PACKED:
        kind = KINDS.get(parts[-2])
        return kind if kind == "text" else None
    return KINDS.get(parts[-1]) if len(parts) > 1 else None


def _kind_of_database(path: Path) -> Kind | None:
    """Tell by its first bytes which database a .db file is."""
    if path.suffix.casefold() != ".db":
        return None
    with path.open("rb") as file:
        head = file.read(16)
    return "sqlite" if head.startswith(b"SQLite format 3") else "duckdb" if head[8:12] == b"DUCK" else None


def _wrong_ending(name: str) -> Finding:
    ending = name.rpartition(".")[2].casefold()
    if ending in ("duckdb", "sqlite", "sqlite3", "db"):
        message = 'a database holds many tables; name one under [tables], as in users = "shop.duckdb#users"'
    elif ending in ("xls", "xlsb", "ods", "numbers"):
        message = "this kind of workbook is not read; save it as .xlsx"
    elif ending in ("zip", "7z", "rar", "bz2", "xz"):
        message = "this kind of archive is not read; unpack it, or pack the file with gzip or zstd"
    else:
        message = "this ending is none of a table that can be read"
    return Finding(message, name, expected=", ".join(f".{known}" for known in ENDINGS if "." not in known))


def _stated(folder: Path, table: str, stated: str) -> Source:
    place = f"tables.{table}"
    if POSTGRESQL.match(stated):
        return _server(table, stated, place)
    if re.match(r"^\w+://", stated):
        known = "postgresql://, a .duckdb or .sqlite file, or a file with a table"
        scheme = repr(stated.partition("://")[0] + "://")
        raise InputError(Finding("tables are not read from there", FILE, None, place, scheme, known))
    text, secrets = _expanded(stated, place)
    path, part = Path(text), None
    if not _is_there(folder / path) and "#" in text:
        head, _, part = text.partition("#")
        path, stated_path = Path(head), stated.partition("#")[0]
    else:
        stated_path = stated
    actual, note = _present(folder, path, place, stated_path)
    kind = _kind(path.name) or _kind_of_database(actual)
    if kind is None:
        wrong = _wrong_ending(path.name)
        raise InputError(Finding(wrong.message, FILE, None, place, repr(stated_path), wrong.expected))
    if kind in DATABASES and not (part or "").strip():
        message = "name the table or the query after #"
        raise InputError(Finding(message, FILE, None, place, repr(stated), f'"{stated_path}#{table}"'))
    if part is not None and kind not in (*DATABASES, "workbook"):
        message = "a file of this kind has no parts to name after #"
        raise InputError(Finding(message, FILE, None, place, repr(stated)))
    notes = () if note is None else (f"{table}: {note}",)
    return Source(table, kind, stated, actual, part=part, secrets=secrets, notes=notes)


def _is_there(path: Path) -> bool:
    return path.is_file() or bool(files_of(path))


def _present(folder: Path, path: Path, place: str, stated: str) -> tuple[Path, str | None]:
    """Return the file, also if its name differs by case alone, which is said."""
    whole = folder / path
    if _is_there(whole):
        return whole, None
    beside = sorted(whole.parent.iterdir()) if whole.parent.is_dir() else []
    alike = [file for file in beside if file.is_file() and file.name.casefold() == path.name.casefold()]
    if len(alike) == 1:
        return alike[0], f"[tables] names '{path.name}'; the file that is there is '{alike[0].name}'"
    known = [file.name for file in beside if file.is_file() and _kind(file.name) is not None]
    expected = "one of " + ", ".join(known[:8]) if known else None
    raise InputError(Finding("there is no such file", FILE, None, place, repr(stated), expected))


def _server(table: str, stated: str, place: str) -> Source:
    """Return the source that is a PostgreSQL server; a password in campaign.toml itself is refused."""
    address, mark, query = stated.partition("#")
    parts = urlsplit(address)
    written = [("password", parts.password or ""), *parse_qsl(parts.query)]
    if any(key in SECRETS and value and VARIABLE.sub("", value) for key, value in written):
        message = (
            "a password does not belong in campaign.toml, which is copied into run folders; write ${NAME} "
            "and set the environment variable NAME, or PGPASSWORD"
        )
        raise InputError(Finding(message, FILE, None, place))
    if not mark or not query.strip():
        message = "name the table or the query after #"
        raise InputError(Finding(message, FILE, None, place, repr(stated), f'"{address}#{table}"'))
    expanded, secrets = _expanded(address, place)
    part, more = _expanded(query, place)
    return Source(table, "postgresql", stated, None, expanded, part, (*secrets, *more))


def _expanded(text: str, place: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Put environment variables in their places; return also their values, longest first."""
    names = list(dict.fromkeys(VARIABLE.findall(text)))
    if missing := [name for name in names if name not in os.environ]:
        raise InputError(
            [
                Finding(f"the environment variable {name} is not set", FILE, None, place, _written(name))
                for name in missing
            ]
        )
    pairs = sorted(((os.environ[name], _written(name)) for name in names), key=lambda pair: -len(pair[0]))
    return VARIABLE.sub(lambda match: os.environ[match[1]], text), tuple(pairs)


def _written(variable: str) -> str:
    return f"${{{variable}}}"


def tables_in(folder: Path) -> Iterator[str]:
    """Yield the names of files in a folder that could be tables."""
    yield from sorted(
        path.name for path in folder.iterdir() if _is_there(path) and _kind(path.name) is not None
    )
