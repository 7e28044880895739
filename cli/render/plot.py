"""A curve in braille dots, two to a character across and four down."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from allocator.evaluation import Curve
from allocator.wording import figure, percentage

WIDTH, HEIGHT = 26, 8
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
NAMES = {"qini": "Qini curve", "uplift": "Uplift curve", "cost": "Cost curve"}


def plot(curve: Curve) -> Text:
    """Return a curve over the line of a random order, with its scales."""
    low, high = min(0.0, *curve.y), max(0.0, *curve.y)
    left, right = min(0.0, *curve.x), max(curve.x)
    ours, random = _Canvas((left, right), (low, high)), _Canvas((left, right), (low, high))
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
            text.append(chr(0x2800 + dots), style=style)
        text.append("\n")
    end = f"{figure(right, 2)} spent" if curve.name == "cost" else "everyone"
    return text.append(" " * margin + "0" + end.rjust(WIDTH - 1), style="dim")


class _Canvas:
    """Dots of one colour."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.cells = [[0] * WIDTH for _ in range(HEIGHT)]
        self._x, self._y = x, y

    def line(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Join points by straight lines."""
        places = [
            (self._place(a, self._x, 2 * WIDTH), self._place(b, self._y, 4 * HEIGHT))
            for a, b in zip(x, y, strict=True)
        ]
        for (x0, y0), (x1, y1) in pairwise(places):
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for step in range(steps + 1):
                self._dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps))

    def _place(self, value: float, ends: tuple[float, float], dots: int) -> int:
        span = ends[1] - ends[0]
        return round((value - ends[0]) / span * (dots - 1)) if span > 0 else 0

    def _dot(self, x: int, y: int) -> None:
        down = 4 * HEIGHT - 1 - y
        self.cells[down // 4][x // 2] |= DOTS[down % 4][x % 2]


def _scale(value: float, unit: str) -> str:
    return percentage(value) if unit == "conversions" else figure(value, 2)


def _area(curve: Curve) -> str:
    name = {"qini": "Qini", "uplift": "AUUC", "cost": "AUCC"}[curve.name]
    return f"{name} {figure(curve.area)}"


def _gained(curve: Curve) -> str:
    return "conversions" if curve.unit == "conversions" else f"{curve.unit} a head"
