"""How much to believe of each candidate's personal effects, and of their blend.

Everything is judged by doubly robust scores of rows that the candidates did not see. Such scores are
unbiased and very noisy, so the rules here move away from their priors only as far as the noise allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import norm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIX = 0.5
"""Share of the loss that candidates pay one by one and not as a blend."""
DOUBT = 0.5
"""Prior probability that effects are not personal at all, or not as the candidates say."""
TEMPERATURE = 8.0
"""In noise variances; see `_weigh`. At 4, exponential weights are a posterior. Twice that was better on
synthetic campaigns and on public experiments: weights of noisy scores had better stay close to equal."""
SLOPES = np.linspace(0.0, 4.0, 2001)


@dataclass(frozen=True)
class Evidence:
    """Personal effects of m candidates against doubly robust scores, on n rows and c coupons.

    Effects and scores are deviations from each coupon's mean; a pair that says nothing is 0 in all.

    Parameters
    ----------
    effects
        (m, n, c) out-of-fold effects.
    scores
        (n, c) pseudo-outcomes.
    user
        (n,) whose row it is; the rows of a user are not independent.
    """

    effects: Floats
    scores: Floats
    user: Ints

    @classmethod
    def of(cls, effects: Floats, scores: Floats, user: Ints) -> Evidence:
        """Take means over rows out of `scores` (NaN where a row says nothing), coupon by coupon.

        Coupons count by the precision of their scores.
        """
        told = np.isfinite(scores)
        rows = np.maximum(told.sum(axis=0), 1)
        filled = np.where(told, scores, 0.0)
        deviation = np.where(told, filled - filled.sum(axis=0) / rows, 0.0)
        noise = (deviation**2).sum(axis=0) / rows
        usual = float(noise[noise > 0].mean()) if (noise > 0).any() else 1.0
        scale = np.where(noise > 0, np.sqrt(usual / np.maximum(noise, 1e-12)), 0.0)
        return cls(effects * told * scale, deviation * scale, user)

    def take(self, rows: Ints) -> Evidence:
        """Return some of the rows."""
        return Evidence(self.effects[:, rows], self.scores[rows], self.user[rows])

    def by_user(self, values: Floats) -> Floats:
        """Sum values of pairs, (n, c), over the rows and coupons of each user."""
        _, position = np.unique(self.user, return_inverse=True)
        return np.bincount(position, values.sum(axis=1)).astype(np.float64)


@dataclass(frozen=True)
class Blend:
    """What the evidence says.

    Parameters
    ----------
    weights
        (m,) of the candidates; they sum to 1.
    slope, slope_error
        Posterior mean and standard deviation of what a unit of the blend's personal effect is worth.
    certainty
        How many standard errors the slope that the evidence shows, before any prior, is above 0.
    gain, gain_error
        (m,) by how much a candidate's squared error is below that of no personal effect, as a share
        of the latter, and the standard error.
    """

    weights: Floats
    slope: float
    slope_error: float
    certainty: float
    gain: Floats
    gain_error: Floats


def fit_blend(evidence: Evidence) -> Blend:
    """Weigh the candidates, then shrink their blend."""
    losses = (effect * (effect - 2 * evidence.scores) for effect in evidence.effects)
    change = np.stack([evidence.by_user(loss) for loss in losses])
    variance = change.shape[1] * change.var(axis=1)
    weights = _weigh(evidence, variance)
    slope, error, certainty = _shrink(evidence, np.tensordot(weights, evidence.effects, 1))
    total = max(float((evidence.scores**2).sum()), 1e-12)
    return Blend(weights, slope, error, certainty, -change.sum(axis=1) / total, np.sqrt(variance) / total)


def _weigh(evidence: Evidence, variance: Floats) -> Floats:
    """Return convex weights by Q-aggregation with a uniform prior.

    Lan and Syrgkanis, "Causal Q-Aggregation for CATE Model Selection", AISTATS 2024; the penalty is
    the Kullback-Leibler divergence from equal weights, as in Dai, Rigollet and Zhang, "Deviation
    Optimal Learning Using Greedy Q-Aggregation", Annals of Statistics 2012. Its temperature is
    `TEMPERATURE` noise variances, taken from how much differences in loss vary, so correlated and
    unequal noise count as they are.

    Parameters
    ----------
    evidence
        Of m candidates.
    variance
        (m,) squared standard error of each candidate's loss less that of no personal effect.
    """
    m = len(evidence.effects)
    flat = evidence.effects.reshape(m, -1)
    gram, fit = flat @ flat.T, flat @ evidence.scores.ravel()
    size = np.diag(gram)
    if not size.sum() > 0:
        return np.full(m, 1.0 / m)
    temperature = TEMPERATURE / 4 * variance.sum() / size.sum()  # the difference in loss has 4 variances

    def loss(logits: Floats) -> tuple[float, Floats]:
        w = np.exp(logits - logits.max())
        w /= w.sum()
        entropy = np.log(np.maximum(w * m, 1e-300))
        value = (1 - MIX) * w @ gram @ w + w @ (MIX * size - 2 * fit) + temperature * w @ entropy
        slope = 2 * (1 - MIX) * gram @ w + MIX * size - 2 * fit + temperature * (entropy + 1)
        return float(value / temperature), w * (slope - w @ slope) / temperature

    found = minimize(loss, np.zeros(m), jac=True, method="BFGS").x
    weights = np.exp(found - found.max())
    return np.asarray(weights / weights.sum())


def _shrink(evidence: Evidence, effect: Floats) -> tuple[float, float, float]:
    """Return the posterior mean and standard deviation of the slope of scores on effects, and its certainty.

    The prior is `DOUBT` that the slope is 0, and else half-normal of scale 1: the slope stays above
    0, which keeps the ranking, and comes close to 0 where the evidence is no better than noise.
    """
    size = float((effect**2).sum())
    if not size > 0:
        return 1.0, 0.0, 0.0
    estimate = float((effect * evidence.scores).sum()) / size
    error = np.sqrt((evidence.by_user(effect * (evidence.scores - estimate * effect)) ** 2).sum()) / size
    if not error > 0:
        return float(np.clip(estimate, 0.0, SLOPES[-1])), 0.0, np.inf if estimate > 0 else 0.0
    certainty = float(estimate / error)
    likelihood = norm.pdf((SLOPES - estimate) / error)
    prior = norm.pdf(SLOPES)
    density = likelihood * prior
    if not density.sum() > 0:  # far outside the grid
        return float(SLOPES[-1] if estimate > 0 else SLOPES[1]), 0.0, certainty
    real = (1 - DOUBT) * density.sum() / prior.sum()
    real /= real + DOUBT * likelihood[0]
    mean = float(density @ SLOPES / density.sum())
    square = float(density @ SLOPES**2 / density.sum())
    return real * mean, float(np.sqrt(real * square - (real * mean) ** 2)), certainty
