"""How well uplift is ranked and sized, and what a plan would have earned, on rows held out from training."""

from predictors.evaluation.calibration import calibration_bins, calibration_error
from predictors.evaluation.curves import auc, auuc, qini, qini_curve, uplift_at, uplift_curve
from predictors.evaluation.estimates import difference_estimate, mean_estimate
from predictors.evaluation.policy import corrected, off_policy
from predictors.evaluation.report import evaluate

__all__ = [
    "auc",
    "auuc",
    "calibration_bins",
    "calibration_error",
    "corrected",
    "difference_estimate",
    "evaluate",
    "mean_estimate",
    "off_policy",
    "qini",
    "qini_curve",
    "uplift_at",
    "uplift_curve",
]
