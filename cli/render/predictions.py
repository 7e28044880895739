"""Predictions in brief."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from allocator.protocols import Predictions


def prediction_facts(predictions: Predictions) -> list[dict[str, Any]]:
    """Return each coupon's mean predictions over all users."""
    return [
        {
            "coupon_id": str(coupon),
            "conversion": float(predictions.conversion[:, j].mean()),
            "uplift": float(predictions.uplift[:, j].mean()),
            "uplift_low": float(np.quantile(predictions.uplift[:, j], 0.1)),
            "uplift_high": float(np.quantile(predictions.uplift[:, j], 0.9)),
            "redemption": float(predictions.redemption[:, j].mean()),
            "expected_cost": float(predictions.expected_cost[:, j].mean()),
        }
        for j, coupon in enumerate(predictions.coupon_ids)
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
