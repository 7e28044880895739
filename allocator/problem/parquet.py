"""A problem that stays on disk: values and measures are read from Parquet on every pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import NoReturn

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.files import ahead
from allocator.problem import Problem
from allocator.problem.alignment import Axis
from allocator.problem.arrays import readable, shown
from allocator.problem.batch import SHELF, Batch
from allocator.problem.entry_checks import EntryChecks
from allocator.problem.labels import Grouping, code_type
from allocator.problem.problem import BUILT_IN_MEASURES, by_name

Columns = str | Sequence[str]
"""One list or array column of a number for each coupon, or one column for each coupon."""

BATCH_BYTES = 48 << 20  # about what is read at once; several batches are on their way at a time
TEXTS = 2 * SHELF  # labels read at once


class ParquetProblem(Problem):
    """A problem whose values and measures lie in Parquet files; made by `Problem.from_parquet`.

    Group columns are held in memory as codes, a byte or two a user each; values and measures are read in
    batches on every pass, and never held as a whole. Entries are checked in the first whole pass.
    """

    in_memory = False

    def __init__(
        self,
        path: str | Path,
        value: Columns,
        measures: Mapping[str, Columns] | None = None,
        *,
        user_id: str | None = None,
        groups: Sequence[str] = (),
        coupon_ids: ArrayLike | None = None,
        coupon_groups: Mapping[str, ArrayLike] | None = None,
        per_user: tuple[int, int] = (0, 1),
    ) -> None:
        findings: list[Finding] = []
        measures = by_name(measures, "measures", findings)
        self._columns = {
            name: _stated_columns(columns, name, findings)
            for name, columns in {"value": value, **measures}.items()
        }
        groups = _stated_columns(list(groups) if isinstance(groups, tuple) else groups, "groups", findings)
        if isinstance(groups, str):
            findings.append(Finding("must be a list of columns", column="groups", found=repr(groups)))
        with readable(findings, "must be a file or folder", column="path"):
            path = Path(path)
        if findings:
            raise InputError(findings)
        findings += [
            Finding(f"'{name}' is built in; give the measure another name", column=name)
            for name in BUILT_IN_MEASURES
            if name in measures
        ]
        self.files = _files(Path(path))
        self.id_column = user_id
        self._user_ids = None
        self._schema = _common_schema(self.files, findings)
        self._scan = pl.scan_parquet(self.files)
        self._n_users = 0 if findings else int(self._collect(self._scan.select(pl.len())).item())
        if self._n_users == 0 and not findings:  # before types: columns without rows may have none
            raise InputError(Finding("there are no rows: a problem needs a user", file=str(path)))
        widths = [self._width(name, findings) for name in self._columns]
        for column in groups:
            self._are_labels(column, findings)
        if user_id is not None:
            self._are_ids(user_id, findings)
        if findings:
            raise InputError(findings)
        self._n_coupons = widths[0]
        columns = Axis.of("columns", "coupons", coupon_ids)
        self._label(widths[0], coupon_ids, coupon_groups, per_user, columns, findings)
        if user_id is not None and not self._schema[user_id].is_integer():
            self.id_types["user_id"] = np.dtype(np.str_)
        self.groups = {column: self._grouping(column) for column in groups}
        self.measures = _OnDisk(measures)
        self._types = self._number_types()
        self._checked = False
        if user_id is not None:
            findings += self._wrong_ids(user_id)
        if findings:
            raise InputError(findings)

    @property
    def value(self) -> NoReturn:  # type: ignore[override]
        """Not in memory."""
        raise _not_in_memory("value")

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self._n_users

    @property
    def n_coupons(self) -> int:
        """Number of coupons."""
        return self._n_coupons

    @property
    def user_ids(self) -> NDArray[np.str_]:
        """Labels of all users, (n_users,), read or made anew each time; `ids_of` gives those of some."""
        return self.ids_of(np.arange(self.n_users))

    def ids_of(self, users: NDArray[np.int64]) -> NDArray[np.str_]:
        """Return the labels of some users, by their indices; reads only the rows from first to last."""
        if self.id_column is None or len(users) == 0:
            return users.astype(np.str_)
        first, last = int(users.min()), int(users.max())
        column = pl.col(self.id_column).cast(pl.String)
        labels = self._collect(self._scan.select(column).slice(first, last - first + 1)).to_series()
        return labels.gather(users - first).to_numpy().astype(np.str_)

    def reader(self) -> ParquetProblem:
        """Return a problem that reads the same files and holds nothing a user: small to send elsewhere."""
        other = copy(self)
        other.groups, other._combinations = {}, {}
        return other

    def batches(
        self, measures: Sequence[str] | None = None, users: NDArray[np.int64] | None = None
    ) -> Iterator[Batch]:
        """Yield consecutive users' rows from disk, as `Problem.batches`; one batch is read ahead.

        Raises
        ------
        InputError
            After the first whole pass, with every wrong entry.
        """
        names = ["value", *(self.measures if measures is None else measures)]
        size = self._batch_size(names)
        starts = np.arange(0, self.n_users, size)
        checks = None
        if users is not None:
            needed = np.searchsorted(users, starts) < np.searchsorted(users, starts + size)
            starts = starts[needed] if needed.any() else starts[:1]
        elif not self._checked:
            checks = EntryChecks(self.per_user[0])
        read = names if checks is None else list(self._columns)
        for batch in ahead(self._read(int(start), size, read) for start in starts):
            if checks is not None:
                checks.see(batch)
            yield Batch(batch.users, batch.value, {name: batch.measures[name] for name in names[1:]})
        if checks is not None:
            findings = checks.findings(lambda user: str(self.ids_of(np.array([user]))[0]))
            if findings:
                raise InputError(findings)
            self._checked = True

    def _collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Read from disk; whatever goes wrong there is the files' fault."""
        findings: list[Finding] = []
        found = pl.DataFrame()
        with readable(findings, "the Parquet files cannot be read", file=str(self.files[0].parent)):
            found = rows.collect()
        if findings:
            raise InputError(findings)
        return found

    def _are_labels(self, column: str, findings: list[Finding]) -> None:
        """Note it if there is no such column, or if what it holds cannot be the label of a group."""
        if self._present(column, findings):
            kind, file = self._schema[column], self.files[0].name
            if kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Duration, pl.Null):
                message = "the column holds no labels"
                findings.append(Finding(message, file=file, column=column, found=str(kind)))

    def _are_ids(self, column: str, findings: list[Finding]) -> None:
        """Note it if there is no such column, or if it holds neither text nor whole numbers."""
        if self._present(column, findings):
            kind = self._schema[column]
            if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum)):
                message, file = "ids must be text or whole numbers", self.files[0].name
                findings.append(Finding(message, file=file, column=column, found=str(kind)))

    def _batch_size(self, names: Sequence[str]) -> int:
        """Return how many users to read at once: whole shelves, so that no block lies in two batches."""
        width = self.n_coupons * sum(np.dtype(self._types[name]).itemsize for name in names)
        return SHELF * min(max(BATCH_BYTES // (SHELF * width), 1), 4)

    def _read(self, start: int, size: int, names: Sequence[str]) -> Batch:
        size = min(size, self.n_users - start)
        wanted = [column for name in names for column in self._of(name)]
        numbers = [_as_floats(column, self._schema[column]) for column in dict.fromkeys(wanted)]
        frame = self._collect(self._scan.select(numbers).slice(start, size))
        if frame.height != size:
            raise InputError(
                Finding("the files changed while they were read; start again", file=str(self.files[0].parent))
            )
        arrays = {name: self._matrix(frame, name) for name in names}
        return Batch(slice(start, start + size), arrays.pop("value"), arrays)

    def _of(self, name: str) -> list[str]:
        columns = self._columns[name]
        return [columns] if isinstance(columns, str) else list(columns)

    def _matrix(self, frame: pl.DataFrame, name: str) -> NDArray[np.floating]:
        """Return a measure's columns side by side, NaN for a null."""
        columns = self._columns[name]
        if isinstance(columns, str):
            series = frame[columns]
            if isinstance(series.dtype, pl.List):
                try:
                    series = series.list.to_array(self.n_coupons)
                except pl.exceptions.ComputeError as error:
                    expected = f"{self.n_coupons} numbers in each"
                    raise InputError(
                        Finding("the lists differ in length", column=columns, expected=expected)
                    ) from error
            return np.ascontiguousarray(series.to_numpy(), dtype=self._types[name])
        matrix = np.empty((frame.height, self.n_coupons), self._types[name])
        for j, column in enumerate(columns):
            matrix[:, j] = frame[column].to_numpy()
        return matrix

    def _number_types(self) -> dict[str, type[np.floating]]:
        """Return how each measure is held: kernels want one type for all measures, as `Problem` does."""

        def narrow(name: str) -> bool:
            return all(_number(self._schema[column]) == pl.Float32 for column in self._of(name))

        all_narrow = all(narrow(name) for name in self.measures)
        types = dict.fromkeys(self.measures, np.float32 if all_narrow else np.float64)
        return {"value": np.float32 if narrow("value") else np.float64, **types}

    def _present(self, column: str, findings: list[Finding]) -> bool:
        if column not in self._schema:
            shown = ", ".join(list(self._schema)[:30])
            file = self.files[0].name
            findings.append(
                Finding("the column is missing", file=file, column=column, expected=f"one of {shown}")
            )
        return column in self._schema

    def _width(self, name: str, findings: list[Finding]) -> int:
        """Return for how many coupons a measure has numbers, 0 where it is not in order."""
        columns = self._of(name)
        one = isinstance(self._columns[name], str)
        for column in columns:
            if not self._present(column, findings):
                return 0
            kind = self._schema[column]
            if not _number(kind).is_numeric() or one != isinstance(kind, pl.List | pl.Array):
                expected = "a list or array of numbers for each user" if one else "one number for each user"
                file = self.files[0].name
                findings.append(
                    Finding("wrong type", file=file, column=column, found=str(kind), expected=expected)
                )
                return 0
        width = self._list_width(columns[0]) if one else len(columns)
        if width == 0:
            findings.append(Finding("there are no coupons", column=name, expected="a column for each coupon"))
        if name != "value" and findings == [] and width != self._width("value", findings):
            found, expected = f"{width} coupons", f"{self._width('value', findings)} coupons"
            message = "the measure has another number of coupons than value"
            findings.append(Finding(message, column=name, found=found, expected=expected))
        return width

    def _list_width(self, column: str) -> int:
        kind = self._schema[column]
        if isinstance(kind, pl.Array):
            return int(kind.size)
        first = self._collect(pl.scan_parquet(self.files).select(pl.col(column).list.len()).head(1))
        return int(first.item() or 0) if first.height else 0

    def _grouping(self, column: str) -> Grouping:
        """Encode a column; labels are sorted, and null and NaN count as ``(missing)``."""
        found = pl.concat([part.unique() for _, part in self._parts_of(column)]).unique()
        labels = ["(missing)" if x is None or x != x else str(x) for x in found.to_list()]
        distinct = sorted(set(labels))
        place = {label: code for code, label in enumerate(distinct)}
        codes = np.empty(self.n_users, code_type(len(distinct)))
        known = pl.Series([place[label] for label in labels], dtype=pl.UInt32)
        for users, part in self._parts_of(column):
            codes[users] = part.replace_strict(found, known, return_dtype=pl.UInt32).to_numpy()
        return Grouping(codes, tuple(distinct))

    def _wrong_ids(self, column: str) -> list[Finding]:
        """Return what is wrong with the users' labels; sorting their hashes takes 8 bytes a user."""
        hashes, missing = np.empty(self.n_users, np.uint64), 0
        for users, part in self._parts_of(column):
            hashes[users] = part.hash().to_numpy()
            missing += part.null_count()
        if missing:
            return [Finding("users have no label", column=column, found=f"{missing:,} of them")]
        hashes.sort()
        twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])[:100]
        if len(twice) == 0:
            return []
        suspects = [part.filter(part.hash().is_in(twice)) for _, part in self._parts_of(column)]
        counts = pl.concat(suspects).alias("label").value_counts(sort=True)
        if counts["count"][0] < 2:
            return []
        return [Finding("a label occurs twice", column=column, found=repr(str(counts["label"][0])))]

    def _parts_of(self, column: str) -> Iterator[tuple[slice, pl.Series]]:
        """Yield a column in parts: text takes many times the memory of its codes."""
        for start in range(0, self.n_users, TEXTS):
            part = self._collect(self._scan.select(column).slice(start, TEXTS)).to_series()
            yield slice(start, start + len(part)), part


