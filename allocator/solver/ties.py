"""Values told apart where users tie: no price then parts those who are served from those who are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from allocator.solver.model import Model

AMOUNTS = (1e-6, 1e-3)  # of the greatest value, by at most so much values are told apart


def told_apart(model: Model, share: float, seed: int) -> Model | None:
    """Return a model whose values are greater by next to nothing, by another amount for each pair.

    Its optimum is at least the model's own, and greater by no more than the amounts. None if values count in
    rows, too, or lie on disk.
    """
    problem = model.problem
    if not problem.in_memory or model.limits_value:
        return None
    greatest = float(np.nanmax(np.abs(problem.value), initial=0.0)) or 1.0
    generator = np.random.default_rng(seed)
    amounts = share * greatest * generator.random(problem.value.shape)
    value = problem.value.astype(np.float64) + amounts
    return replace(model, problem=problem.with_values(value))
