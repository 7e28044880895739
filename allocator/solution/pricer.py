"""Decisions for users that a plan has not seen, from its prices alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.limits.row_tables import Key, RowTables, named_terms, separators_of
from allocator.limits.rows import LimitLike
from allocator.problem import Problem

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
        self.coupon_ids = problem.coupon_ids
        self.per_user = problem.per_user
        self._names = tuple(str(coupon) for coupon in problem.coupon_ids)
        self._known = tuple(problem.groups)
        rows = [row for limit in limits for row in limit.rows(problem)]
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
            (n_coupons,) NaN where not eligible.
        measures
            Each (n_coupons,).
        groups
            The user's label in each group column; a label the plan has not seen belongs to no group.

        Raises
        ------
        InputError
            If a group column or a measure that a price needs is missing, or a column is unknown.
        """
        groups = groups or {}
        self._check_columns(groups)
        key = self._rows.key(groups)
        table = self._tables.get(key) or self._make_table(key)
        worth = np.asarray(value, dtype=np.float64)
        reduced = worth * table.kept - table.fixed
        for name, price in table.prices:
            reduced -= price * np.asarray(_measure(measures, name), dtype=np.float64)
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
        worth = np.asarray(value, dtype=np.float64)
        n, most = worth.shape[0] if worth.ndim else 0, self.per_user[1]
        if worth.shape != (n, len(self._names)):
            expected = f"users x {len(self._names)} coupons"
            raise InputError(
                Finding("wrong shape", column="value", found=str(worth.shape), expected=expected)
            )
        cell, tables = self._cells(groups or {}, n)
        needed = {name for table in tables for name, _ in table.prices}
        amounts = {
            name: _broadcast(_measure(measures, name), worth.shape, f"measures[{name}]") for name in needed
        }
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

    def _cells(self, groups: Mapping[str, ArrayLike], n: int) -> tuple[NDArray[np.int64], list[_Table]]:
        """Return which price table each of `n` users has, and the tables."""
        self._check_columns(groups)
        columns = self._rows.columns
        codes = np.zeros((n, len(columns)), np.int64)
        distinct: list[list[str]] = []
        for k, column in enumerate(columns):
            labels = np.asarray(groups[column]).astype(np.str_)
            if labels.shape != (n,):
                raise InputError(
                    Finding(
                        "there is not one label for each user",
                        column=f"groups[{column}]",
                        found=str(labels.shape),
                        expected=str((n,)),
                    )
                )
            found, codes[:, k] = np.unique(labels, return_inverse=True)
            distinct.append(found.tolist())
        combinations, cell = np.unique(codes, axis=0, return_inverse=True)
        tables = []
        for combination in combinations.tolist():
            named = {column: distinct[k][combination[k]] for k, column in enumerate(columns)}
            key = self._rows.key(named)
            tables.append(self._tables.get(key) or self._make_table(key))
        return cell.ravel(), tables

    def _check_columns(self, groups: Mapping[str, object]) -> None:
        if unknown := set(groups) - set(self._known):
            found = ", ".join(sorted(unknown))
            expected = "of " + ", ".join(self._known)
            raise InputError(
                Finding("the plan has no such group column", column="groups", found=found, expected=expected)
            )
        for column in self._rows.columns:
            if column not in groups:
                raise InputError(Finding("a price needs the user's label in this column", column=column))

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


def _measure(measures: Mapping[str, ArrayLike], name: str) -> ArrayLike:
    if name not in measures:
        raise InputError(Finding("a price needs this measure of the user", column=name))
    return measures[name]


def _broadcast(array: ArrayLike, shape: tuple[int, ...], column: str) -> Array:
    try:
        return np.broadcast_to(np.asarray(array, dtype=np.float64), shape)
    except ValueError:
        raise InputError(
            Finding("wrong shape", column=column, found=str(np.shape(array)), expected=str(shape))
        ) from None


def _stack(parts: list[Array]) -> Array:
    return np.array(parts).reshape(len(parts), -1)
