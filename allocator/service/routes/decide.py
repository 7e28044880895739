"""``POST /v1/decide`` and ``POST /v1/outcomes``: one user after another, or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from allocator.errors import Finding, InputError
from allocator.online import Answer, DecisionRequest, Outcome, Reservation, Settlement, State
from allocator.service.documents import REQUEST, answer, parse, read_body
from allocator.service.error_documents import ServiceError
from allocator.service.gate import too_large
from allocator.service.openapi import BODY, answers, body
from allocator.service.plans.live import Given, PlanAtWork
from allocator.service.routes.jobs import stamp
from allocator.service.schemas.decide import (
    DecisionBatch,
    Decisions,
    OutcomeBatch,
    OutcomeResults,
    decision_batch,
    outcome_batch,
)
from allocator.service.state import owner_of, service_of

EACH_BYTES = 8 << 10  # of a batch's body, for each decision that the largest batch may hold

router = APIRouter(prefix="/v1", tags=["decide"])


@router.post(
    "/decide",
    openapi_extra=body(DecisionBatch),
    responses=answers({200: ("What each request is given.", Decisions)}, [404, *BODY]),
    response_class=Response,
)
async def decide(request: Request) -> Response:
    """Decide for one user or a batch, from the prices of a plan.

    Guaranteed limits are never overspent, however many ask at once: what a coupon may use is held until it
    is used, given back or expires. The same request id gets the same answer again.
    """
    service = service_of(request)
    wanted = parse(decision_batch, await _read_batch(request))
    require_few("requests", len(wanted.requests), service.settings.max_batch)
    plan = await service.plans.get(wanted.plan, owner_of(request))
    given = await plan.decisions.do(_requests(plan, wanted))
    return answer({"decisions": [_decided(each) for each in given]})


@router.post(
    "/outcomes",
    openapi_extra=body(OutcomeBatch),
    responses=answers({200: ("How each outcome was taken.", OutcomeResults)}, [404, 409, *BODY]),
    response_class=Response,
)
async def outcomes(request: Request) -> Response:
    """Say which coupons were used, and what they really came to, and which will not be.

    Each outcome has a result of its own. A single one that contradicts what was told before, or does not fit
    a limit, is a problem (409); so is a single one about a coupon that was never given (404).
    """
    service = service_of(request)
    wanted = parse(outcome_batch, await _read_batch(request))
    require_few("outcomes", len(wanted.outcomes), service.settings.max_batch)
    plan = await service.plans.get(wanted.plan, owner_of(request))
    told = [
        Outcome(entry.request_id, entry.coupon_id, entry.used, entry.measures) for entry in wanted.outcomes
    ]
    settled = await plan.outcomes.do(told)
    if len(settled) == 1:
        _require_settled(settled[0])
    return answer({"outcomes": [_settled(each) for each in settled]})


async def _read_batch(request: Request) -> bytes:
    """Return a batch's JSON text; it is read between other callers' decisions, so not at any length."""
    most = EACH_BYTES * service_of(request).settings.max_batch
    text = await read_body(request)
    if len(text) > most:
        raise too_large(most)
    return text


def require_few(name: str, count: int, most: int) -> None:
    """Raise InputError for a batch that is too large."""
    if count > most:
        message = "this service takes no more in one request"
        raise InputError(Finding(message, REQUEST, None, name, f"{count:,}", f"at most {most:,}"))


def _requests(plan: PlanAtWork, wanted: DecisionBatch) -> Sequence[DecisionRequest]:
    """Return the requests as the plan counts, or everything that is wrong with them."""
    requests: list[DecisionRequest] = []
    findings: list[Finding] = []
    for i, one in enumerate(wanted.requests, start=1):
        try:
            requests.append(
                plan.reader.read(one.request_id, one.value, one.measures, one.groups, one.user_id, one.most)
            )
        except InputError as error:
            findings += [
                replace(finding, file=REQUEST, column=f"requests[{i}].{finding.column}")
                for finding in error.findings
            ]
    if findings:
        raise InputError(findings)
    return requests


def _decided(given: Given) -> dict[str, Any]:
    best, *more = given.reservations
    document = _coupon(best)
    document["request_id"], document["replayed"] = best.request_id, given.replayed
    document["more"] = [_coupon(reservation) for reservation in more]
    return document


def _coupon(reservation: Reservation) -> dict[str, Any]:
    nothing = reservation.state is State.NOTHING
    return {
        "coupon_id": reservation.coupon_id,
        "state": reservation.state.value,
        "reason": reservation.reason,
        "expires_at": None if nothing else stamp(reservation.expires_at),
    }


def _settled(settlement: Settlement) -> dict[str, Any]:
    found, outcome = settlement.reservation, settlement.outcome
    return {
        "request_id": outcome.request_id,
        "coupon_id": outcome.coupon_id if found is None else found.coupon_id,
        "result": settlement.answer.value,
        "message": settlement.message,
        "state": None if found is None else found.state.value,
    }


def _require_settled(settlement: Settlement) -> None:
    """Turn the result of a single outcome that was not settled into a problem."""
    text = f"request '{settlement.outcome.request_id}': {settlement.message}"
    if settlement.answer is Answer.UNKNOWN:
        raise ServiceError(404, "not-found", "No such coupon was given", text)
    if settlement.answer in (Answer.CONFLICT, Answer.REFUSED):
        raise ServiceError(409, str(settlement.answer), "The outcome cannot be taken", text)
    if settlement.answer is Answer.INVALID:
        raise InputError(Finding(text, REQUEST, column="outcomes[1]"))
