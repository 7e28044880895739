"""The `transformer` predictor: one small network for every user and coupon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from allocator.errors import InputError
from allocator.progress import Progress
from predictors.features.description import choose_describer, load_describer
from predictors.features.encoder import Contexts, Coupons
from predictors.history.training_data import TrainingData
from predictors.options import ANY_TEXT, check_options
from predictors.scoring.logits import Logits
from predictors.single_predictor import SinglePredictor
from predictors.transformer.batches import coupon_batch, user_batch
from predictors.transformer.loop import Settings
from predictors.transformer.network import UpliftNetwork
from predictors.transformer.training import one_thread, train

PAIRS_AT_ONCE = 10_000
RANGES = {
    "width": (8, 1024),
    "depth": (1, 24),
    "attention_heads": (1, 64),
    "dropout": (0.0, 0.9),
    "epochs": (1, 1000),
    "batch_size": (16, 65_536),
    "accumulate": (1, 1024),
    "learning_rate": (1e-6, 1.0),
    "weight_decay": (0.0, 10.0),
    "coupon_dropout": (0.0, 1.0),
    "patience": (1, 1000),
    "linear_penalty": (0.0, 1e9),
    "folds": (2, 20),
    "trim": (0.0, 0.9),
    "max_events": (0, 1024),
    "test_share": (0.05, 0.9),
}
CHOICES = {"loss": ("factual", "dr"), "description": ANY_TEXT}


class TransformerPredictor(SinglePredictor):
    """Estimates uplift with a feature-token transformer over features, events and coupons.

    Parameters
    ----------
    loss
        ``factual`` (agree with what happened) or ``dr`` (uplift agrees with doubly robust
        pseudo-outcomes, the conversion without coupon with what happened).
    width, depth, attention_heads, dropout
        Size of the network; small by default, because a weak signal punishes size.
    epochs, batch_size, learning_rate, weight_decay, patience
        Training; it stops after `patience` epochs without progress on held-out rows.
    accumulate
        Batches whose gradients are added up before a step, for batches larger than memory allows.
    linear_penalty
        L2 penalty with which the linear path is fitted, before attention learns what is left.
    coupon_dropout
        Share of coupons whose id is hidden in a step, so that new coupons can be scored.
    folds, trim
        Of the cross-fitted pseudo-outcomes and of propensities that have to be estimated: folds, and
        the share of its average below which a chance leaves no user to compare.
    description
        How a coupon's description is read: ``none``, ``hash`` (its letter sequences) or a local folder
        with a transformers model, whose copy is then kept with the predictor.
    max_events
        How many of a user's last events are read.
    test_share
        Share of the users held out for the evaluation.

    Raises
    ------
    InputError
        An option is unknown, or has a wrong type or value.
    """

    name = "transformer"
    checkpoint: Path | None = None
    """Folder that keeps the state of a training, so that one that was cut short can go on."""

    def __init__(self, **options: Any) -> None:
        defaults = {**asdict(Settings()), "description": "none", "max_events": 16, "test_share": 0.25}
        values = check_options(options, defaults, RANGES, CHOICES)
        self._settings = Settings(**{field.name: values[field.name] for field in fields(Settings)})
        if self._settings.width % self._settings.attention_heads:
            raise InputError("predict.options: width must be a multiple of attention_heads")
        self.max_events, self.test_share = values["max_events"], values["test_share"]
        self._describer = choose_describer(values["description"])
        self._device = torch.device("cpu")
        self._model: UpliftNetwork | None = None

    def _use(self, device: str) -> None:
        self._device = pick_device(device)
        if self._model is not None:
            self._model.to(self._device)

    def train(self, data: TrainingData, progress: Progress) -> None:
        """Fit the model on all rows of the data."""
        self._model, self._notes = train(
            data,
            self._settings,
            self._describer,
            device=self._device,
            checkpoint=self.checkpoint,
            progress=progress,
        )

    @torch.no_grad()
    def logits(self, contexts: Contexts, coupons: Coupons, own_control: NDArray[np.bool_]) -> Logits:
        """Return the model's opinion of each context with each coupon, (n, c) each."""
        assert self._model is not None
        size = max(PAIRS_AT_ONCE // max(len(coupons), 1), 16)
        descriptions = self._describer.embed(coupons.descriptions)
        targets, parts = coupon_batch(coupons, own_control, descriptions, self._device), []
        with one_thread(self._device):
            for start in range(0, len(contexts), size):
                part = contexts.take(np.arange(start, min(start + size, len(contexts))))
                output = self._model(user_batch(part, part.affinity[:, coupons.slot], self._device), targets)
                outputs = (output.conversion, output.effect, output.redemption, output.revenue)
                parts.append(Logits(*(x.double().cpu().numpy() for x in outputs)))
        return Logits.stack(parts, len(coupons))

    def save_model(self, folder: Path) -> None:
        """Write the model."""
        assert self._model is not None
        with _no_progress_bars():
            self._model.save_pretrained(folder)
            self._describer.save(folder)

    def load_model(self, folder: Path) -> None:
        """Read what `save_model` wrote."""
        with _no_progress_bars():
            model = UpliftNetwork.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            self._describer = load_describer(folder, model.config.description)
        self._model = model.eval().to(self._device)


def pick_device(device: str) -> torch.device:
    """Return the torch device for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        Another name, or CUDA where there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"unknown device {device!r}; use auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device is 'cuda', but torch finds no CUDA GPU here; use 'auto' or 'cpu'")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing bars of its own."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
