"""What rows count of each measure for users of one combination of labels, as small tables.

The labels of a user's groups are all that a row asks of the user, so that whatever prices or counts an
unseen user needs one table for each combination of labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.limits.rows import Row
from allocator.problem import Problem
from allocator.problem.label_sets import LabelSets, labels_in
from allocator.problem.labels import composed

Array = NDArray[np.float64]
Key = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class NamedTerm:
    """`weight` x `measure` of the assignments of users x coupons, both by their labels.

    Parameters
    ----------
    measure, weight
        As in `allocator.limits.rows.Term`.
    users
        By group column the labels that count; every column must match, none: all users. Where a user has a
        set of labels, one of them is enough.
    coupons
        Ids of the coupons that count.
    """

    measure: str
    weight: float
    users: Mapping[str, tuple[str, ...]]
    coupons: tuple[str, ...]

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012


def named_terms(problem: Problem, row: Row) -> tuple[NamedTerm, ...]:
    """Return a row's terms with the labels that their codes stand for, or that were asked for of sets."""
    return tuple(
        NamedTerm(
            term.measure,
            float(term.weight),
            {
                column: term.labels.get(column)
                or tuple(problem.groups[column].labels[code] for code in sorted(codes))
                for column, codes in term.users.items()
            },
            tuple(problem.coupon_ids[term.coupons].tolist()),
        )
        for term in row.terms
    )


def separators_of(problem: Problem) -> dict[str, str]:
    """Return what stands between the labels of the columns in which a user has several."""
    groups = problem.groups.items()
    return {column: sets.separator for column, sets in groups if isinstance(sets, LabelSets)}


@dataclass(frozen=True)
class RowTable:
    """What rows count for users of one combination of labels.

    Parameters
    ----------
    rows
        (k,) indices of the rows that count anything for them.
    weights
        By measure, (k, n_coupons): how much of it counts.
    excluded
        (n_coupons,) coupons that they never get.
    """

    rows: NDArray[np.intp]
    weights: tuple[tuple[str, Array], ...]
    excluded: NDArray[np.bool_]


class RowTables:
    """Makes the table of any combination of labels.

    Parameters
    ----------
    coupon_ids
        In the order of the tables' columns.
    rows
        The terms of each row.
    excluded
        Terms of assignments that never happen.
    separators
        What stands between the labels of columns in which a user has several.
    """

    def __init__(
        self,
        coupon_ids: Sequence[str],
        rows: Sequence[Sequence[NamedTerm]],
        excluded: Sequence[NamedTerm] = (),
        separators: Mapping[str, str] | None = None,
    ) -> None:
        place = {coupon: j for j, coupon in enumerate(coupon_ids)}
        self._n_coupons = len(place)
        self._rows = [[(term, _places(term, place)) for term in terms] for terms in rows]
        self._excluded = [(term, _places(term, place)) for term in excluded]
        terms = [*(term for row in rows for term in row), *excluded]
        self.columns = tuple(sorted({column for term in terms for column in term.users}))
        named: dict[str, set[str]] = {column: set() for column in self.columns}
        for term in terms:
            for column, labels in term.users.items():
                named[column].update(labels)
        self._named = [
            _Named(column, {label: (label,) for label in labels}, (separators or {}).get(column))
            for column, labels in named.items()
        ]

    def key(self, groups: Mapping[str, str]) -> Key:
        """Return what tells combinations apart: in each column the labels that some row names."""
        return tuple(
            [
                named.labels.get(groups[named.column]) or named.among(groups[named.column])
                for named in self._named
            ]
        )

    def make(self, key: Key) -> RowTable:
        """Collapse all rows for the users of one combination."""
        own = dict(zip(self.columns, key, strict=True))

        def inside(term: NamedTerm) -> bool:
            return all(any(label in labels for label in own[column]) for column, labels in term.users.items())

        counting = [
            (r, found)
            for r, row in enumerate(self._rows)
            if (found := [(term, places) for term, places in row if inside(term)])
        ]
        weights: dict[str, Array] = {}
        for k, (_, terms) in enumerate(counting):
            for term, places in terms:
                if term.measure not in weights:
                    weights[term.measure] = np.zeros((len(counting), self._n_coupons))
                weights[term.measure][k, places] += term.weight
        excluded = np.zeros(self._n_coupons, np.bool_)
        for term, places in self._excluded:
            if inside(term):
                excluded[places] = True
        return RowTable(np.array([r for r, _ in counting], np.intp), tuple(weights.items()), excluded)


@dataclass(frozen=True, slots=True)
class _Named:
    """The labels of a column that some row names, and what stands between those of one user, if several."""

    column: str
    labels: Mapping[str, tuple[str, ...]]
    separator: str | None

    def among(self, text: str) -> tuple[str, ...]:
        """Return those among a user's labels, of a text that is none of them as it stands."""
        if self.separator is None:
            return self.labels.get(composed(text), ())
        return tuple(label for label in labels_in(composed(text), self.separator) if label in self.labels)


def _places(term: NamedTerm, place: Mapping[str, int]) -> list[int]:
    return [place[coupon] for coupon in term.coupons]
