"""Jobs in the database: who asked for what, how far it is, and which server works on it.

A server that works on a job holds it for `LEASE_SECONDS` at a time and renews that; what nobody renews
goes back to the queue. So a job outlives the server that took it, and of several servers with one
database one at a time takes it. Its request and result are files: only servers that share their folder
take it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from allocator.service.database import metadata, reading, writing
from allocator.service.error_documents import RETRY_SECONDS, ServiceError

LEASE_SECONDS = 30.0
MOST_ATTEMPTS = 3

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("lane", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("idempotency_key", sa.String(255)),
    sa.Column("request_digest", sa.String(64), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("server", sa.String(32)),
    sa.Column("held_until", sa.Float),
    sa.Column("folder", sa.String(32), nullable=False),
    sa.Column("progress", sa.Text),
    sa.Column("problem", sa.Text),
    sa.UniqueConstraint("owner", "idempotency_key"),
    sa.Index("jobs_by_status", "status", "lane", "created_at"),
)


class JobStatus(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in WAITING


WAITING = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Job:
    """One row of the table."""

    id: str
    owner: str
    kind: str
    lane: str
    status: JobStatus
    idempotency_key: str | None
    request_digest: str
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    attempts: int = 0
    server: str | None = None
    held_until: float | None = None
    folder: str = ""
    progress: Mapping[str, Any] | None = None
    problem: Mapping[str, Any] | None = None


class JobStore:
    """Reads and writes jobs. Methods block, and may be called from any thread.

    Parameters
    ----------
    engine
        Of `allocator.service.database.connect`.
    server
        What this server calls itself; no two servers may share a name.
    folder
        What stands for the folder of the jobs' files; servers that share one take each other's jobs.
    """

    def __init__(self, engine: sa.Engine, server: str, folder: str = "") -> None:
        self.engine, self.server, self.folder = engine, server, folder

    def add(self, job: Job, most: int) -> Job:
        """Queue a job, or return the one that the caller queued before under the same idempotency key.

        Raises
        ------
        ServiceError
            429 if `most` jobs wait or run; 422 if the key belongs to another request.
        """
        try:
            with writing(self.engine) as connection:
                if (before := _before(connection, job)) is not None:
                    return before
                waiting = connection.scalar(
                    sa.select(sa.func.count()).select_from(jobs).where(jobs.c.status.in_(WAITING))
                )
                if waiting is not None and waiting >= most:
                    raise _too_many(most)
                connection.execute(sa.insert(jobs).values(_columns(job)))
                return job
        except sa.exc.IntegrityError:  # another server's caller was faster with the same key
            with reading(self.engine) as connection:
                before = _before(connection, job)
            if before is None:
                raise
            return before

    def get(self, job_id: str) -> Job | None:
        """Return a job, None if there is none."""
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
        return None if row is None else _job(row)

    def of_owner(self, owner: str, status: JobStatus | None, before: str | None, most: int) -> list[Job]:
        """Return an owner's jobs, the newest first, those `before` a job of theirs if one is named."""
        query = sa.select(jobs).where(jobs.c.owner == owner)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            at = sa.select(jobs.c.created_at).where(jobs.c.id == before, jobs.c.owner == owner)
            place = sa.tuple_(jobs.c.created_at, jobs.c.id)
            query = query.where(place < sa.tuple_(at.scalar_subquery(), sa.literal(before)))
        query = query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(most)
        with reading(self.engine) as connection:
            return [_job(row) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """Return the number of jobs by status."""
        query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
        with reading(self.engine) as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {str(status): found.get(status, 0) for status in JobStatus}

    def take(self, lanes: Collection[str]) -> Job | None:
        """Take the oldest job of some lanes for this server, None if none waits."""
        oldest = (
            sa.select(jobs.c.id)
            .where(jobs.c.status == JobStatus.QUEUED, jobs.c.lane.in_(lanes), jobs.c.folder == self.folder)
            .order_by(jobs.c.created_at, jobs.c.id)
            .limit(1)
        )
        with reading(self.engine) as connection:  # most looks find nothing, and reading disturbs no writer
            if connection.scalar(oldest) is None:
                return None
        now = time.time()
        changes = {
            "status": JobStatus.RUNNING, "server": self.server, "held_until": now + LEASE_SECONDS,
            "started_at": now, "attempts": jobs.c.attempts + 1, "progress": None,
        }  # fmt: skip
        with writing(self.engine) as connection:
            job_id = connection.scalar(oldest.with_for_update(skip_locked=True))
            if job_id is None:
                return None
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(changes))
            return _job(connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one())

    def renew(self, progress: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Hold this server's running jobs for longer, note their progress; return those still its own."""
        mine = jobs.c.status == JobStatus.RUNNING, jobs.c.server == self.server
        with writing(self.engine) as connection:
            for job_id, step in progress.items():
                values = {"held_until": time.time() + LEASE_SECONDS, "progress": json.dumps(step)}
                connection.execute(sa.update(jobs).where(jobs.c.id == job_id, *mine).values(values))
            return set(connection.scalars(sa.select(jobs.c.id).where(*mine)))

    def finish(self, job_id: str, status: JobStatus, problem: Mapping[str, Any] | None = None) -> bool:
        """End a job that this server runs; False if it is no longer its own."""
        values = {
            "status": status, "finished_at": time.time(), "held_until": None,
            "problem": None if problem is None else json.dumps(problem),
        }  # fmt: skip
        return self._change(values, jobs.c.id == job_id, *self._running) > 0

    def put_back(self, job_id: str) -> bool:
        """Return a job that this server runs to the queue, as tried in vain."""
        return self._change(_queued(), jobs.c.id == job_id, *self._running) > 0

    def cancel(self, job_id: str) -> bool:
        """Cancel a job that waits or runs; False if it is over."""
        values = {"status": JobStatus.CANCELLED, "finished_at": time.time(), "held_until": None}
        return self._change(values, jobs.c.id == job_id, jobs.c.status.in_(WAITING)) > 0

    def delete(self, job_id: str) -> bool:
        """Forget a job that is over."""
        with writing(self.engine) as connection:
            over = jobs.c.id == job_id, jobs.c.status.not_in(WAITING)
            return connection.execute(sa.delete(jobs).where(*over)).rowcount > 0

    def recover(self, *, everything: bool = False) -> int:
        """Return to the queue what no server holds any more; with `everything`, all that runs."""
        lost = [jobs.c.status == JobStatus.RUNNING]
        if not everything:
            lost.append(jobs.c.held_until < time.time())
        return self._change(_queued(), *lost)

    def release(self) -> int:
        """Return to the queue all that this server runs, as not tried."""
        return self._change(_queued() | {"attempts": jobs.c.attempts - 1}, *self._running)

    def over_before(self, moment: float) -> list[str]:
        """Return the jobs that ended before a moment."""
        query = sa.select(jobs.c.id).where(jobs.c.status.not_in(WAITING), jobs.c.finished_at < moment)
        with reading(self.engine) as connection:
            return list(connection.scalars(query))

    @property
    def _running(self) -> tuple[sa.ColumnElement[bool], ...]:
        return jobs.c.status == JobStatus.RUNNING, jobs.c.server == self.server

    def _change(self, values: Mapping[str, Any], *where: sa.ColumnElement[bool]) -> int:
        with writing(self.engine) as connection:
            return int(connection.execute(sa.update(jobs).where(*where).values(values)).rowcount)


def _queued() -> dict[str, Any]:
    return {"status": JobStatus.QUEUED, "server": None, "held_until": None, "progress": None}


def _too_many(most: int) -> ServiceError:
    text = f"{most:,} jobs wait or run already, the most that this service takes; try again later."
    return ServiceError(429, "too-many-jobs", "Too many jobs", text, {"Retry-After": str(RETRY_SECONDS)})


def _before(connection: sa.Connection, job: Job) -> Job | None:
    if job.idempotency_key is None:
        return None
    same = jobs.c.owner == job.owner, jobs.c.idempotency_key == job.idempotency_key
    row = connection.execute(sa.select(jobs).where(*same)).one_or_none()
    if row is not None and row.request_digest != job.request_digest:
        text = "This Idempotency-Key was used for another request; give each request a key of its own."
        raise ServiceError(422, "idempotency-key-reused", "Another request's key", text)
    return None if row is None else _job(row)


def _columns(job: Job) -> dict[str, Any]:
    return {**vars(job), "progress": None, "problem": None}


def _job(row: Sequence[Any]) -> Job:
    columns = dict(row._mapping)  # type: ignore[attr-defined]
    for name in ("progress", "problem"):
        columns[name] = None if columns[name] is None else json.loads(columns[name])
    return Job(**columns | {"status": JobStatus(columns["status"])})
