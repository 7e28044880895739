"""A predictor with one model: part of the users are held out to judge it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from allocator.progress import Progress
from predictors.features.encoder import Contexts, Coupons, Encoder
from predictors.history.history import History, split_users
from predictors.history.training_data import TrainingData
from predictors.history_predictor import USERS_AT_ONCE, Bools, Floats, HistoryPredictor, Ints
from predictors.scoring.calibration import Offsets, fit_offsets
from predictors.scoring.logits import Logits
from predictors.scoring.scores import Scores


class SinglePredictor(HistoryPredictor):
    """Trains one model on part of the users and judges it by the others.

    The history is split by user, stratified by arm: `test_share` of the users are held out for the
    evaluation and stay out of training. The model that was evaluated is kept; then the level of each
    coupon's uplift, but not the ranking of users, is set by all rows.
    """

    test_share: float
    _offsets: Offsets

    @abstractmethod
    def train(self, data: TrainingData, progress: Progress) -> None:
        """Fit the model on all rows of the data."""

    @abstractmethod
    def logits(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Logits:
        """Return the model's opinion of each context with each coupon."""

    def logits_in_parts(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Logits:
        """Return the logits of many users, with memory bounded."""
        starts = range(0, len(contexts), USERS_AT_ONCE)
        parts = (np.arange(start, min(start + USERS_AT_ONCE, len(contexts))) for start in starts)
        logits = [self.logits(contexts.take(part), coupons, own_control) for part in parts]
        return Logits.stack(logits, len(coupons))

    def unnamed(self, contexts: Contexts, coupons: Coupons) -> Floats:
        """Return the logit of the conversion without coupon that is about no coupon's products, (n,)."""
        one = coupons.take(np.array([0]))
        return self.logits_in_parts(contexts, one, np.array([False])).conversion[:, 0]

    @abstractmethod
    def save_model(self, folder: Path) -> None:
        """Write the model."""

    @abstractmethod
    def load_model(self, folder: Path) -> None:
        """Read what `save_model` wrote."""

    def restore(self, folder: Path, encoder: Encoder) -> None:
        """Read a model whose encoder is stored elsewhere."""
        self._encoder = encoder
        self.load_model(folder)

    def _split(self, history: History, seed: int) -> tuple[Ints, Ints]:
        return split_users(history, self.test_share, np.random.default_rng(seed))

    def _learn(self, data: TrainingData, learn: Ints, test: Ints, progress: Progress) -> Scores:
        train = data.take(learn)
        self.train(train, progress)
        progress("evaluate", 0, 2)
        logits = self.logits_in_parts(data.contexts, data.coupons, data.history.own_control)
        unnamed = self.unnamed(data.contexts, data.coupons)
        offsets = fit_offsets(train.history, logits.take(learn), unnamed[learn])
        self._offsets = fit_offsets(data.history, logits, unnamed)
        return offsets.apply(logits.take(test), data.coupons.known)

    def _scores(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Scores:
        return self._offsets.apply(self.logits(contexts, coupons, own_control), coupons.known)

    def _save(self, folder: Path) -> dict[str, Any]:
        self.save_model(folder)
        return {"offsets": asdict(self._offsets)}

    def _load(self, folder: Path, data: dict[str, Any]) -> None:
        self._offsets = Offsets(**{**data["offsets"], "effects": tuple(data["offsets"]["effects"])})
        self.load_model(folder)
