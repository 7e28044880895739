"""The report of a run: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

SAMPLES = 6


def render_report(summary: Mapping[str, Any], texts: pl.DataFrame | None) -> str:
    """Return the page for a summary and the message texts; every text is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    samples = [] if texts is None else texts.sort("audience", descending=True).head(SAMPLES).to_dicts()
    return environment.get_template("report.html.j2").render(s=summary, samples=samples)


def _number(value: float | None) -> str:
    if value is None or value in (float("inf"), float("-inf")):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:,.4g}"
