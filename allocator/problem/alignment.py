"""Names of users and coupons that come with inputs: inputs go by position, so their names must agree.

Ids are names that a caller states; the index of a pandas table or series, and the columns of any table, are
names that come along. Those that are the same in another order, or partly the same, would give a wrong plan
without a word, and are refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding
from allocator.problem.arrays import array_of


@dataclass(frozen=True)
class Names:
    """Names of the rows or columns of an input; `counted` where they only count 0, 1, 2, ..."""

    labels: NDArray[Any]
    counted: bool = False

    @classmethod
    def of_index(cls, given: object) -> Names | None:
        """Return the index of a pandas table or series; None for what has none."""
        index = getattr(given, "index", None)
        if index is None or callable(index) or isinstance(given, str | bytes):
            return None
        counted = type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)
        unread: list[Finding] = []
        labels = array_of(index, "index", unread)
        return None if labels is None else cls(labels, counted)

    @classmethod
    def stated(cls, labels: Any) -> Names:
        """Return names that somebody stated."""
        return cls(np.asarray(labels))

    def __len__(self) -> int:
        return len(self.labels)

    def same(self, other: Names) -> bool:
        """Return whether the names are the same in the same order; 7 and "7" are one."""
        if self.labels.shape != other.labels.shape:
            return False
        if np.array_equal(self.labels, other.labels):
            return True
        return self.labels.dtype.kind != other.labels.dtype.kind and self.texts() == other.texts()

    def texts(self) -> list[str]:
        """Return the names as text."""
        return list(map(str, self.labels.tolist()))


@dataclass
class Axis:
    """What is known so far of the names of the users, or of the coupons, of a problem.

    Parameters
    ----------
    what
        ``rows`` or ``columns``, of the tables.
    who
        ``users`` or ``coupons``.
    ids
        As stated.
    ids_index
        The index that the ids themselves came with.
    strict
        Whether names that come with two inputs must be the same: columns may be called after what they hold.
    """

    what: str
    who: str
    ids: Names | None = None
    ids_index: Names | None = None
    strict: bool = True
    _known: Names | None = None
    _source: str = ""

    @classmethod
    def of(cls, what: str, who: str, ids: object) -> Axis:
        """Return an axis of which only the ids are known; columns may be called after what they hold."""
        unread: list[Finding] = []  # what is wrong with ids is said where they are read
        stated = None if ids is None else array_of(ids, who, unread)
        names = None if stated is None or stated.ndim != 1 else Names(stated)
        return cls(what, who, names, Names.of_index(ids), strict=what == "rows")

    def check(self, names: Names | None, place: str, findings: list[Finding]) -> None:
        """Note it if the names that come with an input go with those of the others, or the ids, in part."""
        if names is None:
            return
        if self._known is None:
            self._known, self._source = names, place
        elif self._known.same(names):
            return
        elif wrong := self._compare(self._known, names, f"those of {self._source}", strict=self.strict):
            findings.append(_placed(wrong, place))
            return
        if self.ids is None or (self.ids_index is not None and self.ids_index.same(names)):
            return
        if wrong := self._compare(self.ids, names, f"{self.who.removesuffix('s')}_ids", strict=False):
            findings.append(_placed(wrong, place))

    def knows(self, names: Names) -> bool:
        """Return whether some of these names are known to be of this axis."""
        known = {
            text for each in (self.ids, self._known) if each and not each.counted for text in each.texts()
        }
        return not names.counted and not known.isdisjoint(names.texts())

    def _compare(self, mine: Names, theirs: Names, others: str, *, strict: bool) -> Finding | None:
        """Return what is wrong with names of one length; where one side only counts, they may differ."""
        if len(mine) != len(theirs) or mine.same(theirs):
            return None  # another length is another finding
        counted = mine.counted or theirs.counted
        if counted and not all(names.labels.dtype.kind in "iu" for names in (mine, theirs)):
            return None
        one, other = mine.texts(), theirs.texts()
        left, right = Counter(one), Counter(other)
        if left == right:
            k = next(k for k, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
            message = f"the {self.what} are in another order than {others}, and go by position: reorder them"
            return Finding(message, found=repr(other[k]), expected=repr(one[k]))
        if counted or not (strict or left & right):
            return None
        message = (
            f"the {self.what} are named otherwise than {others}, and go by position: give the same "
            f"{self.who} in the same order, or arrays without names"
        )
        return Finding(message, found=repr(next((text for text in other if text not in left), other[0])))


def _placed(finding: Finding, place: str) -> Finding:
    return Finding(finding.message, column=place, found=finding.found, expected=finding.expected)
