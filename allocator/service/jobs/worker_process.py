"""Worker processes, started afresh: a fork would take the server's threads and locks along."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from allocator.service.jobs.job_request import JobRequest
from allocator.service.logs import log

LINE = 1 << 24  # longest line of a worker: a problem with many findings
PACKAGES = Path(__file__).parents[2]
Tell = Callable[[dict[str, Any]], None]


class WorkerLostError(Exception):
    """The worker process ended before its job did."""


class WorkerProcess:
    """One worker process, started again after it was stopped or got lost."""

    def __init__(self) -> None:
        self._process: Process | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process is there and ready."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process if there is none, and wait until it is ready."""
        if self.is_alive:
            return
        paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "allocator.service.jobs.worker",
            stdin=PIPE, stdout=PIPE, limit=LINE, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        try:
            if (await _event(process))["event"] == "ready":
                self._process = process
        finally:
            if self._process is not process:
                await _end(process)

    async def do(self, asked: JobRequest, tell: Tell) -> dict[str, Any] | None:
        """Do a job; return the problem it ended with, None for a result.

        Raises
        ------
        WorkerLostError
            If the process ends before the job does.
        """
        await self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asdict(asked), default=str).encode() + b"\n")
            await process.stdin.drain()
            while (event := await _event(process))["event"] == "progress":
                tell({key: event[key] for key in ("step", "done", "total")})
            if "bug" in event:
                log(logging.ERROR, "bug", job=asked.job_id, trace=event["bug"])
            return event["problem"] if event["event"] == "problem" else None
        except OSError as error:
            raise WorkerLostError from error

    async def stop(self) -> None:
        """End the process at once, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            await _end(process)


async def _event(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise WorkerLostError
    event: dict[str, Any] = json.loads(line)
    return event


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
