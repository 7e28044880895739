"""Linear features of a user and a coupon together, as sparse columns or as a matrix of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from predictors.features.encoder import COUPON_TEXTS, Contexts, Coupons, Encoder

Floats = NDArray[np.float64]

FREE = 10.0
"""Scale of the columns that carry averages, so that a penalty hardly holds them."""


class Pairs:
    """Columns: constant | user features | coupon attributes | affinity | coupon | coupon x features.

    Parameters
    ----------
    encoder
        Knows the coupons that were trained on; the last two groups hold one block for each.
    coupons
        The coupons that the pairs are about.
    """

    def __init__(self, encoder: Encoder, coupons: Coupons) -> None:
        self._coupons = coupons
        self._n_known = len(encoder.coupon_texts[COUPON_TEXTS.index("coupon_id")].values)
        self._attributes = _attributes(encoder, coupons)

    def columns(
        self, contexts: Contexts, coupon: NDArray[np.int64], interaction_scale: float
    ) -> tuple[sparse.csr_array, Floats]:
        """Return the columns of rows with one coupon each, and the scale of each column.

        Parameters
        ----------
        contexts
            n users.
        coupon
            (n,) position in the coupons; all columns are zero where it is -1.
        interaction_scale
            Scale of the last group; a small one is shrunk more by a penalty.
        """
        named = coupon >= 0
        known = np.where(named, self._coupons.known[coupon] - 1, -1)
        x = contexts.design()
        attributes = self._attributes[coupon]
        affinity = contexts.affinity[np.arange(len(coupon)), self._coupons.slot[coupon]]
        dense = np.concatenate([np.ones((len(x), 1)), x, attributes, affinity], axis=1) * named[:, None]
        rows = np.flatnonzero(known >= 0)
        one = sparse.csr_array((np.ones(len(rows)), (rows, known[rows])), shape=(len(x), self._n_known))
        width = x.shape[1]
        at = known[rows][:, None] * width + np.arange(width)
        both = sparse.csr_array(
            (x[rows].ravel(), (np.repeat(rows, width), at.ravel())), shape=(len(x), self._n_known * width)
        )
        scales = np.concatenate(
            [
                [FREE],
                np.ones(dense.shape[1] - 1),
                np.full(self._n_known, FREE),
                np.full(both.shape[1], max(interaction_scale, 1e-9)),
            ]
        )
        raw = sparse.hstack([sparse.csr_array(dense), one, both], format="csr")
        return raw @ sparse.diags_array(scales).tocsr(), scales

    def features(self, contexts: Contexts, coupon: NDArray[np.int64]) -> Floats:
        """Return coupon attributes, affinity and coupon of rows with one coupon each, for trees.

        All are zero where `coupon` is -1; a new coupon has attributes only.
        """
        named = coupon >= 0
        known = self._coupons.known[coupon][:, None] == np.arange(1, self._n_known + 1)
        affinity = contexts.affinity[np.arange(len(coupon)), self._coupons.slot[coupon]]
        return np.concatenate([self._attributes[coupon], affinity, known], axis=1) * named[:, None]

    def score(self, theta: Floats, x: Floats, contexts: Contexts) -> Floats:
        """Return the columns times `theta` for all pairs, (n_users, n_coupons)."""
        width, n_attributes = x.shape[1], self._attributes.shape[1]
        n_affinity = contexts.affinity.shape[2]
        sizes = [1, width, n_attributes, n_affinity, self._n_known, self._n_known * width]
        constant, user, attribute, affinity, one, both = np.split(theta, np.cumsum(sizes)[:-1])
        # A new coupon has no block of its own: its row is zero.
        own_level = np.r_[0.0, one][self._coupons.known]
        own_slope = np.vstack([np.zeros(width), both.reshape(-1, width)])[self._coupons.known]
        level = constant[0] + self._attributes @ attribute + own_level
        interest = (contexts.affinity.astype(np.float64) @ affinity)[:, self._coupons.slot]
        return np.asarray((x @ user)[:, None] + x @ own_slope.T + interest + level)


def _attributes(encoder: Encoder, coupons: Coupons) -> Floats:
    """Return coupon attributes with one-hot texts, (n_coupons, n_attributes)."""
    parts = [np.nan_to_num(coupons.numbers, nan=0.0), np.isnan(coupons.numbers)]
    for column, text in zip(coupons.texts.T, encoder.coupon_texts, strict=True):
        if text.name != "coupon_id":
            parts.append(column[:, None] == np.arange(text.size))
    return np.concatenate(parts, axis=1, dtype=np.float64)


def join(x: Floats, *blocks: sparse.csr_array) -> sparse.csr_array:
    """Put a matrix and blocks of columns side by side."""
    return sparse.hstack([sparse.csr_array(x), *blocks], format="csr")


def only(columns: sparse.csr_array, rows: NDArray[np.bool_]) -> sparse.csr_array:
    """Keep some rows of the columns and set the others to zero."""
    return sparse.diags_array(rows.astype(np.float64)).tocsr() @ columns


def split(theta: Floats, n_user: int, scales: Floats, names: tuple[str, ...]) -> dict[str, Floats]:
    """Cut coefficients into the user's (with intercept) and those of each block, in raw units."""
    parts = {names[0]: theta[: 1 + n_user].copy()}
    for i, name in enumerate(names[1:]):
        start = 1 + n_user + i * len(scales)
        parts[name] = theta[start : start + len(scales)] * scales
    return parts
