"""Regressions on user, coupon and treatment: the estimators that a meta-learner is built from.

Each is kept as plain arrays, so that a fitted one is stored without pickle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from allocator.errors import PluginError
from predictors.features.encoder import Contexts, Coupons, Encoder
from predictors.regressions.pairs import Pairs, join, only, split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ITERATIONS = 300
TREE_BINS = 64
EVENTS = 5.0
"""Conversions that a leaf of a tree awaits at least: of fewer, a rare one makes its neighbours look keen."""


@dataclass(frozen=True)
class Settings:
    """How an outcome is regressed: which estimator, and how strongly it is held back."""

    estimator: str = "logistic"
    regularisation: float = 0.05
    interaction_scale: float = 0.3
    trees: int = 100
    leaves: int = 8
    learning_rate: float = 0.05


@dataclass(frozen=True)
class Sends:
    """n users, each at its moment, with what was sent.

    Parameters
    ----------
    contexts, coupons
        The users, and the coupons that `coupon` counts in.
    coupon
        (n,) position of the coupon, -1 where none is named.
    own
        (n,) whether the outcome is about this coupon's products even if it is not sent.
    treated
        (n,) whether the coupon was sent.
    """

    contexts: Contexts
    coupons: Coupons
    coupon: Ints
    own: Bools
    treated: Bools


class Regression(ABC):
    """An outcome as a function of user, coupon and treatment.

    Parameters
    ----------
    settings
        Estimator and penalties.
    slope
        None for a probability, whose scores are logits. For a number: how much of it one unit of a
        logit makes, so that the penalties of both kinds mean the same.
    seed
        Of the estimator.
    """

    name: ClassVar[str]

    def __init__(self, settings: Settings, slope: float | None, seed: int) -> None:
        self._settings, self._slope, self._seed = settings, slope, seed
        self._level = 0.0
        self._arrays: dict[str, NDArray[Any]] = {}

    def fit(self, encoder: Encoder, sends: Sends, target: Floats, weight: Floats) -> None:
        """Fit on n rows; where all have the same target, the score is a constant."""
        if self._slope is None:
            yes = float(target.sum()) + 0.5
            self._level = float(np.log(yes / (len(target) + 1.0 - yes)))
        elif len(target):
            self._level = float(np.average(target, weights=weight))
        if len(target) and np.ptp(target) > 0:
            self._arrays = self._fit(encoder, sends, target, weight / weight.mean())

    def score(
        self, encoder: Encoder, contexts: Contexts, coupons: Coupons, own: Bools, treated: bool
    ) -> Floats:
        """Return the logit or number of every user with every coupon, (n_users, n_coupons)."""
        if not self._arrays:
            return np.full((len(contexts), len(coupons)), self._level)
        return self._score(encoder, contexts, coupons, own, treated)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that `restore` needs."""
        return {"level": np.array([self._level]), **self._arrays}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of a fitted regression."""
        self._level = float(arrays["level"][0])
        self._arrays = {name: array for name, array in arrays.items() if name != "level"}

    @abstractmethod
    def _fit(self, encoder: Encoder, sends: Sends, target: Floats, weight: Floats) -> dict[str, NDArray[Any]]:
        """Return the fitted arrays; the target is not constant and weights have mean 1."""

    @abstractmethod
    def _score(
        self, encoder: Encoder, contexts: Contexts, coupons: Coupons, own: Bools, treated: bool
    ) -> Floats: ...


class Linear(Regression):
    """Logistic regression, or ridge regression of a number, with coupon x feature interactions.

    A ridge has the prior of the logistic regression carried over to its scale: a variance of
    ``regularisation * slope ** 2`` for each coefficient.
    """

    name = "logistic"

    def _fit(self, encoder: Encoder, sends: Sends, target: Floats, weight: Floats) -> dict[str, NDArray[Any]]:
        x, settings = sends.contexts.design(), self._settings
        columns, scales = Pairs(encoder, sends.coupons).columns(
            sends.contexts, sends.coupon, settings.interaction_scale
        )
        design = join(x, only(columns, sends.own), only(columns, sends.treated))
        if self._slope is None:
            logistic = LogisticRegression(C=settings.regularisation, max_iter=ITERATIONS)
            logistic.fit(design, target > 0, sample_weight=weight)
            theta = np.r_[logistic.intercept_, logistic.coef_[0]]
        else:
            noise = float(np.average((target - self._level) ** 2, weights=weight))
            prior = settings.regularisation * max(self._slope, 1e-9) ** 2
            ridge = Ridge(alpha=noise / prior, solver="sparse_cg", tol=1e-8, max_iter=ITERATIONS)
            ridge.fit(design, target, sample_weight=weight)
            theta = np.r_[ridge.intercept_, ridge.coef_]
        parts = split(theta, x.shape[1], scales, ("user", "own", "effect"))
        return {name: np.ascontiguousarray(part) for name, part in parts.items()}

    def _score(
        self, encoder: Encoder, contexts: Contexts, coupons: Coupons, own: Bools, treated: bool
    ) -> Floats:
        x, pairs = contexts.design(), Pairs(encoder, coupons)
        user = self._arrays["user"]
        score = (user[0] + x @ user[1:])[:, None] + own * pairs.score(self._arrays["own"], x, contexts)
        if treated:
            score = score + pairs.score(self._arrays["effect"], x, contexts)
        return np.asarray(score)


class _Trees(Regression):
    """Boosted trees on user features, coupon attributes and treatment side by side."""

    def _fit(self, encoder: Encoder, sends: Sends, target: Floats, weight: Floats) -> dict[str, NDArray[Any]]:
        pairs = Pairs(encoder, sends.coupons)
        design = _tree_design(pairs, sends.contexts, sends.coupon, sends.own, sends.treated)
        return self._boost(design, target, weight, leaf=self._least_rows(target))

    def _least_rows(self, target: Floats) -> int:
        """Return how many rows a leaf holds at least: enough to await some conversions, and some misses."""
        usual, rate = int(np.clip(len(target) // 50, 10, 200)), float(target.mean())
        spread = rate * (1.0 - rate) if self._slope is None else self._slope
        return max(usual, int(min(EVENTS / max(spread, 1e-9), len(target) // 4)))

    def _score(
        self, encoder: Encoder, contexts: Contexts, coupons: Coupons, own: Bools, treated: bool
    ) -> Floats:
        pairs, n = Pairs(encoder, coupons), len(contexts)
        out = np.empty((n, len(coupons)))
        alike: Floats | None = None  # without treatment, coupons with no control rows of their own agree
        for j in range(len(coupons)):
            named = treated or bool(own[j])
            if named or alike is None:
                flags = (np.full(n, bool(own[j])), np.full(n, treated))
                out[:, j] = self._raw(_tree_design(pairs, contexts, np.full(n, j), *flags))
            else:
                out[:, j] = alike
            alike = alike if named else out[:, j]
        return out

    @abstractmethod
    def _boost(self, design: Floats, target: Floats, weight: Floats, leaf: int) -> dict[str, NDArray[Any]]:
        """Fit trees whose leaves hold at least `leaf` rows."""

    @abstractmethod
    def _raw(self, design: Floats) -> Floats:
        """Return the logit or number of each row, (n,)."""


class Forest(_Trees):
    """scikit-learn's histogram gradient boosting; its trees are stored node by node."""

    name = "forest"

    def _boost(self, design: Floats, target: Floats, weight: Floats, leaf: int) -> dict[str, NDArray[Any]]:
        settings = self._settings
        kind = HistGradientBoostingClassifier if self._slope is None else HistGradientBoostingRegressor
        model = kind(
            max_iter=settings.trees,
            max_leaf_nodes=settings.leaves,
            learning_rate=settings.learning_rate,
            min_samples_leaf=leaf,
            max_bins=TREE_BINS,
            early_stopping=False,
            random_state=self._seed,
        )
        # Quantiles of weighted rows are slow to find, so equal weights are left out.
        weights = None if np.ptp(weight) == 0 else weight
        model.fit(design, target > 0 if self._slope is None else target, sample_weight=weights)
        nodes = [predictors[0].nodes for predictors in model._predictors]
        start = np.cumsum([0] + [len(tree) for tree in nodes])
        joined, shift = np.concatenate(nodes), np.repeat(start[:-1], np.diff(start))
        leaves = joined["is_leaf"].astype(bool)
        return {
            "base": np.asarray(model._baseline_prediction, dtype=np.float64).reshape(1),
            "root": start[:-1].astype(np.int64),
            "feature": np.where(leaves, -1, joined["feature_idx"]).astype(np.int64),
            "threshold": joined["num_threshold"].astype(np.float64),
            "left": joined["left"].astype(np.int64) + shift,
            "right": joined["right"].astype(np.int64) + shift,
            "value": joined["value"].astype(np.float64),
        }

    def _raw(self, design: Floats) -> Floats:
        names = ("root", "feature", "threshold", "left", "right", "value")
        trees = (np.ascontiguousarray(self._arrays[name]) for name in names)
        return np.asarray(self._arrays["base"][0] + _walk(design, *trees))


