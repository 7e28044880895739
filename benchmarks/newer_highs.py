"""HiGHS of a newer release, in an interpreter of its own, as its library and OR-Tools' exclude each other.

Run as a script by `benchmarks.peers` with the file of a matrix, a method and seconds: says "ready", solves
when it is told to, and prints what it found as JSON. Needs nothing but highspy and NumPy.
"""

from __future__ import annotations

import json
import resource
import sys

import highspy
import numpy as np


def main(path: str, method: str, limit: str) -> None:
    """Solve the matrix of a file."""
    stated = np.load(path)
    solver = highspy.Highs()
    options = {"output_flag": False, "solver": method, "time_limit": float(limit), "run_crossover": "off"}
    for option, value in options.items():
        if solver.setOptionValue(option, value) != highspy.HighsStatus.kOk:
            raise SystemExit(f"HiGHS {solver.version()} has no {option} = {value!r}")
    n_rows, n_columns = int(stated["n_rows"]), len(stated["value"])
    solver.passModel(
        n_columns, n_rows, len(stated["data"]), int(highspy.MatrixFormat.kColwise.value),
        int(highspy.ObjSense.kMaximize.value), 0.0, stated["value"], np.zeros(n_columns), stated["most"],
        stated["lower"], stated["upper"], stated["indptr"].astype(np.int32),
        stated["indices"].astype(np.int32), stated["data"], np.zeros(n_columns, np.int32),
    )  # fmt: skip
    print("ready", flush=True)
    sys.stdin.readline()
    before = _cpu_seconds()
    solver.run()
    found = {
        "status": f"{solver.modelStatusToString(solver.getModelStatus()).lower()} by {solver.version()}",
        "objective": solver.getInfo().objective_function_value,
        "cpu_seconds": _cpu_seconds() - before,
    }
    print(json.dumps(found), flush=True)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
