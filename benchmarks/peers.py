"""The peers: general solvers on an instance's matrix, all threads, their own default tolerances.

To add one, write a function that takes a matrix and seconds, prepares, and returns what solves it; then
declare it in `PEERS`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import highspy
import numpy as np
from ortools.math_opt.python import mathopt

from benchmarks.instances import KINDS, retail
from benchmarks.program import Matrix

Run = Callable[[], dict[str, Any]]
RELAXATION, WHOLE = "linear relaxation", "whole numbers"
INSTANCES = {"retail": retail, **KINDS}


@dataclass(frozen=True)
class Peer:
    """A solver: its name, what it answers, and how it is prepared."""

    name: str
    answers: str
    prepare: Callable[[Matrix, float], Run]


def _highs(matrix: Matrix, limit: float, *, method: str, crossover: str = "on") -> Run:
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = matrix.rows.shape
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_ = matrix.value
    model.col_lower_, model.col_upper_ = np.zeros(model.num_col_), matrix.most
    model.row_lower_, model.row_upper_ = matrix.lower, matrix.upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.rows.indptr, matrix.rows.indices
    model.a_matrix_.value_ = matrix.rows.data
    solver = highspy.Highs()
    options = {"output_flag": False, "solver": method, "time_limit": limit, "run_crossover": crossover}
    for option, value in options.items():
        solver.setOptionValue(option, value)
    solver.passModel(model)

    def run() -> dict[str, Any]:
        solver.run()
        status = solver.modelStatusToString(solver.getModelStatus())
        return {"status": status.lower(), "objective": solver.getInfo().objective_function_value}

    return run


def _newer_highs(matrix: Matrix, limit: float, *, method: str) -> Run:
    """Solve with HiGHS of a newer release; `HIGHS_PYTHON` names an interpreter that has it."""
    interpreter = os.environ.get("HIGHS_PYTHON")
    if interpreter is None:
        raise RuntimeError("HIGHS_PYTHON names no interpreter that has HiGHS 1.15 or newer")
    with tempfile.NamedTemporaryFile(suffix=".npz", delete=False) as file:
        np.savez(
            file, n_rows=matrix.rows.shape[0], value=matrix.value, most=matrix.most, lower=matrix.lower,
            upper=matrix.upper, indptr=matrix.rows.indptr, indices=matrix.rows.indices, data=matrix.rows.data,
        )  # fmt: skip
    script = Path(__file__).with_name("newer_highs.py")
    process = subprocess.Popen(
        [interpreter, str(script), file.name, method, str(limit)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    if not any(line.strip() == "ready" for line in process.stdout):  # after what HiGHS says of itself
        raise RuntimeError(f"HiGHS's {method} could not be prepared with {interpreter}")
    Path(file.name).unlink()
    heard, told = process.stdout, process.stdin

    def run() -> dict[str, Any]:
        told.write("go\n")
        told.flush()
        return dict(json.loads(heard.readline()))

    return run


def _mathopt(matrix: Matrix, limit: float, *, solver: mathopt.SolverType, integer: bool = False) -> Run:
    model = matrix.to_mathopt(integer=integer)
    threads = None if solver in (mathopt.SolverType.GLOP, mathopt.SolverType.GSCIP) else os.cpu_count()
    parameters = mathopt.SolveParameters(
        time_limit=dt.timedelta(seconds=limit),
        threads=threads,
        relative_gap_tolerance=1e-6 if integer else None,
    )

    def run() -> dict[str, Any]:
        result = mathopt.solve(model, solver, params=parameters)
        bounds = result.termination.objective_bounds
        return {
            "status": result.termination.reason.name.lower(),
            "objective": _finite(bounds.primal_bound),
            "bound": _finite(bounds.dual_bound),
        }

    return run


def _cvxpy(matrix: Matrix, limit: float) -> Run:
    import cvxpy as cp

    x = cp.Variable(len(matrix.value), bounds=[0, matrix.most])
    used = matrix.rows @ x
    below, above = np.flatnonzero(np.isfinite(matrix.upper)), np.flatnonzero(np.isfinite(matrix.lower))
    limits = [used[below] <= matrix.upper[below], used[above] >= matrix.lower[above]]
    problem = cp.Problem(cp.Maximize(matrix.value @ x), limits)

    def run() -> dict[str, Any]:
        problem.solve()
        status = f"{problem.status} by {problem.solver_stats.solver_name}"
        return {"status": status, "objective": None if problem.value is None else float(problem.value)}

    return run


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


PEERS: dict[str, Peer] = {
    "highs-simplex": Peer("HiGHS simplex", RELAXATION, partial(_highs, method="simplex")),
    "highs-ipm": Peer("HiGHS interior point", RELAXATION, partial(_highs, method="ipm")),
    "highs-ipm-no-crossover": Peer(
        "HiGHS interior point, no crossover", RELAXATION, partial(_highs, method="ipm", crossover="off")
    ),
    "highs-hipo": Peer("newer HiGHS, HiPO, no crossover", RELAXATION, partial(_newer_highs, method="hipo")),
    "highs-pdlp": Peer("newer HiGHS, PDLP", RELAXATION, partial(_newer_highs, method="pdlp")),
    "pdlp": Peer("OR-Tools PDLP", RELAXATION, partial(_mathopt, solver=mathopt.SolverType.PDLP)),
    "glop": Peer("OR-Tools GLOP", RELAXATION, partial(_mathopt, solver=mathopt.SolverType.GLOP)),
    "cvxpy": Peer("CVXPY, its default solver", RELAXATION, _cvxpy),
    "cp-sat": Peer(
        "OR-Tools CP-SAT", WHOLE, partial(_mathopt, solver=mathopt.SolverType.CP_SAT, integer=True)
    ),
    "scip": Peer("SCIP", WHOLE, partial(_mathopt, solver=mathopt.SolverType.GSCIP, integer=True)),
}


def peer_task(peer: str, instance: str, n_users: int, limit: float) -> Generator[None, None, dict[str, Any]]:
    """Solve an instance with a peer; stating it is not measured."""
    matrix = Matrix.of(INSTANCES[instance](n_users))
    run = PEERS[peer].prepare(matrix, limit)
    yield
    return run()
