"""Run one task in a process of its own, with a time limit and its peak memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Task = Callable[..., Generator[None, None, dict[str, Any]]]
"""Prepares, yields once, then does what is measured and returns its results (JSON types)."""

PREPARE_SECONDS = 3600.0


@dataclass(frozen=True)
class Measured:
    """What a task took: seconds, CPU seconds of all its threads, peak memory in MB while it ran, and its
    results (None: it was stopped).

    `error` says why there are no results: the time limit, or how the process ended.
    """

    seconds: float
    peak_mb: float | None
    results: dict[str, Any] | None
    error: str | None = None
    cpu_seconds: float | None = None

    def row(self) -> dict[str, Any]:
        """Return it as part of a row of a table."""
        measured = {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_mb": self.peak_mb,
            "error": self.error,
        }
        return measured | (self.results or {})


def median_of(times: int, task: Task, *arguments: Any, limit: float) -> Measured:
    """Run a task in so many fresh processes; return the run of median time, or the first that fails."""
    runs = []
    for _ in range(times):
        runs.append(in_process(task, *arguments, limit=limit))
        if runs[-1].results is None:
            return runs[-1]
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


def in_process(task: Task, *arguments: Any, limit: float) -> Measured:
    """Run a task in a fresh process and stop it when its time is up: not every solver stops itself.

    Each is forked from a process that has only imported this package, where the system can.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    context.set_forkserver_preload(["benchmarks.tables"])
    mine, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, task, arguments))
    process.start()
    theirs.close()
    began = time.perf_counter()
    try:
        if not mine.poll(PREPARE_SECONDS):
            return Measured(PREPARE_SECONDS, None, None, "not prepared in time")
        mine.recv()
        began = time.perf_counter()
        if not mine.poll(limit):
            return Measured(limit, None, None, "stopped")
        seconds, cpu_seconds, peak_mb, results = mine.recv()
        return Measured(seconds, peak_mb, results, None, results.pop("cpu_seconds", cpu_seconds))
    except EOFError:
        process.join()
        return Measured(time.perf_counter() - began, None, None, f"died with code {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _child(connection: Any, task: Task, arguments: tuple[Any, ...]) -> None:
    running = task(*arguments)
    next(running)
    connection.send("prepared")
    _forget_peak()
    began, used = time.perf_counter(), time.process_time()
    results = _result(running)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - used
    connection.send((seconds, cpu_seconds, _peak_mb(), results))


def _result(running: Generator[None, None, dict[str, Any]]) -> dict[str, Any]:
    try:
        next(running)
    except StopIteration as end:
        return dict(end.value)
    raise AssertionError("a task yields once")


def _forget_peak() -> None:
    """Start the peak anew, where the system can (Linux): making the data takes memory, too."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5", encoding="ascii")


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if "VmHWM" in line)
        return int(line.split()[1]) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def fastest(call: Callable[[], object], times: int = 5) -> float:
    """Return the shortest of several runs in seconds."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
