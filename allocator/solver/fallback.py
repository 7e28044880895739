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
    chosen = engine.price(prices, choice)
    if _keeps_hard(model, model.usage(chosen.table), np.zeros(model.n_rows)):
        return choice
    if model.problem.per_user[0] > 0:
        return None
    if model.problem.in_memory and _drop_worst(engine, prices, choice):
        return choice
    choice[:] = -1
    nothing = np.zeros(model.n_rows)
    return choice if _keeps_hard(model, nothing, nothing) else None


def _drop_worst(engine: Engine, prices: Array, choice: NDArray[np.int16]) -> bool:
    """Take back choices until every row is kept; return whether that succeeds."""
    model = engine.model
    users, slots = np.nonzero(choice >= 0)
    coupons = choice[users, slots].astype(np.int64)
    batch = engine.batch()
    uses = sp.csr_array(model.coefficients(batch, users, coupons))
    kept = np.ones(len(users), np.bool_)
    earned = model.worth_of(model.cell[users], coupons) * batch.value[users, coupons]
    reduced = earned - np.asarray(uses.T @ prices)
    for row in range(model.n_rows):
        _drop_excess(model, row, uses, reduced, kept)
    choice[users[~kept], slots[~kept]] = -1
    count = kept.astype(np.float64)
    return _keeps_hard(model, uses @ count, abs(uses) @ count)


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


def _keeps_hard(model: Model, usage: Array, gross: Array) -> bool:
    """Return whether usage keeps every hard row, but for rounding."""
    hard = np.isinf(model.penalty)
    return bool((model.violation(usage)[hard] <= model.tolerance(gross)[hard]).all())
