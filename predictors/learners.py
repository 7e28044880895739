"""Meta-learners: uplift from regressions of the outcome, many coupons at once.

`SLearner`, `TLearner` and `XLearner` follow Künzel, Sekhon, Bickel and Yu, "Metalearners for
Estimating Heterogeneous Treatment Effects Using Machine Learning", PNAS 2019; `DRLearner` follows
Kennedy, "Towards Optimal Doubly Robust Estimation of Heterogeneous Causal Effects", Electronic
Journal of Statistics 2023. Each coupon is an arm. One regression serves all arms, with the coupon's
attributes among its features, so arms share strength and a new coupon can be scored.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from allocator.errors import InputError
from allocator.protocols import Progress
from predictors.base import HistoryPredictor
from predictors.basket import Basket
from predictors.features import Contexts, Coupons, Encoder
from predictors.history import History
from predictors.options import check_options
from predictors.propensity import Propensity, draw_folds, find_propensity
from predictors.regressions import REGRESSIONS, Regression, Sends, Settings, import_lightgbm
from predictors.scoring import Logits, sigmoid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FILE = "learner.safetensors"
MOST_PAIRS = 3_000_000
"""Above this many user-coupon pairs, those that tell least are thinned."""
ROOM = 0.02
"""An uplift takes at most all but this share of the way from the conversion without coupon to 0 or 1."""

COMMON: dict[str, Any] = {
    "estimator": "logistic",
    "regularisation": 0.05,
    "interaction_scale": 0.3,
    "trees": 100,
    "leaves": 8,
    "learning_rate": 0.05,
    "test_share": 0.25,
}
RANGES = {
    "regularisation": (1e-6, 1e6),
    "interaction_scale": (0.0, 10.0),
    "trees": (1, 10_000),
    "leaves": (2, 1024),
    "learning_rate": (1e-4, 1.0),
    "test_share": (0.05, 0.9),
    "folds": (2, 20),
    "trim": (0.0, 0.9),
}
CHOICES = {"estimator": tuple(REGRESSIONS)}


class MetaLearner(HistoryPredictor):
    """What the learners share: options, storage, redemption and revenue.

    A subclass fits its regressions into `_models`, and says what they mean.
    """

    max_events = 0
    defaults: ClassVar[Mapping[str, Any]] = COMMON

    def __init__(self, **options: Any) -> None:
        values = check_options(options, self.defaults, RANGES, CHOICES)
        self._options = values
        self._settings = Settings(
            **{field.name: values[field.name] for field in fields(Settings) if field.name in values}
        )
        if self._settings.estimator == "lightgbm":
            import_lightgbm()
        self.test_share = values["test_share"]
        self._models: dict[str, Regression] = {}
        self._basket = Basket()

    @abstractmethod
    def _learn(self, data: _Data, progress: Progress) -> None:
        """Fit the regressions."""

    @abstractmethod
    def _conversion_and_effect(
        self, contexts: Contexts, coupons: Coupons, own_control: Bools
    ) -> tuple[Floats, Floats]:
        """Return the logit of the conversion without coupon, and what the coupon adds to it, (n, c)."""

    def _use(self, device: str) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"unknown device {device!r}; use auto, cpu or cuda")

    def _train(
        self,
        encoder: Encoder,
        history: History,
        contexts: Contexts,
        coupons: Coupons,
        seed: int,
        progress: Progress,
    ) -> None:
        settings = self._settings
        self._models = {}
        self._learn(_Data(encoder, history, contexts, coupons, seed, settings), progress)
        self._basket.fit(
            encoder, history, contexts, coupons, settings.regularisation, settings.interaction_scale
        )

    def _logits(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Logits:
        conversion, effect = self._conversion_and_effect(contexts, coupons, own_control)
        return Logits(conversion, effect, *self._basket.score(self._fitted(), contexts, coupons))

    def _score(
        self, name: str, contexts: Contexts, coupons: Coupons, own: Bools, treated: bool = False
    ) -> Floats:
        return self._models[name].score(self._fitted(), contexts, coupons, own, treated)

    def _save(self, folder: Path) -> None:
        arrays = {
            f"{model}.{name}": array
            for model, regression in self._models.items()
            for name, array in regression.arrays().items()
        }
        arrays |= {f"basket.{name}": array for name, array in self._basket.weights.items()}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, folder / FILE, metadata={"estimator": self._settings.estimator})

    def _load(self, folder: Path) -> None:
        groups: dict[str, dict[str, NDArray[Any]]] = {}
        with safe_open(folder / FILE, framework="numpy") as file:
            estimator = file.metadata()["estimator"]
            for key in file.keys():  # noqa: SIM118  (a safetensors file is no mapping)
                model, name = key.split(".", 1)
                groups.setdefault(model, {})[name] = file.get_tensor(key)
        if estimator == "lightgbm":
            import_lightgbm()
        self._settings = Settings(estimator=estimator)
        self._basket.weights = groups.pop("basket")
        self._models = {name: REGRESSIONS[estimator](self._settings, None, 0) for name in sorted(groups)}
        for name, model in self._models.items():
            model.restore(groups[name])


class SLearner(MetaLearner):
    """S-learner: one model of the outcome, with the coupon among its features.

    Parameters
    ----------
    estimator
        ``logistic``, ``forest`` (scikit-learn's histogram gradient boosting) or ``lightgbm``.
    regularisation, interaction_scale
        Of ``logistic``: inverse strength of the L2 penalty, and how freely a single coupon may differ
        from all coupons.
    trees, leaves, learning_rate
        Of ``forest`` and ``lightgbm``.
    test_share
        Share of the users held out for the evaluation.

    Raises
    ------
    InputError
        An option is unknown, or has a wrong type or value.
    PluginError
        LightGBM is asked for and not installed.
    """

    name = "s-learner"

    def _learn(self, data: _Data, progress: Progress) -> None:
        history = data.history
        progress("train", 0, 2)
        sends = data.sends(np.arange(len(history)), history.coupon, data.own, history.treated)
        self._models["outcome"] = data.fit(sends, data.converted, history.balanced())
        progress("train", 1, 2)

    def _conversion_and_effect(
        self, contexts: Contexts, coupons: Coupons, own_control: Bools
    ) -> tuple[Floats, Floats]:
        conversion = self._score("outcome", contexts, coupons, own_control)
        return conversion, self._score("outcome", contexts, coupons, own_control, True) - conversion


class TLearner(MetaLearner):
    """T-learner: one model of the outcome without a coupon, one with.

    Options as for the S-learner.
    """

    name = "t-learner"

    def _learn(self, data: _Data, progress: Progress) -> None:
        progress("train", 0, 3)
        self._models = data.outcomes(np.ones(len(data.history), dtype=bool))
        progress("train", 2, 3)

    def _conversion_and_effect(
        self, contexts: Contexts, coupons: Coupons, own_control: Bools
    ) -> tuple[Floats, Floats]:
        conversion = self._score("control", contexts, coupons, own_control)
        return conversion, self._score("treated", contexts, coupons, own_control & False, True) - conversion


class _EffectLearner(MetaLearner):
    """A learner whose second stage regresses an estimate of each effect on user and coupon."""

    defaults: ClassVar[Mapping[str, Any]] = {**COMMON, "folds": 3, "trim": 0.1}

    @abstractmethod
    def _effect(self, contexts: Contexts, coupons: Coupons) -> Floats:
        """Return the change of the probability, (n, c)."""

    def _propensity(self, data: _Data) -> tuple[Propensity, Ints]:
        """Return propensities and folds, and note the overlap."""
        rng = np.random.default_rng([data.seed, 1])
        fold = draw_folds(data.history.user, self._options["folds"], rng)
        x, trees = data.contexts.design(), self._settings.estimator != "logistic"
        found = find_propensity(data.history, x, fold, self._options["trim"], trees)
        self._notes = found.notes
        return found, fold

    def _conversion_and_effect(
        self, contexts: Contexts, coupons: Coupons, own_control: Bools
    ) -> tuple[Floats, Floats]:
        logit = self._score("control", contexts, coupons, own_control)
        before = sigmoid(logit)
        after = before + self._effect(contexts, coupons)
        after = np.clip(after, ROOM * before, 1.0 - ROOM * (1.0 - before))
        return logit, np.log(after / (1.0 - after)) - logit


class XLearner(_EffectLearner):
    """X-learner: effects imputed for treated and for control users, blended by propensity.

    The blend is by the chance of being treated, given user and coupon, as its authors propose.

    Parameters
    ----------
    folds, trim
        Of propensities that have to be estimated: folds of the cross-fitting, and the share of its
        average below which a chance leaves no user to compare.
    **options
        As for the S-learner.
    """

    name = "x-learner"

    def _learn(self, data: _Data, progress: Progress) -> None:
        history = data.history
        progress("train", 0, 4)
        found, _ = self._propensity(data)
        self._models = data.outcomes(np.ones(len(history), dtype=bool))
        progress("train", 2, 4)
        control, sent = data.expected(self._models, history.own_control)
        rows, coupon = np.nonzero(found.usable & data.observed)
        treated = history.treated[rows]
        imputed = np.where(
            treated,
            data.converted[rows] - control[rows, coupon],
            sent[rows, coupon] - data.converted[rows],
        )
        self._models["share"] = data.fit_effect(rows, coupon, treated.astype(float), history.weight[rows])
        for name, side in (("effect_treated", treated), ("effect_control", ~treated)):
            weight = history.weight[rows[side]]
            self._models[name] = data.fit_effect(rows[side], coupon[side], imputed[side], weight)
        progress("train", 3, 4)

    def _effect(self, contexts: Contexts, coupons: Coupons) -> Floats:
        none = np.zeros(len(coupons), dtype=bool)
        share, treated, control = (
            self._score(name, contexts, coupons, none, True)
            for name in ("share", "effect_treated", "effect_control")
        )
        share = np.clip(share, 0.0, 1.0)
        return np.asarray(share * control + (1.0 - share) * treated)


class DRLearner(_EffectLearner):
    """DR-learner: doubly robust pseudo-outcomes by cross-fitting, regressed on user and coupon.

    It is right if the propensities are, or else the outcome models.

    Parameters
    ----------
    folds
        Folds of the cross-fitting.
    trim
        Of propensities that have to be estimated: the share of its average below which a chance
        leaves no user to compare.
    **options
        As for the S-learner.
    """

    name = "dr-learner"

    def _learn(self, data: _Data, progress: Progress) -> None:
        history, folds = data.history, self._options["folds"]
        steps = folds + 3
        progress("train", 0, steps)
        found, fold = self._propensity(data)
        control, sent = (np.zeros(found.usable.shape) for _ in range(2))
        for part in range(folds):
            rows = np.flatnonzero(fold == part)
            models = data.outcomes(fold != part)
            control[rows], sent[rows] = data.expected(models, history.own_control, rows)
            progress("train", part + 1, steps)
        rows, coupon, weight = data.pairs(found.usable)
        pseudo = (sent - control)[rows, coupon] + data.correction(found, rows, coupon, control, sent)
        self._models["effect"] = data.fit_effect(rows, coupon, pseudo, weight)
        progress("train", folds + 1, steps)
        self._models["control"] = data.outcomes(np.ones(len(history), dtype=bool), sides=("control",))[
            "control"
        ]
        progress("train", folds + 2, steps)

    def _effect(self, contexts: Contexts, coupons: Coupons) -> Floats:
        return self._score("effect", contexts, coupons, np.zeros(len(coupons), dtype=bool), True)


class _Data:
    """The training rows of a learner, and the regressions that one fits to them."""

    def __init__(
        self,
        encoder: Encoder,
        history: History,
        contexts: Contexts,
        coupons: Coupons,
        seed: int,
        settings: Settings,
    ) -> None:
        self.encoder, self.history, self.contexts, self.coupons = encoder, history, contexts, coupons
        self.seed, self.settings = seed, settings
        self.converted = history.converted.astype(np.float64)
        self.own = (history.coupon >= 0) & history.own_control[history.coupon]
        rate = float(self.converted.mean())
        self.slope = rate * (1.0 - rate)

    @property
    def observed(self) -> Bools:
        """Which coupons each row shows the outcome with, or without, (n, c)."""
        mine = self.history.coupon[:, None] == np.arange(len(self.coupons))
        return np.where(self.history.treated[:, None], mine, True)

    def sends(self, rows: Ints, coupon: Ints, own: Bools, treated: Bools) -> Sends:
        """Return some rows, each with a coupon."""
        return Sends(self.contexts.take(rows), self.coupons, coupon, own, treated)

    def fit(self, sends: Sends, target: Floats, weight: Floats, slope: float | None = None) -> Regression:
        """Return a fitted regression."""
        model = REGRESSIONS[self.settings.estimator](self.settings, slope, self.seed)
        model.fit(self.encoder, sends, target, weight)
        return model

    def fit_effect(self, rows: Ints, coupon: Ints, target: Floats, weight: Floats) -> Regression:
        """Return a regression of a number on pairs of row and coupon."""
        yes = np.ones(len(rows), dtype=bool)
        return self.fit(self.sends(rows, coupon, ~yes, yes), target, weight, self.slope)

    def outcomes(
        self, chosen: Bools, sides: tuple[str, ...] = ("control", "treated")
    ) -> dict[str, Regression]:
        """Return models of the outcome without and with a coupon, fitted on the chosen rows."""
        history, models = self.history, {}
        for side in sides:
            treated = side == "treated"
            rows = np.flatnonzero(chosen & (history.treated == treated))
            own = self.own[rows] & (not treated)
            sends = self.sends(rows, history.coupon[rows], own, history.treated[rows])
            models[side] = self.fit(sends, self.converted[rows], history.weight[rows])
        return models

    def expected(
        self, models: dict[str, Regression], own_control: Bools, rows: Ints | None = None
    ) -> tuple[Floats, Floats]:
        """Return the probability of a conversion without and with each coupon, (n_rows, c) each."""
        contexts = self.contexts if rows is None else self.contexts.take(rows)
        control = models["control"].score(self.encoder, contexts, self.coupons, own_control, False)
        sent = models["treated"].score(self.encoder, contexts, self.coupons, own_control & False, True)
        return sigmoid(control), sigmoid(sent)

    def pairs(self, usable: Bools) -> tuple[Ints, Ints, Floats]:
        """Return the rows, coupons and weights of the pairs to regress on.

        A row that got another coupon adds only what the outcome models say, so of such pairs no more
        are kept than there is room for, with a weight that makes up for the others.
        """
        told = usable & self.observed
        rest = usable & ~told
        keep = min(1.0, max(MOST_PAIRS - int(told.sum()), 1) / max(int(rest.sum()), 1))
        if keep < 1.0:
            rest &= np.random.default_rng([self.seed, 2]).random(rest.shape) < keep
        rows, coupon = np.nonzero(told | rest)
        return rows, coupon, np.where(told[rows, coupon], 1.0, 1.0 / keep)

    def correction(
        self, found: Propensity, rows: Ints, coupon: Ints, control: Floats, sent: Floats
    ) -> Floats:
        """Return what observed outcomes add to a pseudo-outcome: residuals by inverse propensity.

        Weights are normalised by arm (Hajek), so a propensity known up to a factor will do.
        """
        history, n_coupons = self.history, len(self.coupons)
        pairs = found.usable.sum(axis=0)
        up = history.treated[rows] & (history.coupon[rows] == coupon)
        down = ~history.treated[rows]
        out = np.zeros(len(rows))
        for side, expected, sign in ((up, sent, 1.0), (down, control, -1.0)):
            r, c = rows[side], coupon[side]
            total = np.bincount(c, found.weight[r], n_coupons)
            scale = found.weight[r] * (pairs / np.maximum(total, 1e-12))[c]
            out[side] = sign * scale * (self.converted[r] - expected[r, c])
        return out
