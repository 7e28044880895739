"""Encoded coupons: their attributes as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from predictors.features.columns import Vocabulary

Ints = NDArray[np.int64]

COUPON_NUMBERS = ("percent", "amount", "shipping", "min_spend", "max_discount")
COUPON_TEXTS = ("kind", "category", "channel", "coupon_id")


@dataclass(frozen=True)
class Coupons:
    """Coupon attributes: `numbers` (n, 5) with NaN for none, `texts` (n, 4) indices, `slot` (n,).

    `descriptions` has one text a coupon, empty for none.
    """

    numbers: NDArray[np.float32]
    texts: Ints
    slot: Ints
    categories: tuple[str, ...]
    descriptions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Ints) -> Coupons:
        """Return some of the coupons."""
        return replace(
            self,
            numbers=self.numbers[rows],
            texts=self.texts[rows],
            slot=self.slot[rows],
            descriptions=tuple(self.descriptions[row] for row in rows),
        )

    @property
    def known(self) -> Ints:
        """Position of each coupon among those trained on, plus 1; 0 for a new coupon."""
        return np.maximum(self.texts[:, COUPON_TEXTS.index("coupon_id")] - 1, 0)


def encode_coupons(table: pl.DataFrame, texts: Sequence[Vocabulary]) -> Coupons:
    """Encode rows of ``campaign.coupons`` with the vocabularies of `COUPON_TEXTS`."""
    value = table["value"].cast(pl.Float64).to_numpy()
    kind = table["kind"].to_numpy()
    spend, cap = (table[name].cast(pl.Float64).to_numpy() for name in ("min_spend", "max_discount"))
    numbers = [
        np.where(kind == "percent", value / 20.0, np.nan),
        np.where(kind == "amount", np.log1p(value) / 3, np.nan),
        np.where(kind == "free_shipping", np.log1p(value) / 3, np.nan),
        np.log1p(np.where(np.isfinite(spend), spend, np.nan)) / 3,
        np.log1p(np.where(np.isfinite(cap), cap, np.nan)) / 3,
    ]
    names: list[str | None] = table["category"].cast(pl.String).to_list()
    categories = sorted({name for name in names if name is not None})
    slot = [categories.index(name) if name is not None else len(categories) for name in names]
    return Coupons(
        numbers=np.stack(numbers, axis=1).astype(np.float32),
        texts=np.stack([text.encode(table[text.name]) for text in texts], axis=1),
        slot=np.asarray(slot, dtype=np.int64),
        categories=tuple(categories),
        descriptions=tuple(table["description"].cast(pl.String).fill_null("").to_list()),
    )
