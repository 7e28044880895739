"""The public surface: names, import cost, and the boundaries between packages."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import allocator

ROOT = Path(__file__).parents[1]

SURFACE = {
    "AllocateError", "Budget", "Campaign", "Capacity", "Certificate", "Exclude", "Finding", "Floor",
    "Improvement", "InfeasibleError", "InputError", "Inventory", "Limit", "LimitUsage", "MaxMin",
    "NoPlanError", "Parity", "PluginError", "Pricer", "Problem", "ProportionalFairness", "ReturnFloor",
    "Share", "Solution", "Status", "certify", "read_campaign", "run_campaign", "solve",
}  # fmt: skip


def test_public_names_are_the_documented_ones():
    assert set(allocator.__all__) == SURFACE
    for name in SURFACE:
        assert inspect.getdoc(getattr(allocator, name)), f"{name} has no docstring"


def test_solve_keeps_its_parameters():
    assert list(inspect.signature(allocator.solve).parameters) == [
        "problem", "limits", "objective", "method", "gap", "time_limit", "seed", "threads", "engine",
        "device", "warm_start", "on_infeasible", "progress", "on_improvement",
    ]  # fmt: skip


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = allocator.nothing


def test_import_is_light_and_silent():
    code = (
        "import sys, logging; import allocator; "
        "heavy = {'torch', 'ortools', 'cvxpy', 'numba', 'polars', 'scipy', 'pydantic', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)), len(logging.root.handlers))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] 0\n"
    assert done.stderr == ""


@pytest.mark.parametrize("package", ["predictors", "copygen", "cli"])
def test_other_packages_import_light_too(package):
    heavy = "{'torch', 'transformers', 'sklearn', 'ortools'}"
    code = f"import sys, {package}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("first", ["cvxpy", "highspy", "ortools.math_opt.python.mathopt", "torch"])
def test_the_solver_libraries_live_in_one_process_in_any_order(first):
    code = (
        f"import {first}\n"
        "from allocator import Budget, Problem, solve\n"
        "problem = Problem([[3.0, 5.0], [4.0, 2.0]], {'cost': [[1.0, 2.0], [1.0, 2.0]]})\n"
        "methods = ('convex', 'exact', 'decomposition')\n"
        "print([solve(problem, [Budget(2)], method=method).objective for method in methods])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[7.0, 7.0, 7.0]\n", done.stderr
    assert done.stderr == ""


def test_each_package_is_typed_and_nothing_stray_is_packaged():
    for package in ("allocator", "predictors", "copygen", "cli"):
        assert (ROOT / package / "py.typed").is_file()
    top = {
        path.name
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and not path.name.startswith((".", "__"))
    }
    assert not top & {"allocator", "predictors", "copygen", "cli"}


def test_no_file_speaks_of_a_machine():
    words = ("/work/", "/root/", "pypi.org", "/opt/wheels")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if (
            path.suffix in {".py", ".md", ".toml", ".txt", ".csv", ".svg"}
            and path != Path(__file__)
            and path.is_file()
        ):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], name
