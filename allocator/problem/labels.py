"""Labels of users and coupons, and groups by them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.problem.alignment import Axis, Names
from allocator.problem.arrays import CONTAINERS, array_of, is_missing, readable, shown
from allocator.problem.frames import columns_of

MISSING = "(missing)"
NO_LABELS = "cmVS"  # kinds of arrays: complex numbers, durations, records, bytes
STRAY = (*CONTAINERS, bytes, complex)
CHUNK = 1 << 18  # labels at work at once, so that text takes little memory


@dataclass(frozen=True)
class Grouping:
    """One label for each user (or coupon), stored as codes into distinct labels.

    Parameters
    ----------
    codes
        (n,) index into `labels`, of the smallest unsigned type.
    labels
        The distinct labels, sorted.
    """

    codes: NDArray[np.integer]
    labels: tuple[str, ...]

    @classmethod
    def from_labels(cls, labels: ArrayLike, column: str = "labels") -> Self:
        """Encode one label for each user; a missing label (None or NaN) counts as ``(missing)``.

        Accents may be composed or not: labels are compared, and given back, composed.

        Raises
        ------
        InputError
            If these are no labels; `column` is what it calls them.
        """
        findings: list[Finding] = []
        array = array_of(labels, column, findings)
        if array is not None and array.dtype.kind in NO_LABELS:
            findings.append(Finding("these are no labels", column=column, found=str(array.dtype)))
        elif array is not None and array.dtype.kind == "O":
            stray = next((x for x in array.ravel().tolist() if isinstance(x, STRAY)), None)
            if stray is not None:
                findings.append(Finding("this is no label", column=column, found=shown(stray)))
        if findings or array is None:
            raise InputError(findings)
        array = np.atleast_1d(array)
        parts = [slice(start, start + CHUNK) for start in range(0, len(array), CHUNK)]
        distinct: set[str] = set()
        for part in parts:
            distinct.update(np.unique(_as_text(array[part])).tolist())
        ordered = np.array(sorted(distinct), dtype=np.str_)
        names, place = np.unique(
            np.array([composed(label) for label in ordered.tolist()], np.str_), return_inverse=True
        )
        codes = np.empty(array.shape, code_type(len(names)))
        for part in parts:
            codes[part] = place[np.searchsorted(ordered, _as_text(array[part]))]
        return cls(codes, tuple(names.tolist()))

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that a limit can name."""
        return self.labels

    def having(self, label: str) -> frozenset[int]:
        """Return the codes of the users that a label counts; none if nobody has it."""
        place = bisect_left(self.labels, label)
        return frozenset([place] if self.labels[place : place + 1] == (label,) else [])

    def names_of(self, code: int) -> tuple[str, ...]:
        """Return the labels that a code stands for."""
        return (self.labels[code],)

    def by_name(self, by_code: NDArray[np.generic]) -> NDArray[np.generic]:
        """Sum what is given of each code, (n_labels,), for each of `names`."""
        return by_code

    def with_codes(self, codes: NDArray[np.integer]) -> Self:
        """Return the same labels for other users, by their codes."""
        return replace(self, codes=codes)

    def sizes(self) -> NDArray[np.int64]:
        """Return how many users carry each label."""
        return np.bincount(self.codes, minlength=len(self.labels))


def composed(label: str) -> str:
    """Return a label with accents composed (Unicode NFC), as labels are compared."""
    return label if label.isascii() else unicodedata.normalize("NFC", label)


def _as_text(labels: NDArray[Any]) -> NDArray[np.str_]:
    if labels.dtype.kind in "fO":
        labels = np.array(
            [MISSING if is_missing(x) else str(x) for x in labels.ravel().tolist()], dtype=np.str_
        ).reshape(labels.shape)
    return labels.astype(np.str_, copy=False)


