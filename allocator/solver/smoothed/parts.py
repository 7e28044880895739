"""What users can use of all rows, in as few kinds as there are.

Many entries of the rows' tables say the same: one more assignment in a store counts alike for each coupon of
a category. Each such kind of entry is a *part*: a row's usage is a sum over parts, and a pair has one part
in each set of columns and measure, however many rows count it (a parity row counts everybody).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.model import Model


@dataclass(frozen=True)
class Parts:
    """The parts of a model's rows.

    Parameters
    ----------
    part
        (n_measures, n_places, n_coupons) int32 the part of each entry of a table, -1 where no row counts it.
    rows
        (n_rows, n_parts) what a unit of each part uses of each row.
    """

    part: NDArray[np.int32]
    rows: sp.csr_array

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return int(self.rows.shape[1])


def find_parts(model: Model) -> Parts:
    """Find the equal columns of a model's rows."""
    columns = model.weights.tocsc()
    columns.sort_indices()
    used = np.flatnonzero(np.diff(columns.indptr))
    # Columns are equal if random mixtures of their entries are: sums in the same order, to the last bit.
    mixtures = np.random.default_rng(0).standard_normal((2, model.n_rows))
    keys = np.stack([columns[:, used].T @ mixture for mixture in mixtures], axis=1)
    _, first, part = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    of_entry = np.full(columns.shape[1], -1, np.int32)
    of_entry[used] = part.reshape(-1)
    return Parts(of_entry.reshape(model.shape), sp.csr_array(columns[:, used[first]]))
