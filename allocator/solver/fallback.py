"""A plan without linear or integer programs, for when time has run out."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.model import Model
from allocator.solver.pricing import Engine

Array = NDArray[np.float64]
MOST_ENTRIES = 12_000_000  # of pairs in rows, of a problem whose floors are filled one after the other


def plan_without_programs(engine: Engine, prices: Array) -> NDArray[np.int16] | None:
    """Return a feasible plan found without linear or integer programs, None if this finds none.

    For when time has run out: what users choose at the prices, less the choices that earn least for what
    they use of an exceeded row; or nothing for anyone; or what fills floors with least.
    """
    model = engine.model
    choice = np.empty((model.problem.n_users, model.step.width), np.int16)
    chosen = engine.price(prices, choice)
    if _keeps_hard(model, model.usage(chosen.table), np.zeros(model.n_rows)):
        return choice
    if model.step.must:
        return None
    if model.problem.in_memory and _drop_worst(engine, prices, choice):
        return choice
    choice[:] = -1
    nothing = np.zeros(model.n_rows)
    if _keeps_hard(model, nothing, nothing):
        return choice
    few = model.problem.in_memory and _entries(model) <= MOST_ENTRIES
    return choice if few and _fill_floors(engine, choice) else None


def _entries(model: Model) -> int:
    """Return how often rows count all users' coupons, were all of them eligible."""
    of_place = np.diff(model.weights.tocsc().indptr).reshape(model.shape).sum(axis=(0, 2))
    return int(of_place[model.places[model.cell]].sum())


def _fill_floors(engine: Engine, choice: NDArray[np.int16]) -> bool:
    """Give coupons to users who have none until every row has enough; return whether that succeeds.

    Row by row, the users come first who take up least of what bounds leave for each unit that they bring.
    """
    model, batch = engine.model, engine.batch()
    allowed = ~np.isnan(batch.value) & ~model.forbids(model.cell[batch.users])
    users, coupons = np.nonzero(allowed)
    uses = model.coefficients(batch, users, coupons)
    by_row = sp.csr_array(uses)
    bounded = np.isfinite(model.at_most) & np.isinf(model.penalty)
    used = np.zeros(model.n_rows)
    gross = np.zeros(model.n_rows)
    free = np.ones(len(choice), np.bool_)
    for row in np.argsort(np.diff(by_row.indptr), kind="stable").tolist():  # the rarest first
        short = float(model.at_least[row] - used[row])
        if short <= 0 or np.isfinite(model.penalty[row]):
            continue
        brings = by_row[[row]].toarray().ravel()
        pairs = np.flatnonzero((brings > 0) & free[users])
        room = np.maximum(model.at_most - used, 1e-300)
        harm = np.asarray(uses[:, pairs].T @ np.where(bounded, 1.0 / room, 0.0)) / brings[pairs]
        pairs = pairs[np.argsort(harm, kind="stable")]
        _, first = np.unique(users[pairs], return_index=True)
        pairs = pairs[np.sort(first)]  # each user's best
        needed = int(np.searchsorted(np.cumsum(brings[pairs]), short * (1 - 1e-12))) + 1
        taken = pairs[:needed]
        choice[users[taken], 0] = coupons[taken]
        free[users[taken]] = False
        used = used + np.asarray(uses[:, taken].sum(axis=1)).ravel()
        gross = gross + np.asarray(abs(uses[:, taken]).sum(axis=1)).ravel()
    return _keeps_hard(model, used, gross)


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