def code_type(n_labels: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest type that holds the codes of so many labels."""
    return np.dtype(np.min_scalar_type(max(n_labels - 1, 0)))


def ids_of(labels: ArrayLike, name: str, findings: list[Finding]) -> NDArray[Any]:
    """Return ids as whole numbers if they are, else as text.

    Adds to `findings` ids that are missing, decimal numbers, or nothing that has a text of its own.
    """
    array = array_of(labels, name, findings)
    if array is None:
        return np.empty(0, np.str_)
    found: str | None = str(array.dtype) if array.dtype.kind in NO_LABELS + "bM" else None
    if array.dtype.kind in "fO":
        entries = array.ravel().tolist()
        missing = [k for k, x in enumerate(entries) if is_missing(x)]
        if missing:
            place = f"{len(missing):,} of {len(entries):,}, the first in row {missing[0]}, counted from 0"
            findings.append(Finding("ids are missing", column=name, found=place))
        elif array.dtype.kind == "f" and len(entries):
            message = "ids must be text or whole numbers; a gap turns whole numbers into decimal ones"
            findings.append(Finding(message, column=name, found=repr(entries[0])))
        stray = next((x for x in entries if isinstance(x, (*STRAY, bool))), None)
        found = found if stray is None else shown(stray)
        if entries and all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in entries):
            array = np.array(entries)  # of the type that holds them, if there is one
    if found is not None:
        findings.append(Finding("ids must be text or whole numbers", column=name, found=found))
        return np.empty(array.shape, np.str_)
    if array.dtype.kind in "iu":
        return array
    text = np.empty(array.shape, np.str_)
    with readable(findings, "ids must be text or whole numbers", column=name):
        text = array.astype(np.str_)
    return text


def labels_of(
    labels: ArrayLike, n: int, name: str, findings: list[Finding]
) -> tuple[NDArray[np.str_], np.dtype[Any]]:
    """Return distinct ids as text, one for each of `n`, and the type they came in, as `ids_of`; add what is
    wrong to `findings`.
    """
    before = len(findings)
    array = ids_of(labels, name, findings)
    if array.shape != (n,):
        findings.append(
            Finding("wrong number of labels", column=name, found=str(array.shape), expected=str((n,)))
        )
    elif len(findings) == before:
        ordered = np.sort(array)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            findings.append(Finding("a label occurs twice", column=name, found=repr(str(twice[0]))))
    return array.astype(np.str_, copy=False), array.dtype if array.dtype.kind in "iu" else np.dtype(np.str_)


def groupings_of(
    groups: object, axis: Axis, n: int, name: str, findings: list[Finding]
) -> dict[str, Grouping]:
    """Encode the labels of each column that is not yet, `n` in each; add what is wrong to `findings`.

    Parameters
    ----------
    groups
        Labels by column, or a table of them; labels may be given by id, as a mapping.
    axis
        Of the users, or of the coupons.
    """
    columns: list[tuple[str, Any]] | None = None
    before = len(findings)
    with readable(findings, "these groups cannot be read", column=name):
        columns = [] if groups is None else columns_of(groups)
    if len(findings) > before:
        return {}
    if columns is None:
        expected = "labels by column, or a table with a column for each"
        findings.append(
            Finding("these are no groups", column=name, found=type(groups).__name__, expected=expected)
        )
        return {}
    result = {}
    for column, labels in columns:
        place = f"{name}[{column}]"
        with readable(findings, "these labels cannot be read", column=place):
            axis.check(Names.of_index(labels), place, findings)
            grouping = _grouping(labels, axis, place)
            if grouping.codes.shape != (n,):
                found, expected = str(grouping.codes.shape), str((n,))
                raise InputError(
                    Finding("wrong number of labels", column=place, found=found, expected=expected)
                )
            result[column] = grouping
    return result


def _grouping(labels: Any, axis: Axis, place: str) -> Grouping:
    if isinstance(labels, Grouping):
        codes = np.asarray(labels.codes)
        whole = codes.dtype.kind in "iu" and all(isinstance(label, str) for label in labels.labels)
        if not whole or (codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < len(labels.labels)):
            raise InputError(Finding("codes must be places among the labels, and these text", column=place))
        return labels
    return Grouping.from_labels(_by_id(labels, axis, place) if isinstance(labels, Mapping) else labels, place)


def _by_id(labels: Mapping[Any, Any], axis: Axis, place: str) -> list[Any]:
    """Return labels that were given by id, in the order of the ids."""
    if axis.ids is None:
        message = f"labels by id need the ids of the {axis.who}"
        raise InputError(Finding(message, column=place, expected="ids, or a label for each in order"))
    named, ids = {str(name): label for name, label in labels.items()}, axis.ids.texts()
    lost = [name for name in ids if name not in named]
    strange = sorted(set(named).difference(ids))
    if lost or strange:
        which = f"no label for {lost[0]!r}" if lost else f"a label for {strange[0]!r}"
        message = f"there is not one label for each of the {axis.who}"
        raise InputError(
            Finding(message, column=place, found=f"{which}, and {len(lost) + len(strange) - 1:,} more")
        )
    return [named[name] for name in ids]
