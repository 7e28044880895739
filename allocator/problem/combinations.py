"""Combinations of labels over several group columns, counted and coded in chunks of users."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from allocator.problem.labels import Grouping

CHUNK = 1 << 18  # users at once: the numbers at work stay in the cache
DENSE = 1 << 22  # combinations up to which each is counted in its own place, without a sort


@dataclass(frozen=True)
class Combinations:
    """The combinations of labels that some user has, in the order of the labels.

    Parameters
    ----------
    groupings
        The columns.
    n_users
        Number of users.
    codes
        (n, n_columns) label codes of each combination.
    sizes
        (n,) users of each combination.
    """

    groupings: tuple[Grouping, ...]
    n_users: int
    codes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    _users: NDArray[np.int32] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, groupings: Sequence[Grouping], n_users: int) -> Combinations:
        """Find the combinations of some columns; without columns, everyone shares the empty one."""
        groupings = tuple(groupings)
        lengths = [len(grouping.labels) for grouping in groupings]
        if math.prod(lengths) > DENSE:
            return cls._sorted(groupings, n_users)
        counts = np.zeros(math.prod(lengths), dtype=np.int64)
        for _, mixed in _mixed(groupings, n_users):
            counts += np.bincount(mixed, minlength=len(counts))
        found = np.flatnonzero(counts)
        codes = np.stack(np.unravel_index(found, lengths), axis=1) if groupings else np.zeros((1, 0), int)
        return cls(groupings, n_users, codes, counts[found])

    @classmethod
    def _sorted(cls, groupings: tuple[Grouping, ...], n_users: int) -> Combinations:
        """Find them column by column, renumbered after each: their number stays below that of users."""
        users = np.zeros(n_users, dtype=np.int64)
        codes = np.zeros((1, 0), dtype=np.int64)
        for grouping in groupings:
            wide = users * len(grouping.labels) + grouping.codes
            found, users = np.unique(wide, return_inverse=True)
            earlier, own = np.divmod(found, len(grouping.labels))
            codes = np.column_stack([codes[earlier], own])
        return cls(groupings, n_users, codes, np.bincount(users), users.astype(np.int32))

    def of_users(self) -> NDArray[np.int32]:
        """Return the number of each user's combination, (n_users,)."""
        if self._users is not None:
            return self._users
        if not self.groupings:
            return np.zeros(self.n_users, dtype=np.int32)
        lengths = [len(grouping.labels) for grouping in self.groupings]
        number = np.zeros(math.prod(lengths), dtype=np.int32)
        number[np.ravel_multi_index(tuple(self.codes.T), lengths)] = np.arange(len(self.codes))
        result = np.empty(self.n_users, dtype=np.int32)
        for users, mixed in _mixed(self.groupings, self.n_users):
            np.take(number, mixed, out=result[users])
        return result


def _mixed(groupings: Sequence[Grouping], n_users: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield users in chunks, with their labels' codes as the digits of one number."""
    for start in range(0, n_users, CHUNK):
        users = slice(start, min(start + CHUNK, n_users))
        mixed = np.zeros(users.stop - start, dtype=np.int64)
        for grouping in groupings:
            mixed *= len(grouping.labels)
            mixed += grouping.codes[users]
        yield users, mixed
