"""The `baseline` predictor: regularised logistic regression with coupon interactions.

It is the S-learner with its default estimator: one model whose treatment interacts with every
feature. A tool to beat, and hard to beat where the signal is weak.
"""

from __future__ import annotations

from predictors.learners.meta_learners import COMMON, SLearner


class BaselinePredictor(SLearner):
    """Estimates uplift with logistic regression in which coupons interact with user features.

    Parameters
    ----------
    regularisation
        Inverse strength of the L2 penalty (scikit-learn's ``C``).
    interaction_scale
        How freely a single coupon may differ from all coupons: 0 not at all, 1 as freely as coupons
        differ from control.
    test_share
        Share of the users held out for the evaluation.

    Raises
    ------
    InputError
        An option is unknown, or has a wrong type or value.
    """

    name = "baseline"
    defaults = {name: COMMON[name] for name in ("regularisation", "interaction_scale", "test_share")}  # noqa: RUF012
