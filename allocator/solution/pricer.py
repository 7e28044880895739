"""Decisions for users that a plan has not seen, from its prices alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_numbers
from allocator.limits.row_tables import Key, RowTables, named_terms, separators_of
from allocator.limits.rows import LimitLike, checked_limits
from allocator.problem import Problem
from allocator.problem.alignment import Axis, Names
from allocator.problem.arrays import numbers_of, shown
from allocator.problem.frames import Matrix
from allocator.problem.labels import Grouping, groupings_of

Array = NDArray[np.float64]

MOST_TABLES = 10_000  # price tables kept; more are made again when asked for
BATCH = 65_536  # users priced at once by `decide_many`


class Pricer:
    """Decides for an unseen user in microseconds: all prices collapse into one table for each group of users.

    May be shared between threads.

    Parameters
    ----------
    problem, limits, prices
        Of the plan.
    """

    def __init__(self, problem: Problem, limits: Sequence[LimitLike], prices: Mapping[str, float]) -> None:
        if not isinstance(problem, Problem):
            raise InputError(Finding("this is no Problem", column="problem", found=type(problem).__name__))
        findings: list[Finding] = []
        prices = read_numbers("prices", prices, findings)
        if findings:
            raise InputError(findings)
        self.coupon_ids = problem.coupon_ids
        self.per_user = problem.per_user
        self._names = tuple(str(coupon) for coupon in problem.coupon_ids)
        self._shape = (len(self._names),)
        self._known = tuple(problem.groups)
        rows = [row for limit in checked_limits(limits) for row in limit.rows(problem)]
        priced = [row for row in rows if prices.get(row.label, 0.0) != 0.0 and not row.is_exclusion]
        self._prices = np.array([prices[row.label] for row in priced])
        self._rows = RowTables(
            self._names,
            [named_terms(problem, row) for row in priced],
            [term for row in rows if row.is_exclusion for term in named_terms(problem, row)],
            separators_of(problem),
        )
        self._tables: dict[Key, _Table] = {}

    def reduced_values(
        self, value: ArrayLike, measures: Mapping[str, ArrayLike], groups: Mapping[str, str] | None = None
    ) -> Array:
        """Return value less prices paid for each coupon, (n_coupons,); -inf where not eligible.

        Parameters
        ----------
        value
            (n_coupons,) in the order of `coupon_ids`; NaN where not eligible.
        measures
            Each (n_coupons,), or one number for all.
        groups
            The user's label in each group column; a label the plan has not seen belongs to no group.

        Raises
        ------
        InputError
            If a group column or a measure that a price needs is missing, or a column is unknown; if there is
            not one number for each coupon, or its labels are those of other coupons or in another order; if a
            number is infinite, or a measure missing where the user is eligible.
        """
        labels = self._labels_of(groups)
        key = self._rows.key(labels)
        table = self._tables.get(key) or self._make_table(key)
        worth = self._row(value, "value")
        reduced = worth * table.kept - table.fixed
        amounts = {name: self._row(_measure(measures, name), name, several=False) for name, _ in table.prices}
        for name, price in table.prices:
            reduced -= price * amounts[name]
        if not math.isfinite(np.add.reduce(reduced)):
            _check_numbers(worth, amounts)
        return np.fmax(reduced, -np.inf)  # NaN, where not eligible, becomes -inf

    def decide(
        self, value: ArrayLike, measures: Mapping[str, ArrayLike], groups: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        """Return the coupons to give, best first: those of greatest positive reduced value, within
        `per_user`. Parameters and errors as for `reduced_values`.
        """
        reduced = self.reduced_values(value, measures, groups)
        fewest, most = self.per_user
        if most == 1:
            best = int(reduced.argmax())
            worth = float(reduced[best])
            given = math.isfinite(worth) and (worth > 0 or fewest > 0)
            return (self._names[best],) if given else ()
        order = np.argsort(-reduced, kind="stable")[:most]
        return tuple(
            self._names[j]
            for rank, j in enumerate(order)
            if np.isfinite(reduced[j]) and (reduced[j] > 0 or rank < fewest)
        )

    def decide_many(
        self,
        value: ArrayLike,
        measures: Mapping[str, ArrayLike],
        groups: Mapping[str, ArrayLike] | None = None,
    ) -> NDArray[np.int64]:
        """Decide for many unseen users at once, each as `decide` does.

        Parameters
        ----------
        value
            (n_users, n_coupons) NaN where not eligible.
        measures
            Each (n_users, n_coupons) or broadcastable to it.
        groups
            The users' labels in each group column, (n_users,) each.

        Returns
        -------
        NDArray
            As `Solution.choice`: (n_users,) coupon indices, -1 for none; (n_users, k) if `per_user` allows
            k > 1.

        Raises
        ------
        InputError
            As for `reduced_values`, and where a shape does not fit.
        """
        findings: list[Finding] = []
        rows, columns = Axis("rows", "users"), Axis.of("columns", "coupons", self.coupon_ids)
        worth = _table(value, "value", rows, columns, findings)
        n, most = worth.shape[0] if worth.ndim else 0, self.per_user[1]
        if not findings and worth.shape != (n, len(self._names)):
            expected = f"users x {len(self._names)} coupons"
            findings.append(Finding("wrong shape", None, None, "value", str(worth.shape), expected))
        if findings:
            raise InputError(findings)
        cell, tables = self._cells(groups, rows, n)
        needed = {name for table in tables for name, _ in table.prices}
        amounts = {
            name: _broadcast(_measure(measures, name), worth, name, rows, columns) for name in sorted(needed)
        }
        _check_numbers(worth, amounts)
        choice = np.empty((n, most), np.int64)
        for start in range(0, n, BATCH):
            part = slice(start, start + BATCH)
            taken = {name: array[part] for name, array in amounts.items()}
            choice[part] = self._choose(worth[part], taken, cell[part], tables)
        return choice[:, 0] if most == 1 else choice

    def _choose(
        self, worth: Array, amounts: Mapping[str, Array], cell: NDArray[np.int64], tables: list[_Table]
    ) -> NDArray[np.int64]:
        """Return the coupons of some users, (n, most), -1 for none."""
        reduced = worth * _stack([table.kept for table in tables])[cell]
        reduced -= _stack([table.fixed for table in tables])[cell]
        nothing = np.zeros(len(self._names))
        for name, amount in amounts.items():
            reduced -= _stack([dict(table.prices).get(name, nothing) for table in tables])[cell] * amount
        reduced = np.fmax(reduced, -np.inf)
        fewest, most = self.per_user
        width = min(most, reduced.shape[1])
        order = np.argsort(-reduced, axis=1, kind="stable")[:, :width]
        ranked = np.take_along_axis(reduced, order, axis=1)
        given = np.isfinite(ranked) & ((ranked > 0) | (np.arange(width) < fewest))
        chosen = np.full((len(worth), most), -1, np.int64)
        chosen[:, :width] = np.where(given, order, -1)
        return chosen

    def _cells(self, groups: object, rows: Axis, n: int) -> tuple[NDArray[np.int64], list[_Table]]:
        """Return which price table each of `n` users has, and the tables."""
        findings: list[Finding] = []
        found = groupings_of(groups, rows, n, "groups", findings)
        if findings:
            raise InputError(findings)
        self._check_columns(found)
        columns = self._rows.columns
        codes = np.zeros((n, len(columns)), np.int64)
        for k, column in enumerate(columns):
            codes[:, k] = found[column].codes
        combinations, cell = np.unique(codes, axis=0, return_inverse=True)
        tables = []
        for combination in combinations.tolist():
            named = {column: found[column].labels[combination[k]] for k, column in enumerate(columns)}
            key = self._rows.key(named)
            tables.append(self._tables.get(key) or self._make_table(key))
        return cell.ravel(), tables

    def _labels_of(self, groups: Any) -> Mapping[str, str]:
        """Return a user's label in each column as text, as groups hold it."""
        labels: dict[str, Any] = groups if type(groups) is dict else _by_column(groups)
        self._check_columns(labels)
        for label in labels.values():
            if type(label) is not str:
                return {column: _label(label, column) for column, label in labels.items()}
        return labels

    def _check_columns(self, groups: Mapping[str, object]) -> None:
        if unknown := set(groups) - set(self._known):
            found = ", ".join(sorted(map(str, unknown)))
            expected = "of " + ", ".join(self._known)
            raise InputError(
                Finding("the plan has no such group column", column="groups", found=found, expected=expected)
            )
        for column in self._rows.columns:
            if column not in groups:
                raise InputError(Finding("a price needs the user's label in this column", column=column))

    def _row(self, given: ArrayLike, place: str, several: bool = True) -> Array:
        """Return one number for each coupon; where not `several`, one for all will do."""
        if type(given) is np.ndarray and given.dtype == np.float64 and given.shape == self._shape:
            return given
        findings: list[Finding] = []
        Axis.of("labels", "coupons", self.coupon_ids).check(Names.of_index(given), place, findings)
        numbers = numbers_of(given, None, place, findings).astype(np.float64, copy=False)
        if not findings and numbers.shape != self._shape and (several or numbers.shape):
            message, expected = "there is not one number for each coupon", str(self._shape)
            findings.append(Finding(message, column=place, found=str(numbers.shape), expected=expected))
        if findings:
            raise InputError(findings)
        return numbers

    def _make_table(self, key: Key) -> _Table:
        """Collapse all prices for the users of one combination of labels, and keep the result."""
        found = self._rows.make(key)
        paid = {name: self._prices[found.rows] @ weights for name, weights in found.weights}
        nothing = np.zeros(len(self._names))
        fixed, kept = paid.pop("count", nothing), 1.0 - paid.pop("value", nothing)
        table = _Table(np.where(found.excluded, np.inf, fixed), kept, tuple(paid.items()))
        if len(self._tables) >= MOST_TABLES:
            self._tables = {}
        self._tables[key] = table
        return table


