"""Compiled solvers that Ctrl-C can stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.05  # between two looks for a signal


def run_interruptibly(run: Callable[[], T], cancel: Callable[[], object] | None = None) -> T:
    """Return ``run()``, but let Ctrl-C through while it runs.

    Python sees a signal only between two steps of the main thread, which therefore must not be inside a
    library that runs for long: another thread is.

    Parameters
    ----------
    run
        The long call; it must release the interpreter's lock.
    cancel
        Tells it to stop, which is then waited for. Without one, the call ends unseen in its own time.
    """
    if threading.current_thread() is not threading.main_thread():
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
        return outcome.result()
    except KeyboardInterrupt:
        if cancel is not None:
            cancel()
            worker.join()
        raise
