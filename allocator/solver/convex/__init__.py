"""The convex method: fair objectives and risk, by a CVXPY master over aggregate tables.

The master mixes the choices of passes over the data under concave terms and cones, and bounds what any
plan can reach; the decomposition's recovery turns the mixture into whole numbers.
"""

from __future__ import annotations

import numpy as np

from allocator.limits.objectives import Fairness
from allocator.limits.rows import LimitLike, is_risky
from allocator.progress import Progress
from allocator.solution import Solution
from allocator.solver.convex.bundle import Bundle, Request
from allocator.solver.convex.fairness import solve_fair
from allocator.solver.convex.risk import solve_risky
from allocator.solver.convex.run import Run
from allocator.solver.decomposition import decompose
from allocator.solver.model import Model
from allocator.solver.pricing import Engines

CLOSE = 1e-6  # share of the value at stake at which decomposition takes over


def solve_convex(
    model: Model,
    limits: tuple[LimitLike, ...],
    objective: Fairness | None,
    *,
    gap: float,
    deadline: float,
    began: float,
    seed: int,
    engines: Engines,
    report: Progress,
) -> Solution:
    """Solve for the sum of values (`objective` None) or for a fair objective."""
    from allocator.solver.finish import finish

    risky = is_risky(model.problem, limits)
    if risky:
        run = Run(gap, deadline, began, seed, engines, report)
        return finish(model, limits, solve_risky(model, limits, run), "convex", gap, began, seed)
    if objective is not None:
        run = Run(gap, deadline, began, seed, engines, report)
        return solve_fair(model.problem, limits, objective, run)
    bundle = Bundle(engines.engine_for(model), report=lambda k: report("convex prices", k, 0))
    prices = bundle.minimise(Request([], CLOSE, deadline), np.zeros(model.n_rows), step=0.3).prices
    outcome = decompose(
        model, gap=gap, deadline=deadline, seed=seed, engines=engines, start=prices, report=report
    )
    return finish(model, limits, outcome, "convex", gap, began, seed)
