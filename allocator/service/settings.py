"""What whoever runs the service decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from allocator.service.keys import Keys

MEBIBYTE = 1 << 20
DAY = 86_400.0


@dataclass(frozen=True)
class Settings:
    """Where the service keeps its data, who may call it, and how much a caller may ask for.

    Parameters
    ----------
    data
        Folder of requests and results; of the database too, unless `database` names another.
    database
        URL as `allocator.service.database.connect` takes it.
    campaigns
        Folder whose campaign folders callers may name; None: they may not.
    plans
        Run folders whose plans decide from the start, by plan id.
    keys
        Who may call; without any, everyone who reaches the service.
    open_metrics, any_host
        Whether ``/metrics`` needs no key; whether a service without keys answers to any host name.
    workers, threads
        Processes that solve large problems, beside one for small ones; threads of each.
    max_jobs
        Jobs that may wait or run at once.
    max_body, body_seconds
        Largest body in bytes, and how long it may take to arrive.
    max_batch
        Most decisions or outcomes in one request.
    pairs_at_once
        Up to so many user-coupon pairs a solve is answered at once.
    wait_seconds
        How long an answer at once may take before a job is returned instead.
    max_time_limit, job_seconds
        Longest `time_limit` of a solve; longest that a whole job may run.
    hold_days
        How long a coupon that was given is held; not used by then, it is free again.
    keep_days
        How long results of finished jobs are kept.
    grace_seconds
        How long requests in flight may take once the service is told to stop.
    """

    data: Path
    database: str | None = None
    campaigns: Path | None = None
    plans: Mapping[str, Path] = field(default_factory=dict)
    keys: Keys = field(default_factory=Keys)
    open_metrics: bool = False
    any_host: bool = False
    workers: int = 1
    threads: int | None = None
    max_jobs: int = 100
    max_body: int = 64 * MEBIBYTE
    body_seconds: float = 60.0
    max_batch: int = 1000
    pairs_at_once: int = 20_000
    wait_seconds: float = 30.0
    max_time_limit: float = 600.0
    job_seconds: float = 3600.0
    hold_days: float = 7.0
    keep_days: float = 7.0
    grace_seconds: float = 10.0

    @property
    def database_url(self) -> str:
        """The URL of the database, a SQLite file in the data folder unless another is named."""
        return self.database or f"sqlite:///{self.data / 'allocate.db'}"

    @property
    def jobs_folder(self) -> Path:
        """Where requests and results of jobs are."""
        return self.data / "jobs"

    @property
    def bytes_at_once(self) -> int:
        """Bodies up to this size are checked before they are accepted, larger ones by their job."""
        return 64 * self.pairs_at_once

    @property
    def threads_each(self) -> int:
        """Threads of one worker process."""
        return self.threads or max(1, (os.cpu_count() or 1) // self.workers)
