"""``POST /v1/whatif``."""

from __future__ import annotations

import asyncio
import math

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from allocator.service.campaigns import find_campaign, is_small
from allocator.service.documents import parse, read_body
from allocator.service.error_documents import ServiceError
from allocator.service.jobs.job_request import SOLVE, WHATIF, check_time_limit, check_whatif
from allocator.service.jobs.queue import SMALL
from allocator.service.jobs.store import JobStatus
from allocator.service.openapi import BODY, answers, body
from allocator.service.routes.jobs import answer_or_job
from allocator.service.routes.solve import IdempotencyKey, Prefer
from allocator.service.schemas.jobs import JobDocument, WhatIfResult
from allocator.service.schemas.solve import CampaignWhatIf, JobWhatIf, WhatIf, whatif_request
from allocator.service.state import Service, owner_of, service_of

router = APIRouter(tags=["solve"])
FEW = 10  # plans of a small problem that are answered at once


@router.post(
    "/v1/whatif",
    openapi_extra=body(CampaignWhatIf, JobWhatIf),
    responses=answers(
        {200: ("The comparison.", WhatIfResult), 202: ("A job; `Location` says where.", JobDocument)},
        [404, 409, *BODY, 429],
    ),
    response_class=Response,
)
async def whatif(request: Request, prefer: Prefer = None, idempotency_key: IdempotencyKey = None) -> Response:
    """Solve a campaign, or a problem that was solved before, as it is and under changes; compare the plans.

    Changes are `scenarios` as in campaign.toml, or one or two `sweeps` of a bound. A scenario without a plan
    is a result that says why. The answer is that of `allocate whatif --json`.
    """
    service = service_of(request)
    content = await read_body(request)
    wanted = parse(whatif_request, content)
    check_time_limit(wanted.time_limit, service.settings.max_time_limit)
    check_whatif(wanted)
    small = plans_of(wanted) <= FEW
    if isinstance(wanted, JobWhatIf):
        small &= await _is_small_job(service, wanted.job, owner_of(request))
    else:
        folder = find_campaign(service.settings.campaigns, wanted.campaign)
        small = small and await asyncio.to_thread(is_small, folder, service.settings.pairs_at_once)
    return await answer_or_job(request, service, WHATIF, content, small=small)


def plans_of(wanted: WhatIf) -> int:
    """Return how many plans a what-if asks for, beside the base plan."""
    if wanted.sweeps:
        return math.prod(len(sweep.values) for sweep in wanted.sweeps)
    return len(wanted.scenarios)


async def _is_small_job(service: Service, job_id: str, owner: str) -> bool:
    job = await service.jobs.get(job_id, owner)
    if job.kind != SOLVE or job.status is not JobStatus.DONE:
        text = f"What-ifs are of a solve that is done; this is a {job.kind} that is {job.status}."
        raise ServiceError(409, "no-result", "No base plan", text)
    return job.lane == SMALL
