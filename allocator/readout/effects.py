"""The effect of what was sent on one outcome, with intervals: at a fixed horizon, and for looking daily.

Lin 2013, "Agnostic notes on regression adjustments to experimental data" (the adjustment, fitted in each
arm); Robbins 1970, "Statistical methods related to the law of the iterated logarithm", and Waudby-Smith,
Arbour, Sinha, Kennedy and Ramdas 2021, "Time-uniform central limit theory and asymptotic confidence
sequences" (looking daily).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL = 0.95
FEWEST = 10
"""Users of an arm below which no interval is told."""


@dataclass(frozen=True)
class Interval:
    """An estimate, with the interval that holds the truth at the level asked for."""

    estimate: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Effect:
    """The mean effect of being sent the plan's coupon, a user.

    Parameters
    ----------
    sent, held_out
        Users of each arm.
    mean_sent, mean_held_out
        Mean outcome of each arm as observed.
    estimate, error
        Adjusted mean effect, and its standard error.
    error_plain
        Standard error of the plain difference of means, to see what adjusting saves.
    fixed
        Interval for one look at a time that was chosen before.
    anytime
        Interval that holds at all looks together.
    """

    sent: int
    held_out: int
    mean_sent: float
    mean_held_out: float
    estimate: float
    error: float
    error_plain: float
    fixed: Interval
    anytime: Interval


def effect(
    outcome: Array,
    sent: NDArray[np.bool_],
    covariates: Array | None = None,
    units: NDArray[np.integer] | None = None,
    *,
    level: float = LEVEL,
    elapsed: float = 1.0,
) -> Effect:
    """Return the mean effect of the plan's coupon on an outcome.

    Parameters
    ----------
    outcome
        (n_users,) of those who were to get a coupon by the plan.
    sent
        (n_users,) whether chance let them have it, or held them out.
    covariates
        (n_users, k) known before the draw; adjusting for them narrows the interval where they predict the
        outcome, and does no harm where they do not.
    units
        (n_users,) what was drawn as one; errors allow for what users of a unit share.
    level
        Of the intervals.
    elapsed
        Share of the time of observation that is over; the intervals for looking daily are narrowest, for
        their kind, at 1.

    Raises
    ------
    ValueError
        If an arm has fewer than two users.
    """
    n_sent, n_held = int(sent.sum()), int((~sent).sum())
    if min(n_sent, n_held) < 2:
        raise ValueError("an arm has fewer than two users")
    scores, estimate = _scores(outcome, sent, covariates)
    error = _error(scores, units)
    plain_scores, _ = _scores(outcome, sent, None)
    z = NormalDist().inv_cdf((1 + level) / 2)
    wide = anytime_multiplier(1 - level, elapsed)
    return Effect(
        n_sent,
        n_held,
        float(outcome[sent].mean()),
        float(outcome[~sent].mean()),
        estimate,
        error,
        _error(plain_scores, units),
        Interval(estimate, estimate - z * error, estimate + z * error),
        Interval(estimate, estimate - wide * error, estimate + wide * error),
    )


def anytime_multiplier(alpha: float, elapsed: float) -> float:
    """Return how many standard errors wide an interval must be that may be looked at as often as one likes.

    The boundary of a normal mixture, which a sum of variance v crosses at any time with probability at most
    alpha: ``sqrt((v + r) log((v + r) / (r alpha^2)))``, narrowest relative to sqrt(v) where all of the time
    is over. It holds as the arms grow; information is taken to come evenly over the time.

    Parameters
    ----------
    alpha
        Probability of ever leaving the truth out.
    elapsed
        Share of the time of observation that is over, above 0; may exceed 1.
    """
    best = -2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1
    information = best * max(elapsed, 1e-9)  # v / r
    return math.sqrt((1 + 1 / information) * math.log((1 + information) / alpha**2))


def ratio(top: Array, bottom: Array, sent: NDArray[np.bool_], level: float = LEVEL) -> Interval | None:
    """Return the ratio of two effects, such as margin to spend, by the delta method.

    None where the effect below is not surely above 0: then no ratio means anything.
    """
    if min(int(sent.sum()), int((~sent).sum())) < FEWEST:
        return None
    above, up = _scores(top, sent, None)
    below, down = _scores(bottom, sent, None)
    z = NormalDist().inv_cdf((1 + level) / 2)
    if down - z * _error(below, None) <= 0:
        return None
    estimate = up / down
    error = _error((above - estimate * below) / down, None)
    return Interval(estimate, estimate - z * error, estimate + z * error)


def shrunk(effects: Array, errors: Array) -> tuple[Array, Array]:
    """Return effects of several groups, each drawn towards their mean as far as its error asks for.

    DerSimonian and Laird 1986, "Meta-analysis in clinical trials", for how much groups differ; the posterior
    means and deviations of a normal prior with that variance.

    Returns
    -------
    tuple
        (n_groups,) shrunken effects and their errors.
    """
    weight = 1 / np.maximum(errors, 1e-300) ** 2
    mean = float((weight * effects).sum() / weight.sum())
    spread = float((weight * (effects - mean) ** 2).sum())
    scale = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max((spread - (len(effects) - 1)) / scale, 0.0) if scale > 0 else 0.0
    kept = between / (between + errors**2) if between > 0 else np.zeros_like(errors)
    centre = 1 / (weight.sum() if between == 0 else (1 / (between + errors**2)).sum())
    return mean + kept * (effects - mean), np.sqrt(kept * errors**2 + (1 - kept) ** 2 * centre)


def _scores(outcome: Array, sent: NDArray[np.bool_], covariates: Array | None) -> tuple[Array, float]:
    """Return each user's part in the error of the effect, and the effect."""
    n = len(outcome)
    x = _usable(covariates, sent) if covariates is not None else np.zeros((n, 0))
    fitted, rest = [], np.zeros(n)
    for arm in (sent, ~sent):
        design = np.column_stack([np.ones(int(arm.sum())), x[arm]])
        beta, *_ = np.linalg.lstsq(design, outcome[arm], rcond=None)
        fitted.append(np.column_stack([np.ones(n), x]) @ beta)
        spare = max(len(design) - design.shape[1], 1)
        rest[arm] = (outcome[arm] - design @ beta) * math.sqrt(len(design) / spare)
    lift = fitted[0] - fitted[1]
    estimate = float(lift.mean())
    own = np.where(sent, n / sent.sum(), -n / (~sent).sum()) * rest
    return own + lift - estimate, estimate


def _usable(covariates: Array, sent: NDArray[np.bool_]) -> Array:
    """Return covariates around their means, without those that are constant, told twice, or too many."""
    x = np.nan_to_num(covariates.astype(np.float64))
    x = x - x.mean(axis=0)
    spread = x.std(axis=0)
    x = x[:, spread > 1e-12] / spread[spread > 1e-12]
    most = min(int(sent.sum()), int((~sent).sum())) // FEWEST
    kept: list[int] = []
    for k in range(x.shape[1]):
        if len(kept) < most and np.linalg.matrix_rank(x[:, [*kept, k]]) > len(kept):
            kept.append(k)
    return np.asarray(x[:, kept])


def _error(scores: Array, units: NDArray[np.integer] | None) -> float:
    if units is None:
        return float(math.sqrt((scores**2).sum()) / len(scores))
    sums = np.bincount(np.unique(units, return_inverse=True)[1], scores)
    groups = len(sums)
    return float(math.sqrt((sums**2).sum() * groups / max(groups - 1, 1)) / len(scores))
