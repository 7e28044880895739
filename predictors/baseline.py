"""The `baseline` predictor: regularised logistic regression with coupon interactions.

An S-learner (Künzel et al., "Metalearners for Estimating Heterogeneous Treatment Effects", PNAS
2019): one model whose treatment interacts with every feature. A tool to beat, and hard to beat where
the signal is weak. Its coefficients are stored as safetensors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.linear_model import LogisticRegression, PoissonRegressor

from allocator.errors import InputError
from allocator.protocols import Progress
from predictors.base import HistoryPredictor
from predictors.features import Contexts, Coupons, Encoder
from predictors.history import History
from predictors.options import check_options
from predictors.pairs import Pairs
from predictors.scoring import Logits

Floats = NDArray[np.float64]

DEFAULTS: dict[str, float | int] = {"regularisation": 0.05, "interaction_scale": 0.3, "test_share": 0.25}
RANGES = {"regularisation": (1e-6, 1e6), "interaction_scale": (0.0, 10.0), "test_share": (0.05, 0.9)}
FILE = "baseline.safetensors"
ITERATIONS = 300


class BaselinePredictor(HistoryPredictor):
    """Estimates uplift with logistic regression in which coupons interact with user features.

    Parameters
    ----------
    regularisation
        Inverse strength of the L2 penalty (scikit-learn's ``C``).
    interaction_scale
        How freely a single coupon may differ from all coupons: 0 not at all, 1 as freely as coupons
        differ from control.
    test_share
        Share of the users held out for the evaluation.

    Raises
    ------
    InputError
        An option is unknown, or has a wrong type or value.
    """

    name = "baseline"
    max_events = 0

    def __init__(self, **options: Any) -> None:
        self._options = check_options(options, DEFAULTS, RANGES)
        self.test_share = self._options["test_share"]
        self._weights: dict[str, Floats] = {}

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
        x, pairs = contexts.design(), Pairs(encoder, coupons)
        columns, scales = pairs.columns(contexts, history.coupon, self._options["interaction_scale"])
        named = history.coupon >= 0
        own = named & history.own_control[history.coupon]
        treated = history.treated
        weight = history.balanced()

        progress("train", 0, 3)
        design = _join(x, _only(columns, own), _only(columns, treated))
        conversion = LogisticRegression(C=self._options["regularisation"], max_iter=ITERATIONS)
        conversion.fit(design, history.converted, sample_weight=weight)
        theta = np.r_[conversion.intercept_, conversion.coef_[0]]
        self._weights = _split(theta, x.shape[1], scales, ("baseline", "own", "effect"))

        progress("train", 1, 3)
        redeemed = history.redeemed[treated]
        theta = np.zeros(1 + len(scales))
        theta[0] = np.log((redeemed.sum() + 0.5) / ((~redeemed).sum() + 0.5))
        if redeemed.any() and not redeemed.all():
            redemption = LogisticRegression(C=self._options["regularisation"], max_iter=ITERATIONS)
            redemption.fit(columns[treated], redeemed)
            theta = np.r_[redemption.intercept_, redemption.coef_[0]]
        self._weights |= _split(theta, 0, scales, ("redemption_mean", "redemption"))

        progress("train", 2, 3)
        bought = history.converted & (history.revenue > 0)
        theta = np.zeros(1 + x.shape[1] + len(scales))
        if bought.any():
            mean = history.revenue[history.converted].mean()
            design = _join(x, _only(columns, named))[history.converted]
            revenue = PoissonRegressor(alpha=0.1, max_iter=ITERATIONS)
            revenue.fit(design, history.revenue[history.converted] / mean)
            theta = np.r_[revenue.intercept_ + np.log(mean), revenue.coef_]
        self._weights |= _split(theta, x.shape[1], scales, ("revenue", "revenue_coupon"))
        progress("train", 3, 3)

    def _logits(self, contexts: Contexts, coupons: Coupons, own_control: NDArray[np.bool_]) -> Logits:
        assert self._encoder is not None
        x, pairs = contexts.design(), Pairs(self._encoder, coupons)
        part = {
            name: pairs.score(self._weights[name], x, contexts)
            for name in ("own", "effect", "redemption", "revenue_coupon")
        }
        return Logits(
            conversion=self._linear("baseline", x)[:, None] + own_control * part["own"],
            effect=part["effect"],
            redemption=part["redemption"] + self._weights["redemption_mean"],
            revenue=self._linear("revenue", x)[:, None] + part["revenue_coupon"],
        )

    def _linear(self, name: str, x: Floats) -> Floats:
        weights = self._weights[name]
        return np.asarray(weights[0] + x @ weights[1:])

    def _save(self, folder: Path) -> None:
        save_file({name: np.ascontiguousarray(array) for name, array in self._weights.items()}, folder / FILE)

    def _load(self, folder: Path) -> None:
        self._weights = load_file(folder / FILE)


def _join(x: Floats, *blocks: sparse.csr_array) -> sparse.csr_array:
    return sparse.hstack([sparse.csr_array(x), *blocks], format="csr")


def _only(columns: sparse.csr_array, rows: NDArray[np.bool_]) -> sparse.csr_array:
    """Keep some rows of the columns and set the others to zero."""
    return sparse.diags_array(rows.astype(np.float64)).tocsr() @ columns


def _split(theta: Floats, n_user: int, scales: Floats, names: tuple[str, ...]) -> dict[str, Floats]:
    """Cut coefficients into the user's (with intercept) and those of each block, in raw units."""
    parts = {names[0]: theta[: 1 + n_user].copy()}
    for i, name in enumerate(names[1:]):
        start = 1 + n_user + i * len(scales)
        parts[name] = theta[start : start + len(scales)] * scales
    return parts
