"""Whatever NumPy makes an array of, read so that every way it can be wrong is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError

CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)
NO_NUMBERS = (str, bytes, complex, np.datetime64, np.timedelta64)


@contextmanager
def readable(
    findings: list[Finding], message: str, *, file: str | None = None, column: str | None = None
) -> Iterator[None]:
    """Turn what goes wrong in another library while it reads an input into a finding."""
    try:
        yield
    except InputError as error:
        findings += error.findings
    except BaseException as error:
        # A panic of polars is no Exception, so that it would pass any other net.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        why = (str(error) or type(error).__name__).splitlines()[0][:200]
        findings.append(Finding(f"{message}: {why}", file=file, column=column))


def shown(given: object) -> str:
    """Return what was given as messages show it: on one line, and cut."""
    return " ".join(repr(given).split())[:60]


def is_missing(x: object) -> bool:
    """Return whether an entry is none: None, NaN, or what pandas writes for it."""
    if x is None or type(x).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(x, Number | np.datetime64 | np.timedelta64) and bool(x != x)


def entries_of(given: object) -> list[Any] | None:
    """Return the entries of whatever has some, None for what has none, or one that is text."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        return None
    unread: list[Finding] = []
    entries: list[Any] | None = None
    with readable(unread, "no entries"):
        entries = list(given)
    return entries


def array_of(
    given: object, name: str, findings: list[Finding], file: str | None = None
) -> NDArray[Any] | None:
    """Return an array, None where NumPy makes none; what is masked is missing."""
    array = None
    with readable(findings, "this cannot be read as an array", file=file, column=name):
        array = np.asarray(given)
        if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
            array = array.astype(object)
            array[np.ma.getmaskarray(given)] = None
    return array


def numbers_of(
    given: object,
    file: str | None,
    name: str,
    findings: list[Finding],
    message: str = "the column does not hold numbers",
) -> NDArray[np.floating]:
    """Return numbers as float32 (if they are) or float64, NaN where they are null; note what is no number."""
    array = array_of(given, name, findings, file)
    if array is None:
        return np.empty(0)
    if array.dtype.kind in "biuf":
        return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)
    found = str(getattr(given, "dtype", None) or getattr(given, "type", array.dtype))
    if array.dtype.kind == "O":
        numbers, stray = _floats(array)
        if stray is None:
            return numbers
        found = found if "object" not in found else stray
    findings.append(Finding(message, file=file, column=name, found=found))
    return np.full(array.shape, np.nan)


def _floats(array: NDArray[Any]) -> tuple[NDArray[np.float64], str | None]:
    """Return objects as numbers, NaN for none, and the first that is no number, if there is one."""
    numbers = np.full(array.size, np.nan)
    for k, entry in enumerate(array.ravel().tolist()):
        if is_missing(entry):
            continue
        try:
            if isinstance(entry, NO_NUMBERS):
                raise TypeError(entry)
            numbers[k] = float(entry)
        except OverflowError:
            numbers[k] = np.inf
        except (TypeError, ValueError):
            return numbers.reshape(array.shape), shown(entry)
    return numbers.reshape(array.shape), None