class _OnDisk(Mapping[str, NDArray[np.floating]]):
    """The names of the measures; asking for one as an array is an error."""

    def __init__(self, names: Mapping[str, Columns]) -> None:
        self._names = tuple(names)

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        if name not in self._names:
            raise KeyError(name)
        raise _not_in_memory(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _not_in_memory(name: str) -> InputError:
    return InputError(
        Finding(
            "the problem is on disk and has no array; use batches() for all users or gather(users) for some",
            column=name,
        )
    )


def _stated_columns(given: object, name: str, findings: list[Finding]) -> Columns:
    """Return a column, or columns; note it if it is neither."""
    if isinstance(given, str):
        return given
    if isinstance(given, Sequence | np.ndarray) and all(isinstance(column, str) for column in given):
        return [str(column) for column in given]
    findings.append(Finding("must be a column, or a list of columns", column=name, found=shown(given)))
    return []


def _as_floats(column: str, kind: pl.DataType) -> pl.Expr:
    """Return a column, or the numbers of its lists, in a type that NumPy has with nulls in it."""
    if _number(kind).is_float():
        return pl.col(column)
    if isinstance(kind, pl.Array):
        return pl.col(column).cast(pl.Array(pl.Float64, kind.size))
    return pl.col(column).cast(pl.List(pl.Float64) if isinstance(kind, pl.List) else pl.Float64)


def _number(kind: pl.DataType) -> pl.DataType:
    """Return the type of the numbers in a column, of one number or a list of them."""
    return kind.inner if isinstance(kind, pl.List | pl.Array) else kind  # type: ignore[return-value]


def _files(path: Path) -> list[Path]:
    """Return the Parquet file, or those of a folder and of folders in it, by name."""
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise InputError(Finding("the folder has no Parquet file", file=str(path), expected="*.parquet"))
        return files
    if not path.is_file():
        raise InputError(Finding("there is no such file or folder", file=str(path)))
    return [path]


def _common_schema(files: Sequence[Path], findings: list[Finding]) -> dict[str, pl.DataType]:
    """Return the columns and types of the first file; the others must have the same."""
    schemas = []
    for file in files:
        try:
            schemas.append(dict(pl.read_parquet_schema(file)))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(
                Finding(f"this is not a Parquet file: {str(error).splitlines()[0]}", file=str(file))
            ) from error
    first = schemas[0]
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        for column in [*first, *(c for c in schema if c not in first)]:
            if first.get(column) != schema.get(column):
                found, expected = (str(s.get(column, "no such column")) for s in (schema, first))
                message = f"the files of a folder must have the same columns; {files[0].name} differs"
                findings.append(
                    Finding(message, file=file.name, column=column, found=found, expected=expected)
                )
    return first
