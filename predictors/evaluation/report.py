"""The report on a fitted predictor: how well it ranks and sizes uplift, by coupon."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import ArmEvaluation, Evaluation
from predictors.evaluation.calibration import calibration_bins, calibration_error
from predictors.evaluation.curves import auc, auuc, qini, uplift_at
from predictors.evaluation.stack import Stack, join, stacks
from predictors.history.history import History
from predictors.scoring.scores import Scores

if TYPE_CHECKING:
    from predictors.history.propensity import Propensity

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

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
    propensity: Propensity | None = None,
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
    propensity
        Of these rows, estimated where the history is not randomised; rows without comparable users are
        left out. If None, recorded propensities make the weights, or else all rows weigh the same.

    Returns
    -------
    Evaluation
        One row a coupon, all coupons together first. In that row each control row counts for every
        coupon it is a control of, in proportion to how many rows the coupon treated.
    """
    names = history.coupons["coupon_id"].to_list()
    found = stacks(history, scores.uplift, propensity)
    findings = [*history.notes, *notes, *_weighting(history, propensity)]
    if not found:
        note = "Too few rows were held out to compare treated and control users; nothing could be checked."
        return Evaluation(predictor, rows_train, len(history), (), (), {}, (*findings, note))
    pooled = join(list(found.values()))
    whole = replace(
        report(pooled, "all coupons"),
        treated=int(history.treated.sum()),
        control=int((~history.treated).sum()),
    )
    arms = [report(rows, names[coupon]) for coupon, rows in found.items()]
    calibration = calibration_bins(pooled.outcome, pooled.treated, pooled.uplift, pooled.weight)
    noise = _qini_noise(pooled, np.random.default_rng(seed))
    metrics = _metrics(history, scores) | {"qini_noise": noise}
    if calibration:  # a tiny held-out set may have no bin with both treated and control rows
        metrics["uplift_calibration_error"] = calibration_error(calibration)
    findings += _warnings(history, [whole, *arms], noise)
    return Evaluation(
        predictor, rows_train, len(history), (whole, *arms), calibration, metrics, tuple(findings)
    )


def report(rows: Stack, name: str) -> ArmEvaluation:
    """Return how well uplift is ranked and sized on some rows."""
    columns = (rows.outcome, rows.treated, rows.uplift, rows.weight)
    observed = rows.observed()
    return ArmEvaluation(
        coupon_id=name,
        treated=int(rows.treated.sum()),
        control=int((~rows.treated).sum()),
        qini=qini(*columns),
        uplift_predicted=rows.predicted(),
        uplift_observed=observed.value,
        observed_low=observed.low,
        observed_high=observed.high,
        auuc=auuc(*columns),
        uplift_at_30=uplift_at(*columns),
    )


def _qini_noise(rows: Stack, rng: np.random.Generator) -> float:
    """Return the standard deviation of Qini over random rankings."""
    n = len(rows)
    part = rows.take(np.sort(rng.choice(n, SAMPLE, replace=False))) if n > SAMPLE else rows
    values = [
        qini(part.outcome, part.treated, rng.random(len(part)), part.weight) for _ in range(PERMUTATIONS)
    ]
    return float(np.std(values) * np.sqrt(len(part) / n))


def _metrics(history: History, scores: Scores) -> dict[str, float]:
    rows, treated = np.arange(len(history)), history.treated
    coupon = np.maximum(history.coupon, 0)
    chance = scores.conversion[rows, coupon] + np.where(treated, scores.uplift[rows, coupon], 0.0)
    metrics = {
        "conversion_auc": auc(history.converted, chance),
        "redemption_auc": auc(history.redeemed[treated], scores.redemption[rows, coupon][treated]),
    }
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _weighting(history: History, propensity: Propensity | None) -> tuple[str, ...]:
    if history.randomised or propensity is None:
        return ()
    return (
        "The figures below weigh rows by propensities estimated from user features: they are right only if "
        "those features explain who was chosen.",
    )


def _warnings(history: History, arms: list[ArmEvaluation], noise: float) -> list[str]:
    whole, findings = arms[0], []
    few = [arm.coupon_id for arm in arms[1:] if min(arm.treated, arm.control) < FEW_ROWS]
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
    return findings


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
