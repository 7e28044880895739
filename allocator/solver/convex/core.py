"""The core: the pairs that a better plan may hold, decided together in one integer program.

A plan falls short of the dual bound by at least what each of its choices loses at the prices, so a better one
holds no pair that loses more than the best plan does. Pisinger 1995, "A minimal algorithm for the
multiple-choice knapsack problem".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.contested import Contested, assign, count_choices
from allocator.solver.convex.program import solve_whole
from allocator.solver.convex.relaxation import everyone, touch
from allocator.solver.convex.standing import Standing
from allocator.solver.rounding.standing import Classes, classes_of

Array = NDArray[np.float64]

MOST_PAIRS = 400_000  # of a problem, to look for its core
MOST_CORE = 20_000  # pairs that one integer program decides
ROUNDING = 1e-9  # of the bound; a pair that loses no more than this too much stays
TURNS = 30  # integer programs, each with the utility's tangents at the plan of the one before


@dataclass(frozen=True)
class _Core:
    """Pairs to decide, the fewest coupons of each class, (n_classes,), and a plan to improve, (n_pairs,)."""

    pairs: Contested
    fewest: NDArray[np.int64]
    hint: Array | None


def decide_core(standing: Standing, earned: Array, until: float) -> None:
    """Decide the core until the gap is reached, or some `time.monotonic()`.

    Parameters
    ----------
    standing
        Prices, bound and best plan; is told of plans and bounds.
    earned
        (n_groups,) the groups' values in the relaxation.
    """
    task = standing.task
    if task.fitting.n_pairs > MOST_PAIRS:
        return
    contested = everyone(task)
    touched = [earned]
    for turn in range(TURNS):
        if standing.done or standing.late(until):
            return
        task.run.report("fair plan in whole numbers", turn, 0)
        core, few = _core(standing, contested)
        if not few:
            return
        answer = solve_whole(
            task, core.pairs, task.utility.extension(earned, touched), core.fewest, 0.5 * standing.enough,
            min(until, task.run.deadline), core.hint,
        )  # fmt: skip
        if answer is None:
            return
        choice = np.full((task.fitting.n_users, task.model.step.width), -1, np.int16)
        assign(core.pairs, answer.columns, choice)
        judged = standing.found(choice)
        standing.proven(max(answer.bound, standing.total), "branch and bound")
        if judged is None or answer.counted - task.utility.equivalent(judged.earned) <= 0.1 * standing.enough:
            return
        touched.append(touch(task, judged.earned))


def _core(standing: Standing, contested: Contested) -> tuple[_Core, bool]:
    """Return what a better plan may hold, and whether that is few enough to decide."""
    prices = np.concatenate([standing.prices, -standing.slopes])
    classes = classes_of(contested, prices)
    loss = standing.dual - standing.total + ROUNDING * abs(standing.dual)
    keep = np.flatnonzero(classes.regret <= loss)
    part = replace(
        contested,
        pair_class=contested.pair_class[keep],
        pair_coupon=contested.pair_coupon[keep],
        value=contested.value[keep],
        uses=sp.csc_array(contested.uses[:, keep]),
    )
    hint = None
    if standing.best is not None:
        count = count_choices(contested, standing.best.choice)
        if count[keep].sum() == count.sum():
            hint = count[keep].astype(np.float64)
    return _Core(part, _fewest(classes, loss), hint), len(keep) <= MOST_CORE


def _fewest(classes: Classes, loss: float) -> NDArray[np.int64]:
    """Return how many coupons each class must take at least: one fewer would lose too much."""
    worth_it = np.bincount(classes.pair_class[classes.reduced > loss], minlength=len(classes.size))
    return np.asarray(np.clip(worth_it * classes.size, classes.fewest, classes.most))
