"""The `auto` predictor: candidates cross-fitted, weighed by their evidence, and shrunk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from allocator.plugins.evaluation import CandidateScore
from allocator.progress import Progress
from predictors.auto.candidates import (
    CANDIDATES,
    CONSTANT,
    NEURAL,
    check_candidates,
    create_candidate,
    default_candidates,
)
from predictors.auto.consensus import Consensus, fit_consensus, missed_effects
from predictors.auto.panel import Opinion, Panel
from predictors.auto.stacking import Evidence, fit_blend
from predictors.features.encoder import Contexts, Coupons
from predictors.history.doubly_robust import doubly_robust, fit_outcomes
from predictors.history.folds import draw_stratified_folds
from predictors.history.history import History
from predictors.history.training_data import TrainingData
from predictors.history_predictor import Bools, Floats, HistoryPredictor, Ints
from predictors.options import check_options
from predictors.regressions.estimators import Settings
from predictors.scoring.scores import Scores

OUTCOMES = Settings()
"""Of the outcome models of the scores, which logistic learners share."""
USERS_PER_FOLD = 50
"""A short history is cut into fewer folds."""
SAMPLE = 2000
"""Rows on which all fold models are compared with each other."""
HARDLY = 0.3
"""If less than this share of the personal effects is kept, the planner is told."""
CHANCE = 2.0
"""Standard errors that chance alone reaches once in forty times."""
EFFORT = {"transformer": 10}
"""How long a candidate takes to train, for the progress; 1 if it is not named."""


class AutoPredictor(HistoryPredictor):
    """Blends candidates by their cross-fitted doubly robust score on the user's own history.

    The users are cut into folds, and every candidate is fitted without one fold at a time. How well
    candidates predict the doubly robust scores of the fold they did not see sets their weights, and a
    slope that shrinks what is personal about the blend towards the same uplift for everyone. The
    fold models, averaged, are the predictor: none is fitted again, and the report judges each row by
    models, weights and slope that did not see its outcome.

    `Predictions.uplift_error` holds what the fold models, the candidates, the slope and the average
    effects leave open; see `predictors.auto.consensus`.

    Parameters
    ----------
    candidates
        Names of what to choose from: ``constant`` (the same uplift for everyone), ``transformer``, or
        a learner and its estimator, as in ``s-logistic``, ``t-forest``, ``dr-lightgbm``. If they are not
        named: S- and X-learners over logistic regression, S-, T- and X-learners over boosted trees, the
        transformer where there are sequences of events to read; and any other whose options are given.
    folds
        Into how many folds the users are cut, 2 to 20; fewer if there are few users.
    **options
        Options of a candidate in a table by its name, for example ``transformer = {epochs = 4}``.

    Raises
    ------
    InputError
        A candidate or an option is unknown, or has a wrong type or value.
    """

    name = "auto"
    estimates_errors = True
    checkpoint: Path | None = None
    """Folder in which candidates keep the state of their training, so that it can go on after a break."""

    def __init__(self, **options: Any) -> None:
        asked = options.pop("candidates", None)
        usual = default_candidates()
        named = [name for name in options if name in CANDIDATES]  # who sets its options wants it tried
        self._names = check_candidates([*usual, *named] if asked is None else asked)
        models = [name for name in self._names if name != CONSTANT]
        tables = {name: options.pop(name) for name in models if name in options}
        self._folds = check_options(
            options, {"folds": 5}, {"folds": (2, 20)}, others=("candidates", *models)
        )["folds"]
        self._tables = {name: tables.get(name, {}) for name in models}
        self._only_with_events = () if asked is not None or NEURAL in named else (NEURAL,)
        self.max_events = max(member.max_events for member in self._panel().members.values())
        self._device = "cpu"
        self._panels: list[Panel] = []
        self._consensus: Consensus

    def _panel(self) -> Panel:
        return Panel({name: create_candidate(name, table) for name, table in self._tables.items()})

    def _use(self, device: str) -> None:
        self._device = device
        for panel in self._panels or [self._panel()]:
            panel.use(device)

    def _split(self, history: History, seed: int) -> tuple[Ints, Ints]:
        every = np.arange(len(history))
        return every, every

    def _learn(self, data: TrainingData, learn: Ints, test: Ints, progress: Progress) -> Scores:
        # Linear algebra then sums in one order on any machine; trees do so on any number of threads.
        with threadpool_limits(1, user_api="blas"):
            return self._cross_fit(data, progress)

    def _leave_out(self, data: TrainingData) -> tuple[str, ...]:
        """Leave out what reads sequences of events where there are none, unless it was asked for."""
        if data.encoder.max_events:
            return ()
        left_out = [name for name in self._only_with_events if name in self._tables]
        for name in left_out:
            del self._tables[name]
        self._names = tuple(name for name in self._names if name not in left_out)
        return tuple(
            f"There are no events, so '{name}' was not tried: on columns alone it adds nothing to the others "
            "and takes longer. Name it in [predict.options] candidates to try it."
            for name in left_out
        )

    def _cross_fit(self, data: TrainingData, progress: Progress) -> Scores:
        history, left_out = data.history, self._leave_out(data)
        folds = int(np.clip(len(np.unique(history.user)) // USERS_PER_FOLD, 2, self._folds))
        fold = draw_stratified_folds(history, folds, np.random.default_rng([data.seed, 3]))
        parts = [np.flatnonzero(fold == part) for part in range(folds)]
        rest = [np.flatnonzero(fold != part) for part in range(folds)]
        outcomes = [fit_outcomes(data.take(rows), OUTCOMES) for rows in rest]
        scores = doubly_robust(data, settings=OUTCOMES, fold=fold, models=outcomes)
        self._panels, opinions, unnamed = [], [], np.zeros(len(history))
        bar = _Bar(progress, list(self._tables), folds)
        for part, rows in enumerate(parts):
            panel = self._panel()
            panel.use(self._device)
            panel.keep_in(self.checkpoint)
            train = replace(data, scores=scores).take(rest[part])
            train.made.update({(OUTCOMES, side): model for side, model in outcomes[part].items()})
            panel.fit(train, bar.at(part))
            opinion, unnamed[rows] = panel.judge(data.take(rows))
            opinions.append(opinion)
            self._panels.append(panel)
        order = np.argsort(np.concatenate(parts))
        opinion = Opinion.stack(opinions).take(order)
        evidence = Evidence.of(self._with_constant(opinion.effects), scores.effect, history.user)
        missed = self._missed(data)
        report = []
        for part, rows in enumerate(parts):
            others = rest[part]
            blend, level = fit_blend(evidence.take(others)), self._panels[part].level
            consensus = fit_consensus(
                history.take(others), opinion.take(others), unnamed[others], blend, level, missed
            )
            report.append(consensus.apply([opinion.take(rows)], data.coupons.known, history.own_control))
        blend = fit_blend(evidence)
        level = np.mean([panel.level for panel in self._panels], axis=0)
        self._consensus = fit_consensus(history, opinion, unnamed, blend, level, missed)
        self._candidates = tuple(
            CandidateScore(name, *(float(value) for value in values))
            for name, *values in zip(self._names, blend.gain, blend.gain_error, blend.weights, strict=True)
        )
        kept = blend.slope * float(self._consensus.weights.sum())
        self._notes = _notes(kept, blend.certainty) + scores.propensity.notes + left_out
        return Scores.stack(report, len(data.coupons)).take(order)

    def _missed(self, data: TrainingData) -> Floats:
        rows = np.random.default_rng([data.seed, 4]).permutation(len(data))[:SAMPLE]
        contexts, own = data.contexts.take(np.sort(rows)), data.history.own_control
        return missed_effects([panel.opinion(contexts, data.coupons, own) for panel in self._panels])

    def _with_constant(self, effects: Floats) -> Floats:
        """Put the constant, which sees nothing personal, before the models."""
        return np.concatenate([np.zeros_like(effects[:1]), effects]) if CONSTANT in self._names else effects

    def _scores(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Scores:
        opinions = [panel.opinion(contexts, coupons, own_control) for panel in self._panels]
        return self._consensus.apply(opinions, coupons.known, own_control, errors=True)

    def _save(self, folder: Path) -> dict[str, Any]:
        for i, panel in enumerate(self._panels):
            panel.save(folder / f"fold-{i}")
        centres = np.stack([panel.centre for panel in self._panels])
        return {
            "candidates": self._tables,
            "centres": centres.tolist(),
            "consensus": self._consensus.to_json(),
        }

    def _load(self, folder: Path, data: dict[str, Any]) -> None:
        self._tables = data["candidates"]
        self._consensus = Consensus.from_json(data["consensus"])
        self._panels = [self._panel() for _ in data["centres"]]
        for i, (panel, centre) in enumerate(zip(self._panels, data["centres"], strict=True)):
            panel.use(self._device)
            panel.load(folder / f"fold-{i}", self._fitted(), np.array(centre))


def _notes(kept: float, certainty: float) -> tuple[str, ...]:
    """Say plainly where personal effects are hardly more than noise, or may well be noise."""
    if kept >= HARDLY:
        if certainty >= CHANCE:
            return ()
        return (
            f"What the candidates take to be personal is {certainty:.1f} standard errors from nothing, and "
            f"chance alone reaches {CHANCE:g}: do not count on differences between users, though {kept:.0%} "
            "of it is kept.",
        )
    return (
        "What the candidates take to be personal can hardly be told from noise, so only "
        f"{kept:.0%} of it is kept: each coupon's uplift is nearly the same for everyone.",
    )


class _Bar:
    """One progress bar over all folds and candidates."""

    def __init__(self, progress: Progress, names: list[str], folds: int) -> None:
        effort = np.array([EFFORT.get(name, 1) for name in names])
        self._before = dict(zip(names, np.cumsum(effort) - effort, strict=True))
        self._effort = dict(zip(names, effort, strict=True))
        self._progress, self._a_fold, self._folds = progress, int(effort.sum()), folds
        progress("train", 0, 100 * self._a_fold * folds)

    def at(self, fold: int) -> Progress:
        """Return the progress of a fold, whose steps are the names of candidates."""

        def report(name: str, done: int, total: int) -> None:
            effort = fold * self._a_fold + self._before[name] + self._effort[name] * done / max(total, 1)
            self._progress("train", round(100 * effort), 100 * self._a_fold * self._folds)

        return report
