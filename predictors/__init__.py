"""Uplift predictors: what each coupon would do to each user.

Importing this package loads neither torch nor scikit-learn; the names below do so when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predictors.auto.predictor import AutoPredictor
    from predictors.evaluation import evaluate
    from predictors.learners.baseline import BaselinePredictor
    from predictors.learners.meta_learners import DRLearner, SLearner, TLearner, XLearner
    from predictors.transformer.predictor import TransformerPredictor

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
    "AutoPredictor": "auto.predictor",
    "TransformerPredictor": "transformer.predictor",
    "BaselinePredictor": "learners.baseline",
    "SLearner": "learners.meta_learners",
    "TLearner": "learners.meta_learners",
    "XLearner": "learners.meta_learners",
    "DRLearner": "learners.meta_learners",
    "evaluate": "evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'predictors' has no attribute {name!r}")
    return getattr(import_module(f"predictors.{_HOME[name]}"), name)
