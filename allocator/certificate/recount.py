"""One loop over users that recounts a plan and the dual bound, for the certificate alone.

Tables go by the columns that a limit itself names, not by the solver's cells: the loop adds up what every
limit's own groups use, and charges a user the prices of each of them in turn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocator.certificate.answers import best_answer, count_faults
from allocator.certificate.unfit import Unfit
from allocator.limits.rows import Row, Term
from allocator.problem import Problem
from allocator.problem.batch import Batch

Array = NDArray[np.float64]
CHUNK = 65_536  # users counted at once; fixed, so that sums do not depend on the number of threads
DENSE = 1 << 20  # combinations of labels up to which each has a place in a table, found or not


@dataclass(frozen=True)
class Recount:
    """What a plan uses, and what users could gain at given prices.

    Parameters
    ----------
    used
        (n_measures, n_groups, n_coupons) measures of the assignments, ``count`` and ``value`` first.
    best
        Sum over users of the greatest reduced value that each may choose.
    ineligible, first_ineligible, repeated, wrong_number
        Choices a user is not eligible for, the first such user, coupons given twice, and users with too few
        or too many coupons.
    """

    used: Array
    best: float
    ineligible: int
    first_ineligible: int
    repeated: int
    wrong_number: int


class Groups:
    """The groups of users that the terms of some rows name, column set by column set.

    Parameters
    ----------
    problem
        Whose users.
    rows
        Rows of limits.
    """

    def __init__(self, problem: Problem, rows: Sequence[Row]) -> None:
        terms = [term for row in rows for term in row.terms]
        used = {term.measure for term in terms}
        self.problem = problem
        self.measures = ["count", "value", *(name for name in problem.measures if name in used)]
        self.sets: dict[tuple[str, ...], tuple[int, NDArray[np.int64] | None, list[NDArray[np.int64]]]] = {}
        self.size = 0
        for columns in sorted({(), *(tuple(sorted(term.users)) for term in terms)}):
            self._add(columns)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a table: (n_measures, n_groups, n_coupons)."""
        return len(self.measures), self.size, self.problem.n_coupons

    def of(self, term: Term) -> NDArray[np.int64]:
        """Return the groups that make up a term's users."""
        columns = tuple(sorted(term.users))
        start, _, labels = self.sets[columns]
        n = len(labels[0]) if labels else 1
        inside = np.ones(n, dtype=np.bool_)
        for codes, column in zip(labels, columns, strict=True):
            inside &= np.isin(codes, list(term.users[column]))
        return start + np.flatnonzero(inside)

    def place(self, users: slice) -> NDArray[np.int32]:
        """Return each user's group in every column set, (n_sets, n)."""
        result = np.empty((len(self.sets), users.stop - users.start), dtype=np.int32)
        for out, (columns, (start, found, _)) in zip(result, self.sets.items(), strict=True):
            combined = self._combined(columns, users)
            out[:] = start + (combined if found is None else np.searchsorted(found, combined))
        return result

    def _add(self, columns: tuple[str, ...]) -> None:
        sizes = [len(self.problem.groups[column].labels) for column in columns]
        found = None
        if math.prod(sizes) > DENSE:
            found = np.unique(self._combined(columns, slice(0, self.problem.n_users)))
        rest = np.arange(math.prod(sizes)) if found is None else found
        n, labels = len(rest), []
        for size in reversed(sizes):
            labels.append(rest % size)
            rest = rest // size
        self.sets[columns] = self.size, found, labels[::-1]
        self.size += n

    def _combined(self, columns: tuple[str, ...], users: slice) -> NDArray[np.int64]:
        combined = np.zeros(users.stop - users.start, dtype=np.int64)
        for column in columns:
            grouping = self.problem.groups[column]
            combined = combined * len(grouping.labels) + grouping.codes[users]
        return combined


def recount(
    groups: Groups,
    choice: NDArray[np.int16],
    price: Array,
    threads: int | None = None,
    unfit: Unfit | None = None,
) -> Recount:
    """Count a plan once more, in one pass over the raw data.

    Parameters
    ----------
    groups
        The groups to count by.
    choice
        (n_users, k) coupon indices, -1 for none.
    price
        (n_measures, n_groups, n_coupons) price of each measure; infinite where an assignment is excluded.
    threads
        Worker threads; all cores unless given.
    unfit
        Says which pairs fit no plan, and count for nothing.
    """
    names = groups.measures[2:]
    fewest, most = groups.problem.per_user
    charged = price.any(axis=2)

    def count(part: Batch) -> tuple[float, Array, NDArray[np.int64]]:
        used, flags = np.zeros(groups.shape), np.array([0, -1, 0, 0])
        users = part.users
        assert isinstance(users, slice)
        amounts = tuple(part.measures[name] for name in names) or (part.value,)
        fitting = part.value if unfit is None else unfit.without(part)
        best = _recount(
            part.value,
            fitting,
            amounts,
            groups.place(users),
            price,
            charged,
            choice[users],
            fewest,
            most,
            used,
            flags,
        )
        flags[1] += users.start if flags[0] else 0
        return float(best), used, flags

    best, used, flags = [], np.zeros(groups.shape), np.array([0, -1, 0, 0])
    n_threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(n_threads) as pool:
        for batch in groups.problem.batches(names):
            run = map if batch.n_users <= CHUNK or n_threads == 1 else pool.map
            for of_part, table, seen in run(count, batch.parts(CHUNK)):
                best.append(of_part)
                used += table
                flags[1] = seen[1] if flags[0] == 0 else flags[1]
                flags[[0, 2, 3]] += seen[[0, 2, 3]]
    return Recount(used, math.fsum(best), *(int(flag) for flag in flags))


@njit(nogil=True, cache=True)
def _recount(value, fitting, amounts, place, price, charged, choice, fewest, most, used, flags):  # type: ignore[no-untyped-def]
    """Add what users' choices use to `used` and what is wrong with them to `flags`; return the sum of
    what they could gain.
    """
    n_users, n_coupons = value.shape
    n_sets = place.shape[0]
    reduced = np.empty(n_coupons)
    total = 0.0
    for i in range(n_users):
        for j in range(n_coupons):
            reduced[j] = fitting[i, j]
        for s in range(n_sets):
            group = place[s, i]
            if charged[0, group]:
                for j in range(n_coupons):
                    reduced[j] -= price[0, group, j]
            if charged[1, group]:
                for j in range(n_coupons):
                    reduced[j] -= price[1, group, j] * value[i, j]
            for m in range(2, price.shape[0]):
                if charged[m, group]:
                    amount = amounts[m - 2]
                    for j in range(n_coupons):
                        reduced[j] -= price[m, group, j] * amount[i, j]
        total += best_answer(reduced, fewest, most)
        repeated, wrong = count_faults(choice[i], fewest, most)
        flags[2] += repeated
        flags[3] += wrong
        for k in range(choice.shape[1]):
            j = choice[i, k]
            if j < 0:
                continue
            if value[i, j] != value[i, j]:
                if flags[0] == 0:
                    flags[1] = i
                flags[0] += 1
                continue
            for s in range(n_sets):
                group = place[s, i]
                used[0, group, j] += 1.0
                used[1, group, j] += value[i, j]
                for m in range(2, used.shape[0]):
                    used[m, group, j] += amounts[m - 2][i, j]
    return total
