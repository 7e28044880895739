"""A run folder: stage files written atomically, a state that survives interruption, a manifest last."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.protocols import Predictions

STATE = "state.json"
MANIFEST = "manifest.json"
PREDICTED = ("conversion", "uplift", "redemption", "revenue", "expected_cost")
PERHAPS_PREDICTED = ("uplift_error", "baseline_revenue", "cost_variance")
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
)


class RunFolder:
    """Where one run keeps its results.

    Parameters
    ----------
    path
        The folder; made if it is not there.
    inputs
        What the run is of (digests, seed, options): a folder that was begun with other inputs is
        not continued.

    Raises
    ------
    InputError
        If the folder holds a finished run, a run of other inputs, or files that are not a run's.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Any]) -> None:
        self.path = path
        self._state: dict[str, Any] = {"inputs": json.loads(dump_json(inputs)), "done": []}
        if (path / MANIFEST).is_file():
            raise InputError(
                Finding(
                    "the folder holds a finished run, which is not written over; name another with --out",
                    file=str(path),
                )
            )
        self._new = not path.exists()
        if (path / STATE).is_file():
            earlier = json.loads((path / STATE).read_text(encoding="utf-8"))
            if earlier.get("inputs") != self._state["inputs"]:
                raise InputError(
                    Finding(
                        "the folder holds an unfinished run of other inputs or options; delete it, "
                        "or name another with --out",
                        file=str(path),
                    )
                )
            self._state = earlier
        elif path.exists() and any(path.iterdir()):
            raise InputError(
                Finding("the folder is not empty and holds no run; name another with --out", file=str(path))
            )
        else:
            path.mkdir(parents=True, exist_ok=True)
            self._save_state()

    @property
    def checkpoint(self) -> Path:
        """Folder for how far a training got; not part of a finished run."""
        return self.path / "checkpoint"

    def done(self, stage: str) -> bool:
        """Return whether a stage's files are complete."""
        return stage in self._state["done"]

    def finish(self, stage: str) -> None:
        """Mark a stage's files as complete."""
        if stage not in self._state["done"]:
            self._state["done"].append(stage)
        self._save_state()

    def abandon(self) -> None:
        """Forget a run that has finished no stage, so that its folder is free for corrected inputs."""
        if self._state["done"]:
            return
        for file in (self.path / "predictions.parquet", self.path / STATE):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        if self._new and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_manifest(self, seconds: Mapping[str, float], campaign_folder: Path) -> None:
        """Write the manifest, which makes the run complete, and drop the state."""
        files = {
            str(file.relative_to(self.path)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and file.name not in (STATE, MANIFEST)
        }
        manifest = {
            "campaign": os.path.relpath(campaign_folder.resolve(), self.path.resolve()),
            "inputs": self._state["inputs"],
            "versions": versions(),
            "seconds": dict(seconds),
            "files": files,
        }
        write_text(self.path / MANIFEST, dump_json(manifest))
        (self.path / STATE).unlink(missing_ok=True)

    def _save_state(self) -> None:
        write_text(self.path / STATE, dump_json(self._state))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
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


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a CSV or Parquet file atomically; CSV cells cannot act as spreadsheet formulas."""
    atomically(path, lambda temporary: fill_table(frame, temporary))


def fill_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a CSV or Parquet file as `write_table` does, but not atomically."""
    if path.suffix == ".parquet":
        frame.write_parquet(path)
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


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions as Parquet, one row a user-coupon pair."""
    write_table(predictions_frame(predictions), path)


def predictions_frame(predictions: Predictions) -> pl.DataFrame:
    """Return predictions as a table, one row a user-coupon pair."""
    n, m = predictions.uplift.shape
    users, coupons = (
        pl.Series(np.asarray(ids).tolist(), dtype=pl.String)
        for ids in (predictions.user_ids, predictions.coupon_ids)
    )
    columns: dict[str, Any] = {
        "user_id": users.gather(np.repeat(np.arange(n), m)),
        "coupon_id": coupons.gather(np.tile(np.arange(m), n)),
    }
    for name in (*PREDICTED, *PERHAPS_PREDICTED):
        array = getattr(predictions, name)
        if array is not None:
            columns[name] = np.ascontiguousarray(array).ravel()
    return pl.DataFrame(columns)


def read_predictions(path: Path) -> Predictions:
    """Read predictions that `write_predictions` wrote, or another tool in the same form; any row order.

    Raises
    ------
    InputError
        If the file, a column, a number or a pair is missing.
    """
    text = {"user_id": pl.String, "coupon_id": pl.String}
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, schema_overrides=text)
            frame = restore_ids(frame) if set(text) <= set(frame.columns) else frame
    except (pl.exceptions.PolarsError, OSError) as error:
        message = f"these predictions cannot be read: {str(error).splitlines()[0]}"
        raise InputError(Finding(message, file=path.name)) from error
    if missing := [name for name in (*text, *PREDICTED) if name not in frame.columns]:
        raise InputError(
            [Finding("required column is missing", file=path.name, column=name) for name in missing]
        )
    numbers = [*PREDICTED, *(name for name in PERHAPS_PREDICTED if name in frame.columns)]
    frame = frame.select(pl.col(*text).cast(pl.String), pl.col(*numbers).cast(pl.Float64, strict=False))
    findings = [
        Finding(
            "this value cannot be used", path.name, bad[0] + 2, name, repr(frame[name][bad[0]]), "a number"
        )
        for name in numbers
        if len(bad := (~frame[name].is_finite().fill_null(False)).arg_true())
    ]
    if findings:
        raise InputError(findings)
    users, user = _codes(frame["user_id"])
    coupons, coupon = _codes(frame["coupon_id"])
    place = user * len(coupons) + coupon
    if len(np.unique(place)) != len(users) * len(coupons) or len(place) != len(users) * len(coupons):
        raise InputError(
            Finding(
                "there is not one row for each user and coupon",
                file=path.name,
                found=f"{frame.height:,} rows",
                expected=f"{len(users) * len(coupons):,}",
            )
        )
    order = np.argsort(place)
    arrays: dict[str, Any] = {
        name: frame[name].to_numpy()[order].reshape(len(users), len(coupons)) for name in numbers
    }
    return Predictions(users, coupons, **arrays)


def _codes(labels: pl.Series) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Return the distinct labels in order of appearance, and each row's index among them."""
    distinct = labels.unique(maintain_order=True)
    codes = labels.replace_strict(distinct, pl.int_range(len(distinct), eager=True), return_dtype=pl.Int64)
    return np.asarray(distinct.to_list(), np.str_), codes.to_numpy()


def find_predictions(path: Path | None) -> Predictions | None:
    """Read predictions from a file, or from a run folder that holds them; None for no path."""
    return None if path is None else read_predictions(_predictions_file(path))


def digest_of(predictions: Path) -> str:
    """Return the SHA-256 of a predictions file, or of the one in a run folder."""
    with _predictions_file(predictions).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _predictions_file(path: Path) -> Path:
    file = path / "predictions.parquet" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            Finding(
                "there are no predictions here",
                file=str(file),
                expected="a file of `allocate predict`, or a run folder",
            )
        )
    return file


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
