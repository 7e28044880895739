"""The app: its parts put together, started and stopped."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import allocator
from allocator.errors import AllocateError, Finding, InputError
from allocator.service import openapi
from allocator.service.database import connect, create_tables
from allocator.service.error_documents import refusal_of, refusal_of_status
from allocator.service.gate import Direct, Gate
from allocator.service.jobs.queue import Jobs
from allocator.service.logs import log
from allocator.service.metrics import Metrics
from allocator.service.plans.live import Plans
from allocator.service.routes import decide, health, jobs, plans, solve, whatif
from allocator.service.schemas.decide import (
    DecisionBatch,
    Decisions,
    OutcomeBatch,
    OutcomeResults,
    PlanDocument,
    PlanList,
    PlanSummary,
    PlanUpload,
)
from allocator.service.schemas.jobs import JobDocument, JobList, SolveResult, WhatIfResult
from allocator.service.schemas.solve import CampaignWhatIf, InlineProblem, JobWhatIf, NamedCampaign
from allocator.service.settings import Settings
from allocator.service.state import Service

DESCRIPTION = """\
Decides which customer gets which coupon so that a fixed budget earns the most, and proves how close to the
best possible that is.

Send a problem to `/v1/solve`; large ones become a job. Decide for single users as they arrive at
`/v1/decide`, from the prices of a plan: its limits are never overspent. Every error is a problem document
(RFC 9457) that says everything that is wrong at once.
"""
FAILURE = "failure"
"""Of the app's state: why it could not be started."""
# The order of the topics in the description is that of TAGS.
DIRECT = (Direct("/v1/decide", decide.decide), Direct("/v1/outcomes", decide.outcomes))
ROUTERS = (decide.router, solve.router, whatif.router, jobs.router, plans.router, health.router)
TAGS = (
    {"name": "solve", "description": "Whole campaigns: plans, and what would change them."},
    {"name": "jobs", "description": "Work that takes longer than a request."},
    {"name": "decide", "description": "Single users as they arrive, and what became of their coupons."},
    {"name": "operation", "description": "For whoever runs the service."},
)
MODELS = (
    InlineProblem, NamedCampaign, CampaignWhatIf, JobWhatIf, SolveResult, WhatIfResult, JobDocument, JobList,
    DecisionBatch, Decisions, OutcomeBatch, OutcomeResults, PlanUpload, PlanSummary, PlanDocument, PlanList,
    health.Health,
)  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """Return the service as an ASGI app; it keeps nothing outside itself and its data folder.

    Its lifespan opens the database and starts the worker processes.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                app.state.service = await stack.enter_async_context(running(settings, metrics))
            except Exception as error:
                setattr(app.state, FAILURE, error)
                raise
            yield

    app = FastAPI(
        title="Allocate", version=allocator.__version__, description=DESCRIPTION, lifespan=lifespan,
        openapi_tags=list(TAGS), redoc_url=None, redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call it
    )  # fmt: skip
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Gate, settings=settings, metrics=metrics, direct=DIRECT)
    app.add_exception_handler(AllocateError, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    has_keys = bool(settings.keys)
    app.openapi = lambda: openapi.describe(app, MODELS, keys=has_keys)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def running(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
    """Start the parts of a service, and stop them at the end."""
    _make_folder(settings.data)
    alone = settings.database_url.startswith("sqlite")
    with _locked(settings.data) if alone else nullcontext():
        engine = connect(settings.database_url)
        create_tables(engine)
        work = Jobs(settings, metrics, engine, alone=alone)
        deciding = Plans(settings, metrics, engine, work.store)
        service = Service(settings, metrics, engine, work, deciding)
        metrics.watch(work.store.counts, deciding.used)
        try:
            await deciding.start()
            await work.start()
            yield service
        finally:
            service.close()
            await work.stop()
            await deciding.stop()
            engine.dispose()


def _make_folder(folder: Path) -> None:
    """Make the data folder, for its owner only: it holds what callers sent."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"this cannot be the data folder: {error.strerror}; give another with --data"
        raise InputError(Finding(message, file=str(folder))) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second server out of a data folder; the system frees it whenever this process ends."""
    if sys.platform == "win32":
        yield  # no such lock; SQLite still lets one write at a time
        return
    import fcntl

    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = "another server uses this data folder; stop it, or give another with --data"
            raise InputError(Finding(message, file=str(folder))) from error
        yield


async def _on_error(request: Request, error: Exception) -> Response:
    problem = refusal_of(error)
    if problem.status >= 500:
        log(logging.ERROR, "failed", error=error, id=request.scope["state"]["request_id"])
    return problem.response(request.scope["state"]["request_id"])


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:  # the framework names only the methods of one of the path's routes
        path = request.app.openapi()["paths"].get(request.scope["route"].path, {})
        headers["Allow"] = ", ".join(method.upper() for method in sorted(path)) or headers["Allow"]
    problem = refusal_of_status(error.status_code, error.detail, headers)
    return problem.response(request.scope["state"]["request_id"])


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = [_parameter(detail) for detail in error.errors()]
    return refusal_of(InputError(findings)).response(request.scope["state"]["request_id"])


def _parameter(detail: dict[str, object]) -> Finding:
    place = detail["loc"]
    assert isinstance(place, Iterable)
    where, *names = map(str, place)
    return Finding(str(detail["msg"]), where, column=".".join(names), found=repr(detail.get("input"))[:60])
