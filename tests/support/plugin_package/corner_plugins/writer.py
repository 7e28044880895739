"""A copy writer of few words."""

from __future__ import annotations

from collections.abc import Sequence

from allocator.plugins.copy import Brief, Copy
from allocator.progress import Progress, no_progress


class ShoutWriter:
    """Shouts the coupon's code, and ends with `mark`."""

    def __init__(self, *, mark: str = "!") -> None:
        self.mark = mark

    def write(self, briefs: Sequence[Brief], *, seed: int, progress: Progress = no_progress) -> list[Copy]:
        """Return one message for each brief."""
        progress("shout", len(briefs), len(briefs))
        return [
            Copy(brief, {"body": f"{brief.brand}: {brief.offer.code or 'SAVE'}{self.mark}".upper()}, "shout")
            for brief in briefs
        ]
