"""The core: the pairs that a better plan may hold, decided together in one integer program.

A plan falls short of the dual bound by at least what each of its choices loses at the prices, so a better one
holds no pair that loses more than the best plan does. Pisinger 1995, "A minimal algorithm for the
multiple-choice knapsack problem".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.contested import Contested, assign, count_choices
from allocator.solver.convex.program import solve_whole
from allocator.solver.convex.relaxation import everyone, touch
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.task import Task
from allocator.solver.convex.utility import Extension, Geometric, Smallest
from allocator.solver.rounding.standing import Classes, classes_of

Array = NDArray[np.float64]

MOST_PAIRS = 400_000  # of a problem, to look for its core
MOST_CORE = 20_000  # pairs that one integer program decides
ROUNDING = 1e-9  # of the bound; a pair that loses no more than this too much stays
TINY = 1e-9  # of all that a group may gain: so much less than that is nothing
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
    least, otherwise = np.zeros(0), -np.inf
    if isinstance(task.utility, Geometric):
        least, otherwise = _least_values(task, contested), 0.0
        if standing.total <= 0:
            otherwise = _something_for_all(standing, task.utility, contested, until)
    touched = [earned]
    for turn in range(TURNS):
        if standing.done or standing.late(until):
            return
        task.run.report("fair plan in whole numbers", turn, 0)
        # Where the best plan leaves a group without anything, one by which all earn may be worth less.
        every = -np.inf < otherwise < 0
        core, few = _core(standing, contested, np.inf if every else standing.dual - standing.total)
        if not few:
            return
        extension = task.utility.extension(earned, touched)
        lower = extension.lower.copy()
        lower[: len(least)] = np.maximum(lower[: len(least)], least / earned[: len(least)])
        answer = solve_whole(
            task, core.pairs, replace(extension, lower=lower), core.fewest, 0.5 * standing.enough,
            min(until, task.run.deadline), core.hint,
        )  # fmt: skip
        if answer is None:
            return
        choice = np.full((task.fitting.n_users, task.model.step.width), -1, np.int16)
        assign(core.pairs, answer.columns, choice)
        judged = standing.found(choice)
        standing.proven(max(answer.bound, standing.total, otherwise), "branch and bound")
        if judged is None or answer.counted - task.utility.equivalent(judged.earned) <= 0.1 * standing.enough:
            return
        touched.append(touch(task, judged.earned))


def _least_values(task: Task, contested: Contested) -> Array:
    """Return the least that each group may earn if it earns anything, (n_groups,)."""
    values = sp.csr_array(contested.uses[np.arange(task.n_limits, task.model.n_rows)])
    least = []
    for one, last in pairwise(values.indptr.tolist()):
        worth = values.data[one:last]
        gains = worth[worth > 0]
        mixed = (worth < 0).any()  # sums of gains and losses may be about as small as they like
        least.append(TINY * float(gains.sum()) if mixed else float(gains.min(initial=np.inf)))
    return np.where(np.isfinite(least), least, 0.0)


def _something_for_all(standing: Standing, utility: Geometric, contested: Contested, until: float) -> float:
    """Find a plan by which every group earns something, or prove that there is none.

    Tangents of logarithms say little where a group has next to nothing; the smallest value tells.

    Returns
    -------
    float
        What no plan is worth more than by which some group earns nothing.
    """
    task = standing.task
    free = replace(task.model, penalty=np.where(np.isfinite(task.model.penalty), 0.0, np.inf))
    smallest = Smallest(utility.weights).extension(utility.ideal(abs(standing.bound) or 1.0), [])
    bound = _decide(standing, replace(task, model=free), contested, smallest, until)
    if standing.total >= 0 and bound > standing.nothing:
        return 0.0
    otherwise = min(_decide(standing, task, contested, _nothing(task), until), 0.0)
    if bound <= standing.nothing:
        standing.proven(otherwise, "branch and bound")
    return otherwise


def _decide(
    standing: Standing, task: Task, contested: Contested, extension: Extension, until: float
) -> float:
    """Take the best plan by a utility; return what none is worth more than, infinity if that is unknown."""
    fewest, _ = task.model.step.bounds(contested.size)
    deadline = min(until, task.run.deadline)
    answer = solve_whole(task, contested, extension, fewest, 0.0, deadline, None)
    if answer is None:
        return np.inf
    choice = np.full((task.fitting.n_users, task.model.step.width), -1, np.int16)
    assign(contested, answer.columns, choice)
    standing.found(choice)
    return answer.bound


def _nothing(task: Task) -> Extension:
    """Return a utility that is 0 whatever the groups' values are."""
    zero, free = np.zeros(1), np.full(1, np.inf)
    return Extension(zero, zero, free, np.ones((len(task.groups), 1)), False, np.zeros((0, 1)))


def _core(standing: Standing, contested: Contested, loss: float) -> tuple[_Core, bool]:
    """Return what a better plan may hold, and whether that is few enough to decide."""
    prices = np.concatenate([standing.prices, -standing.slopes])
    classes = classes_of(contested, prices)
    loss += ROUNDING * abs(standing.dual)
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
