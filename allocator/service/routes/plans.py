"""``/v1/plans``: what decides, and how its limits stand."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from allocator.errors import Finding, InputError
from allocator.online import OnlinePlan, Standing
from allocator.service.documents import REQUEST, answer, parse, read_body
from allocator.service.openapi import BODY, answers, body
from allocator.service.plans.store import StoredPlan
from allocator.service.routes.jobs import stamp
from allocator.service.schemas.decide import PlanDocument, PlanList, PlanSummary, PlanUpload, plan_upload
from allocator.service.state import owner_of, service_of

MOST_NUMBERS = 1_000_000  # a decision goes through as many, at worst

router = APIRouter(prefix="/v1/plans", tags=["decide"])


@router.get("", responses=answers({200: ("Your plans.", PlanList)}, [422]), response_class=Response)
async def list_plans(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """List the stored plans you may decide with, the newest first.

    The plan of a solve is stored when it first decides.
    """
    stored = await service_of(request).plans.of_owner(owner_of(request), limit)
    found = await asyncio.to_thread(lambda: [_summary(plan, plan.read()) for plan in stored])
    return answer({"plans": found})


@router.post(
    "",
    openapi_extra=body(PlanUpload),
    responses=answers(
        {200: ("It was stored before.", PlanSummary), 201: ("It is stored.", PlanSummary)}, [409, *BODY]
    ),
    response_class=Response,
)
async def add_plan(request: Request) -> Response:
    """Store a plan that was solved elsewhere: the plan.json of a run folder."""
    wanted = parse(plan_upload, await read_body(request))
    try:
        plan = await asyncio.to_thread(OnlinePlan.from_json, json.dumps(wanted.plan))
        plan = plan if wanted.id is None else replace(plan, plan_id=wanted.id)
    except InputError as error:
        raise InputError([_of_plan(finding) for finding in error.findings]) from error
    if (size := len(plan.rows) * len(plan.coupon_ids)) > MOST_NUMBERS:
        message = "the plan is too large for decisions while somebody waits: rows x coupons"
        expected = f"at most {MOST_NUMBERS:,}"
        raise InputError(Finding(message, REQUEST, column="plan.rows", found=f"{size:,}", expected=expected))
    stored, is_new = await service_of(request).plans.add(plan, owner_of(request))
    headers = {"Location": f"/v1/plans/{plan.plan_id}"}
    return answer(_summary(stored, plan), 201 if is_new else 200, headers)


@router.get(
    "/{plan_id}", responses=answers({200: ("The plan.", PlanDocument)}, [404]), response_class=Response
)
async def get_plan(request: Request, plan_id: str) -> Response:
    """Say how a plan's limits stand: used, held, left, and the prices that decide now."""
    plans = service_of(request).plans
    plan = await plans.get(plan_id, owner_of(request))
    rows = [_row(standing) for standing in await plans.standings(plan)]
    return answer({**_summary(plan.stored, plan.plan), "rows": rows})


@router.delete(
    "/{plan_id}",
    status_code=204,
    responses=answers({204: ("It is gone.",)}, [403, 404]),
    response_class=Response,
)
async def delete_plan(request: Request, plan_id: str) -> Response:
    """Forget a plan, its counters and reservations; a solve's plan starts anew when it decides again."""
    await service_of(request).plans.delete(plan_id, owner_of(request))
    return Response(status_code=204)


def _summary(stored: StoredPlan, plan: OnlinePlan) -> dict[str, Any]:
    return {
        "id": stored.id,
        "coupons": list(plan.coupon_ids),
        "measures": list(plan.measures),
        "group_columns": list(plan.group_columns),
        "users": plan.users,
        "objective": plan.objective,
        "created_at": stamp(stored.created_at),
    }


def _row(standing: Standing) -> dict[str, Any]:
    left = None if standing.held is None else max(0.0, standing.at_most - standing.held)
    document = {name: None if _is_open(value) else value for name, value in asdict(standing).items()}
    return document | {"left": left}


def _is_open(value: object) -> bool:
    return isinstance(value, float) and math.isinf(value)


def _of_plan(finding: Finding) -> Finding:
    column = "plan" if finding.column is None else f"plan.{finding.column}"
    return replace(finding, file=REQUEST, column=column)