@dataclass(frozen=True)
class _Table:
    """What users of one combination of labels pay for each coupon, (n_coupons,) each.

    `fixed` is paid for the coupon itself (infinite where excluded), `kept` is the share of its value that
    is left, and `prices` are paid for each unit of a measure.
    """

    fixed: Array
    kept: Array
    prices: tuple[tuple[str, Array], ...]


def _by_column(groups: Any) -> dict[str, Any]:
    """Return a user's labels by column: of no column if None."""
    if groups is None:
        return {}
    if isinstance(groups, Mapping) or (hasattr(groups, "items") and np.ndim(groups) == 1):
        return dict(groups.items())
    raise InputError(Finding("must be a label by column", column="groups", found=shown(groups)))


def _measure(measures: Any, name: str) -> Any:
    if type(measures) is not dict and not isinstance(measures, Mapping):
        message, found = "must be given by name", type(measures).__name__
        raise InputError(Finding(message, column="measures", found=found))
    if name not in measures:
        raise InputError(Finding("a price needs this measure of the user", column=name))
    return measures[name]


def _label(given: Any, column: str) -> str:
    """Return a label as groups hold it, the missing one among them."""
    place = f"groups[{column}]"
    grouping = Grouping.from_labels([given], place)
    if grouping.codes.shape != (1,):
        raise InputError(Finding("a user has one label in a column", column=place, found=shown(given)))
    return grouping.labels[0]


