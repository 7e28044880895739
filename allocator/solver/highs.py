"""One call to HiGHS for the small linear and integer programs of the recovery."""

from __future__ import annotations

import time
from dataclasses import dataclass

import highspy
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.interrupt import run_interruptibly

Array = NDArray[np.float64]
TOLERANCE = 1e-9  # of a row or column, absolute: rows are scaled to coefficients of at most 1


@dataclass(frozen=True)
class Program:
    """Maximise value x subject to row and column bounds; `integer` marks integer columns.

    Solvers see the value in units of `unit`: their tolerances are absolute.
    """

    value: Array
    rows: sp.csc_array
    row_lower: Array
    row_upper: Array
    column_lower: Array
    column_upper: Array
    integer: NDArray[np.bool_] | None = None
    unit: float = 1.0


@dataclass(frozen=True)
class Answer:
    """A solution: columns, row prices (linear programs), objective and proven bound."""

    columns: Array
    prices: Array
    objective: float
    bound: float


class ProgramInterrupt(KeyboardInterrupt):
    """Ctrl-C during an integer program; `answer` is the best one so far."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__()


def solve_program(
    program: Program,
    deadline: float = np.inf,
    absolute_gap: float = 0.0,
    seed: int = 0,
    hint: Array | None = None,
) -> Answer | None:
    """Solve a program with HiGHS on one thread; None if it has no feasible solution in time.

    `hint` gives the first columns of a feasible solution.

    Raises
    ------
    ProgramInterrupt
        On Ctrl-C, if an integer program has a feasible solution by then; else KeyboardInterrupt.
    """
    if program.rows.shape[1] == 0:
        possible = bool(np.all(program.row_lower <= 0) and np.all(program.row_upper >= 0))
        empty = np.zeros(0)
        return Answer(empty, np.zeros(program.rows.shape[0]), 0.0, 0.0) if possible else None
    solver = highspy.Highs()
    for option, setting in (
        ("output_flag", False),
        ("threads", 1),
        ("random_seed", seed % 2**31),
        # Of the linear programs, which are small and without redundancies, presolve only makes two.
        ("presolve", "off" if program.integer is None else "choose"),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", max(absolute_gap / program.unit, 1e-12)),
        ("mip_feasibility_tolerance", TOLERANCE),
        ("primal_feasibility_tolerance", TOLERANCE),
        ("dual_feasibility_tolerance", TOLERANCE),
    ):
        solver.setOptionValue(option, setting)
    if np.isfinite(deadline):
        solver.setOptionValue("time_limit", max(deadline - time.monotonic(), 0.01))
    _pass_model(solver, program)
    if hint is not None:
        solver.setSolution(len(hint), np.arange(len(hint), dtype=np.int32), hint)
    solver.HandleUserInterrupt = True
    try:
        run_interruptibly(solver.run, solver.cancelSolve)
    except KeyboardInterrupt:
        if program.integer is not None and (answer := _answer(program, solver)) is not None:
            raise ProgramInterrupt(answer) from None
        raise
    return _answer(program, solver)


def _pass_model(solver: highspy.Highs, program: Program) -> None:
    """Hand over a program as arrays: number by number takes as long as solving it."""
    n_rows, n_columns = program.rows.shape
    rows = program.rows
    integer = np.zeros(n_columns, np.bool_) if program.integer is None else program.integer
    solver.passModel(
        n_columns, n_rows, rows.nnz, int(highspy.MatrixFormat.kColwise.value),
        int(highspy.ObjSense.kMaximize.value), 0.0, program.value / program.unit, program.column_lower,
        program.column_upper, program.row_lower, program.row_upper, rows.indptr.astype(np.int32),
        rows.indices.astype(np.int32), rows.data.astype(np.float64), integer.astype(np.int32),
    )  # fmt: skip


def _leeway(program: Program) -> float:
    """Return what rounding within the solver's tolerance may be worth: violations of rows that cost much."""
    if program.integer is None:
        return 0.0
    return TOLERANCE * float(np.abs(program.value[~program.integer]).sum())


def _answer(program: Program, solver: highspy.Highs) -> Answer | None:
    info, solution = solver.getInfo(), solver.getSolution()
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible.value:
        return None
    if program.integer is None and solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    objective = info.objective_function_value
    bound = objective if program.integer is None else info.mip_dual_bound
    return Answer(
        np.array(solution.col_value),
        program.unit * np.array(solution.row_dual),
        program.unit * objective,
        program.unit * bound + _leeway(program),
    )
