"""A problem: users x coupons with values, measures and groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from operator import index
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.problem.alignment import Axis
from allocator.problem.arrays import array_of, numbers_of, shown
from allocator.problem.batch import Batch
from allocator.problem.combinations import Combinations
from allocator.problem.entry_checks import EntryChecks
from allocator.problem.frames import Matrix
from allocator.problem.labels import Grouping, groupings_of, labels_of

BUILT_IN_MEASURES = ("count", "value")
Table = Any
"""A pandas or polars DataFrame, an Arrow table, a dict of columns; for numbers also what NumPy reads."""
MOST_COUPONS = 32_767  # choices are stored in 16 bits


class Problem:
    """Who could get what, what it is worth and what it uses up.

    Parameters
    ----------
    value
        (n_users, n_coupons) expected incremental value of giving a coupon to a user, in objective
        units; NaN or null where the user is not eligible for the coupon. A NumPy array (float32 or
        float64), or a pandas, polars or Arrow table with a column for each coupon, by position.
    measures
        What limits count, by name: each (n_users, n_coupons), as `value`, or broadcastable to it. ``count``
        and ``value`` are built in; ``cost`` is the usual other one.
    user_ids, coupon_ids
        Labels, text or whole numbers; 0, 1, 2, ... unless given. Names of columns and rows of a table are
        used only where given here, as in ``coupon_ids=frame.columns``. Everything goes by position: names
        that come with tables and series of pandas must agree with each other and, where they are ids, with
        these.
    groups
        Labels of users by column, for example ``{"region": labels}``, each (n_users,), or by id as in
        ``{"region": {"u1": "north"}}``; or a table with a column for each. Several labels for one user as
        `LabelSets`.
    coupon_groups
        Labels of coupons by column, for example ``{"channel": labels}``, each (n_coupons,); or as `groups`.
    per_user
        Fewest and most coupons a user may get.

    Raises
    ------
    InputError
        With every finding: wrong shapes, infinite values, missing measures, repeated labels.
    """

    in_memory = True
    """Whether `value` and `measures` are arrays; if not, they are read in batches on every pass."""

    def __init__(
        self,
        value: Table,
        measures: Mapping[str, Table] | None = None,
        *,
        user_ids: ArrayLike | None = None,
        coupon_ids: ArrayLike | None = None,
        groups: Mapping[str, ArrayLike | Grouping] | Table | None = None,
        coupon_groups: Mapping[str, ArrayLike | Grouping] | Table | None = None,
        per_user: tuple[int, int] = (0, 1),
    ) -> None:
        findings: list[Finding] = []
        rows, columns = Axis.of("rows", "users", user_ids), Axis.of("columns", "coupons", coupon_ids)
        table = Matrix.of(value, "value", "value must be numbers", findings)
        tables = {
            name: Matrix.of(measure, f"measures[{name}]", "the measure must be numbers", findings)
            for name, measure in by_name(measures, "measures", findings).items()
        }
        if findings:
            raise InputError(findings)
        self.value = _matrix(table.array)
        n, m = self.value.shape
        for name, part in {
            "value": table,
            **{f"measures[{name}]": part for name, part in tables.items()},
        }.items():
            rows.check(part.rows, name, findings)
            columns.check(part.columns, name, findings)
        findings += [
            Finding(
                "one number for each user is no number for each coupon: give users x coupons",
                column=f"measures[{name}]",
            )
            for name, part in tables.items()
            if part.array.ndim == 1 and part.columns is not None
            if rows.knows(part.columns) and not columns.knows(part.columns)
        ]
        # Compiled passes want one type for all measures: the narrow one only if every measure has it.
        narrow = all(measure.array.dtype == np.float32 for measure in tables.values())
        self._measure_type = np.float32 if narrow else np.float64
        self.measures: Mapping[str, NDArray[np.floating]] = {
            name: wide
            for name, measure in tables.items()
            if (wide := self._measure(name, measure.array, findings)) is not None
        }
        self._label(m, coupon_ids, coupon_groups, per_user, columns, findings)
        self._user_ids: NDArray[np.str_] | None = None
        if user_ids is not None:
            self._user_ids, self.id_types["user_id"] = labels_of(user_ids, n, "user_ids", findings)
        self.groups = groupings_of(groups, rows, n, "groups", findings)
        checks = EntryChecks(self.per_user[0])
        for batch in self.batches():
            checks.see(batch)
        named = self._user_ids is None or self._user_ids.shape == (n,)
        findings += checks.findings(
            lambda user: str(self.ids_of(np.array([user]))[0]) if named else str(user)
        )
        if findings:
            raise InputError(findings)

    def _label(
        self,
        n_coupons: int,
        coupon_ids: ArrayLike | None,
        coupon_groups: Mapping[str, ArrayLike | Grouping] | Table | None,
        per_user: tuple[int, int],
        axis: Axis,
        findings: list[Finding],
    ) -> None:
        """Set all but the users: coupons, `per_user`, and room for what is counted later."""
        if n_coupons > MOST_COUPONS:
            found, expected = f"{n_coupons:,}", f"at most {MOST_COUPONS:,}"
            findings.append(Finding("too many coupons", found=found, expected=expected))
        names = np.arange(n_coupons) if coupon_ids is None else coupon_ids
        self.coupon_ids, of_coupons = labels_of(names, n_coupons, "coupon_ids", findings)
        self.id_types = {"user_id": np.dtype(np.int64), "coupon_id": of_coupons}
        self._combinations: dict[tuple[str, ...], Combinations] = {}
        self.coupon_groups = groupings_of(coupon_groups, axis, n_coupons, "coupon_groups", findings)
        self.per_user = _per_user(per_user, findings)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return int(self.value.shape[0])

    @property
    def n_coupons(self) -> int:
        """Number of coupons."""
        return int(self.value.shape[1])

    def ids_as_given(self, users: NDArray[np.int64], coupons: NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        """Return ``user_id`` and ``coupon_id`` of pairs of indices, as text or whole numbers as they came."""
        ids = {"user_id": self.ids_of(users), "coupon_id": self.coupon_ids[coupons]}
        return {name: labels.astype(self.id_types[name]) for name, labels in ids.items()}

    @property
    def user_ids(self) -> NDArray[np.str_]:
        """Labels of all users, (n_users,); `ids_of` makes those of some without those of all."""
        return self.ids_of(np.arange(self.n_users)) if self._user_ids is None else self._user_ids

    def ids_of(self, users: NDArray[np.int64]) -> NDArray[np.str_]:
        """Return the labels of some users, by their indices."""
        return users.astype(np.str_) if self._user_ids is None else self._user_ids[users]

    @property
    def n_pairs(self) -> int:
        """Number of user-coupon pairs, eligible or not."""
        return self.n_users * self.n_coupons

    @classmethod
    def from_scores(
        cls,
        scores: Table,
        *,
        user_id: str = "user_id",
        coupon_id: str = "coupon_id",
        value: str = "value",
        measures: Sequence[str] | Mapping[str, str] = (),
        users: Table | None = None,
        groups: Sequence[str] | Mapping[str, str] = (),
        coupons: Table | None = None,
        coupon_groups: Sequence[str] | Mapping[str, str] = (),
        per_user: tuple[int, int] = (0, 1),
    ) -> Self:
        """Build a problem from a table with one row for each eligible pair; it is stored in full.

        Every table may be a pandas or polars DataFrame, an Arrow table, or a dict of columns.

        Parameters
        ----------
        scores
            The pairs; a row without a value counts for nothing.
        user_id, coupon_id
            Columns with the ids, text or whole numbers, in `scores` and in `users` or `coupons`.
        value
            Column with the value of each pair.
        measures
            Columns with what limits count, or the column of each measure by its name.
        users
            One row for each user, with or without pairs; those of the pairs, in order of appearance, unless
            given.
        groups
            Group columns of `users`, or the column of each by its name.
        coupons, coupon_groups
            The same for coupons.
        per_user
            Fewest and most coupons a user may get.

        Raises
        ------
        InputError
            With every finding: columns that are missing or hold no numbers, missing ids, pairs named twice,
            ids that `users` or `coupons` lack.
        """
        from allocator.problem.scores import ScoreTables

        tables = ScoreTables(scores, users, coupons)
        found = tables.read(user_id, coupon_id, value, measures, groups, coupon_groups)
        return cls(**found, per_user=per_user)

    @classmethod
    def from_parquet(
        cls,
        path: str | Path,
        value: str | Sequence[str],
        measures: Mapping[str, str | Sequence[str]] | None = None,
        *,
        user_id: str | None = None,
        groups: Sequence[str] = (),
        **options: Any,
    ) -> Problem:
        """State a problem whose values and measures stay on disk, for more users than memory holds.

        Every pass reads them anew, a few hundred thousand users at a time. Fastest with one float32 column
        for each coupon, not or lightly compressed (LZ4), in row groups of at most a million users.

        Parameters
        ----------
        path
            A Parquet file, or a folder of them (in the order of their names), one row for each user.
        value
            Columns with the value of each coupon, or one column with a list of a number for each coupon;
            null or NaN where the user is not eligible.
        measures
            By name, as `value`.
        user_id
            Column with the users' labels; 0, 1, 2, ... unless given.
        groups
            Group columns.
        options
            ``coupon_ids``, ``coupon_groups`` and ``per_user``, as for `Problem`.

        Raises
        ------
        InputError
            With every finding: no such column, wrong type, files that differ. Entries are checked in the
            first pass over the data, so that errors in them come from `solve`.
        """
        # A problem on disk is a kind of problem, made by a method of the class it derives from.
        from allocator.problem.parquet import ParquetProblem

        return ParquetProblem(path, value, measures, user_id=user_id, groups=groups, **options)

    def batches(
        self, measures: Sequence[str] | None = None, users: NDArray[np.int64] | None = None
    ) -> Iterator[Batch]:
        """Yield consecutive users' rows, in order: everyone's, or at least those of `users`.

        One pass over the data. A problem in memory is one batch, without a copy.

        Parameters
        ----------
        measures
            Names of the measures to read besides ``value``; all unless given.
        users
            Rising indices of the users that matter; others may be left out to save reading.
        """
        names = self.measures if measures is None else measures
        yield Batch(slice(0, self.n_users), self.value, {name: self.measures[name] for name in names})

    def gather(self, users: NDArray[np.int64], measures: Sequence[str] | None = None) -> Batch:
        """Return a copy of some users' rows, in the order of `users` (rising indices): one pass.

        Parameters
        ----------
        users, measures
            As in `batches`.

        Raises
        ------
        InputError
            If these are no indices of users.
        """
        wanted = self._places(users)
        parts = []
        for batch in self.batches(measures, wanted):
            assert isinstance(batch.users, slice)
            inside = slice(*np.searchsorted(wanted, [batch.users.start, batch.users.stop]))
            parts.append(batch.take(wanted[inside] - batch.users.start))
        if len(parts) == 1:
            return parts[0]
        return Batch(
            wanted,
            np.concatenate([part.value for part in parts]),
            {name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures},
        )

    def combinations(self, columns: Sequence[str]) -> Combinations:
        """Return the combinations of labels over some group columns, counted once for all who ask.

        Raises
        ------
        InputError
            If there is no such column.
        """
        key = tuple(columns)
        if unknown := [column for column in key if column not in self.groups]:
            expected = "one of " + ", ".join(self.groups)
            raise InputError(
                Finding("unknown group column", None, None, "groups", repr(unknown[0]), expected)
            )
        if key not in self._combinations:
            self._combinations[key] = Combinations.of([self.groups[c] for c in key], self.n_users)
        return self._combinations[key]

    def measure(self, name: str) -> NDArray[np.floating]:
        """Return a stored measure (not ``count``), (n_users, n_coupons); InputError if there is none."""
        if not isinstance(name, str) or (name != "value" and name not in self.measures):
            expected = "one of " + ", ".join(("value", *self.measures))
            raise InputError(Finding("unknown measure", None, None, "measures", shown(name), expected))
        return self.value if name == "value" else self.measures[name]

    def with_values(self, value: NDArray[np.floating]) -> Self:
        """Return the problem with other values of the same pairs, (n_users, n_coupons)."""
        findings: list[Finding] = []
        numbers = numbers_of(value, None, "value", findings, "value must be numbers")
        if not findings and numbers.shape != self.value.shape:
            found, expected = str(numbers.shape), str(self.value.shape)
            findings.append(Finding("value must be users x coupons", None, None, "value", found, expected))
        if findings:
            raise InputError(findings)
        part = copy(self)
        part.value = numbers
        return part

    def of_coupons(self, kept: NDArray[np.bool_]) -> Self:
        """Return the problem with some of its coupons, for the same users.

        Parameters
        ----------
        kept
            (n_coupons,) which stay.
        """
        stays = array_of(kept, "kept", [])
        if stays is None or stays.shape != (self.n_coupons,) or stays.dtype != np.bool_:
            expected = f"{self.n_coupons} times True or False"
            raise InputError(
                Finding("must say which coupons stay", None, None, "kept", shown(kept), expected)
            )
        part = copy(self)
        part.value = np.compress(kept, self.value, axis=1)
        part.measures = {name: np.compress(kept, array, axis=1) for name, array in self.measures.items()}
        part.coupon_ids = self.coupon_ids[kept]
        part.coupon_groups = {
            column: Grouping.from_labels(np.array(grouping.labels)[grouping.codes[kept]])
            for column, grouping in self.coupon_groups.items()
        }
        return part

    def of_users(self, users: NDArray[np.int64]) -> Self:
        """Return the problem with some of its users only, by their indices; in memory."""
        users = self._places(users)
        rows = self.gather(users)
        part = copy(self)
        part.value, part.measures = rows.value, rows.measures
        part.groups = {
            column: grouping.with_codes(grouping.codes[users]) for column, grouping in self.groups.items()
        }
        part._user_ids = self.ids_of(users)
        part._combinations = {}
        return part

    def _places(self, users: object) -> NDArray[np.int64]:
        """Return indices of users, or raise InputError if they are none."""
        findings: list[Finding] = []
        places = array_of(users, "users", findings)
        if places is None or places.dtype.kind not in "iu" or places.ndim != 1:
            whole = places is not None and places.size == 0 and places.ndim == 1
            if not whole or places is None:
                raise InputError(Finding("must be indices of users", column="users", found=shown(users)))
        if places.size and not (int(places.min()) >= 0 and int(places.max()) < self.n_users):
            expected = f"0 to {self.n_users - 1}"
            raise InputError(Finding("there are no such users", None, None, "users", shown(users), expected))
        return places.astype(np.int64, copy=False)

    def eligible(self) -> NDArray[np.bool_]:
        """Return where a coupon may be given, (n_users, n_coupons)."""
        return np.asarray(~np.isnan(self.value))

    def _measure(
        self, name: str, array: NDArray[Any], findings: list[Finding]
    ) -> NDArray[np.floating] | None:
        if name in BUILT_IN_MEASURES:
            findings.append(Finding(f"'{name}' is built in; give the measure another name", column=name))
            return None
        numbers = np.asarray(array, dtype=self._measure_type)
        try:
            wide = np.broadcast_to(numbers, self.value.shape)
        except ValueError:
            found, expected = str(np.shape(array)), str(self.value.shape)
            findings.append(
                Finding(
                    "the measure has another shape than value", column=name, found=found, expected=expected
                )
            )
            return None
        return np.ascontiguousarray(wide)


def _matrix(array: NDArray[np.floating]) -> NDArray[np.floating]:
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            Finding("value must be users x coupons", column="value", found=f"shape {array.shape}")
        )
    return np.ascontiguousarray(array)


def by_name(given: object, place: str, findings: list[Finding]) -> dict[str, Any]:
    """Return what is given by name, or note that it is not."""
    if given is None:
        return {}
    if isinstance(given, Mapping) and all(isinstance(name, str) for name in given):
        return dict(given)
    message = "must be given by name, such as {'cost': table}"
    findings.append(Finding(message, column=place, found=type(given).__name__))
    return {}


def _per_user(given: object, findings: list[Finding]) -> tuple[int, int]:
    try:
        fewest, most = (index(number) for number in given)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        fewest, most = -1, -1
    if not 0 <= fewest <= most or not 1 <= most <= MOST_COUPONS:
        message = "must be (fewest, most) with 0 <= fewest <= most and most >= 1"
        findings.append(Finding(message, column="per_user", found=shown(given)))
        return 0, 1
    return fewest, most
