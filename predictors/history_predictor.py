"""What the predictors share: from campaign to arrays, batches, the report, storage."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.errors import Finding, InputError, PluginError
from allocator.plugins.evaluation import CandidateScore, Evaluation
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress
from predictors.evaluation import auc, evaluate
from predictors.features.drift import drift_notes
from predictors.features.encoder import Contexts, Coupons, Encoder
from predictors.features.log import Log
from predictors.history.doubly_robust import FOLDS, TRIM, cross_fit_propensity, draw_cross_fit
from predictors.history.history import History, decision_time, read_history, split_users
from predictors.history.training_data import TrainingData
from predictors.parts import cores, in_order, one_thread_each
from predictors.regressions.estimators import Settings
from predictors.scoring.scores import Scores
from predictors.scoring.spending import Spending

if TYPE_CHECKING:
    from allocator.campaign import Campaign
    from allocator.plugins.attribution import Attributions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FORMAT = 2
USERS_AT_ONCE = 8192
OVERLAP_LIMIT = 0.65
"""Treated and control users differ visibly if a model tells them apart with this AUC."""


@dataclass(frozen=True)
class Judged:
    """A report, and what it rests on: rows of the history, and what was predicted of them.

    The predictions, one row a send, come from models that did not see these rows.
    """

    evaluation: Evaluation
    data: TrainingData
    predictions: Predictions


class HistoryPredictor(ABC):
    """A predictor that learns from ``history.csv``.

    Subclasses set `name` and `max_events` and implement the methods that are abstract.
    """

    name: ClassVar[str]
    estimates_errors: ClassVar[bool] = False
    """Whether predictions bring the standard error of uplift."""
    max_events: int

    _encoder: Encoder | None = None
    _notes: tuple[str, ...] = ()
    """What a planner should know about the training, for the report."""
    _candidates: tuple[CandidateScore, ...] = ()
    """What the predictor chose from, for the report."""
    _own_control: dict[str, bool]
    _spending: Spending

    @abstractmethod
    def _split(self, history: History, seed: int) -> tuple[Ints, Ints]:
        """Return the rows that features are fitted on, and the rows that the report is about."""

    @abstractmethod
    def _learn(self, data: TrainingData, learn: Ints, test: Ints, progress: Progress) -> Scores:
        """Fit on all rows of a history, split as above.

        Returns
        -------
        Scores
            Of the rows `test`, each judged by a model that did not see it.
        """

    @abstractmethod
    def _scores(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Scores:
        """Score each context with each coupon."""

    @abstractmethod
    def _save(self, folder: Path) -> dict[str, Any]:
        """Write the model; what is returned goes into ``encoder.json``."""

    @abstractmethod
    def _load(self, folder: Path, data: dict[str, Any]) -> None:
        """Read what `_save` wrote, and take what it returned."""

    @abstractmethod
    def _use(self, device: str) -> None:
        """Choose the device."""

    def prepare(self, campaign: Campaign, *, device: str = "auto") -> None:
        """Raise what `fit` would raise, without training.

        Raises
        ------
        InputError
            There is no such device, or no history that could be learnt from.
        """
        self._use(device)
        read_history(_checked(campaign))

    def fit(
        self, campaign: Campaign, *, seed: int, device: str = "auto", progress: Progress = no_progress
    ) -> Evaluation:
        """Train on ``campaign.history`` and report on rows that the judging model did not see.

        Parameters
        ----------
        campaign
            With a history that holds treated and control rows.
        seed
            Of the split, the initial weights and the order of training.
        device
            ``auto`` (CUDA if there is one), ``cpu`` or ``cuda``.
        progress
            Called often.

        Raises
        ------
        InputError
            There is no history, or no control row, or no treated row, or there are too few users of either.
        """
        return self.fit_and_judge(campaign, seed=seed, device=device, progress=progress).evaluation

    def fit_and_judge(
        self, campaign: Campaign, *, seed: int, device: str = "auto", progress: Progress = no_progress
    ) -> Judged:
        """Do as `fit` does, and return what its report rests on too."""
        self._use(device)
        history = read_history(_checked(campaign))
        learn, test = self._split(history, seed)
        data = encode_history(campaign, history, learn, self.max_events, seed, progress)
        self._encoder = data.encoder
        self._own_control = dict(zip(history.coupons["coupon_id"], history.own_control.tolist(), strict=True))
        scores = self._learn(data, learn, test, progress)
        progress("evaluate", 1, 2)
        judged, doubts = data.take(test), _new_coupons(campaign, history) + self._notes
        self._spending = self._learn_spending(campaign, data, judged, scores)
        propensity = None
        if not history.randomised:
            doubts += _overlap(data)
            fold = draw_cross_fit(judged, FOLDS)
            propensity = cross_fit_propensity(judged, Settings(), fold, TRIM)
        report = evaluate(
            judged.history,
            scores,
            predictor=self.name,
            rows_train=len(learn),
            seed=seed,
            notes=(*doubts, *data.encoder.assumptions()),
            propensity=propensity,
        )
        progress("evaluate", 2, 2)
        report = replace(report, candidates=self._candidates, doubts=doubts)
        sent = _of_rows(campaign, judged.history)
        return Judged(report, judged, scores.predictions(sent, self._spending, data.coupons.known))

    def _learn_spending(
        self, campaign: Campaign, data: TrainingData, judged: TrainingData, scores: Scores
    ) -> Spending:
        """Learn from all rows, judged by models that did not see them where there are such scores of all."""
        assert campaign.history is not None
        if len(judged) < len(data):
            starts, own_control = range(0, len(data), USERS_AT_ONCE), data.history.own_control
            parts = (np.arange(start, min(start + USERS_AT_ONCE, len(data))) for start in starts)
            each = [self._scores(data.contexts.take(part), data.coupons, own_control) for part in parts]
            judged, scores = data, Scores.stack(each, len(data.coupons))
        discount = campaign.history["discount"].fill_null(0.0).to_numpy()
        return Spending.fit(judged.history, scores.revenue, discount[judged.history.row])

    def predict(self, campaign: Campaign, *, progress: Progress = no_progress) -> Predictions:
        """Score every user against every active coupon, as of the campaign's day.

        A coupon that training did not see is scored from its attributes.

        Raises
        ------
        PluginError
            The predictor is neither fitted nor loaded.
        InputError
            A feature column that the predictor needs is missing or changed its type.
        """
        return Predictions.join(list(self.predict_parts(campaign, progress=progress)))

    def predict_parts(self, campaign: Campaign, *, progress: Progress = no_progress) -> Iterator[Predictions]:
        """Predict as `predict` does, some thousand users at a time, in the order of the campaign.

        The tables are ordered once; each part then reads its users' entries alone, so that memory does
        not grow with the number of users. Parts are scored side by side, with the same numbers on any
        number of cores. The notes are with the first part.
        """
        encoder = self._fitted()
        encoder.check(_checked(campaign).users)
        return self._predict_parts(campaign, encoder, progress)

    def _predict_parts(
        self, campaign: Campaign, encoder: Encoder, progress: Progress
    ) -> Iterator[Predictions]:
        total, now, done = campaign.users.height, decision_time(campaign), 0
        progress("predict", 0, total)
        log, table = Log.of(campaign), campaign.active_coupons
        coupons = encoder.coupons(table)
        own_control = self._controls(table)
        moved = drift_notes(
            encoder, campaign, coupons, now, lambda some: self._scores(some, coupons, own_control).uplift
        )
        notes = (*encoder.notes(campaign), *moved)

        def part(start: int) -> Predictions:
            user = np.arange(start, min(start + USERS_AT_ONCE, total))
            behaviour = log.behaviour(start, start + len(user))
            contexts = encoder.contexts(campaign, behaviour, user, np.full(len(user), now), coupons)
            scores = self._scores(contexts, coupons, own_control)
            found = scores.predictions(campaign, self._spending, coupons.known, start)
            return replace(found, notes=notes) if start == 0 else found

        with one_thread_each():
            for found in in_order(part, range(0, total, USERS_AT_ONCE), cores()):
                done += len(found.user_ids)
                progress("predict", done, total)
                yield found

    def attribute(
        self,
        campaign: Campaign,
        users: Ints,
        *,
        seed: int,
        compared_with: int = 64,
        progress: Progress = no_progress,
    ) -> Attributions:
        """Divide the uplift of some users, by position, among what the model reads of them.

        Raises
        ------
        PluginError, InputError
            As for `predict`.
        """
        from predictors.shapley import attribute

        encoder = self._fitted()
        encoder.check(_checked(campaign).users)
        positions = np.asarray(users)
        inside = positions.dtype.kind in "iu" and positions.ndim == 1 and positions.size > 0
        if not inside or not 0 <= int(positions.min()) <= int(positions.max()) < campaign.users.height:
            message = "must be positions of the campaign's users, at least one"
            raise InputError(Finding(message, column="users", found=f"{positions.tolist()!r:.60}"))
        table = campaign.active_coupons
        coupons, own_control = encoder.coupons(table), self._controls(table)

        def uplift(contexts: Contexts) -> Floats:
            return self._scores(contexts, coupons, own_control).uplift

        return attribute(
            uplift,
            encoder,
            coupons,
            campaign,
            users,
            seed=seed,
            compared_with=compared_with,
            progress=progress,
        )

    def save(self, folder: Path) -> None:
        """Write the model and ``encoder.json`` into a folder that exists and is empty."""
        data = {
            "format": FORMAT,
            "predictor": self.name,
            "encoder": self._fitted().to_json(),
            "own_control": self._own_control,
            "spending": asdict(self._spending),
            **self._save(folder),
        }
        (folder / "encoder.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """Read a predictor that `save` wrote; nothing is unpickled.

        Raises
        ------
        PluginError
            The folder holds no such predictor, or a newer format.
        """
        predictor = cls()
        predictor._use(device)
        try:
            data = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
            if data["format"] != FORMAT or data["predictor"] != cls.name:
                found = f"{data['predictor']}, format {data['format']}"
                raise PluginError(
                    f"{folder} holds a predictor of another kind ({found}; "
                    f"expected {cls.name}, format {FORMAT}); train again with `allocate train`"
                )
            predictor._encoder = Encoder.from_json(data["encoder"])
            predictor._own_control = data["own_control"]
            predictor._spending = Spending.from_json(data["spending"])
            predictor._load(folder, data)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise PluginError(
                f"{folder} holds no readable {cls.name} predictor ({error}); "
                "train again with `allocate train`"
            ) from error
        return predictor

    def _controls(self, table: pl.DataFrame) -> Bools:
        """Return whether past control rows name each coupon; a new coupon is taken to be like most."""
        usual = sum(self._own_control.values()) * 2 > len(self._own_control)
        return np.array([self._own_control.get(name, usual) for name in table["coupon_id"]], dtype=bool)

    def _fitted(self) -> Encoder:
        if self._encoder is None:
            raise PluginError(f"the {self.name} predictor has learnt nothing yet; call fit or load first")
        return self._encoder


def _checked(campaign: object) -> Campaign:
    """Return a campaign, or raise InputError if it is none."""
    from allocator.campaign import Campaign

    if not isinstance(campaign, Campaign):
        message, expected = "this is no campaign", "what allocator.read_campaign returns"
        raise InputError(Finding(message, None, None, "campaign", type(campaign).__name__, expected))
    return campaign


def _of_rows(campaign: Campaign, history: History) -> Campaign:
    """Return the campaign with the user of each row, in their order, and the coupons of the history."""
    coupons = history.coupons.with_columns(active=pl.lit(True))
    return replace(campaign, users=campaign.users[history.user], coupons=coupons)


def encode_history(
    campaign: Campaign,
    history: History,
    learn: Ints,
    max_events: int,
    seed: int,
    progress: Progress = no_progress,
) -> TrainingData:
    """Encode the users of a history's rows, each at its moment, by features fitted on the rows `learn`."""
    progress("prepare", 0, 2)
    behaviour = Log.of(campaign).behaviour()
    encoder = Encoder.fit(
        campaign, behaviour, history.user[learn], history.time[learn], history.coupons, max_events
    )
    progress("prepare", 1, 2)
    coupons = encoder.coupons(history.coupons)
    contexts = encoder.contexts(campaign, behaviour, history.user, history.time, coupons)
    progress("prepare", 2, 2)
    return TrainingData(encoder, history, contexts, coupons, seed)


def _new_coupons(campaign: Campaign, history: History) -> tuple[str, ...]:
    """Name the active coupons that were never sent."""
    tried = history.coupons["coupon_id"].gather(np.unique(history.coupon[history.treated]))
    new = campaign.active_coupons.filter(~pl.col("coupon_id").is_in(tried.implode()))["coupon_id"].to_list()
    if not new:
        return ()
    shown = ", ".join(new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
    return (
        f"Never sent before, so scored from attributes alone: {shown}. "
        "Expect a fair ranking of users and an unreliable level of uplift.",
    )


def _overlap(data: TrainingData) -> tuple[str, ...]:
    """Warn where features tell treated from control users (they do not in a randomised history)."""
    from sklearn.linear_model import LogisticRegression

    x, treated = data.contexts.design(), data.history.treated
    train, test = split_users(data.history, 0.25, np.random.default_rng(data.seed))
    model = LogisticRegression(C=0.1, max_iter=200).fit(x[train], treated[train])
    score = auc(treated[test], model.predict_proba(x[test])[:, 1])
    if not score > OVERLAP_LIMIT:
        return ()
    return (
        f"Treated and control users differ (features tell them apart with AUC {score:.2f}): "
        "the uplift rests on the model's adjustment, not on an experiment.",
    )
