"""A problem from tables of pairs, users and coupons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.problem.arrays import entries_of, numbers_of, shown
from allocator.problem.frames import pick, text_of
from allocator.problem.labels import ids_of

Names = Sequence[str] | Mapping[str, str]


@dataclass
class ScoreTables:
    """Tables of pairs, users and coupons, read into what `Problem` takes; `findings` holds what is wrong.

    Parameters
    ----------
    scores
        One row for each eligible pair.
    users, coupons
        One row for each user and coupon; None: those of the pairs, in order of appearance.
    """

    scores: object
    users: object | None
    coupons: object | None
    findings: list[Finding] = field(default_factory=list)

    def read(
        self, user_id: str, coupon_id: str, value: str, measures: Names, groups: Names, coupon_groups: Names
    ) -> dict[str, Any]:
        """Return the parameters of a problem.

        Raises
        ------
        InputError
            With every finding.
        """
        stated: dict[str, object] = {"user_id": user_id, "coupon_id": coupon_id, "value": value}
        self.findings += [
            Finding("must be a column", column=place, found=shown(name))
            for place, name in stated.items()
            if not isinstance(name, str)
        ]
        self._stop_if_wrong()
        of_measure, of_group, of_coupon_group = (
            _by_name(names, place, self.findings)
            for names, place in ((measures, "measures"), (groups, "groups"), (coupon_groups, "coupon_groups"))
        )
        wanted = [user_id, coupon_id, value, *of_measure.values()]
        columns = pick(self.scores, wanted, "scores", self.findings)
        numbers = {
            name: numbers_of(columns[column], "scores", column, self.findings)
            for name, column in {"value": value, **of_measure}.items()
            if column in columns
        }
        users = self._side("users", self.users, columns, user_id, of_group)
        coupons = self._side("coupons", self.coupons, columns, coupon_id, of_coupon_group)
        lengths = {name: np.shape(array) for name, array in numbers.items()}
        if users is not None and coupons is not None:
            lengths |= {user_id: np.shape(users.place), coupon_id: np.shape(coupons.place)}
        if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
            found = ", ".join(f"{name}: {shape}" for name, shape in lengths.items())
            self.findings.append(Finding("the columns differ in length", file="scores", found=found))
        self._stop_if_wrong()
        assert users is not None
        assert coupons is not None
        given = ~np.isnan(numbers["value"])
        self._check_pairs(users, coupons, given)
        shape, place = (len(users.ids), len(coupons.ids)), (users.place[given], coupons.place[given])

        def dense(pairs: NDArray[np.floating], missing: float) -> NDArray[np.floating]:
            full = np.full(shape, missing, pairs.dtype)
            full[place] = pairs[given]
            return full

        return {
            "value": dense(numbers.pop("value"), np.nan),
            "measures": {name: dense(pairs, 0.0) for name, pairs in numbers.items()},
            "user_ids": users.ids,
            "coupon_ids": coupons.ids,
            "groups": users.groups,
            "coupon_groups": coupons.groups,
        }

    def _side(
        self, name: str, table: object | None, pairs: dict[str, Any], column: str, groups: dict[str, str]
    ) -> _Side | None:
        """Read the ids of users or coupons, and find each pair's among them; None if that cannot be."""
        if table is None and groups:
            message = f"a group column needs the table {name}, with a row for each of the {name}"
            self.findings.append(Finding(message, column=name, found="none"))
        found = {} if table is None else pick(table, [column, *groups.values()], name, self.findings)
        if column not in pairs or (table is not None and column not in found):
            return None
        labels = {group: found[of] for group, of in groups.items() if of in found}
        text, order_text = text_of(pairs[column]), None if table is None else text_of(found[column])
        if text is not None and (table is None or order_text is not None):
            return self._side_of_text(name, column, text, order_text, labels)
        before = len(self.findings)
        ids = ids_of(pairs[column], f"scores, {column}", self.findings)
        order = None if table is None else ids_of(found[column], f"{name}, {column}", self.findings)
        if len(self.findings) > before:
            return None
        if order is not None and len(np.unique(order)) < len(order):
            self._wrong("an id occurs twice", name, column, _repeated(order))
            return None
        distinct, place = _index(ids, order)
        if place.size and place.min() < 0:
            lost = np.unique(ids[place < 0])
            message = f"{len(lost):,} ids of the scores are not in the table {name}"
            self._wrong(message, name, column, f"{str(lost[0])!r} in the scores")
            return None
        return _Side(distinct, place, labels)

    def _side_of_text(
        self, name: str, column: str, ids: pl.Series, order: pl.Series | None, labels: dict[str, Any]
    ) -> _Side | None:
        """As `_side`, of ids that polars holds as text: by a hash join, without a Python object for each."""
        if order is None:
            order = ids.unique(maintain_order=True)
        elif order.n_unique() < len(order):
            self._wrong("an id occurs twice", name, column, repr(order.filter(order.is_duplicated()).min()))
            return None
        known = order.alias("id").to_frame().with_row_index("place")
        place = ids.alias("id").to_frame().join(known, on="id", how="left", maintain_order="left")["place"]
        if place.null_count():
            lost = ids.filter(place.is_null()).unique().sort()
            message = f"{len(lost):,} ids of the scores are not in the table {name}"
            self._wrong(message, name, column, f"{lost[0]!r} in the scores")
            return None
        return _Side(order.to_numpy().astype(np.str_), place.cast(pl.Int64).to_numpy(), labels)

    def _wrong(self, message: str, table: str, column: str, found: str) -> None:
        self.findings.append(Finding(message, file=table, column=column, found=found))

    def _check_pairs(self, users: _Side, coupons: _Side, given: NDArray[np.bool_]) -> None:
        if not len(users.ids) or not len(coupons.ids):
            self.findings.append(Finding("there are no pairs: a problem needs one", column="scores"))
        rows = np.flatnonzero(given)
        place = (users.place * len(coupons.ids) + coupons.place)[rows]
        seen = np.zeros(len(users.ids) * len(coupons.ids), np.bool_)
        seen[place] = True
        if np.count_nonzero(seen) == len(place):
            self._stop_if_wrong()
            return
        order = np.argsort(place, kind="stable")
        again = np.flatnonzero(np.diff(place[order]) == 0)
        if len(again):
            first, second = rows[order[again[0] : again[0] + 2]]
            pair = f"user '{users.ids[users.place[first]]}' and coupon '{coupons.ids[coupons.place[first]]}'"
            self.findings.append(
                Finding(
                    "the scores name a user-coupon pair twice; keep one row for each pair",
                    column="scores",
                    found=f"{len(again):,} rows too many, such as {pair} in rows {first} and {second}, "
                    "counted from 0",
                )
            )
        self._stop_if_wrong()

    def _stop_if_wrong(self) -> None:
        if self.findings:
            raise InputError(self.findings)


