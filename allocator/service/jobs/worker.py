"""A process that does jobs: one line of JSON in for each, lines of JSON out about how it goes.

It ends when its standard input does, that is with the server, even where that was killed; whatever it was
doing is then done again by the next server.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from allocator.progress import Progress

PROGRESS_SECONDS = 0.2
NICENESS = 5  # decisions, which somebody waits for, come first


def main() -> None:
    """Do jobs until there is nobody to do them for."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    os.dup2(2, 1)  # what a library prints must not stand between the lines
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    from allocator.service.jobs import solving
    from allocator.service.jobs.job_request import JobRequest
    from allocator.solver import solve as solver  # noqa: F401  loaded now, so that the first job need not

    _tell(out, event="ready")
    while True:
        asked = json.loads(lines.get())
        folders = {key: None if asked[key] is None else Path(asked[key]) for key in ("jobs", "campaigns")}
        request = JobRequest(**asked | folders)
        _do(partial(solving.do, request), out)


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def _do(do: Callable[[Progress], None], out: BinaryIO) -> None:
    from allocator.errors import AllocateError
    from allocator.service.error_documents import refusal_of
    from allocator.service.logs import trace_of

    told = 0.0

    def progress(step: str, done: int, total: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told >= PROGRESS_SECONDS:
            told = now
            _tell(out, event="progress", step=step, done=done, total=total)

    try:
        do(progress)
    except AllocateError as error:
        _tell(out, event="problem", problem=refusal_of(error).document)
    except Exception as error:
        _tell(out, event="problem", problem=refusal_of(error).document, bug=trace_of(error))
    else:
        _tell(out, event="done")


def _tell(out: BinaryIO, **event: Any) -> None:
    try:
        out.write(json.dumps(event).encode() + b"\n")
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
