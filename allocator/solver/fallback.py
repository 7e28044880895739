"""A plan without linear or integer programs, for when time has run out."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.model import Model
from allocator.solver.pricing import Engine

Array = NDArray[np.float64]


def plan_without_programs(engine: Engine, prices: Array) -> NDArray[np.int16] | None:
    """Return a feasible plan found without linear or integer programs, None if this finds none.

    For when time has run out: what users choose at the prices, less the choices that earn least for what
    they use of an exceeded row; or nothing for anyone.
    """
    model = engine.model
    choice = np.empty((model.problem.n_users, model.problem.per_user[1]), np.int16)
    engine.price(prices, choice)
    users, slots = np.nonzero(choice >= 0)
    coupons = choice[users, slots].astype(np.int64)
    batch = engine.batch()
    uses = sp.csr_array(model.coefficients(batch, users, coupons))
    kept = np.ones(len(users), np.bool_)
    if model.problem.per_user[0] == 0:
        earned = model.worth[model.cell[users], coupons] * batch.value[users, coupons]
        reduced = earned - np.asarray(uses.T @ prices)
        for row in range(model.n_rows):
            _drop_excess(model, row, uses, reduced, kept)
        if not _feasible(model, uses, kept):
            kept[:] = False
    choice[users[~kept], slots[~kept]] = -1
    return choice if _feasible(model, uses, kept) else None


def _drop_excess(model: Model, row: int, uses: sp.csr_array, reduced: Array, kept: NDArray[np.bool_]) -> None:
    """Take back the choices that lose least for each unit of an exceeded row, until it is kept."""
    used = uses[[row]].toarray().ravel() * kept
    excess = float(used.sum()) - float(model.at_most[row])
    if excess <= 0 or np.isfinite(model.penalty[row]):
        return
    candidates = np.flatnonzero(used > 0)
    order = candidates[np.argsort(reduced[candidates] / used[candidates], kind="stable")]
    needed = int(np.searchsorted(np.cumsum(used[order]), excess * (1 + 1e-9))) + 1
    kept[order[:needed]] = False


def _feasible(model: Model, uses: sp.csr_array, kept: NDArray[np.bool_]) -> bool:
    usage, gross = uses @ kept.astype(np.float64), abs(uses) @ kept.astype(np.float64)
    hard = np.isinf(model.penalty)
    return bool((model.violation(usage)[hard] <= model.tolerance(gross)[hard]).all())
