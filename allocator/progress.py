"""How callers hear of progress, and cancel."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""`progress(step, done, total)`: called often; `total` is 0 while unknown. May raise to cancel."""


def no_progress(step: str, done: int, total: int) -> None:
    """Ignore progress."""
