"""The report on a fitted predictor: how well it ranks and sizes uplift, by coupon."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.evaluation import ArmEvaluation, Evaluation
from allocator.wording import percentage, percentage_within
from predictors.evaluation.calibration import calibration_bins, calibration_error
from predictors.evaluation.curves import auc, auuc, qini, uplift_at
from predictors.evaluation.stack import Stack, join, stacks
from predictors.features.timeline import DAY
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
LATEST_SHARE, LATEST_ROWS = 0.2, 500
"""The latest sends are those of the last days that hold such a share of all, and so many rows."""
SURELY = 1.31
"""By which a 95 % interval becomes one of 99 %."""


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
    findings += _later(history, scores.uplift, propensity)
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


def _later(history: History, uplift: Floats, propensity: Propensity | None) -> list[str]:
    """Say so where the latest of several waves gained more or less than was predicted, beyond chance.

    A model that did not see a user may have seen the user's wave; so what is found here is the least that a
    later wave may be off.
    """
    day = history.time // DAY
    days, count = np.unique(day, return_counts=True)
    back = int(np.searchsorted(np.cumsum(count[::-1]), LATEST_SHARE * len(history)))
    since = int(days[len(days) - 1 - back])
    rows = np.flatnonzero(day >= since)
    if len(rows) == len(history) or len(rows) < LATEST_ROWS:
        return []
    found = stacks(history.take(rows), uplift[rows], None if propensity is None else propensity.take(rows))
    if not found:
        return []
    latest = join(list(found.values()))
    observed, predicted = latest.observed(), latest.predicted()
    if not abs(predicted - observed.value) > SURELY * 0.5 * (observed.high - observed.low):
        return []
    start = dt.date(1970, 1, 1) + dt.timedelta(days=since)
    added = percentage_within(observed.value, observed.low, observed.high)
    return [
        f"The latest sends (from {start} on) added {added}, and {percentage(predicted, sign=True)} was "
        "predicted of them: uplift changes with time, so the next sends may be off as well."
    ]


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
