"""``/v1/jobs``: how far work is, its result, its end; and how a request becomes a job."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from allocator.errors import Finding, InputError
from allocator.service.documents import answer
from allocator.service.error_documents import Refusal
from allocator.service.jobs.queue import Jobs
from allocator.service.jobs.store import Job, JobStatus
from allocator.service.openapi import answers
from allocator.service.schemas.jobs import JobDocument, JobList, SolveResult, WhatIfResult
from allocator.service.state import Service, owner_of, service_of

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
PREFERENCE = re.compile(r"\s*(respond-async|wait)\s*(?:=\s*\"?(\d{1,9})\"?\s*)?(?:;.*)?", re.IGNORECASE)
KEY = re.compile(r"[\x21-\x7e]{1,255}")
PER_PAGE = 50


@router.get("", responses=answers({200: ("Your jobs.", JobList)}, [404, 422]), response_class=Response)
async def list_jobs(
    request: Request,
    status: Annotated[JobStatus | None, Query(description="Only these.")] = None,
    before: Annotated[str | None, Query(description="Only those older than this job.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = PER_PAGE,
) -> Response:
    """List your jobs, the newest first."""
    service, owner = service_of(request), owner_of(request)
    if before is not None:
        await service.jobs.get(before, owner)
    found = await asyncio.to_thread(service.jobs.store.of_owner, owner, status, before, limit + 1)
    page, more = found[:limit], len(found) > limit
    query = f"limit={limit}&before={page[-1].id}" if more else ""
    following = f"/v1/jobs?{query}" + (f"&status={status}" if status else "") if more else None
    return answer({"jobs": [document_of(service.jobs, job) for job in page], "next": following})


@router.get("/{job_id}", responses=answers({200: ("The job.", JobDocument)}, [404]), response_class=Response)
async def get_job(request: Request, job_id: str) -> Response:
    """Say how far a job is."""
    service = service_of(request)
    return answer(document_of(service.jobs, await service.jobs.get(job_id, owner_of(request))))


@router.get(
    "/{job_id}/result",
    responses=answers(
        {200: ("As the request would have been answered at once.", SolveResult, WhatIfResult)}, [404, 409]
    ),
    response_class=Response,
)
async def get_result(request: Request, job_id: str) -> Response:
    """Return the result of a job that is done."""
    service = service_of(request)
    job = await service.jobs.get(job_id, owner_of(request))
    return FileResponse(service.jobs.result_file(job), media_type="application/json")


@router.delete(
    "/{job_id}",
    responses=answers(
        {200: ("It is cancelled.", JobDocument), 204: ("It and its result are deleted.",)}, [404]
    ),
    response_class=Response,
)
async def delete_job(request: Request, job_id: str) -> Response:
    """Cancel a job that waits or runs, which stops the work; delete one that is over, and its result."""
    service, owner = service_of(request), owner_of(request)
    job = await service.jobs.get(job_id, owner)
    if not job.status.is_over and await service.jobs.cancel(job):
        return answer(document_of(service.jobs, await service.jobs.get(job_id, owner)))
    await service.jobs.delete(job_id)
    return Response(status_code=204)


async def answer_or_job(
    request: Request, service: Service, kind: str, body: bytes, *, small: bool
) -> Response:
    """Do what a request asks for: answer small ones at once, give a job for others.

    Parameters
    ----------
    request
        Its ``Prefer`` (RFC 7240) may ask for a job, or how many seconds to wait for an answer; a request
        with the ``Idempotency-Key`` of an earlier one gets that one's job.
    service, kind, body
        What to do.
    small
        Whether an answer at once may be expected.
    """
    jobs, settings = service.jobs, service.settings
    prefer = preferences(request.headers.getlist("prefer"))
    asynchronous = "respond-async" in prefer
    small = small and not asynchronous
    job = await jobs.submit(
        owner_of(request), kind, body, small=small, idempotency_key=idempotency_key(request)
    )
    seconds = settings.wait_seconds if small else 0.0
    if "wait" in prefer:
        seconds = min(float(prefer["wait"] or 0), settings.wait_seconds)
    if seconds:
        job = await jobs.wait(job, seconds)
        if job.status is JobStatus.DONE:
            result = await asyncio.to_thread(jobs.result_file(job).read_bytes)
            return Response(result, 200, {"Content-Location": result_url(job)}, "application/json")
        if job.problem is not None:
            return Refusal(dict(job.problem)).response(request.scope["state"]["request_id"])
    headers = {"Location": f"/v1/jobs/{job.id}"}
    if asynchronous:
        headers["Preference-Applied"] = "respond-async"
    return answer(document_of(jobs, job), 202, headers)


def preferences(values: list[str]) -> dict[str, str | None]:
    """Return what ``Prefer`` headers ask for, of what this service knows."""
    parts = [part for value in values for part in value.split(",")]
    return {found[1].lower(): found[2] for part in parts if (found := PREFERENCE.fullmatch(part))}


def idempotency_key(request: Request) -> str | None:
    """Return the request's key, None if it has none."""
    key = request.headers.get("idempotency-key")
    if key is not None and not KEY.fullmatch(key):
        message = "up to 255 printable letters without spaces are expected"
        raise InputError(Finding(message, "request", column="Idempotency-Key"))
    return key


def document_of(jobs: Jobs, job: Job) -> dict[str, Any]:
    """Return what callers see of a job."""
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "progress": jobs.progress(job),
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.finished_at),
        "result": result_url(job) if job.status is JobStatus.DONE else None,
        "problem": job.problem,
    }


def result_url(job: Job) -> str:
    """Return where a job's result is."""
    return f"/v1/jobs/{job.id}/result"


def stamp(seconds: float | None) -> str | None:
    """Return a time as text in UTC."""
    if seconds is None:
        return None
    time = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
