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
from allocator.progress import Progress
from predictors.features.encoder import Contexts, Coupons
from predictors.history.doubly_robust import (
    cross_fit_propensity,
    doubly_robust,
    draw_cross_fit,
    expected_outcomes,
    fit_outcomes,
)
from predictors.history.propensity import Propensity
from predictors.history.training_data import TrainingData
from predictors.options import check_options
from predictors.regressions.estimators import (
    REGRESSIONS,
    Regression,
    Sends,
    Settings,
    fit_regression,
    import_lightgbm,
)
from predictors.regressions.links import logit, sigmoid
from predictors.scoring.basket import Basket
from predictors.scoring.logits import Logits
from predictors.scoring.room import with_uplift
from predictors.single_predictor import SinglePredictor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FILE = "learner.safetensors"
MOST_PAIRS = 3_000_000
"""Above this many user-coupon pairs, those that tell least are thinned."""
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


class MetaLearner(SinglePredictor):
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
    def _fit_models(self, data: TrainingData, progress: Progress) -> None:
        """Fit the regressions."""

    @abstractmethod
    def _conversion_and_effect(
        self, contexts: Contexts, coupons: Coupons, own_control: Bools
    ) -> tuple[Floats, Floats]:
        """Return the logit of the conversion without coupon, and what the coupon adds to it, (n, c)."""

    def _use(self, device: str) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"unknown device {device!r}; use auto, cpu or cuda")

    def train(self, data: TrainingData, progress: Progress) -> None:
        """Fit the model on all rows of the data."""
        self._encoder, self._models = data.encoder, {}
        self._fit_models(data, progress)
        scales = self._settings.regularisation, self._settings.interaction_scale
        self._basket = data.shared(("basket", *scales), lambda: Basket.of(data, *scales))

    def logits(self, contexts: Contexts, coupons: Coupons, own_control: Bools) -> Logits:
        """Return the model's opinion of each context with each coupon, (n, c) each."""
        conversion, effect = self._conversion_and_effect(contexts, coupons, own_control)
        return Logits(conversion, effect, *self._basket.score(self._fitted(), contexts, coupons))

    def _score(
        self, name: str, contexts: Contexts, coupons: Coupons, own: Bools, treated: bool = False
    ) -> Floats:
        return self._models[name].score(self._fitted(), contexts, coupons, own, treated)

    def save_model(self, folder: Path) -> None:
        """Write the model."""
        arrays = {
            f"{model}.{name}": array
            for model, regression in self._models.items()
            for name, array in regression.arrays().items()
        }
        arrays |= {f"basket.{name}": array for name, array in self._basket.weights.items()}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, folder / FILE, metadata={"estimator": self._settings.estimator})

    def load_model(self, folder: Path) -> None:
        """Read what `save_model` wrote."""
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

    def _fit_models(self, data: TrainingData, progress: Progress) -> None:
        history = data.history
        progress("train", 0, 2)
        sends = Sends(data.contexts, data.coupons, history.coupon, data.own, history.treated)
        converted = history.converted.astype(np.float64)
        self._models["outcome"] = fit_regression(
            self._settings, data.encoder, sends, converted, history.balanced(), seed=data.seed
        )
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

    def _fit_models(self, data: TrainingData, progress: Progress) -> None:
        progress("train", 0, 3)
        self._models = fit_outcomes(data, self._settings)
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

    def _propensity(self, data: TrainingData) -> Propensity:
        fold = draw_cross_fit(data, self._options["folds"])
        return cross_fit_propensity(data, self._settings, fold, self._options["trim"])

    def _fit_effect(
        self, data: TrainingData, rows: Ints, coupon: Ints, target: Floats, weight: Floats
    ) -> Regression:
        """Return a regression of a number on pairs of row and coupon."""
        rate, yes = float(data.history.converted.mean()), np.ones(len(rows), dtype=bool)
        sends = Sends(data.contexts.take(rows), data.coupons, coupon, ~yes, yes)
        slope = rate * (1.0 - rate)
        return fit_regression(
            self._settings, data.encoder, sends, target, weight, slope=slope, seed=data.seed
        )

    def _conversion_and_effect(
        self, contexts: Contexts, coupons: Coupons, own_control: Bools
    ) -> tuple[Floats, Floats]:
        control = sigmoid(self._score("control", contexts, coupons, own_control))
        before, uplift = with_uplift(control, self._effect(contexts, coupons), own_control)
        return logit(before), logit(before + uplift) - logit(before)

    def unnamed(self, contexts: Contexts, coupons: Coupons) -> Floats:
        """Return as the other learners do, with all coupons given room."""
        none = np.zeros(len(coupons), dtype=bool)
        return self.logits_in_parts(contexts, coupons, none).conversion[:, 0]


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

    def _fit_models(self, data: TrainingData, progress: Progress) -> None:
        history = data.history
        progress("train", 0, 4)
        found = data.scores.propensity if data.scores else self._propensity(data)
        self._notes = found.notes
        self._models = fit_outcomes(data, self._settings)
        progress("train", 2, 4)
        control, sent = expected_outcomes(self._models, data)
        rows, coupon = np.nonzero(found.usable & data.observed)
        treated, converted = history.treated[rows], history.converted[rows]
        imputed = np.where(treated, converted - control[rows, coupon], sent[rows, coupon] - converted)
        weight = history.weight[rows]
        self._models["share"] = self._fit_effect(data, rows, coupon, treated.astype(float), weight)
        for name, side in (("effect_treated", treated), ("effect_control", ~treated)):
            self._models[name] = self._fit_effect(data, rows[side], coupon[side], imputed[side], weight[side])
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

    def _fit_models(self, data: TrainingData, progress: Progress) -> None:
        steps = self._options["folds"] + 3
        done = iter(range(1, steps))
        progress("train", 0, steps)
        scores = data.scores or doubly_robust(
            data,
            settings=self._settings,
            folds=self._options["folds"],
            trim=self._options["trim"],
            step=lambda: progress("train", next(done), steps),
        )
        self._notes = scores.propensity.notes
        rows, coupon, weight = _pairs(data, scores.propensity.usable)
        self._models["effect"] = self._fit_effect(data, rows, coupon, scores.effect[rows, coupon], weight)
        progress("train", steps - 2, steps)
        self._models |= fit_outcomes(data, self._settings, sides=("control",))
        progress("train", steps - 1, steps)

    def _effect(self, contexts: Contexts, coupons: Coupons) -> Floats:
        return self._score("effect", contexts, coupons, np.zeros(len(coupons), dtype=bool), True)


def _pairs(data: TrainingData, usable: Bools) -> tuple[Ints, Ints, Floats]:
    """Return the rows, coupons and weights of the pairs to regress on.

    A row that got another coupon adds only what the outcome models say, so of such pairs no more
    are kept than there is room for, with a weight that makes up for the others.
    """
    told = usable & data.observed
    rest = usable & ~told
    keep = min(1.0, max(MOST_PAIRS - int(told.sum()), 1) / max(int(rest.sum()), 1))
    if keep < 1.0:
        rest &= np.random.default_rng([data.seed, 2]).random(rest.shape) < keep
    rows, coupon = np.nonzero(told | rest)
    return rows, coupon, np.where(told[rows, coupon], 1.0, 1.0 / keep)
