"""What other packages may supply: predictors, copy writers, evaluators, limits, and their types."""

from allocator.plugins.attribution import Attributions
from allocator.plugins.copy import ApprovedHook, Brief, Copy, Offer, Verdict
from allocator.plugins.evaluation import ArmEvaluation, CandidateScore, Evaluation
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import (
    AttributingPredictor,
    CopyWriter,
    Evaluator,
    PartwisePredictor,
    Predictor,
    PreparedCopyWriter,
    ResumablePredictor,
    ReviewableCopyWriter,
    TrainableCopyWriter,
)

__all__ = [
    "ApprovedHook",
    "ArmEvaluation",
    "AttributingPredictor",
    "Attributions",
    "Brief",
    "CandidateScore",
    "Copy",
    "CopyWriter",
    "Evaluation",
    "Evaluator",
    "Offer",
    "PartwisePredictor",
    "Predictions",
    "Predictor",
    "PreparedCopyWriter",
    "ResumablePredictor",
    "ReviewableCopyWriter",
    "TrainableCopyWriter",
    "Verdict",
]
