"""The one-page evaluation of a predictor."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from allocator.protocols import Evaluation
from cli.render.format import bar


def evaluation_page(evaluation: Evaluation) -> RenderableType:
    """Return Qini by coupon, calibration, further figures and notes."""
    parts: list[RenderableType] = [
        Text(
            f"trained on {evaluation.rows_train:,} rows, judged on {evaluation.rows_test:,} rows held out",
            style="dim",
        ),
        _arms(evaluation),
    ]
    if evaluation.calibration:
        parts.append(_calibration(evaluation))
    if evaluation.metrics:
        parts.append(
            Text(
                " · ".join(
                    f"{name.replace('_', ' ')} {_figure(value, '.3f')}"
                    for name, value in evaluation.metrics.items()
                )
            )
        )
    parts += [Text(f"Note: {note}", style="yellow") for note in evaluation.notes]
    title = Text(f"predictor {evaluation.predictor}", style="bold")
    return Panel(Group(*parts), title=title, title_align="left", border_style="magenta", expand=False)


def _arms(evaluation: Evaluation) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (
        ("coupon", "left"),
        ("sent", "right"),
        ("control", "right"),
        ("Qini", "right"),
        ("uplift predicted", "right"),
        ("observed", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for arm in evaluation.arms:
        table.add_row(
            Text(arm.coupon_id), f"{arm.treated:,}", f"{arm.control:,}", _figure(arm.qini, ".3f"),
            _figure(arm.uplift_predicted, "+.1%"), _figure(arm.uplift_observed, "+.1%"),
        )  # fmt: skip
    return table


def _calibration(evaluation: Evaluation) -> RenderableType:
    table = Table(
        title="Calibration, users by predicted uplift",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for name, justify in (("predicted", "right"), ("observed", "right"), ("rows", "right"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    known = [abs(value) for row in evaluation.calibration for value in row[:2] if math.isfinite(value)]
    most = max(known, default=1.0) or 1.0
    for predicted, observed, rows in evaluation.calibration:
        table.add_row(
            _figure(predicted, "+.1%"),
            _figure(observed, "+.1%"),
            f"{rows:,}",
            bar(max(observed, 0.0) / most if math.isfinite(observed) else 0.0),
        )
    return table


def _figure(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"
