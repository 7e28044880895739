"""How well uplift ranks users: Qini and uplift curves, the areas under them, uplift among the best.

One normalisation is used throughout, that of scikit-uplift 0.5: the area between the curve and the
random line over the same area for a perfect ranking, so that 0 is random and 1 perfect. Without weights
`qini` equals its `qini_auc_score`, `auuc` its `uplift_auc_score`, and `uplift_at` its `uplift_at_k` with
the strategy ``overall``. Published values with another normalisation do not compare.

With inverse-propensity weights each side stands for all rows, so an experiment that was randomised
only within a stratum (a wave, a site), with another chance in each, is judged as if it had one chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from predictors.evaluation.rows import by_row

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Cumulative(NamedTuple):
    """Weights and weighted outcomes of the rows down to each distinct score, best first, from 0."""

    treated: Floats
    control: Floats
    outcome_treated: Floats
    outcome_control: Floats

    @property
    def rows(self) -> Floats:
        """Weight of all rows."""
        return self.treated + self.control


@by_row
def qini(outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None) -> float:
    """Return the Qini coefficient: 1 perfect, 0 random, negative worse than random.

    Radcliffe, "Using Control Groups to Target on Predicted Lift", Direct Marketing Analytics Journal,
    2007. The perfect ranking knows each outcome: converted treated rows first, converted control rows
    last.

    Parameters
    ----------
    outcome
        Outcome of each row, (n,), 0 or 1.
    treated
        Whether it was treated, (n,).
    uplift
        What ranks it, (n,); rows with equal uplift count as one group.
    weight
        Inverse propensity, (n,); 1 if None.
    """
    best = np.where(treated, outcome, -outcome)
    return _above_random(
        qini_curve(outcome, treated, uplift, weight), qini_curve(outcome, treated, best, weight)
    )


@by_row
def auuc(outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None) -> float:
    """Return the area under the uplift curve: 1 perfect, 0 random, negative worse than random.

    The area under `uplift_curve` above the random line, over that of a perfect ranking, as
    scikit-uplift normalises it. Other tools call other areas AUUC, most of them not divided by the
    perfect one. Parameters as for `qini`.
    """
    weights = np.ones(len(outcome)) if weight is None else weight
    converted_control = np.sum(weights * (outcome == 1) * ~treated)
    lost_treated = np.sum(weights * (outcome == 0) * treated)
    tie = outcome if converted_control > lost_treated else treated
    best = 2.0 * (outcome == treated) + tie
    return _above_random(
        uplift_curve(outcome, treated, uplift, weight), uplift_curve(outcome, treated, best, weight)
    )


@by_row
def uplift_at(
    outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None, *, share: float = 0.3
) -> float:
    """Return the observed uplift among the `share` of rows with the highest predicted uplift.

    The mean outcome of treated less that of control rows among them, a change of probability, not
    normalised. Rows that tie at the edge count in part. NaN if a side is empty.
    """
    got = cumulative(outcome, treated, uplift, weight)
    limit = share * got.rows[-1]
    parts = np.clip((limit - got.rows[:-1]) / np.maximum(np.diff(got.rows), 1e-300), 0.0, 1.0)
    top = [float(np.sum(np.diff(column) * parts)) for column in got]
    if top[0] <= 0 or top[1] <= 0:
        return float("nan")
    return top[2] / top[0] - top[3] / top[1]


@by_row
def qini_curve(
    outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return share of rows and incremental outcomes, at each distinct value of `uplift`, from (0, 0).

    Incremental outcomes are those of the treated, less those of the control rows scaled to the number
    of treated. Parameters as for `qini`.
    """
    got = cumulative(outcome, treated, uplift, weight)
    return got.rows / got.rows[-1], got.outcome_treated - got.outcome_control * _over(
        got.treated, got.control
    )


@by_row
def uplift_curve(
    outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return share of rows and their uplift times their number, at each distinct value of `uplift`.

    Gutierrez and Gerardy, "Causal Inference and Uplift Modeling: A Review of the Literature", PMLR 67,
    2016. Parameters as for `qini`.
    """
    got = cumulative(outcome, treated, uplift, weight)
    effect = _over(got.outcome_treated, got.treated) - _over(got.outcome_control, got.control)
    return got.rows / got.rows[-1], effect * got.rows


def cumulative(outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None) -> Cumulative:
    """Add rows up from the highest `uplift` down; rows with equal uplift are one step."""
    weight = np.ones(len(outcome)) if weight is None else weight
    order = np.argsort(-uplift, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(uplift[order])), len(order) - 1]
    w, t, y = weight[order], treated[order], outcome[order]
    columns = (w * t, w * ~t, w * t * y, w * ~t * y)
    return Cumulative(*(np.r_[0.0, np.cumsum(column)[ends]] for column in columns))


@by_row
def auc(outcome: Bools, score: Floats, weight: Floats | None = None) -> float:
    """Return the area under the ROC curve, NaN where only one outcome occurs."""
    from sklearn.metrics import roc_auc_score

    if outcome.all() or not outcome.any():
        return float("nan")
    return float(roc_auc_score(outcome, score, sample_weight=weight))


def _above_random(curve: tuple[Floats, Floats], perfect: tuple[Floats, Floats]) -> float:
    """Return the area between a curve and the random line, over that of the perfect curve."""
    random = 0.5 * curve[1][-1]
    most = np.trapezoid(perfect[1], perfect[0]) - random
    if most <= 0:
        return 0.0
    return float((np.trapezoid(curve[1], curve[0]) - random) / most)


def _over(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
