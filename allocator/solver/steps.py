"""Objectives that move in steps: where all values are multiples of one number, so is what a plan is worth."""

from __future__ import annotations

import numpy as np

from allocator.solver.model import Model

FEW = 1_000  # users looked at first
MOST_STEPS = 2.0**40  # in the greatest value: beyond it rounding cannot be told from a part of a step
CLOSE = 1e-12  # relative distance from a multiple that is none
SURE = 1e-6  # of a step, by which a bound must lie below the next one


def value_step(model: Model) -> float:
    """Return the number of which every value is a multiple, as the smallest is; 0 if there is none.

    Penalties, weights of an objective and values on disk have none.
    """
    problem = model.problem
    if not problem.in_memory or np.isfinite(model.penalty).any():
        return 0.0
    first = slice(0, model.sizes[0])
    if not (model.worth[first] == 1.0).all() or model.worth[model.sizes[0] :].any():
        return 0.0
    step = _smallest(problem.value[:FEW])
    if step == 0 or not _are_multiples(problem.value[:FEW], step):
        return 0.0
    step = _smallest(problem.value)
    return step if _are_multiples(problem.value, step) else 0.0


def round_down(bound: float, step: float) -> float:
    """Return the greatest multiple of a step that is not above a bound of what plans are worth."""
    return bound if step == 0 else float(np.floor(bound / step + SURE) * step)


def _smallest(value: np.ndarray) -> float:
    size = np.abs(value)
    return float(np.min(size, where=size > 0, initial=np.inf)) if (size > 0).any() else 0.0


def _are_multiples(value: np.ndarray, step: float) -> bool:
    steps = value[~np.isnan(value)] / step
    most = float(np.abs(steps).max(initial=0.0))
    return most < MOST_STEPS and bool((np.abs(steps - np.rint(steps)) <= CLOSE * np.maximum(most, 1)).all())
