"""How well uplift is ranked and sized, on rows held out from training.

One normalisation of Qini is used throughout: the area between the Qini curve (Radcliffe, "Using
Control Groups to Target on Predicted Lift", Direct Marketing Analytics Journal, 2007) and the random
line, over the same area for a perfect ranking that knows each outcome (converted treated rows first,
converted control rows last). Without weights it equals `qini_auc_score` of scikit-uplift. Published
values with another normalisation do not compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocator.protocols import ArmEvaluation, Evaluation
from predictors.history import History
from predictors.scoring import Scores

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 10
FEW_ROWS = 100
FEW_CONVERSIONS = 20
PERMUTATIONS = 40
SAMPLE = 50_000


def evaluate(
    history: History,
    scores: Scores,
    *,
    predictor: str,
    rows_train: int,
    seed: int = 0,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Compare scores with what happened.

    Parameters
    ----------
    history
        Held-out rows.
    scores
        Scores of the users of these rows, at their time, against ``history.coupons``.
    predictor, rows_train, notes
        Passed on to the report.
    seed
        Of the random rankings that tell how much Qini is noise.

    Returns
    -------
    Evaluation
        One row a coupon, all coupons together first. In that row each control row counts for every
        coupon it is a control of, in proportion to how many rows the coupon treated.
    """
    arms, stacks, findings = [], [], list(history.notes) + list(notes)
    few = []
    treated_total = max(int(history.treated.sum()), 1)
    for coupon, name in enumerate(history.coupons["coupon_id"]):
        treated = history.treated & (history.coupon == coupon)
        control = history.control_of(coupon)
        rows = np.flatnonzero(treated | control)
        arm = _Stack(
            history.converted[rows].astype(np.float64),
            history.treated[rows],
            scores.uplift[rows, coupon],
            history.weight[rows],
        )
        if not treated.any() or not control.any():
            continue
        arms.append(arm.report(name))
        if min(treated.sum(), control.sum()) < FEW_ROWS:
            few.append(name)
        share = 1.0 if history.own_control[coupon] else float(treated.sum()) / treated_total
        stacks.append(arm.scaled(share))
    if not stacks:
        note = "Too few rows were held out to compare treated and control users; nothing could be checked."
        return Evaluation(predictor, rows_train, len(history), (), (), {}, (*findings, note))
    pooled = _Stack.join(stacks)
    whole = pooled.report("all coupons")
    whole = ArmEvaluation(
        whole.coupon_id,
        int(history.treated.sum()),
        int((~history.treated).sum()),
        whole.qini,
        whole.uplift_predicted,
        whole.uplift_observed,
    )
    calibration = pooled.calibration(BINS)
    noise = pooled.qini_noise(np.random.default_rng(seed))
    metrics = _metrics(history, scores)
    metrics["qini_noise"] = noise
    if calibration:  # a tiny held-out set may have no bin with both treated and control rows
        total = sum(n for _, _, n in calibration)
        metrics["uplift_calibration_error"] = sum(abs(p - o) * n for p, o, n in calibration) / total
    if few:
        findings.append(
            f"{_names(few)}: fewer than {FEW_ROWS} held-out rows with or without the coupon, read with care."
        )
    if history.converted.sum() < FEW_CONVERSIONS:
        findings.append(
            f"Only {int(history.converted.sum())} held-out conversions: these figures are mostly noise."
        )
    if abs(whole.qini) < 2 * noise:
        findings.append(
            f"Qini {whole.qini:.3f} is within the noise of a random ranking (+-{2 * noise:.3f}): "
            "who gets which coupon may matter little here."
        )
    return Evaluation(
        predictor, rows_train, len(history), (whole, *arms), calibration, metrics, tuple(findings)
    )


