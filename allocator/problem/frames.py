"""Tables and columns of callers, read alike: NumPy, pandas, polars, Arrow, or a dict of columns.

A table is anything with named columns, and a column anything that NumPy makes an array of, so that none of
these libraries is needed, nor imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError, PluginError
from allocator.problem.alignment import Axis, Names
from allocator.problem.arrays import numbers_of, readable, shown

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["polars", "pandas", "arrow", "numpy"]
"""What a table is given back as."""

KINDS = "a pandas or polars DataFrame, an Arrow table, or a dict of columns"
SHOWN = 20  # column names that a message lists


def columns_of(table: object) -> list[tuple[str, Any]] | None:
    """Return a table's columns by name, in order; None if it has no named columns."""
    if isinstance(table, Mapping):
        return [(str(name), column) for name, column in table.items()]
    if hasattr(table, "iloc") and hasattr(table, "columns"):  # pandas, whose names may occur twice
        return [(str(name), table.iloc[:, k]) for k, name in enumerate(table.columns)]
    if hasattr(table, "collect") and hasattr(table, "explain"):  # a LazyFrame of polars
        table = table.collect()
    if hasattr(table, "get_columns"):  # polars
        return [(column.name, column) for column in table.get_columns()]
    names = getattr(getattr(table, "dtype", None), "names", None)
    if isinstance(table, np.ndarray) and names:
        return [(name, table[name]) for name in names]
    if hasattr(table, "__arrow_c_stream__") and not hasattr(table, "dtype"):
        import polars as pl

        return [(column.name, column) for column in pl.DataFrame(table).get_columns()]
    return None


def pick(table: object, wanted: Iterable[str], name: str, findings: list[Finding]) -> dict[str, Any]:
    """Return some columns of a table; add what is wrong to `findings`.

    Raises
    ------
    InputError
        If it is no table.
    """
    columns: list[tuple[str, Any]] | None = None
    unread: list[Finding] = []
    with readable(unread, "this table cannot be read", column=name):
        columns = columns_of(table)
    if columns is None:
        raise InputError(
            unread or Finding("this is not a table", None, None, name, type(table).__name__, KINDS)
        )
    names = [column for column, _ in columns]
    found = {}
    for column in dict.fromkeys(map(str, wanted)):
        if names.count(column) == 1:
            found[column] = columns[names.index(column)][1]
        elif column in names:
            findings.append(Finding("the column occurs twice", file=name, column=column))
        elif column in map(str, getattr(getattr(table, "index", None), "names", ())):
            message = "this is the table's index, not a column; call reset_index() first"
            findings.append(Finding(message, file=name, column=column))
        else:
            shown = ", ".join(names[:SHOWN]) or "columns, and the table has none"
            findings.append(
                Finding("the column is missing", file=name, column=column, expected=f"one of {shown}")
            )
    if isinstance(table, Mapping):  # a real table sees to these
        _check_alike(found, name, findings)
    return found


def text_of(column: object) -> pl.Series | None:
    """Return a column that polars holds as text without gaps, None for any other."""
    import polars as pl

    if not isinstance(column, pl.Series) or column.null_count():
        return None
    return column.cast(pl.String) if column.dtype in (pl.String, pl.Categorical, pl.Enum) else None


def _check_alike(columns: Mapping[str, Any], name: str, findings: list[Finding]) -> None:
    """Note if the columns of a dict differ in length, or in the index that they come with."""
    lengths = {}
    for label, column in columns.items():
        with readable(findings, "this is no column", file=name, column=label):
            lengths[label] = len(column)
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{label}: {length:,}" for label, length in lengths.items())
        findings.append(Finding("the columns differ in length", file=name, found=found))
    rows_of(columns, list(columns.items()), name, findings)


@dataclass(frozen=True)
class Matrix:
    """Numbers of users x coupons, with the names that their table had.

    Parameters
    ----------
    array
        Of any shape: float32, or float64.
    columns, rows
        Names of a table's columns, and the index of a pandas table; None where there is none.
    """

    array: NDArray[np.floating]
    columns: Names | None = None
    rows: Names | None = None

    @classmethod
    def of(cls, given: object, name: str, message: str, findings: list[Finding]) -> Self:
        """Read a table, or whatever NumPy makes an array of; add what is wrong to `findings`.

        A series with an index goes along the columns: one number for each coupon.
        """
        columns: list[tuple[str, Any]] | None = None
        with readable(findings, "this table cannot be read", column=name):
            columns = columns_of(given)
        if columns is None:
            array = numbers_of(given, None, name, findings, message)
            return cls(array, Names.of_index(given) if array.ndim == 1 else None)
        arrays = [numbers_of(column, name, label, findings) for label, column in columns]
        if len({array.shape for array in arrays}) > 1 or any(array.ndim != 1 for array in arrays):
            shapes = sorted({str(array.shape) for array in arrays})
            findings.append(Finding("the columns differ in length", column=name, found=", ".join(shapes)))
            return cls(np.empty((0, 0)))
        table = np.column_stack(arrays) if arrays else np.empty((0, 0))
        return cls(
            table, Names.stated([label for label, _ in columns]), rows_of(given, columns, name, findings)
        )


def rows_of(
    table: object, columns: Sequence[tuple[str, Any]], name: str, findings: list[Finding]
) -> Names | None:
    """Return the index of a table, or of the series that a dict of columns holds, which must agree."""
    if not isinstance(table, Mapping):
        return Names.of_index(table)
    axis, first = Axis("rows", "rows"), None
    for label, column in columns:
        index = Names.of_index(column)
        axis.check(index, f"{name}, {label}", findings)
        if first is None or first.counted:
            first = index or first
    return first


def table_as(make: Callable[[], pl.DataFrame], kind: Kind) -> Any:
    """Return the table that `make` gives as another kind of table; no library is needed but its own.

    Raises
    ------
    InputError
        If there is no such kind.
    PluginError
        If its library is not installed.
    """
    if not isinstance(kind, str) or kind not in get_args(Kind):
        expected = ", ".join(get_args(Kind))
        raise InputError(Finding("unknown kind of table", column="to", found=shown(kind), expected=expected))
    if kind == "polars":
        return make()
    if kind == "arrow":
        return _library("pyarrow").table(make())
    wrap = dict if kind == "numpy" else _library("pandas").DataFrame
    return wrap({column.name: column.to_numpy() for column in make().get_columns()})


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise PluginError(f"A table of {name} needs {name}, which cannot be imported: {error}.") from error
