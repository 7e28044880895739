"""Whether the process lives, whether it can do its work, and what it counted."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from allocator.service.database import reading
from allocator.service.documents import answer
from allocator.service.jobs.queue import not_ready
from allocator.service.metrics import CONTENT_TYPE
from allocator.service.openapi import answers
from allocator.service.state import service_of

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """It is well."""

    status: str

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})


@router.get("/healthz", responses=answers({200: ("The process lives.", Health)}), response_class=Response)
async def healthz() -> Response:
    """Say that the process lives."""
    return answer({"status": "ok"})


@router.get("/readyz", responses=answers({200: ("Ready for requests.", Health)}), response_class=Response)
async def readyz(request: Request) -> Response:
    """Say whether the database answers and the workers are there; not so once the service is to stop."""
    service = service_of(request)
    request_id = request.scope["state"]["request_id"]
    if service.closing:
        return not_ready("The service is shutting down.").response(request_id)
    if not service.jobs.ready:
        return not_ready("The worker processes are not there yet.").response(request_id)

    def ask() -> None:
        with reading(service.engine) as connection:
            connection.execute(sa.select(1))

    await asyncio.to_thread(ask)
    return answer({"status": "ok"})


@router.get(
    "/metrics",
    responses={**answers({}), 200: {"description": "For Prometheus.", "content": {"text/plain": {}}}},
    response_class=Response,
)
async def metrics(request: Request) -> Response:
    """Return counters and histograms as Prometheus reads them."""
    text = await asyncio.to_thread(service_of(request).metrics.text)
    return Response(text, media_type=CONTENT_TYPE)
