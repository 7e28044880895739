"""Files written whole or not at all, tables and JSON in them, and where nothing may be written over."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import numpy as np
import polars as pl

from allocator.errors import Finding, InputError

# How a cell starts that a spreadsheet runs (OWASP, "CSV Injection"), after any apostrophes put before it;
# the last four are what Chinese and Japanese input methods write.
FORMULA = r"'*[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"

PACKAGES = (
    "allocate",
    "numpy",
    "polars",
    "numba",
    "highspy",
    "ortools",
    "cvxpy",
    "torch",
    "transformers",
    "scikit-learn",
    "lightgbm",
)


Item = TypeVar("Item")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def dump_json(value: Any) -> str:
    """Return indented JSON; NumPy numbers become plain ones, infinities and NaN become null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_table(frame: pl.DataFrame, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write a CSV or Parquet file atomically; CSV cells cannot act as spreadsheet formulas.

    `notes` go with a Parquet file, by name.
    """
    atomically(path, lambda temporary: fill_table(frame, temporary, notes))


def fill_table(frame: pl.DataFrame, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write a CSV or Parquet file as `write_table` does, but not atomically."""
    if path.suffix == ".parquet":
        frame.write_parquet(path, metadata=notes)
    else:
        _without_formulas(frame).write_csv(path)


def csv_text(frame: pl.DataFrame, *, header: bool = True) -> str:
    """Return a table as CSV whose cells cannot act as spreadsheet formulas."""
    return _without_formulas(frame).write_csv(include_header=header)


def write_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Fill a new folder and move it into place when it is complete; an old one stays until then."""
    temporary, old = _beside(path), _beside(path)
    temporary.mkdir()
    try:
        fill(temporary)
        if path.exists():
            path.replace(old)
        temporary.replace(path)
    finally:
        if old.exists() and not path.exists():
            old.replace(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def restore_ids(frame: pl.DataFrame, columns: Sequence[str] = ("user_id", "coupon_id")) -> pl.DataFrame:
    """Undo in a CSV's ids what `write_table` did to those that a spreadsheet would run as a formula."""
    return frame.with_columns(pl.col(columns).str.replace(f"^'({FORMULA})", "$1"))


def _without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before text that a spreadsheet would run as a formula; numbers stay."""
    text = pl.selectors.string()
    runs = text.str.contains(f"^{FORMULA}") & text.cast(pl.Float64, strict=False).is_null()
    return frame.with_columns(pl.when(runs).then("'" + text).otherwise(text).name.keep())


def _beside(path: Path) -> Path:
    """Return a new hidden name in the same folder, from where a file or folder can be moved to `path`."""
    return path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, and move it there when it is complete."""
    temporary = _beside(path)
    temporary.touch(exist_ok=False)
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_together(writes: Mapping[Path, Callable[[Path], object]]) -> None:
    """Let each function fill a file beside its path; when all are complete, move them there."""
    ready = {path: _beside(path) for path in writes}
    try:
        for path, write in writes.items():
            write(ready[path])
        for path, temporary in ready.items():
            temporary.replace(path)
    finally:
        for temporary in ready.values():
            temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items while the next one is read on another thread."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(lambda: list(islice(items, 1)))
        while item := coming.result():
            coming = pool.submit(lambda: list(islice(items, 1)))
            yield from item


def require_new(path: Path, option: str = "--out") -> None:
    """Raise InputError if there is a file, or a folder with something in it, or if nothing can be written.

    `option` names another.
    """
    require_writable(path, option)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "folder is not empty" if path.is_dir() else "file is already there"
        raise InputError(
            Finding(f"the {what} and is not written over; name another with {option}", file=str(path))
        )


def require_writable(path: Path, option: str = "--out") -> None:
    """Raise InputError if no file or folder can be made at `path`, or in it if it is a folder.

    Leaves nothing behind: what is found is found by trying, in the nearest folder that is there.
    """
    try:
        place, missing = path.absolute(), []
        while not place.exists():
            missing.append(place)
            place = place.parent
        if missing and not place.is_dir():
            raise NotADirectoryError(f"{place} is a file")
        folder = place if place.is_dir() else place.parent
        for name in {_beside(path).name, *(each.name for each in missing)}:
            (folder / name).exists()  # a name that is too long is refused here
        with TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        message = f"nothing can be written here ({why}); name another place with {option}"
        raise InputError(Finding(message, file=str(path))) from error


def require_table(path: Path) -> None:
    """Raise InputError if `path` cannot become a new CSV or Parquet file."""
    require_new(path)
    findings = []
    if path.suffix not in (".csv", ".parquet"):
        message = "the file's ending says in which form it is written"
        findings.append(Finding(message, str(path), found=repr(path.suffix), expected=".csv or .parquet"))
    findings += _no_folder(path, "--out")
    if findings:
        raise InputError(findings)


def require_page(path: Path, option: str = "--out") -> None:
    """Raise InputError if `path` cannot become a new file; `option` names another."""
    require_new(path, option)
    if findings := _no_folder(path, option):
        raise InputError(findings)


def _no_folder(path: Path, option: str) -> list[Finding]:
    if path.parent.is_dir():
        return []
    return [Finding(f"there is no such folder; make it, or name another with {option}", str(path.parent))]
