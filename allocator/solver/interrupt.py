"""Compiled solvers that Ctrl-C, or what hears of progress, can stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from allocator.progress import Progress, no_progress

T = TypeVar("T")

LOOK_SECONDS = 0.05  # between two looks for a signal
REPEAT_SECONDS = 0.25  # of silence until the last progress is repeated


class _Reporter:
    """Passes progress on, and repeats it when nothing was said for a while."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.last = ("start", 0, 0)
        self.said = time.monotonic()

    def __call__(self, step: str, done: int, total: int) -> None:
        self.last, self.said = (step, done, total), time.monotonic()
        self.progress(step, done, total)

    def repeat(self) -> None:
        if time.monotonic() - self.said > REPEAT_SECONDS:
            self(*self.last)


_reporter: ContextVar[_Reporter | None] = ContextVar("_reporter", default=None)


@contextmanager
def reporting(progress: Progress | None) -> Iterator[Progress]:
    """Yield what reports to `progress`, which within hears its last words again while a step takes long.

    So it may raise to cancel at about any time, not only between two steps.
    """
    if progress is None:
        yield no_progress
        return
    reporter = _Reporter(progress)
    token = _reporter.set(reporter)
    try:
        yield reporter
    finally:
        _reporter.reset(token)


def still_at_it() -> None:
    """Let progress hear of a step that takes long; it may raise to cancel."""
    if (reporter := _reporter.get()) is not None:
        reporter.repeat()


def run_interruptibly(run: Callable[[], T], cancel: Callable[[], object] | None = None) -> T:
    """Return ``run()``, but let Ctrl-C through while it runs, and what `reporting` repeats.

    Python sees a signal only between two steps of the main thread, which therefore must not be inside a
    library that runs for long: another thread is.

    Parameters
    ----------
    run
        The long call; it must release the interpreter's lock.
    cancel
        Tells it to stop, which is then waited for. Without one, the call ends unseen in its own time.
    """
    if _reporter.get() is None and threading.current_thread() is not threading.main_thread():
        return run()
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(run())
        except BaseException as error:
            outcome.set_exception(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        # In short waits: a library that handles signals too (polars does) may make a long one go on.
        while not outcome.done():
            wait((outcome,), LOOK_SECONDS)
            still_at_it()
        return outcome.result()
    except BaseException:
        if cancel is not None and worker.is_alive():
            cancel()
            worker.join()
        raise
