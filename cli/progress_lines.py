"""Progress off a terminal: a line a step, and one every half minute of a long step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

EVERY = 30.0
"""Seconds between two lines of one step."""
COUNTED = 1000
"""From so many things to do, progress says how many are done in a second; of fewer, what share a minute."""


class ProgressLines:
    """Writes lines such as ``train: 35%, 7.1% a minute, about 9 min left``.

    Parameters
    ----------
    stream
        Where to write.
    clock
        Returns seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._begun: dict[str, tuple[float, int]] = {}
        self._told = clock()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report on a step; see `allocator.progress.Progress`."""
        now = self._clock()
        if step not in self._begun:
            self._begun[step] = now, done
            self._write(f"{step} ...", now)
        elif now - self._told >= EVERY:
            begun, before = self._begun[step]
            self._write(f"{step}: {_state(done, done - before, total, now - begun)}", now)

    def _write(self, line: str, now: float) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
        self._told = now


def _state(done: int, gained: int, total: int, seconds: float) -> str:
    """Return how far a step is, how fast it goes, and how long it may take."""
    parts = [f"{done / total:.0%}" if total > 0 else f"{done:,}"]
    if gained > 0 and seconds > 0:
        speed = gained / seconds
        parts.append(f"{speed:,.0f} a second" if total >= COUNTED else f"{60 * speed / total:.1%} a minute")
        if total >= done:
            parts.append(f"about {_duration((total - done) / speed)} left")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
