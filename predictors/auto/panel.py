"""Candidates that were fitted on the same rows, and what they say of users together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.protocols import ResumablePredictor
from allocator.progress import Progress
from predictors.features.encoder import Contexts, Coupons, Encoder
from predictors.history.training_data import TrainingData
from predictors.regressions.links import sigmoid
from predictors.scoring.scores import Scores
from predictors.single_predictor import SinglePredictor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Opinion:
    """What m models say of n users and c coupons.

    Parameters
    ----------
    conversion, redemption, revenue
        (n, c) mean of the models: evidence for an effect says nothing about these.
    effects
        (m, n, c) uplift, less the model's mean for the coupon: what it takes to be personal.
    """

    conversion: Floats
    redemption: Floats
    revenue: Floats
    effects: Floats

    @classmethod
    def stack(cls, parts: list[Self]) -> Self:
        """Join the opinions on consecutive users."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts], axis=-2) for name in names))

    def take(self, rows: Ints) -> Self:
        """Return some of the users."""
        return type(self)(*(getattr(self, field.name)[..., rows, :] for field in fields(self)))


class Panel:
    """Models fitted on the same rows.

    Parameters
    ----------
    members
        The models, by name.

    Attributes
    ----------
    centre
        (m, c + 1) mean uplift of each model and coupon. The first is that of past sends, which stands
        in for a coupon that the history does not know.
    """

    def __init__(self, members: Mapping[str, SinglePredictor]) -> None:
        self.members = members
        self.centre: Floats = np.zeros((len(members), 1))

    def use(self, device: str) -> None:
        """Choose the device."""
        for model in self._models:
            model._use(device)

    def keep_in(self, checkpoint: Path | None) -> None:
        """Let the models that can go on with a training keep its state in a folder."""
        for model in self._models:
            if isinstance(model, ResumablePredictor):
                model.checkpoint = checkpoint

    def fit(self, data: TrainingData, progress: Progress) -> None:
        """Fit each model; `progress` gets its name as the step."""
        for name, member in self.members.items():

            def report(_: str, done: int, total: int, name: str = name) -> None:
                progress(name, done, total)

            member.train(data, report)
            progress(name, 1, 1)

    def judge(self, data: TrainingData) -> tuple[Opinion, Floats]:
        """Say what the models think of rows that none of them saw, and centre them on these.

        Returns
        -------
        tuple
            The opinion, and the probability of a conversion about no coupon in particular, (n,).
        """
        history = data.history
        parts = [_scores(model, data.contexts, data.coupons, history.own_control) for model in self._models]
        centre = np.stack([part.uplift.mean(axis=0) for part in parts])
        sent = np.bincount(history.coupon[history.treated], minlength=len(data.coupons))
        usual = centre @ sent / max(sent.sum(), 1)
        self.centre = np.concatenate([usual[:, None], centre], axis=1)
        unnamed = np.mean(
            [sigmoid(model.unnamed(data.contexts, data.coupons)) for model in self._models], axis=0
        )
        return self._join(parts, data.coupons), unnamed

    def opinion(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Opinion:
        """Say what the models think of n users and c coupons."""
        return self._join([_scores(model, contexts, coupons, own_control) for model in self._models], coupons)

    def save(self, folder: Path) -> None:
        """Write each model into a folder of its own."""
        for name, member in self.members.items():
            (folder / name).mkdir(parents=True)
            member.save_model(folder / name)

    def load(self, folder: Path, encoder: Encoder, centre: Floats) -> None:
        """Read what `save` wrote."""
        self.centre = centre
        for name, member in self.members.items():
            member.restore(folder / name, encoder)

    @property
    def level(self) -> Floats:
        """Mean of the models' mean uplift, (c + 1,)."""
        return np.asarray(self.centre.mean(axis=0))

    @property
    def _models(self) -> list[SinglePredictor]:
        return list(self.members.values())

    def _join(self, parts: list[Scores], coupons: Coupons) -> Opinion:
        return Opinion(
            np.mean([part.conversion for part in parts], axis=0),
            np.mean([part.redemption for part in parts], axis=0),
            np.mean([part.revenue for part in parts], axis=0),
            np.stack([part.uplift for part in parts]) - self.centre[:, coupons.known][:, None],
        )


def _scores(model: SinglePredictor, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Scores:
    logits = model.logits_in_parts(contexts, coupons, own_control)
    return Scores.from_logits(logits.conversion, logits.effect, logits.redemption, logits.revenue)
