"""Compare `solve` with general solvers on the same instances in the same run."""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import time
from collections.abc import Callable

import highspy
import numpy as np
from ortools.math_opt.python import mathopt

from allocator import solve
from allocator.solver.contested import contest, state_program
from allocator.solver.exact import state_model
from allocator.solver.highs import Program
from allocator.solver.master import Box
from allocator.solver.model import compile_model
from allocator.solver.pricing import Compute
from benchmarks.instances import retail

PEER_SECONDS = 300.0


def main() -> None:
    """Run the sizes named on the command line and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="numbers of users"
    )
    parser.add_argument("--peers-up-to", type=int, default=100_000, help="largest size given to the peers")
    arguments = parser.parse_args()
    solve(*retail(1_000), gap=1e-3)  # compiles the kernels
    print("| users x coupons | method | seconds | ratio | answer |\n| --- | --- | --- | --- | --- |")
    for n_users in arguments.sizes:
        compare(n_users, peers=n_users <= arguments.peers_up_to)


def compare(n_users: int, *, peers: bool) -> None:
    """Print one row for each solver on one instance."""
    problem, limits = retail(n_users)
    model = compile_model(problem, limits)
    one_pass = fastest(lambda: Compute().engine_for(model).price(np.zeros(model.n_rows)))
    began = time.perf_counter()
    solution = solve(problem, limits, gap=1e-6, time_limit=PEER_SECONDS)
    ours = time.perf_counter() - began
    size = f"{n_users:,} x {problem.n_coupons}"
    print(f"| {size} | **allocate**, whole numbers | {ours:.2f} | 1 | gap {solution.gap:.1e} |", flush=True)
    print(f"| {size} | one pass over the data | {one_pass:.4f} | 1 / {ours / one_pass:.0f} | |", flush=True)
    if not peers:
        return
    everyone, free = model.gather(np.arange(n_users)), np.full(model.n_rows, np.inf)
    relaxed = contest(model, everyone, np.zeros(model.n_rows), np.zeros(model.n_rows), free)
    program = state_program(relaxed, Box(*model.price_range()))
    for name, run in (
        ("HiGHS simplex, linear relaxation", lambda: run_highs(program, "simplex")),
        ("HiGHS interior point, linear relaxation", lambda: run_highs(program, "ipm")),
        ("OR-Tools PDLP, linear relaxation to 1e-6", lambda: run_pdlp(program)),
    ):
        seconds, answer = within_time(run)
        more = "> " if answer is None else ""
        print(
            f"| {size} | {name} | {more}{seconds:.2f} | {more}{seconds / ours:.0f} | {answer or 'stopped'} |",
            flush=True,
        )


def within_time(run: Callable[[], str]) -> tuple[float, str | None]:
    """Run a peer in a process of its own and stop it when its time is up: not every solver stops itself."""
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=lambda: answers.put(run()))
    began = time.perf_counter()
    process.start()
    process.join(PEER_SECONDS)
    seconds = time.perf_counter() - began
    if process.is_alive():
        process.kill()
        process.join()
        return seconds, None
    return seconds, answers.get()


def fastest(call: Callable[[], object], times: int = 5) -> float:
    """Return the shortest of several runs in seconds."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def run_highs(program: Program, method: str) -> str:
    """Solve the linear relaxation with HiGHS, all threads, and return its bound."""
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = program.rows.shape
    model.sense_ = highspy.ObjSense.kMaximize
    model.col_cost_, model.col_lower_, model.col_upper_ = (
        program.value,
        program.column_lower,
        program.column_upper,
    )
    model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = program.rows.indptr, program.rows.indices
    model.a_matrix_.value_ = program.rows.data
    solver = highspy.Highs()
    for option, value in (("output_flag", False), ("solver", method), ("time_limit", PEER_SECONDS)):
        solver.setOptionValue(option, value)
    solver.passModel(model)
    solver.run()
    status = solver.modelStatusToString(solver.getModelStatus())
    return f"{status}, bound {solver.getInfo().objective_function_value:.6f}"


def run_pdlp(program: Program) -> str:
    """Solve the linear relaxation with PDLP, all threads, and return its bound."""
    parameters = mathopt.SolveParameters(time_limit=dt.timedelta(seconds=PEER_SECONDS))
    result = mathopt.solve(state_model(program, False), mathopt.SolverType.PDLP, params=parameters)
    return f"{result.termination.reason.name}, bound {result.termination.objective_bounds.primal_bound:.6f}"


if __name__ == "__main__":
    main()
