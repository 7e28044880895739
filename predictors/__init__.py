"""Uplift predictors: what each coupon would do to each user.

Importing this package loads neither torch nor scikit-learn; the names below do so when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predictors.auto import AutoPredictor
    from predictors.baseline import BaselinePredictor
    from predictors.evaluation import evaluate
    from predictors.learners import DRLearner, SLearner, TLearner, XLearner
    from predictors.transformer import TransformerPredictor

__all__ = [
    "AutoPredictor",
    "BaselinePredictor",
    "DRLearner",
    "SLearner",
    "TLearner",
    "TransformerPredictor",
    "XLearner",
    "evaluate",
]

_HOME = {
    "AutoPredictor": "auto",
    "TransformerPredictor": "transformer",
    "BaselinePredictor": "baseline",
    "SLearner": "learners",
    "TLearner": "learners",
    "XLearner": "learners",
    "DRLearner": "learners",
    "evaluate": "evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'predictors' has no attribute {name!r}")
    return getattr(import_module(f"predictors.{_HOME[name]}"), name)
