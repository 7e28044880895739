"""The report of an evaluation: one self-contained HTML page, its charts drawn as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from allocator.campaign.campaign import Campaign
from allocator.files import write_text
from allocator.plugins.evaluation import Curve, Estimate, Evaluation
from allocator.wording import figure, figure_within, percentage, percentage_within

WIDTH, HEIGHT = 300.0, 190.0
TITLES = {
    "qini": ("Qini curve", "Qini", "Incremental conversions a head, by the share of users who get a coupon"),
    "uplift": ("Uplift curve", "AUUC", "Uplift of the best users times their share, by that share"),
    "cost": ("Cost curve", "AUCC", "Incremental {unit} by spend, both a head"),
    "value": (
        "Value curve",
        "order worth",
        "Incremental {unit} after costs a head, by the share of users who get a coupon",
    ),
}


@dataclass(frozen=True)
class Chart:
    """Lines in an SVG of `WIDTH` x `HEIGHT`, with the labels of its corners."""

    title: str
    text: str
    line: str
    random: str
    zero: float
    top: str
    bottom: str
    right: str


def write_report(evaluation: Evaluation, campaign: Campaign, path: Path) -> None:
    """Write the page of an evaluation."""
    write_text(path, render_evaluation(evaluation, campaign.config.name, campaign.config.currency))


def render_evaluation(evaluation: Evaluation, name: str, currency: str) -> str:
    """Return the page of an evaluation; every text is escaped, nothing is fetched."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "percent": percentage,
        "signed": lambda value: percentage(value, sign=True),
        "figure": figure,
        "share": lambda one: _share(one, sign=False),
        "gain": lambda one: _share(one, sign=True),
        "money": _money,
        "worth": _worth(evaluation),
        "observed": lambda arm: percentage_within(arm.uplift_observed, arm.observed_low, arm.observed_high),
    }
    objective = "revenue" if evaluation.stakes is None else evaluation.stakes.objective.replace("_", " ")
    charts = [_chart(curve, objective) for curve in evaluation.curves]
    return environment.get_template("evaluation.html.j2").render(
        e=evaluation, name=name, currency=currency, charts=charts, width=WIDTH, height=HEIGHT
    )


def _chart(curve: Curve, objective: str) -> Chart:
    name, unit, x, y, area = curve.name, curve.unit, curve.x, curve.y, curve.area
    low, high = min(0.0, *y), max(0.0, *y)
    left, right = min(0.0, *x), max(x)
    across, up = (right - left) or 1.0, (high - low) or 1.0

    def points(xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(
            f"{WIDTH * (a - left) / across:.1f},{HEIGHT * (high - b) / up:.1f}"
            for a, b in zip(xs, ys, strict=True)
        )

    def label(value: float) -> str:
        return percentage(value) if unit == "conversions" else f"{figure(value, 2)} {unit}"

    title, score, text = TITLES[name]
    worth = "conversions" if unit == "conversions" else f"{objective.removeprefix('incremental ')} in {unit}"
    return Chart(
        title=f"{title}: {score} {figure(area)}",
        text=text.format(unit=worth),
        line=points(x, y),
        random=points((0.0, x[-1]), (0.0, y[-1])),
        zero=HEIGHT * high / up,
        top=label(high),
        bottom=label(low),
        right=figure(right, 2) if name == "cost" else "everyone",
    )


def _worth(evaluation: Evaluation) -> Callable[[Estimate], str]:
    """Return how a value in the campaign's objective is written."""
    if evaluation.stakes is not None and evaluation.stakes.in_currency:
        return _money
    return partial(_share, sign=True)


def _money(one: Estimate) -> str:
    return figure_within(one.value, one.low, one.high)


def _share(one: Estimate, *, sign: bool) -> str:
    return percentage_within(one.value, one.low, one.high, sign=sign)
