"""Predictions for coupons that a scenario adds or gives other terms."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from allocator.campaign import Campaign, Config
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress
from allocator.runs.models import find_predictor, is_model
from allocator.runs.stages import predict_with
from allocator.whatif.scenario import Predict

if TYPE_CHECKING:
    from allocator.plugins.protocols import Predictor


def coupon_predictor(
    source: Path | None, config: Config, model: Path | None = None, progress: Progress = no_progress
) -> Predict | None:
    """Return what predicts a campaign's coupons, for coupons with other terms; None where nothing can.

    Parameters
    ----------
    source
        The run, or the file, that the other predictions came from.
    config, model
        As for `find_predictor`. The predictor is loaded when it is first asked.
    """
    run = source if source is not None and source.is_dir() else None
    if model is None and (run is None or not (is_model(run) or (run / "predictor").is_dir())):
        return None

    @cache
    def trained() -> tuple[Predictor, str]:
        found = find_predictor(run or Path(), config, model)
        assert found is not None, "a run with a predictor, or a model, was named"
        return found

    def predict(campaign: Campaign) -> Predictions:
        predictor, name = trained()
        return predict_with(predictor, campaign, name, progress)

    return predict