@dataclass(frozen=True)
class _Side:
    """Users or coupons: their ids, each pair's place among them, their groups."""

    ids: NDArray[Any]
    place: NDArray[np.int64]
    groups: dict[str, Any]


def _by_name(columns: object, place: str, findings: list[Finding]) -> dict[str, str]:
    """Return the column of each name, where columns may be given by their own names."""
    names = entries_of(columns)
    pairs = list(columns.items()) if isinstance(columns, Mapping) else [(name, name) for name in names or ()]
    if (names is None and not isinstance(columns, Mapping)) or not all(
        isinstance(name, str) for name in chain(*pairs)
    ):
        message = "must be a list of columns, or the column of each by its name"
        findings.append(Finding(message, column=place, found=shown(columns)))
        return {}
    return dict(pairs)


def _repeated(ids: NDArray[Any]) -> str:
    distinct, counts = np.unique(ids, return_counts=True)
    return repr(str(distinct[counts > 1][0]))


def _index(ids: NDArray[Any], order: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the distinct ids, in the given order or by appearance, and each row's place, -1 for none."""
    if order is None:
        distinct, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
        by_appearance = np.argsort(first)
        rank = np.empty_like(by_appearance)
        rank[by_appearance] = np.arange(len(distinct))
        return distinct[by_appearance], rank[inverse]
    if not len(order):
        return order, np.full(len(ids), -1)
    known = order
    if known.dtype.kind != ids.dtype.kind:  # 7 and "7" are one
        known, ids = known.astype(np.str_), ids.astype(np.str_)
    sorter = np.argsort(known)
    place = sorter[np.minimum(np.searchsorted(known, ids, sorter=sorter), len(known) - 1)]
    return order, np.where(known[place] == ids, place, -1)
