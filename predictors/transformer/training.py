"""Train the uplift model: first its linear path to convergence, then all of it in epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from allocator.progress import Progress
from predictors.features.description import Describer
from predictors.features.encoder import BINS
from predictors.history.doubly_robust import cross_fit_propensity, doubly_robust, draw_cross_fit
from predictors.history.history import split_users
from predictors.history.propensity import Propensity
from predictors.history.training_data import TrainingData
from predictors.regressions.estimators import Settings as OutcomeSettings
from predictors.transformer.batches import Rows, log_mean_revenue
from predictors.transformer.checkpoint import Checkpoint
from predictors.transformer.loop import Loop, Settings
from predictors.transformer.losses import Objective, PseudoOutcomes
from predictors.transformer.network import UpliftConfig, UpliftNetwork

Floats = NDArray[np.float64]


def train(
    data: TrainingData,
    settings: Settings,
    describer: Describer,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    progress: Progress,
) -> tuple[UpliftNetwork, tuple[str, ...]]:
    """Fit a model on the rows of `data`.

    A tenth of the users is kept to stop early: the weights of the best epoch are the result.
    The global random state is left as it was.

    Parameters
    ----------
    data, settings, describer
        The rows; how to train; what turns descriptions of coupons into numbers.
    device
        Where to train.
    checkpoint
        Folder that keeps the state after each epoch. The same training, started again with the same
        folder, goes on from there and ends with the same model.
    progress
        Called often.

    Returns
    -------
    tuple
        The model, and notes on the overlap of treated and control users.
    """
    rng = np.random.default_rng(data.seed)
    learn, check = split_users(data.history, 0.1, rng)
    progress("adjust", 0, settings.folds)
    data, found, pseudo = _adjust(data, settings, lambda done: progress("adjust", done, settings.folds))
    descriptions = describer.embed(data.coupons.descriptions)
    kept = Checkpoint(
        checkpoint, data, {**asdict(settings), "description": describer.name, "device": str(device)}
    )
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), one_thread(device):
        torch.manual_seed(data.seed)
        model = _build(data, settings, describer).to(device)
        rows = Rows(data, descriptions, data.history.balanced(), device)
        targets = (
            None
            if pseudo is None
            else PseudoOutcomes.of(pseudo, float(data.history.converted.mean()), device)
        )
        Loop(model, Objective(rows, targets), learn, check, settings, rng).run(
            kept, partial(progress, "train")
        )
    return model.eval(), found.notes


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Sum in one order whatever the machine: on the CPU use one thread, then restore the number."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if device.type == "cpu":
            torch.set_num_threads(threads)


def _adjust(
    data: TrainingData, settings: Settings, progress: Callable[[int], None]
) -> tuple[TrainingData, Propensity, Floats | None]:
    """Weigh rows by propensities, recorded or estimated, and find pseudo-outcomes for the second stage.

    Rows without comparable users are left out of the factual loss.
    """
    outcomes, done = OutcomeSettings(), iter(range(1, settings.folds + 1))
    if settings.loss == "dr":
        scores = data.scores or doubly_robust(
            data,
            settings=outcomes,
            folds=settings.folds,
            trim=settings.trim,
            step=lambda: progress(next(done)),
        )
        found, pseudo = scores.propensity, scores.effect
    else:
        pseudo = None
        if data.scores:
            found = data.scores.propensity
        else:
            fold = draw_cross_fit(data, settings.folds)
            found = cross_fit_propensity(data, outcomes, fold, settings.trim)
    if not data.history.randomised:
        got = np.where(
            data.history.treated,
            found.usable[np.arange(len(data)), np.maximum(data.history.coupon, 0)],
            found.usable.any(axis=1),
        )
        data = replace(data, history=replace(data.history, weight=found.weight * got), made={})
    return data, found, pseudo


def _build(data: TrainingData, settings: Settings, describer: Describer) -> UpliftNetwork:
    """Return a model that predicts the averages of the training rows."""
    encoder, history = data.encoder, data.history
    config = UpliftConfig(
        n_numeric=len(encoder.numeric),
        category_sizes=tuple(feature.size for feature in encoder.categorical),
        coupon_sizes=tuple(text.size for text in encoder.coupon_texts),
        max_events=encoder.max_events,
        width=settings.width,
        depth=settings.depth,
        attention_heads=settings.attention_heads,
        dropout=settings.dropout,
        description=describer.name,
        description_size=describer.size,
    )
    model = UpliftNetwork(config)
    for i, feature in enumerate(encoder.numeric):
        knots = torch.tensor(feature.knots)
        model.knots[i, : len(knots) - 1] = knots[:-1]
        model.bin_width[i, : min(len(knots) - 1, BINS)] = knots.diff()
    treated, w = history.treated, history.weight
    control_logit = _logit(history.converted[~treated], w[~treated])
    redeemed = _logit(history.redeemed[treated], w[treated])
    effect = _logit(history.converted[treated], w[treated]) - control_logit
    averages = [control_logit, effect, redeemed, log_mean_revenue(history)]
    model.bias.data = torch.tensor(averages, dtype=torch.float32)
    return model


def _logit(outcome: NDArray[np.bool_], weight: Floats) -> float:
    """Return the log odds of a rate, with one half added to each side."""
    weight = weight / weight.mean() if weight.any() else np.ones(len(weight))
    yes = float(weight @ outcome) + 0.5
    return float(np.log(yes / (len(outcome) + 1.0 - yes)))
