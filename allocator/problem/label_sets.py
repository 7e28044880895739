"""Several labels for one user, such as the tags of a shop's customers: "staff, VIP"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.problem.labels import MISSING, Grouping, code_type


@dataclass(frozen=True)
class LabelSets(Grouping):
    """A set of labels for each user, stored as codes into distinct sets.

    A limit that names one of them counts every user whose set holds it, so that a user may be in several
    groups.

    Parameters
    ----------
    codes
        (n,) index into `labels`.
    labels
        The distinct sets, each as text with its labels in order.
    separator
        What stands between labels, in these texts and in those of users who come later.
    """

    separator: str = ","

    @classmethod
    def from_cells(cls, cells: ArrayLike, separator: str = ",") -> Self:
        """Take apart one text for each user; a missing or empty one is the set of ``(missing)`` alone."""
        return cls.of(Grouping.from_labels(cells), separator)

    @classmethod
    def of(cls, cells: Grouping, separator: str) -> Self:
        """Take apart the labels of a grouping; texts with the same labels in another order are one set."""
        join = separator if separator.isspace() else f"{separator} "
        texts = [join.join(labels_in(label, separator)) for label in cells.labels]
        distinct, place = np.unique(np.array(texts, dtype=np.str_), return_inverse=True)
        codes = place.ravel()[cells.codes].astype(code_type(len(distinct)))
        return cls(codes, tuple(distinct.tolist()), separator)

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        """The codes of the sets that hold each label, by label."""
        found: dict[str, list[int]] = {}
        for code, text in enumerate(self.labels):
            for label in labels_in(text, self.separator):
                found.setdefault(label, []).append(code)
        return dict(sorted(found.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that some user has, sorted."""
        return tuple(self._members)

    def having(self, label: str) -> frozenset[int]:
        """Return the codes of the sets that hold a label."""
        return frozenset(self._members.get(label, ()))

    def names_of(self, code: int) -> tuple[str, ...]:
        """Return the labels of a set."""
        return labels_in(self.labels[code], self.separator)

    def by_name(self, by_code: NDArray[np.generic]) -> NDArray[np.generic]:
        """Sum what is given of each set, (n_labels,), for each of `names`: a user counts for each label."""
        return np.array([by_code[list(codes)].sum() for codes in self._members.values()], by_code.dtype)

    def with_codes(self, codes: NDArray[np.integer]) -> Self:
        """Return the sets of other users, by their codes."""
        return replace(self, codes=codes)


def labels_in(text: str, separator: str) -> tuple[str, ...]:
    """Return the labels in a text, each once and in order; ``(missing)`` where there is none."""
    labels = {label.strip() for label in text.split(separator)} - {""}
    return tuple(sorted(labels)) or (MISSING,)
