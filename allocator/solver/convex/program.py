"""A fair objective over contested users as one linear or integer program."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.contested import Contested, row_prices, row_scale, state_program
from allocator.solver.convex.task import Task
from allocator.solver.convex.utility import Extension
from allocator.solver.highs import Answer, Program, solve_program
from allocator.solver.master import Box
from allocator.solver.rounding.branching import beyond

Array = NDArray[np.float64]

TIGHTENED = 4  # times a program is tightened against rounding


@dataclass(frozen=True)
class FairAnswer:
    """A solution of a program.

    Parameters
    ----------
    columns
        (n_pairs,) of the contested pairs.
    earned
        (n_groups,) values of all users.
    counted, total, bound
        What the columns of the utility count the groups' values as, that less penalties, and what no
        solution exceeds, in units of value.
    prices, slopes
        Of the limits, and of the groups' values; of a linear program only.
    """

    columns: Array
    earned: Array
    counted: float
    total: float
    bound: float
    prices: Array
    slopes: Array


def solve_linear(
    task: Task, contested: Contested, extension: Extension, deadline: float
) -> FairAnswer | None:
    """Solve the linear relaxation; None if nothing meets the limits, or time is over."""
    answer = solve_program(_stated(task, contested, extension), deadline)
    return None if answer is None else _read(task, contested, extension, answer)


def solve_whole(
    task: Task,
    contested: Contested,
    extension: Extension,
    least: NDArray[np.int64],
    absolute_gap: float,
    deadline: float,
    hint: Array | None,
) -> FairAnswer | None:
    """Solve in whole numbers.

    Parameters
    ----------
    task, contested, extension
        Objective, pairs to decide, and utility.
    least
        (n_classes,) fewest coupons that each class must take.
    absolute_gap
        Stop when this close to the best, in units of value.
    deadline
        `time.monotonic()` at which to stop with the best.
    hint
        (n_pairs,) a plan to improve.

    Returns
    -------
    FairAnswer or None
        None if no plan was found that meets every limit.
    """
    model = task.model
    inwards = np.zeros(model.n_rows), np.zeros(model.n_rows)
    bound = np.inf
    for _ in range(TIGHTENED):
        program = _stated(task, contested, extension, least, inwards)
        answer = solve_program(program, deadline, absolute_gap, task.run.seed, hint)
        if answer is None:
            return None
        bound = answer.bound if np.isinf(bound) else bound  # tightened programs bound nothing
        found = _read(task, contested, extension, answer)
        found = replace(found, columns=np.round(found.columns), bound=bound)
        short, over = beyond(contested, found.columns)
        if not (short.any() or over.any()):
            return found
        inwards, hint = (inwards[0] + 2.0 * short, inwards[1] + 2.0 * over), None
    return None


def _stated(
    task: Task,
    contested: Contested,
    extension: Extension,
    least: NDArray[np.int64] | None = None,
    inwards: tuple[Array, Array] | None = None,
) -> Program:
    """State the program: pairs, violations, and columns of the utility; whole numbers with `least`."""
    model, n_groups = task.model, len(task.groups)
    classes = None if least is None else np.ones(len(contested.size), np.bool_)
    base = state_program(contested, Box(*model.price_range()), classes, inwards)
    n_rows = base.rows.shape[0]
    groups = np.arange(task.n_limits, model.n_rows)
    scale = row_scale(contested.uses)[groups]
    rows, columns = np.nonzero(extension.on_groups)
    beside = sp.csc_array(
        (extension.on_groups[rows, columns] * scale[rows], (groups[rows], columns)),
        shape=(n_rows, len(extension.worth)),
    )
    lower, upper = base.row_lower.copy(), base.row_upper.copy()
    lower[groups] = -contested.decided[groups] * scale
    if extension.equal:
        upper[groups] = lower[groups]
    if least is not None:
        members = model.n_rows + np.arange(len(contested.size))
        lower[members] = np.maximum(lower[members], least)
    n_more = len(extension.rows)
    unit = float(np.abs(contested.uses[groups].data).max(initial=0.0)) if n_groups else 0.0
    integer = None
    if base.integer is not None:
        integer = np.append(base.integer, np.zeros(len(extension.worth), np.bool_))
    return Program(
        value=np.append(base.value, extension.worth),
        rows=sp.csc_array(sp.block_array([[base.rows, beside], [None, sp.csc_array(extension.rows)]]))
        if n_more
        else sp.csc_array(sp.hstack([base.rows, beside])),
        row_lower=np.append(lower, np.zeros(n_more)),
        row_upper=np.append(upper, np.full(n_more, np.inf)),
        column_lower=np.append(base.column_lower, extension.lower),
        column_upper=np.append(base.column_upper, extension.upper),
        integer=integer,
        unit=float(2.0 ** np.round(np.log2(unit))) if unit > 0 else 1.0,
    )


def _read(task: Task, contested: Contested, extension: Extension, answer: Answer) -> FairAnswer:
    columns = answer.columns[: len(contested.value)]
    prices = row_prices(contested, answer) if len(answer.prices) else np.zeros(task.model.n_rows)
    groups = np.arange(task.n_limits, task.model.n_rows)
    return FairAnswer(
        columns=columns,
        earned=np.asarray(contested.decided[groups] + contested.uses[groups] @ columns),
        counted=float(extension.worth @ answer.columns[-len(extension.worth) :]),
        total=answer.objective,
        bound=answer.bound,
        prices=prices[: task.n_limits],
        slopes=-prices[task.n_limits :],
    )
