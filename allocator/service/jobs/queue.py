"""Jobs: queued in the database, done by worker processes, their files in the data folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from allocator.service.database import UnavailableError
from allocator.service.error_documents import Refusal, ServiceError, refusal, refusal_of, unavailable
from allocator.service.jobs.job_request import REQUEST_FILE, RESULT_FILE, JobRequest, folder_id, write_bytes
from allocator.service.jobs.store import MOST_ATTEMPTS, Job, JobStatus, JobStore
from allocator.service.jobs.worker_process import WorkerLostError, WorkerProcess
from allocator.service.logs import log
from allocator.service.metrics import Metrics
from allocator.service.settings import DAY, Settings

T = TypeVar("T")
SMALL, LARGE = "small", "large"
LOOK_SECONDS = 2.0  # between looks for jobs that other servers put into the database
ASK_SECONDS = 0.25  # between looks of a request that waits, for the same reason
RENEW_SECONDS = 5.0
CLEAN_SECONDS = 60.0
JOB_ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class _Slot:
    """One worker process and the lanes it takes jobs from."""

    lanes: tuple[str, ...]
    process: WorkerProcess = field(default_factory=WorkerProcess)
    ready: bool = False


@dataclass
class _Running:
    """A job that a slot works on."""

    slot: _Slot
    progress: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False


class Jobs:
    """Takes, runs, cancels and forgets jobs. Its methods belong to the event loop.

    Parameters
    ----------
    settings, metrics
        Of the app.
    engine
        Of the database.
    alone
        Whether no other server uses the database, so that whatever runs at the start was left by one
        that is gone.
    """

    def __init__(self, settings: Settings, metrics: Metrics, engine: sa.Engine, *, alone: bool) -> None:
        self.settings, self.metrics, self._alone = settings, metrics, alone
        self.store = JobStore(engine, secrets.token_hex(8), folder_id(settings.data))
        # One slot never has a large job, so that small ones do not wait for those.
        self._slots = [_Slot((SMALL,)), *(_Slot((LARGE, SMALL)) for _ in range(settings.workers))]
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self._patience = math.inf  # until when a request may wait for its job
        self._over: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether every worker could be started."""
        return all(slot.ready for slot in self._slots)

    async def start(self) -> None:
        """Take up what an earlier server left, and start the workers."""
        self.settings.jobs_folder.mkdir(parents=True, exist_ok=True)
        left = await asyncio.to_thread(self.store.recover, everything=self._alone)
        if left:
            log(logging.INFO, "jobs taken up again", count=left)
        self._tasks = [asyncio.create_task(self._serve(slot)) for slot in self._slots]
        self._tasks += [
            asyncio.create_task(self._repeat(RENEW_SECONDS, self._renew)),
            asyncio.create_task(self._repeat(CLEAN_SECONDS, self._clean)),
        ]

    async def stop(self) -> None:
        """Stop all workers; what they did goes back to the queue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(slot.process.stop() for slot in self._slots))
        await asyncio.to_thread(self.store.release)

    def hurry(self) -> None:
        """Let requests wait for their jobs no longer than half of what they have: the service stops."""
        self._patience = time.monotonic() + 0.5 * self.settings.grace_seconds

    async def submit(
        self, owner: str, kind: str, body: bytes, *, small: bool, idempotency_key: str | None = None
    ) -> Job:
        """Queue a request that was found good, or return the job that it was before."""
        job = Job(
            secrets.token_hex(16), owner, kind, SMALL if small else LARGE, JobStatus.QUEUED, idempotency_key,
            hashlib.sha256(kind.encode() + b"\n" + body).hexdigest(), time.time(), folder=self.store.folder,
        )  # fmt: skip
        folder = self.folder(job)

        def queue() -> Job:
            try:
                folder.mkdir()
                write_bytes(folder / REQUEST_FILE, body)
                queued = self.store.add(job, self.settings.max_jobs)
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                text = f"The data folder cannot keep the request: {error.strerror}."
                raise UnavailableError(text) from error
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            if queued.id != job.id:
                shutil.rmtree(folder, ignore_errors=True)
            return queued

        queued = await asyncio.to_thread(queue)
        self._wake.set()
        return queued

    async def wait(self, job: Job, seconds: float) -> Job:
        """Wait until a job is over, but no longer than so many seconds; return it as it is then."""
        until = time.monotonic() + seconds
        event = self._over.setdefault(job.id, asyncio.Event())
        try:
            while True:
                found = await asyncio.to_thread(self.store.get, job.id)
                left = min(until, self._patience) - time.monotonic()
                if found is None or found.status.is_over or left <= 0:
                    return found or job
                with contextlib.suppress(TimeoutError):  # another server may do the job, and not tell
                    await asyncio.wait_for(event.wait(), min(left, ASK_SECONDS))
        finally:
            self._over.pop(job.id, None)

    async def get(self, job_id: str, owner: str) -> Job:
        """Return a job of an owner's.

        Raises
        ------
        ServiceError
            404 if they have none of this id.
        """
        job = await asyncio.to_thread(self.store.get, job_id) if JOB_ID.fullmatch(job_id) else None
        if job is None or job.owner != owner:
            raise ServiceError(404, "not-found", "No such job", "You have no job of this id.")
        return job

    def progress(self, job: Job) -> dict[str, Any] | None:
        """Return how far a job is, as ``step, done, total``; None if it does not run."""
        if job.status is not JobStatus.RUNNING:
            return None
        here = self._running.get(job.id)
        told = here.progress if here is not None else dict(job.progress or {})
        return told or {"step": "start", "done": 0, "total": 0}

    def folder(self, job: Job) -> Path:
        """Return where a job's files are."""
        return self.settings.jobs_folder / job.id

    def result_file(self, job: Job) -> Path:
        """Return the file with a job's result.

        Raises
        ------
        ServiceError
            409 if the job is not done, or its files are gone.
        """
        if job.status is not JobStatus.DONE:
            text = f"The job is {job.status}; it has no result."
            raise ServiceError(409, "no-result", "No result", text)
        file = self.folder(job) / RESULT_FILE
        if not file.is_file():
            text = "The job is done, but its result is not in this server's data folder; ask for it anew."
            raise ServiceError(409, "no-result", "No result", text)
        return file

    async def cancel(self, job: Job) -> bool:
        """Stop a job that waits or runs; False if it is over."""
        if not await asyncio.to_thread(self.store.cancel, job.id):
            return False
        await self._drop(job.id)
        self._ended(job.id, job.kind, JobStatus.CANCELLED)
        return True

    async def delete(self, job_id: str) -> None:
        """Forget a job that is over, and its result."""
        if await asyncio.to_thread(self.store.delete, job_id):
            folder = self.settings.jobs_folder / job_id
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _drop(self, job_id: str) -> None:
        """End the process that works on a job which is no longer ours."""
        if (running := self._running.get(job_id)) is not None:
            running.cancelled = True
            await running.slot.process.stop()

    def _ended(self, job_id: str, kind: str, status: JobStatus) -> None:
        self.metrics.finished(kind, status)
        log(logging.INFO, "job", job=job_id, kind=kind, status=status)
        if (event := self._over.get(job_id)) is not None:
            event.set()

    async def _serve(self, slot: _Slot) -> None:
        """Take jobs, one after another."""
        while True:
            try:
                await slot.process.start()
                slot.ready = True
                self._wake.clear()
                job = await asyncio.to_thread(self.store.take, slot.lanes)
                if job is not None:
                    await self._run(slot, job)
                    continue
            except Exception as error:  # whatever it is, the slot goes on taking jobs
                slot.ready = slot.process.is_alive
                log(logging.ERROR, "worker", error=error)
                await asyncio.sleep(1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)

    async def _run(self, slot: _Slot, job: Job) -> None:
        running = self._running[job.id] = _Running(slot)
        settings = self.settings
        asked = JobRequest(
            job.id, job.kind, settings.jobs_folder, settings.campaigns, settings.max_time_limit,
            settings.threads_each,
        )  # fmt: skip
        try:
            async with asyncio.timeout(settings.job_seconds):
                problem = await slot.process.do(asked, running.progress.update)
            status = JobStatus.DONE if problem is None else JobStatus.FAILED
            await self._finish(job, status, problem)
        except TimeoutError:
            await slot.process.stop()
            await self._finish(job, JobStatus.FAILED, _too_long(settings.job_seconds).document)
        except WorkerLostError:
            await slot.process.stop()
            if not running.cancelled:
                await self._lost(job)
        except asyncio.CancelledError:
            await slot.process.stop()  # `stop` returns the job to the queue
            raise
        except Exception as error:
            await slot.process.stop()
            log(logging.ERROR, "bug", job=job.id, error=error)
            await self._finish(job, JobStatus.FAILED, refusal_of(error).document)
        finally:
            del self._running[job.id]

    async def _lost(self, job: Job) -> None:
        """Try a job again whose process ended under it, but not forever."""
        if job.attempts < MOST_ATTEMPTS:
            await self._insist(lambda: self.store.put_back(job.id))
            log(logging.WARNING, "worker lost; the job is tried again", job=job.id, attempt=job.attempts)
            return
        text = "The process that worked on the job ended each time, perhaps for want of memory."
        await self._finish(job, JobStatus.FAILED, refusal(500, "worker", "No process", text).document)

    async def _finish(self, job: Job, status: JobStatus, problem: dict[str, Any] | None) -> None:
        if await self._insist(lambda: self.store.finish(job.id, status, problem)):
            self._ended(job.id, job.kind, status)

    async def _insist(self, write: Callable[[], T]) -> T:
        """Write to the database, waiting for it if it is away."""
        while True:
            try:
                return await asyncio.to_thread(write)
            except UnavailableError as error:
                log(logging.ERROR, "database", error=error)
                await asyncio.sleep(1)

    async def _repeat(self, seconds: float, do: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await do()
            except Exception as error:  # the next time may be better, and nothing else does this
                log(logging.ERROR, "upkeep", error=error)

    async def _renew(self) -> None:
        """Hold on to what runs here, drop what does not any more, and take up what others left."""
        progress = {job_id: dict(running.progress) for job_id, running in self._running.items()}
        if progress:
            mine = await asyncio.to_thread(self.store.renew, progress)
            for job_id in progress.keys() - mine:
                await self._drop(job_id)
        if not self._alone:
            await asyncio.to_thread(self.store.recover)

    async def _clean(self) -> None:
        """Forget jobs that ended long ago."""
        for job_id in await asyncio.to_thread(
            self.store.over_before, time.time() - DAY * self.settings.keep_days
        ):
            await self.delete(job_id)


def _too_long(seconds: float) -> Refusal:
    text = f"The job was stopped after {seconds:g} s, the most that this service allows."
    return refusal(422, "job-too-long", "The job took too long", text)


def not_ready(text: str) -> Refusal:
    """Return the problem of a service that is not ready."""
    return unavailable("Not ready", text)
