"""Checks of what `solve` is asked, before any work."""

from __future__ import annotations

import numpy as np

from allocator.errors import Finding, InputError
from allocator.limits.objectives import Fairness
from allocator.limits.rows import LimitLike, is_risky
from allocator.problem import Problem
from allocator.problem.arrays import shown
from allocator.solution import Solution
from allocator.solver.fair_groups import fair_groups
from allocator.solver.model import state_rows
from allocator.solver.pricing import EngineSettings


def check_settings(
    method: object,
    objective: object,
    warm_start: object,
    gap: float,
    time_limit: float,
    seed: int,
    where: EngineSettings,
    on_infeasible: object,
) -> None:
    """Raise InputError with every setting that makes no sense or that the method would ignore."""
    findings = []

    def wrong(column: str, found: object, expected: str) -> None:
        findings.append(
            Finding("the setting cannot be used", column=column, found=shown(found), expected=expected)
        )

    if not isinstance(method, str) or method not in ("auto", "decomposition", "exact", "convex"):
        findings.append(
            Finding(
                "unknown method",
                column="method",
                found=shown(method),
                expected="auto, decomposition, exact or convex",
            )
        )
    if findings:
        raise InputError(findings)
    if objective is not None and method not in ("auto", "convex"):
        wrong("method", method, "convex or auto, for a concave objective")
    if warm_start is not None and (objective is not None or method in ("exact", "convex")):
        wrong("warm_start", method, "method decomposition or auto, which start from prices")
    if objective is not None and not isinstance(objective, Fairness):
        wrong("objective", objective, "MaxMin, ProportionalFairness, or None for the sum of values")
    if warm_start is not None and not isinstance(warm_start, Solution):
        wrong("warm_start", type(warm_start).__name__, "a Solution")
    if not (_is_number(gap) and gap >= 0):
        wrong("gap", gap, "0 or more")
    if not (_is_number(time_limit) and time_limit > 0):
        wrong("time_limit", time_limit, "more than 0 seconds")
    if not (isinstance(seed, int | np.integer) and not isinstance(seed, bool) and 0 <= seed < 2**63):
        wrong("seed", seed, "a whole number, 0 or more")
    if not isinstance(on_infeasible, str) or on_infeasible not in ("raise", "least_violation"):
        wrong("on_infeasible", on_infeasible, "raise or least_violation")
    elif on_infeasible == "least_violation" and objective is not None:
        wrong("on_infeasible", on_infeasible, "raise, for a concave objective")
    findings += where.findings()
    if method == "exact" and (where.engine not in ("auto", "cpu") or where.device is not None):
        wrong("engine", where.engine, "auto or cpu, for method exact, which makes no passes over the data")
    if findings:
        raise InputError(findings)


def _is_number(given: object) -> bool:
    """Return whether something is a real number; infinity is one, True is none."""
    return isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)


def check_statement(
    problem: Problem, limits: tuple[LimitLike, ...], objective: Fairness | None, method: str
) -> None:
    """Raise InputError if limits and objective do not fit the problem, each other or the method."""
    if not isinstance(problem, Problem):
        raise InputError(Finding("this is no Problem", column="problem", found=type(problem).__name__))
    state_rows(problem, limits)
    if objective is not None:
        fair_groups(problem, objective)
    if not is_risky(problem, limits):
        return
    if objective is not None:
        message = (
            "a fair objective and a budget with a confidence cannot be solved together; drop one of them"
        )
        raise InputError(Finding(message, column="objective"))
    if method in ("decomposition", "exact"):
        message = "a budget with a confidence needs a cone, which this method does not have"
        raise InputError(Finding(message, column="method", found=method, expected="convex or auto"))
