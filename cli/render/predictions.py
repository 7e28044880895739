"""Predictions in brief."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from allocator.plugins.predictions import Predictions

MEANS = ("conversion", "uplift", "redemption", "expected_cost")


class PredictionFacts:
    """Each coupon's mean predictions over all users, from parts of them."""

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._coupons: list[str] = []
        self._means: list[dict[str, NDArray[np.float64]]] = []
        self._uplift: list[NDArray[np.float32]] = []

    def watch(self, parts: Iterable[Predictions]) -> Iterator[Predictions]:
        """Take note of each part on its way."""
        for part in parts:
            self.notes += part.notes
            self._coupons = [str(coupon) for coupon in part.coupon_ids]
            self._means.append({name: getattr(part, name).mean(axis=0) for name in MEANS})
            self._uplift.append(part.uplift.astype(np.float32))
            yield part

    def rows(self) -> list[dict[str, Any]]:
        """Return one row a coupon."""
        users = [len(uplift) for uplift in self._uplift]
        uplift = np.concatenate(self._uplift)
        low, high = np.quantile(uplift, [0.1, 0.9], axis=0)
        means = {name: np.average([part[name] for part in self._means], 0, users) for name in MEANS}
        return [
            {"coupon_id": coupon, "uplift_low": float(low[j]), "uplift_high": float(high[j])}
            | {name: float(mean[j]) for name, mean in means.items()}
            for j, coupon in enumerate(self._coupons)
        ]


def predictions_table(facts: Sequence[dict[str, Any]]) -> RenderableType:
    """Return one row a coupon."""
    table = Table(
        title="Mean prediction by coupon",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for name in ("coupon", "conversion", "uplift", "10 % to 90 % of users", "redemption", "cost"):
        table.add_column(name, justify="left" if name == "coupon" else "right")
    for row in facts:
        table.add_row(
            Text(row["coupon_id"]),
            f"{row['conversion']:.1%}",
            f"{row['uplift']:+.2%}",
            f"{row['uplift_low']:+.2%} to {row['uplift_high']:+.2%}",
            f"{row['redemption']:.1%}",
            f"{row['expected_cost']:.3g}",
        )
    return table
