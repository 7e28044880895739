"""The exact method: the whole integer program through OR-Tools MathOpt.

GLOP solves the linear relaxation for the dual prices, SCIP the integer program. Meant for small
problems and as a check on the decomposition.
"""

from __future__ import annotations

import datetime as dt
import time

import numpy as np
import scipy.sparse as sp
from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from allocator.solver.contested import assign, contest, row_prices, state_program
from allocator.solver.decomposition import Outcome
from allocator.solver.highs import Answer, Program, solve_program
from allocator.solver.interrupt import run_interruptibly
from allocator.solver.master import Box
from allocator.solver.model import Model
from allocator.solver.rounding.branching import beyond, solve_integer
from allocator.solver.rounding.recovery import Plan


def solve_exactly(model: Model, *, gap: float, deadline: float, seed: int) -> Outcome:
    """Solve the integer program over all users.

    Users with equal rows are one class with a multiplicity, as in the decomposition's programs.
    """
    nothing = np.zeros(model.n_rows)
    everyone = model.gather(np.arange(model.problem.n_users))
    everything, _ = contest(model, everyone, nothing).within(nothing, np.full(model.n_rows, np.inf))
    lowest, highest = model.price_range()
    classes = np.ones(len(everything.size), np.bool_)
    program = state_program(everything, Box(lowest, highest), classes)
    relaxed = _run(program, mathopt.SolverType.GLOP, gap, deadline, seed, integer=False)
    prices = nothing
    if isinstance(relaxed, Answer):
        prices = np.clip(row_prices(everything, relaxed), lowest, highest)
    answer = _run(program, mathopt.SolverType.GSCIP, 0.1 * gap, deadline, seed, integer=True)
    if not isinstance(answer, Answer):
        return Outcome(Plan(None, impossible=answer is mathopt.TerminationReason.INFEASIBLE), prices)
    columns, bound = answer.columns[: len(everything.value)], answer.bound
    if any(excess.any() for excess in beyond(everything, np.round(columns))):
        # SCIP calls a row kept that is broken by a millionth; what is finer is decided anew.
        finer = solve_integer(
            everything, np.zeros(len(columns)), np.ones(len(columns), np.bool_), 0.1 * gap * abs(bound),
            deadline, seed, hint=False,
        )  # fmt: skip
        if finer is None:
            none_at_all = solve_program(program, deadline) is None and time.monotonic() < deadline
            return Outcome(Plan(None, impossible=none_at_all), prices)
        columns, bound = finer.columns, min(bound, finer.bound)
    choice = np.full((model.problem.n_users, model.problem.per_user[1]), -1, np.int16)
    assign(everything, columns, choice)
    return Outcome(Plan(choice, bound), prices)


def _run(
    program: Program, solver: mathopt.SolverType, gap: float, deadline: float, seed: int, *, integer: bool
) -> Answer | mathopt.TerminationReason:
    """Return the answer, or why there is none."""
    parameters = mathopt.SolveParameters(
        time_limit=dt.timedelta(seconds=max(deadline - time.monotonic(), 0.1))
        if np.isfinite(deadline)
        else None,
        relative_gap_tolerance=gap if integer else None,
        absolute_gap_tolerance=0.0 if integer else None,
        threads=1,
        random_seed=seed % 2**31,
    )
    # No cancelling: SCIP's build in MathOpt complains on standard error about any interrupter.
    stated = state_model(program, integer)
    try:
        result = run_interruptibly(lambda: mathopt.solve(stated, solver, params=parameters))
    except (AttributeError, RuntimeError, ValueError):
        # How MathOpt says that the solver gave up, as over coefficients that it takes for infinite; its own
        # translation of that fails.
        return mathopt.TerminationReason.NUMERICAL_ERROR
    reason = result.termination.reason
    if not result.has_primal_feasible_solution():
        return reason
    values = result.variable_values()
    columns = np.array([values[variable] for variable in sorted(values, key=lambda v: v.id)])
    prices = np.zeros(0)
    if not integer:
        if not result.has_dual_feasible_solution():
            return reason
        duals = result.dual_values()
        prices = np.array([duals[row] for row in sorted(duals, key=lambda r: r.id)])
    bounds = result.termination.objective_bounds
    unit = program.unit
    return Answer(columns, unit * prices, unit * bounds.primal_bound, unit * bounds.dual_bound)


def state_model(program: Program, integer: bool) -> mathopt.Model:
    """Hand the program over as one message; building it variable by variable would take minutes."""
    n_rows, n_columns = program.rows.shape
    whole = program.integer if integer and program.integer is not None else np.zeros(n_columns, np.bool_)
    model = model_pb2.ModelProto()
    variables = model.variables
    variables.ids.extend(range(n_columns))
    variables.lower_bounds.extend(program.column_lower.tolist())
    variables.upper_bounds.extend(program.column_upper.tolist())
    variables.integers.extend(whole.tolist())
    model.objective.maximize = True
    worth = np.flatnonzero(program.value)
    model.objective.linear_coefficients.ids.extend(worth.tolist())
    model.objective.linear_coefficients.values.extend((program.value[worth] / program.unit).tolist())
    rows = model.linear_constraints
    rows.ids.extend(range(n_rows))
    rows.lower_bounds.extend(program.row_lower.tolist())
    rows.upper_bounds.extend(program.row_upper.tolist())
    entries = sp.csr_array(program.rows)
    entries.sum_duplicates()
    matrix = model.linear_constraint_matrix
    matrix.row_ids.extend(np.repeat(np.arange(n_rows), np.diff(entries.indptr)).tolist())
    matrix.column_ids.extend(entries.indices.tolist())
    matrix.coefficients.extend(entries.data.tolist())
    return mathopt.Model.from_model_proto(model)
