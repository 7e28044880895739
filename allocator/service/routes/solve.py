"""``POST /v1/solve``."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from allocator.service.campaigns import find_campaign, is_small
from allocator.service.documents import parse, read_body
from allocator.service.jobs.job_request import SOLVE, check_time_limit
from allocator.service.openapi import BODY, answers, body
from allocator.service.routes.jobs import answer_or_job
from allocator.service.schemas.jobs import JobDocument, SolveResult
from allocator.service.schemas.solve import InlineProblem, NamedCampaign, solve_request
from allocator.service.state import service_of

router = APIRouter(tags=["solve"])
Prefer = Annotated[
    str | None, Header(description="`respond-async` for a job at once; `wait=5` to wait no longer.")
]
IdempotencyKey = Annotated[
    str | None,
    Header(description="The same key gets the same job again.", min_length=1, max_length=255,
           pattern=r"^[!-~]+$"),
]  # fmt: skip


@router.post(
    "/v1/solve",
    openapi_extra=body(InlineProblem, NamedCampaign),
    responses=answers(
        {200: ("The plan.", SolveResult), 202: ("A job; `Location` says where.", JobDocument)}, [*BODY, 429]
    ),
    response_class=Response,
)
async def solve(request: Request, prefer: Prefer = None, idempotency_key: IdempotencyKey = None) -> Response:
    """Decide who gets what: a problem in columns, or a campaign of the service by its name.

    A small problem is answered with its plan; a large one, or one that takes long after all, with a job.
    The plan keeps every limit, and its certificate recomputes them and the bound from the data. Limits
    that clash are a problem that names them, and what would make a plan possible. A body of more than
    about 1 MiB is checked by its job, so that what is wrong with it is found there.
    """
    service = service_of(request)
    content = await read_body(request)
    small = len(content) <= service.settings.bytes_at_once
    if small:  # a large body is checked by its job: it would keep everybody else waiting here
        wanted = parse(solve_request, content)
        check_time_limit(wanted.time_limit, service.settings.max_time_limit)
        most = service.settings.pairs_at_once
        if isinstance(wanted, InlineProblem):
            small = max(map(len, wanted.pairs.values()), default=0) <= most
        else:
            folder = find_campaign(service.settings.campaigns, wanted.campaign)
            small = await asyncio.to_thread(is_small, folder, most)
    return await answer_or_job(request, service, SOLVE, content, small=small)
