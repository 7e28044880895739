"""An instance as a matrix, for the peers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from allocator.solver.model import Model, compile_model
from benchmarks.instances import Instance

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """Maximise value x with lower <= rows x <= upper and 0 <= x <= most: hard limits, then one row a user.

    Rows of limits are scaled to coefficients of at most 1, as peers' tolerances are absolute. The last
    column is the number of all assignments, for the rows that compare a part with the whole (parity): without
    it each of them would name every pair.
    """

    value: Array
    rows: sp.csc_array
    lower: Array
    upper: Array
    most: Array

    @classmethod
    def of(cls, instance: Instance) -> Matrix:
        """State an instance of hard limits."""
        problem, limits = instance
        model = compile_model(problem, limits)
        if np.isfinite(model.penalty).any():
            raise ValueError("soft limits are not stated for peers")
        (batch,) = problem.batches(model.measures[2:])
        users, coupons = np.nonzero(problem.eligible() & ~model.forbids(model.cell))
        weights, of_total = _part_and_whole(model)
        uses = replace(model, weights=weights).coefficients(batch, users, coupons)
        scale = np.maximum(np.maximum(abs(uses).max(axis=1).toarray().ravel(), abs(of_total)), 1e-300)
        fewest, most = problem.per_user
        n_pairs, n_users = len(users), problem.n_users
        members = sp.csc_array((np.ones(n_pairs), (users, np.arange(n_pairs))), (n_users, n_pairs))
        pairs = sp.vstack([sp.diags_array(1 / scale) @ uses, members, np.ones((1, n_pairs))])
        total = np.concatenate([of_total / scale, np.zeros(n_users), [-1.0]])
        return cls(
            value=np.append(problem.value[users, coupons].astype(np.float64), 0.0),
            rows=sp.csc_array(sp.hstack([pairs, sp.csc_array(total[:, None])], format="csc")),
            lower=np.concatenate([model.at_least / scale, np.full(n_users, float(fewest)), [0.0]]),
            upper=np.concatenate([model.at_most / scale, np.full(n_users, float(most)), [0.0]]),
            most=np.append(np.ones(n_pairs), float(n_users * most)),
        )

    def to_mathopt(self, *, integer: bool) -> mathopt.Model:
        """Return it for OR-Tools, as one message: building it variable by variable would take minutes."""
        n_rows, n_columns = self.rows.shape
        model = model_pb2.ModelProto()
        columns = model.variables
        columns.ids.extend(range(n_columns))
        columns.lower_bounds.extend([0.0] * n_columns)
        _extend(columns.upper_bounds, self.most)
        columns.integers.extend([integer] * n_columns)
        model.objective.maximize = True
        worth = np.flatnonzero(self.value)
        _extend(model.objective.linear_coefficients.ids, worth)
        _extend(model.objective.linear_coefficients.values, self.value[worth])
        model.linear_constraints.ids.extend(range(n_rows))
        _extend(model.linear_constraints.lower_bounds, self.lower)
        _extend(model.linear_constraints.upper_bounds, self.upper)
        entries = sp.csr_array(self.rows)
        entries.sum_duplicates()
        matrix = model.linear_constraint_matrix
        _extend(matrix.row_ids, np.repeat(np.arange(n_rows), np.diff(entries.indptr)))
        _extend(matrix.column_ids, entries.indices)
        _extend(matrix.coefficients, entries.data)
        return mathopt.Model.from_model_proto(model)


def _part_and_whole(model: Model) -> tuple[sp.csr_array, Array]:
    """Return the rows' weights without what they give every assignment alike, and that, (n_rows,)."""
    _, n_cells, n_coupons = model.shape
    weights = model.weights.tolil()
    whole = np.zeros(model.n_rows)
    for row in range(model.n_rows):
        counts = model.weights[[row], : n_cells * n_coupons].toarray().ravel()
        if (counts != 0).all():
            values, often = np.unique(counts, return_counts=True)
            whole[row] = values[np.argmax(often)]
            weights[row, : n_cells * n_coupons] = counts - whole[row]
    weights = sp.csr_array(weights)
    weights.eliminate_zeros()
    return weights, whole


def _extend(field: Any, numbers: NDArray[Any]) -> None:
    """Append numbers to a message's field, some at a time: Python's own numbers take much memory."""
    for start in range(0, len(numbers), 1 << 20):
        field.extend(numbers[start : start + (1 << 20)].tolist())
