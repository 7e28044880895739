"""Lines in braille dots, two to a character across and four down."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def braille(dots: int) -> str:
    """Return the character of a pattern of dots."""
    return chr(0x2800 + dots)


class Canvas:
    """Dots of one colour; `cells` holds a pattern for each character, by row from the top."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], width: int, height: int) -> None:
        self.cells = [[0] * width for _ in range(height)]
        self._x, self._y, self._across, self._down = x, y, 2 * width, 4 * height

    def line(self, x: Sequence[float], y: Sequence[float]) -> None:
        """Join points by straight lines."""
        places = [
            (self._place(a, self._x, self._across), self._place(b, self._y, self._down))
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
        down = self._down - 1 - y
        self.cells[down // 4][x // 2] |= DOTS[down % 4][x % 2]