def _table(given: object, place: str, rows: Axis, columns: Axis, findings: list[Finding]) -> Array:
    """Return numbers of users x coupons, with names that agree with those known so far."""
    table = Matrix.of(given, place, "these are no numbers", findings)
    rows.check(table.rows, place, findings)
    columns.check(table.columns, place, findings)
    return table.array.astype(np.float64, copy=False)


def _broadcast(given: object, worth: Array, name: str, rows: Axis, columns: Axis) -> Array:
    findings: list[Finding] = []
    place = f"measures[{name}]"
    array = _table(given, place, rows, columns, findings)
    if findings:
        raise InputError(findings)
    try:
        wide = np.broadcast_to(array, worth.shape)
    except ValueError:
        raise InputError(
            Finding("wrong shape", column=place, found=str(array.shape), expected=str(worth.shape))
        ) from None
    return wide


def _check_numbers(worth: Array, amounts: Mapping[str, Array]) -> None:
    """Raise InputError where a value is infinite, or a measure is no number although there is a value."""
    if np.isinf(worth).any():
        raise InputError(Finding("value is infinite; use NaN where not eligible", column="value"))
    for name, amount in amounts.items():
        if not np.isfinite(amount).all() and (~np.isfinite(amount) & ~np.isnan(worth)).any():
            message = "the measure is missing or infinite where value is given"
            raise InputError(Finding(message, column=name))


def _stack(parts: list[Array]) -> Array:
    return np.array(parts).reshape(len(parts), -1)