def qini(outcome: Floats, treated: Bools, uplift: Floats, weight: Floats | None = None) -> float:
    """Return the Qini coefficient: 1 perfect, 0 random, negative worse than random.

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
    weight = np.ones(len(outcome)) if weight is None else weight
    random = 0.5 * _curve(outcome, treated, np.zeros(len(outcome)), weight)[1][-1]
    perfect = _area(outcome, treated, np.where(treated, outcome, -outcome), weight) - random
    if perfect <= 0:
        return 0.0
    return float((_area(outcome, treated, uplift, weight) - random) / perfect)


def auc(outcome: Bools, score: Floats, weight: Floats | None = None) -> float:
    """Return the area under the ROC curve, NaN where only one outcome occurs."""
    from sklearn.metrics import roc_auc_score

    if outcome.all() or not outcome.any():
        return float("nan")
    return float(roc_auc_score(outcome, score, sample_weight=weight))


def _curve(outcome: Floats, treated: Bools, uplift: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return share of rows and incremental outcomes, at each distinct value of `uplift`, from (0, 0)."""
    order = np.argsort(-uplift, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(uplift[order])), len(order) - 1]
    w, t, y = weight[order], treated[order], outcome[order]
    n_treated, n_control = np.cumsum(w * t)[ends], np.cumsum(w * ~t)[ends]
    y_treated, y_control = np.cumsum(w * t * y)[ends], np.cumsum(w * ~t * y)[ends]
    ratio = np.divide(n_treated, n_control, out=np.zeros(len(ends)), where=n_control > 0)
    share = (n_treated + n_control) / (n_treated[-1] + n_control[-1])
    return np.r_[0.0, share], np.r_[0.0, y_treated - y_control * ratio]


def _area(outcome: Floats, treated: Bools, uplift: Floats, weight: Floats) -> float:
    return float(np.trapezoid(*_curve(outcome, treated, uplift, weight)[::-1]))


class _Stack:
    """Rows to compare: outcome, treated, predicted uplift and weight, (n,) each."""

    def __init__(self, outcome: Floats, treated: Bools, uplift: Floats, weight: Floats) -> None:
        self.outcome, self.treated, self.uplift, self.weight = outcome, treated, uplift, weight

    @classmethod
    def join(cls, stacks: list[_Stack]) -> _Stack:
        names = ("outcome", "treated", "uplift", "weight")
        return cls(*(np.concatenate([getattr(stack, name) for stack in stacks]) for name in names))

    def scaled(self, share: float) -> _Stack:
        """Return the stack with its control rows counted for a share."""
        weight = np.where(self.treated, self.weight, self.weight * share)
        return _Stack(self.outcome, self.treated, self.uplift, weight)

    def take(self, rows: NDArray[np.int64]) -> _Stack:
        return _Stack(self.outcome[rows], self.treated[rows], self.uplift[rows], self.weight[rows])

    def report(self, name: str) -> ArmEvaluation:
        return ArmEvaluation(
            coupon_id=name,
            treated=int(self.treated.sum()),
            control=int((~self.treated).sum()),
            qini=qini(self.outcome, self.treated, self.uplift, self.weight),
            uplift_predicted=float(np.average(self.uplift, weights=self.weight)),
            uplift_observed=self.observed(),
        )

    def observed(self) -> float:
        """Return the weighted mean outcome of treated less control rows; NaN if a side is empty."""
        if self.treated.all() or not self.treated.any():
            return float("nan")
        t = self.treated
        up = np.average(self.outcome[t], weights=self.weight[t])
        return float(up - np.average(self.outcome[~t], weights=self.weight[~t]))

    def calibration(self, bins: int) -> tuple[tuple[float, float, int], ...]:
        """Return predicted and observed uplift and rows, by quantile of the predicted uplift."""
        order = np.argsort(self.uplift, kind="stable")
        position = np.cumsum(self.weight[order]) / self.weight.sum()
        groups = np.minimum((position * bins).astype(int), bins - 1)
        parts = (self.take(order[groups == group]) for group in range(bins) if (groups == group).any())
        return tuple(
            (float(np.average(part.uplift, weights=part.weight)), observed, len(part.outcome))
            for part in parts
            if np.isfinite(observed := part.observed())
        )

    def qini_noise(self, rng: np.random.Generator) -> float:
        """Return the standard deviation of Qini over random rankings."""
        rows = len(self.outcome)
        part = self.take(np.sort(rng.choice(rows, SAMPLE, replace=False))) if rows > SAMPLE else self
        values = [
            qini(part.outcome, part.treated, rng.random(len(part.outcome)), part.weight)
            for _ in range(PERMUTATIONS)
        ]
        return float(np.std(values) * np.sqrt(len(part.outcome) / rows))


def _metrics(history: History, scores: Scores) -> dict[str, float]:
    rows, treated = np.arange(len(history)), history.treated
    coupon = np.maximum(history.coupon, 0)
    chance = scores.conversion[rows, coupon] + np.where(treated, scores.uplift[rows, coupon], 0.0)
    metrics = {
        "conversion_auc": auc(history.converted, chance),
        "redemption_auc": auc(history.redeemed[treated], scores.redemption[rows, coupon][treated]),
    }
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
