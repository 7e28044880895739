"""Decide who gets which coupon under a budget and other limits, with a proven optimality gap.

>>> from allocator import Budget, Problem, solve
>>> problem = Problem([[3.0, 5.0], [4.0, 2.0]], {"cost": [[1.0, 2.0], [1.0, 2.0]]})
>>> solve(problem, [Budget(2, label="total")]).choice.tolist()
[0, 0]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from allocator.errors import AllocateError, Finding, InfeasibleError, InputError, NoPlanError, PluginError
from allocator.limits import (
    Budget,
    Capacity,
    Exclude,
    Floor,
    Inventory,
    Limit,
    Parity,
    ReturnFloor,
    Share,
)
from allocator.limits.objectives import MaxMin, ProportionalFairness
from allocator.problem import LabelSets, Problem
from allocator.solution import Improvement, LimitUsage, Solution, Status
from allocator.solution.pricer import Pricer

if TYPE_CHECKING:
    from allocator.campaign import Campaign, read_campaign
    from allocator.certificate import Certificate, certify
    from allocator.experiment.arms import Experiment
    from allocator.experiment.randomise import Randomised, randomise
    from allocator.runs.pipeline import run_campaign
    from allocator.solver.solve import solve

# These bring polars, numba or pydantic with them, which a plain import must not.
_LAZY = {
    "Campaign": "allocator.campaign",
    "Certificate": "allocator.certificate",
    "Experiment": "allocator.experiment.arms",
    "Randomised": "allocator.experiment.randomise",
    "certify": "allocator.certificate",
    "randomise": "allocator.experiment.randomise",
    "read_campaign": "allocator.campaign",
    "run_campaign": "allocator.runs.pipeline",
    "solve": "allocator.solver.solve",
}

__version__ = "0.1.0"

__all__ = [
    "AllocateError",
    "Budget",
    "Campaign",
    "Capacity",
    "Certificate",
    "Exclude",
    "Experiment",
    "Finding",
    "Floor",
    "Improvement",
    "InfeasibleError",
    "InputError",
    "Inventory",
    "LabelSets",
    "Limit",
    "LimitUsage",
    "MaxMin",
    "NoPlanError",
    "Parity",
    "PluginError",
    "Pricer",
    "Problem",
    "ProportionalFairness",
    "Randomised",
    "ReturnFloor",
    "Share",
    "Solution",
    "Status",
    "certify",
    "randomise",
    "read_campaign",
    "run_campaign",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'allocator' has no attribute '{name}'")
