"""Labels of users and coupons, and groups by them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding
from allocator.problem.frames import is_missing

MISSING = "(missing)"
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
    def from_labels(cls, labels: ArrayLike) -> Self:
        """Encode one label for each user; a missing label (None or NaN) counts as ``(missing)``.

        Accents may be composed or not: labels are compared, and given back, composed.
        """
        array = np.atleast_1d(np.asarray(labels))
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

    Adds to `findings` ids that are missing, or decimal numbers.
    """
    array = np.asarray(labels)
    if array.dtype.kind in "fO":
        entries = array.ravel().tolist()
        missing = [k for k, x in enumerate(entries) if is_missing(x)]
        if missing:
            found = f"{len(missing):,} of {len(entries):,}, the first in row {missing[0]}, counted from 0"
            findings.append(Finding("ids are missing", column=name, found=found))
        elif array.dtype.kind == "f" and len(entries):
            message = "ids must be text or whole numbers; a gap turns whole numbers into decimal ones"
            findings.append(Finding(message, column=name, found=repr(entries[0])))
        if entries and all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in entries):
            array = np.array(entries)  # of the type that holds them, if there is one
    return array if array.dtype.kind in "iu" else array.astype(np.str_)


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
        distinct, counts = np.unique(array, return_counts=True)
        if len(distinct) < n:
            found = repr(str(distinct[counts > 1][0]))
            findings.append(Finding("a label occurs twice", column=name, found=found))
    return array.astype(np.str_), array.dtype if array.dtype.kind in "iu" else np.dtype(np.str_)


def groupings_of(
    groups: Mapping[str, ArrayLike | Grouping] | None, n: int, name: str, findings: list[Finding]
) -> dict[str, Grouping]:
    """Encode the labels of each column that is not yet, `n` in each; add what is wrong to `findings`."""
    result = {}
    for column, labels in (groups or {}).items():
        grouping = labels if isinstance(labels, Grouping) else Grouping.from_labels(labels)
        if grouping.codes.shape != (n,):
            found, expected = str(grouping.codes.shape), str((n,))
            findings.append(
                Finding("wrong number of labels", column=f"{name}[{column}]", found=found, expected=expected)
            )
        result[column] = grouping
    return result
