"""What a coupon uses of a plan's rows, for users of each combination of group labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.limits.row_tables import Key, RowTables
from allocator.online.plan import OnlinePlan
from allocator.online.plan_rows import PlanRow
from allocator.online.records import to_amount

Array = NDArray[np.float64]

MOST_CELLS = 10_000  # tables kept; more are made again when asked for


@dataclass(frozen=True, slots=True)
class Cell:
    """Users who share the labels that rows ask for.

    Parameters
    ----------
    rows
        (k,) places of the rows that count something for them, among the plan's rows without exclusions.
    weights
        By measure, (k, n_coupons): how much of it counts.
    excluded
        (n_coupons,) coupons that they never get; None if there are none.
    expected, held
        For each of the k rows its label if its expected use, or what is held of it, is kept in a ledger;
        else None.
    """

    rows: NDArray[np.intp]
    weights: tuple[tuple[str, Array], ...]
    excluded: NDArray[np.bool_] | None
    expected: tuple[str | None, ...]
    held: tuple[str | None, ...]

    def use(self, value: Array, measures: Mapping[str, Array]) -> Array:
        """Return what each coupon uses of each row, (k, n_coupons)."""
        total: Array | None = None
        for name, weights in self.weights:
            part = weights if name == "count" else weights * (value if name == "value" else measures[name])
            total = part if total is None else total + part
        return np.zeros((len(self.rows), len(value))) if total is None else total

    def use_of_one(self, coupon: int, amounts: Mapping[str, float]) -> Array:
        """Return what one coupon uses of each row, (k,), from its own amounts."""
        total = np.zeros(len(self.rows))
        for name, weights in self.weights:
            total += weights[:, coupon] * (1.0 if name == "count" else amounts[name])
        return total

    def to_expect(self, use: Array) -> dict[str, int]:
        """Return what a coupon is expected to use, by row label in millionths; (k,) given."""
        return {
            label: to_amount(amount)
            for label, amount in zip(self.expected, use.tolist(), strict=True)
            if amount != 0.0 and label is not None
        }

    def to_hold(self, use: Array) -> dict[str, int]:
        """Return what is held of guaranteed rows, by row label in millionths; (k,) given."""
        return {
            label: to_amount(amount)
            for label, amount in zip(self.held, use.tolist(), strict=True)
            if amount > 0.0 and label is not None
        }


class Cells:
    """Finds a user's cell; cells are made when first asked for."""

    def __init__(self, plan: OnlinePlan) -> None:
        self.rows: tuple[PlanRow, ...] = tuple(row for row in plan.rows if not row.is_exclusion)
        self.place = {coupon: j for j, coupon in enumerate(plan.coupon_ids)}
        self._tables = RowTables(
            plan.coupon_ids,
            [row.terms for row in self.rows],
            [term for row in plan.rows if row.is_exclusion for term in row.terms],
            plan.separators,
        )
        self._expected = [None if row.is_open else row.label for row in self.rows]
        self._held = [row.label if row.is_guaranteed else None for row in self.rows]
        self._cells: dict[Key, Cell] = {}

    def of(self, groups: Mapping[str, str]) -> Cell:
        """Return the cell of a user; KeyError where a group column is missing."""
        key = self._tables.key(groups)
        return self._cells.get(key) or self._make(key)

    def _make(self, key: Key) -> Cell:
        table = self._tables.make(key)
        places = table.rows.tolist()
        cell = Cell(
            table.rows,
            table.weights,
            table.excluded if table.excluded.any() else None,
            tuple(self._expected[r] for r in places),
            tuple(self._held[r] for r in places),
        )
        if len(self._cells) >= MOST_CELLS:
            self._cells = {}
        self._cells[key] = cell
        return cell
