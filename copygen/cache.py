"""Answers of a model kept on disk, so that what was asked before is not asked again.

What is kept is what the backend proposed, before the guard and the ranking see it: a run that goes
on where it was stopped ends as it would have ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import TracebackType
from typing import Self

from allocator.progress import Progress
from copygen.cells import Hook

FOLDER_VARIABLE = "ALLOCATE_COPY_CACHE"
FILE = "hooks-1.sqlite"  # the number is raised when the layout changes
MOST_KEPT = 100_000  # cells, about 60 MB; the oldest go first
WAIT = 30.0  # seconds for another process that writes
TABLE = "CREATE TABLE IF NOT EXISTS hooks (key TEXT NOT NULL UNIQUE, hooks TEXT NOT NULL)"


def cache_file(folder: Path | None = None) -> Path:
    """Return the file of kept hooks in `folder`, or in the user's cache, or where the environment says."""
    if folder is None and (named := os.environ.get(FOLDER_VARIABLE)):
        folder = Path(named)
    if folder is None:
        from platformdirs import user_cache_path

        folder = user_cache_path("allocate")
    return folder / FILE


def key_of(*asked: object) -> str:
    """Return a digest of what was asked and of the rules of this version."""
    text = json.dumps([rules_digest(), *asked], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def rules_digest() -> str:
    """Return a digest of all data files of this package (prompts, themes, bank, guard) and its version."""
    digest = hashlib.sha256(version("allocate").encode())
    for file in _data_files(files("copygen")):
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _data_files(folder: Traversable) -> Iterable[Traversable]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _data_files(entry)
        elif entry.name.endswith(".toml"):
            yield entry


class HookCache:
    """Hooks by key in a file that several processes may share; a context manager.

    A damaged file is set aside and a new one begun; where nothing can be read or written, nothing is
    kept. Either is said through `progress`, neither stops a run.

    Parameters
    ----------
    path
        The file; made with its folder if it is not there.
    progress
        Told as the name of a step what could not be done.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress = path, progress
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def get(self, keys: Sequence[str]) -> dict[str, list[Hook]]:
        """Return the hooks of those keys that are kept."""
        try:
            return self._get(keys)
        except sqlite3.OperationalError as error:
            self._give_up(error)
        except (sqlite3.DatabaseError, ValueError, TypeError):
            self._set_aside()
        return {}

    def put(self, found: Mapping[str, Sequence[Hook]]) -> None:
        """Keep hooks by key: all of them or, if this process is stopped, none."""
        try:
            self._put(found)
        except sqlite3.OperationalError as error:
            self._give_up(error)
        except sqlite3.DatabaseError:
            self._set_aside()

    def _get(self, keys: Sequence[str]) -> dict[str, list[Hook]]:
        if self._connection is None:
            return {}
        found = {}
        for key in keys:
            row = self._connection.execute("SELECT hooks FROM hooks WHERE key = ?", (key,)).fetchone()
            if row is not None:
                found[key] = [Hook(**entry) for entry in json.loads(row[0])]
        return found

    def _put(self, found: Mapping[str, Sequence[Hook]]) -> None:
        if self._connection is None:
            return
        rows = [
            (key, json.dumps([asdict(hook) for hook in hooks], ensure_ascii=False))
            for key, hooks in found.items()
        ]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO hooks VALUES (?, ?)", rows)
            self._connection.execute(
                "DELETE FROM hooks WHERE rowid <= (SELECT max(rowid) FROM hooks) - ?", (MOST_KEPT,)
            )

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
        except (OSError, sqlite3.OperationalError) as error:
            self._give_up(error)
        except sqlite3.DatabaseError:
            self._set_aside()

    def _connect(self) -> None:
        self._connection = sqlite3.connect(self._path, timeout=WAIT)
        with self._connection:
            self._connection.execute(TABLE)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _give_up(self, error: Exception) -> None:
        self._close()
        self._progress(f"hooks are not kept in {self._path} ({error})", 0, 0)

    def _set_aside(self) -> None:
        self._close()
        aside = self._path.with_suffix(".damaged")
        try:
            self._path.replace(aside)
            self._connect()
        except (OSError, sqlite3.DatabaseError) as error:
            self._give_up(error)
        else:
            self._progress(f"the file of kept hooks was damaged; it is now {aside}", 0, 0)
