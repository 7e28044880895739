"""What a plan would have earned, from sends that another plan chose (off-policy evaluation).

The doubly robust estimate follows Dudik, Langford and Li, "Doubly Robust Policy Evaluation and
Learning", ICML 2011, and Dudik, Erhan, Langford and Li, "Doubly Robust Policy Evaluation and
Optimization", Statistical Science 2014; the self-normalised one Swaminathan and Joachims, "The
Self-Normalized Estimator for Counterfactual Learning", NIPS 2015.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import OffPolicy
from predictors.evaluation.estimates import mean_estimate, ratio_estimate
from predictors.evaluation.rows import by_row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@by_row
def off_policy(
    outcome: Floats, follows: Bools, weight: Floats, expected: Floats, user: Ints | None = None
) -> OffPolicy:
    """Estimate the mean outcome if everyone had got what a plan says, with 95 % intervals.

    Parameters
    ----------
    outcome
        (n,) what came of each past send, conversions or currency.
    follows
        (n,) whether the row got what the plan says.
    weight
        (n,) one over the chance with which the row got what it got.
    expected
        (n,) what a model that did not see the row expects of what the plan says.
    user
        (n,) whose row it is; each row its own if None.

    Returns
    -------
    OffPolicy
        Inverse propensity (IPS), self-normalised (SNIPS) and doubly robust (DR).
    """
    share = np.where(follows, weight, 0.0)
    return OffPolicy(
        ips=mean_estimate(share * outcome, user),
        snips=ratio_estimate(outcome, share, user),
        dr=mean_estimate(corrected(outcome, follows, weight, expected), user),
    )


@by_row
def corrected(outcome: Floats, follows: Bools, weight: Floats, expected: Floats) -> Floats:
    """Return the doubly robust score of each row, (n,): its mean is the value of the plan.

    Differences of two plans are best taken row by row before averaging. Parameters as for
    `off_policy`.
    """
    return np.asarray(expected + np.where(follows, weight * (outcome - expected), 0.0))


def effective_rows(follows: Bools, weight: Floats) -> float:
    """Return how many equally likely rows carry as much information as those that follow the plan.

    Kish, "Survey Sampling", 1965: the square of the sum of weights over the sum of their squares.
    """
    share = weight[follows]
    return float(share.sum() ** 2 / np.sum(share**2)) if len(share) else 0.0
