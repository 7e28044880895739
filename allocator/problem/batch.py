"""Some users with their raw rows in memory: all that a pass over a problem ever holds at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32_768  # users a task; fixed, so that sums do not depend on the number of threads
SHELF = 8 * BLOCK  # users whose blocks are added up by themselves first, wherever they lie


@dataclass(frozen=True)
class Batch:
    """Raw rows of some users.

    Parameters
    ----------
    users
        Which users: indexes arrays over all users of the problem. A slice starts at a multiple of
        `BLOCK`, so that no block of users lies in two batches of a pass.
    value
        (n, n_coupons), NaN where not eligible.
    measures
        By name, (n, n_coupons) each.
    """

    users: slice | NDArray[np.int64]
    value: NDArray[np.floating]
    measures: Mapping[str, NDArray[np.floating]]

    @property
    def n_users(self) -> int:
        """Number of users in the batch."""
        return int(self.value.shape[0])

    def measure(self, name: str) -> NDArray[np.floating]:
        """Return a stored measure or ``value`` (not ``count``), (n, n_coupons)."""
        return self.value if name == "value" else self.measures[name]

    def indices(self) -> NDArray[np.int64]:
        """Return the users' indices in the problem, (n,)."""
        if isinstance(self.users, slice):
            return np.arange(self.users.start, self.users.stop)
        return self.users

    def parts(self, size: int) -> Iterator[Batch]:
        """Yield the batch in smaller ones of at most `size` users, without a copy."""
        users = self.users
        for start in range(0, self.n_users, size):
            part = slice(start, min(start + size, self.n_users))
            yield Batch(
                slice(users.start + start, users.start + part.stop)
                if isinstance(users, slice)
                else users[part],
                self.value[part],
                {name: array[part] for name, array in self.measures.items()},
            )

    def take(self, places: NDArray[np.int64]) -> Batch:
        """Return some of the batch's users, by their places in it."""
        return Batch(
            self.indices()[places],
            np.take(self.value, places, axis=0),
            {name: np.take(array, places, axis=0) for name, array in self.measures.items()},
        )
