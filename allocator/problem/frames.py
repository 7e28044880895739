"""Tables and columns of callers, read alike: NumPy, pandas, polars, Arrow, or a dict of columns.

A table is anything with named columns, and a column anything that NumPy makes an array of, so that none of
these libraries is needed, nor imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError, PluginError

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
    columns = columns_of(table)
    if columns is None:
        raise InputError(
            Finding("this is not a table", column=name, found=type(table).__name__, expected=KINDS)
        )
    names = [column for column, _ in columns]
    found = {}
    for column in dict.fromkeys(wanted):
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
    return found


def numbers_of(column: object, file: str | None, name: str, findings: list[Finding]) -> NDArray[np.floating]:
    """Return a column as float32 (if it is) or float64, NaN where it is null; note what is no number."""
    array = np.asarray(column)
    if array.dtype.kind == "O":
        array = np.array([np.nan if is_missing(x) else x for x in array.tolist()], dtype=object)
        if any(isinstance(x, str) for x in array):
            array = array.astype(np.str_)
    if array.dtype.kind in "biufO":
        try:
            return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)
        except (TypeError, ValueError):
            pass
    kind = str(getattr(column, "dtype", None) or getattr(column, "type", array.dtype))
    findings.append(Finding("the column does not hold numbers", file=file, column=name, found=kind))
    return np.full(array.shape, np.nan)


@dataclass(frozen=True)
class Matrix:
    """Numbers of users x coupons, with the names that their table had.

    Parameters
    ----------
    array
        What the table or array holds, of any shape and type.
    columns, rows
        Names of a table's columns, and the index of a pandas table; None where there is none.
    """

    array: NDArray[Any]
    columns: list[str] | None = None
    rows: NDArray[Any] | None = None

    @classmethod
    def of(cls, table: object, name: str, findings: list[Finding]) -> Self:
        """Read a table, or whatever NumPy makes an array of; add what is wrong to `findings`."""
        columns = columns_of(table)
        if columns is None:
            return cls(np.asarray(table))
        arrays = [numbers_of(column, name, label, findings) for label, column in columns]
        index = getattr(table, "index", None)
        return cls(
            np.column_stack(arrays) if arrays else np.empty((0, 0)),
            [label for label, _ in columns],
            None if index is None or callable(index) else np.asarray(index),
        )

    def check_order(self, other: Matrix, name: str, findings: list[Finding]) -> None:
        """Note if another table has the same columns or rows in another order: both go by position."""
        check_order("columns", self.columns, other.columns, name, findings)
        check_order("rows", self.rows, other.rows, name, findings)


def check_order(
    what: str, mine: ArrayLike | None, theirs: ArrayLike | None, name: str, findings: list[Finding]
) -> None:
    """Note if some names are the same in another order, where both go by position."""
    if mine is None or theirs is None:
        return
    one, other = np.asarray(mine), np.asarray(theirs)
    differ = one.shape == other.shape and not np.array_equal(one, other)
    if differ and set(one.tolist()) == set(other.tolist()):
        k = int(np.argmax(one != other))
        message = f"the {what} are in another order than those of value, and go by position: reorder them"
        found, expected = repr(str(other[k])), repr(str(one[k]))
        findings.append(Finding(message, column=name, found=found, expected=expected))


def table_as(make: Callable[[], pl.DataFrame], kind: Kind) -> Any:
    """Return the table that `make` gives as another kind of table; no library is needed but its own.

    Raises
    ------
    InputError
        If there is no such kind.
    PluginError
        If its library is not installed.
    """
    if kind not in get_args(Kind):
        expected = ", ".join(get_args(Kind))
        raise InputError(Finding("unknown kind of table", column="to", found=repr(kind), expected=expected))
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


def is_missing(x: object) -> bool:
    """Return whether an entry is none: None, NaN, or what pandas writes for it."""
    return x is None or type(x).__name__ in ("NAType", "NaTType") or bool(x != x)