class LightGBM(_Trees):
    """LightGBM, an extra; stored in its own text format."""

    name = "lightgbm"

    def _boost(self, design: Floats, target: Floats, weight: Floats, leaf: int) -> dict[str, NDArray[Any]]:
        lightgbm, settings = import_lightgbm(), self._settings
        parameters = {
            "objective": "binary" if self._slope is None else "regression",
            "num_leaves": settings.leaves,
            "learning_rate": settings.learning_rate,
            "min_data_in_leaf": leaf,
            "min_sum_hessian_in_leaf": 0.0,
            "seed": self._seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        data = lightgbm.Dataset(design, target, weight=weight)
        text = lightgbm.train(parameters, data, settings.trees).model_to_string()
        return {"text": np.frombuffer(text.encode(), dtype=np.uint8)}

    def _raw(self, design: Floats) -> Floats:
        booster = import_lightgbm().Booster(model_str=self._arrays["text"].tobytes().decode())
        return np.asarray(booster.predict(design, raw_score=True), dtype=np.float64)


REGRESSIONS: dict[str, type[Regression]] = {kind.name: kind for kind in (Linear, Forest, LightGBM)}


def fit_regression(
    settings: Settings,
    encoder: Encoder,
    sends: Sends,
    target: Floats,
    weight: Floats,
    *,
    slope: float | None = None,
    seed: int = 0,
) -> Regression:
    """Return a regression of the settings' estimator, fitted; see `Regression` for the parameters."""
    model = REGRESSIONS[settings.estimator](settings, slope, seed)
    model.fit(encoder, sends, target, weight)
    return model


def import_lightgbm() -> Any:
    """Return LightGBM.

    Raises
    ------
    PluginError
        It is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise PluginError(
            f'estimator = "lightgbm" needs LightGBM, which cannot be imported ({error}). In a checkout of '
            "Allocate, pip install '.[lightgbm]' brings it; estimator = \"forest\" needs nothing more."
        ) from error
    return lightgbm


def _tree_design(pairs: Pairs, contexts: Contexts, coupon: Ints, own: Bools, treated: Bools) -> Floats:
    coupon = np.where(own | treated, coupon, -1)
    return np.column_stack([contexts.design(), pairs.features(contexts, coupon), own, treated])


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _walk(
    design: Floats, root: Ints, feature: Ints, threshold: Floats, left: Ints, right: Ints, value: Floats
) -> Floats:
    """Return the sum of the leaves that each row falls into, (n,)."""
    out = np.zeros(len(design))
    for row in range(len(design)):
        for tree in root:
            node = tree
            while feature[node] >= 0:
                node = left[node] if design[row, feature[node]] <= threshold[node] else right[node]
            out[row] += value[node]
    return out
