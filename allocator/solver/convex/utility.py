"""Fair utilities: what groups' values are worth together, as a total that is shared out ideally.

Both objectives are concave and grow in proportion with the groups' values, so each is the least weighted sum
of them over a set of *slopes*: what one more unit of each group's value adds. In units of value (the total
that, shared out ideally, would be as good; Atkinson 1970, "On the measurement of inequality") all slopes may
be 1, so the sum of values bounds either, and a penalty of a soft limit is taken off as from that sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FIRST_RATIOS = np.exp(0.25 * np.arange(-8, 9))  # at which logarithms are first touched
SAME = 1e-9  # relative; a tangent this close to another adds nothing


@dataclass(frozen=True)
class Extension:
    """Columns and rows that state a utility beside the groups' values in a linear or integer program.

    Parameters
    ----------
    worth
        (n_columns,) what a unit of each column adds to the equivalent total.
    lower, upper
        (n_columns,) bounds of the columns.
    on_groups
        (n_groups, n_columns) such that value + on_groups @ columns is at least 0, or 0 if `equal`.
    equal
        Whether it must be 0.
    rows
        (n_rows, n_columns) whose product with the columns must be at least 0.
    """

    worth: Array
    lower: Array
    upper: Array
    on_groups: Array
    equal: bool
    rows: Array


class Utility(Protocol):
    """A concave function of the groups' values."""

    @property
    def share(self) -> float:
        """Utility of one unit of value that is shared out ideally."""
        ...

    def equivalent(self, earned: Array) -> float:
        """Return the total value that, shared out ideally, would be as good as values of (n_groups,)."""
        ...

    def ideal(self, total: float) -> Array:
        """Return the ideal shares of a total, (n_groups,)."""
        ...

    def fit(self, slopes: Array) -> tuple[Array, float]:
        """Return the multiple of some slopes that no values exceed in their equivalent, and the factor."""
        ...

    def stated(self, slopes: cp.Expression, near: Array) -> list[cp.Constraint]:
        """State for CVXPY that values are at most what they count at some slopes, about those of `near`."""
        ...

    def extension(self, near: Array, touched: Sequence[Array]) -> Extension:
        """Return columns and rows that bound the equivalent total from above.

        Parameters
        ----------
        near
            (n_groups,) values to whose size numbers are scaled.
        touched
            (n_groups,) each: values where the bound must be exact.
        """
        ...


@dataclass(frozen=True)
class Smallest:
    """The smallest of value / `owed`; `owed` is heads x weight."""

    owed: Array

    @property
    def share(self) -> float:
        """Utility of one unit of value that is shared out as owed."""
        return 1.0 / float(self.owed.sum())

    def equivalent(self, earned: Array) -> float:
        """Return the total of which every group has its share if it has no more than the smallest."""
        return float((earned / self.owed).min()) / self.share

    def ideal(self, total: float) -> Array:
        """Return the shares that are owed."""
        return np.asarray(total * self.share * self.owed)

    def fit(self, slopes: Array) -> tuple[Array, float]:
        """Return slopes whose mean, weighted by what is owed, is 1."""
        slopes = np.maximum(slopes, 0.0)
        mean = float(slopes @ self.owed) * self.share
        return (slopes / mean, 1.0 / mean) if mean > 0 else (np.ones_like(slopes), 0.0)

    def stated(self, slopes: cp.Expression, near: Array) -> list[cp.Constraint]:
        """State the same for CVXPY."""
        shares = self.owed * self.share
        return [cp.multiply(shares, slopes) >= 0, shares @ slopes == 1]

    def extension(self, near: Array, touched: Sequence[Array]) -> Extension:
        """Return one column, of which every group must have its share."""
        total = float(np.abs(near).sum()) or 1.0
        free = np.full(1, np.inf)
        return Extension(np.full(1, total), -free, free, -self.ideal(total)[:, None], False, np.zeros((0, 1)))


@dataclass(frozen=True)
class Geometric:
    """The weighted geometric mean of the groups' values; `weights` sum to 1."""

    weights: Array

    @property
    def share(self) -> float:
        """Utility of one unit of value that is shared out by weight."""
        return float(np.exp(self.weights @ np.log(self.weights)))

    def equivalent(self, earned: Array) -> float:
        """Return the total that, shared out by weight, has the same geometric mean; 0 if a group has none."""
        if (earned <= 0).any():
            return 0.0
        return float(np.exp(self.weights @ np.log(earned / self.weights)))

    def ideal(self, total: float) -> Array:
        """Return shares by weight."""
        return np.asarray(total * self.weights)

    def fit(self, slopes: Array) -> tuple[Array, float]:
        """Return slopes whose geometric mean is 1: weighted means of values are at least geometric ones."""
        slopes = np.maximum(slopes, 1e-12 * float(np.abs(slopes).max()) or 1.0)
        mean = float(np.exp(self.weights @ np.log(slopes)))
        return slopes / mean, 1.0 / mean

    def stated(self, slopes: cp.Expression, near: Array) -> list[cp.Constraint]:
        """State the same for CVXPY."""
        size = float(self.weights @ np.log(near))
        return [self.weights @ cp.log(cp.multiply(1.0 / near, slopes)) >= -size]

    def extension(self, near: Array, touched: Sequence[Array]) -> Extension:
        """Return columns for the groups' values, their equivalent, and each one's logarithm against it.

        The hypograph of the geometric mean is the cone of (values, total) whose weighted sum of
        ``total x log(value / total)`` is not negative; each of these is a concave function of two columns,
        and below its tangents.
        """
        n, total = len(near), self.equivalent(near)
        values, level, logs = np.arange(n), n, n + 1 + np.arange(n)
        n_columns = 2 * n + 1
        rows = [np.concatenate([np.zeros(n + 1), self.weights])]
        for g in range(n):
            for ratio in self._ratios(g, near, touched):
                row = np.zeros(n_columns)
                row[values[g]], row[level], row[logs[g]] = 1.0 / ratio, np.log(ratio) - 1.0, -1.0
                rows.append(row)
        on_groups = np.zeros((n, n_columns))
        on_groups[values, values] = -near
        worth = np.zeros(n_columns)
        worth[level] = total
        lower, upper = np.full(n_columns, -np.inf), np.full(n_columns, np.inf)
        lower[level] = 0.0
        return Extension(worth, lower, upper, on_groups, True, np.array(rows))

    def _ratios(self, group: int, near: Array, touched: Sequence[Array]) -> Array:
        """Return the ratios of a group's value to the equivalent total, against `near`, to touch at."""
        at = [FIRST_RATIOS]
        for earned in touched:
            total = self.equivalent(earned)
            if total > 0:
                at.append(np.array([earned[group] / near[group] * self.equivalent(near) / total]))
        ratios = np.sort(np.concatenate(at))
        return np.asarray(ratios[np.append(True, np.diff(ratios) > SAME * ratios[1:])])
