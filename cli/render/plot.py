"""A curve of an evaluation over the line of a random order."""

from __future__ import annotations

from rich.text import Text

from allocator.plugins.evaluation import Curve
from allocator.wording import figure, percentage
from cli.render.canvas import Canvas, braille

WIDTH, HEIGHT = 26, 8
NAMES = {"qini": "Qini curve", "uplift": "Uplift curve", "cost": "Cost curve", "value": "After costs"}


def plot(curve: Curve) -> Text:
    """Return a curve over the line of a random order, with its scales."""
    low, high = min(0.0, *curve.y), max(0.0, *curve.y)
    left, right = min(0.0, *curve.x), max(curve.x)
    ours, random = (Canvas((left, right), (low, high), WIDTH, HEIGHT) for _ in range(2))
    ours.line(curve.x, curve.y)
    random.line((0.0, curve.x[-1]), (0.0, curve.y[-1]))
    top, bottom = (_scale(value, curve.unit) for value in (high, low))
    margin = max(len(top), len(bottom)) + 1
    text = Text()
    text.append(f"{NAMES[curve.name]}, {_gained(curve)}: {_area(curve)}\n", style="bold")
    for row in range(HEIGHT):
        label = top if row == 0 else bottom if row == HEIGHT - 1 else ""
        text.append(label.rjust(margin - 1) + " ", style="dim")
        for cell in range(WIDTH):
            dots, style = (
                (ours.cells[row][cell], "cyan") if ours.cells[row][cell] else (random.cells[row][cell], "dim")
            )
            text.append(braille(dots), style=style)
        text.append("\n")
    end = f"{figure(right, 2)} spent" if curve.name == "cost" else "everyone"
    return text.append(" " * margin + "0" + end.rjust(WIDTH - 1), style="dim")


def _scale(value: float, unit: str) -> str:
    return percentage(value) if unit == "conversions" else figure(value, 2)


def _area(curve: Curve) -> str:
    if curve.name == "value":
        return f"order {'+' if curve.area >= 0 else ''}{figure(curve.area, 2)}"
    name = {"qini": "Qini", "uplift": "AUUC", "cost": "AUCC"}[curve.name]
    return f"{name} {figure(curve.area)}"


def _gained(curve: Curve) -> str:
    return "conversions" if curve.unit == "conversions" else f"{curve.unit} a head"
