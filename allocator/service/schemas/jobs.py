"""What answers about jobs look like."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from allocator.service.error_documents import ProblemDocument
from allocator.service.schemas.base import stating

JOB = {
    "id": "5f1c0e8a9b7d4c21a3f09e5d7c6b1a20",
    "kind": "solve",
    "status": "running",
    "progress": {"step": "prices", "done": 3, "total": 12},
    "created_at": "2026-06-01T09:00:00.120Z",
    "started_at": "2026-06-01T09:00:00.150Z",
    "finished_at": None,
    "result": None,
    "problem": None,
}


SOLVED = {
    "job": JOB["id"],
    "plan": JOB["id"],
    "status": "optimal",
    "objective": 13.0,
    "bound": 13.0,
    "gap": 0.0,
    "method": "decomposition",
    "seconds": 0.012,
    "seed": 7,
    "users": 3,
    "coupons": 2,
    "assigned": 3,
    "spend": 6.0,
    "value": 13.0,
    "limits": [
        {
            "label": "total", "used": 6.0, "at_least": None, "at_most": 6.0, "slack": 0.0, "price": 2.0,
            "binding": True,
        }
    ],
    "prices": {"total": 2.0},
    "certificate": {
        "valid": True,
        "objective": 13.0,
        "dual_bound": 13.0,
        "problems": [],
        "rows": [
            {"label": "total", "used": 6.0, "at_least": None, "at_most": 6.0, "violation": 0.0, "soft": False}
        ],
    },
    "assignments": {
        "user_id": ["u1", "u2", "u3"], "coupon_id": ["C1", "C2", "C2"], "value": [3.0, 4.0, 6.0],
        "cost": [1.0, 2.0, 3.0],
    },
    "digests": {"request": "d33b5980b2104bd9ff29b7014842c2df985162b88e9e40447f2309f060ac9dbe"},
    "versions": {"allocate": "0.1.0"},
    "notes": [],
}  # fmt: skip
SWEPT = {
    "job": JOB["id"],
    "name": "problem",
    "currency": "USD",
    "cautions": [],
    "sweeps": [{"path": "total.at_most", "values": [2, 4]}],
    "points": [
        {
            "at": [at], "value": value, "bound": value, "gap": 0.0, "spend": at, "users": 2, "marginal": 2.0,
            "error": None,
        }
        for at, value in ((2, 5), (4, 9))
    ],
    "base": [6],
    "knee": None,
    "floor": None,
    "floor_at": None,
}  # fmt: skip


class JobProgress(BaseModel):
    """How far a running job is."""

    step: str
    done: int
    total: int = Field(description="0 while it is not known.")


class JobDocument(BaseModel):
    """A job."""

    id: str
    kind: Literal["solve", "whatif"]
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: JobProgress | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    result: str | None = Field(description="Where the result is, once the job is done.")
    problem: ProblemDocument | None = Field(description="Why the job failed.")

    model_config = stating(JOB)


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobDocument]
    next: str | None = Field(description="The next page, None for the last.")

    model_config = stating({"jobs": [JOB], "next": None})


class LimitRow(BaseModel):
    """One row of a limit in the plan."""

    label: str
    used: float
    at_least: float | None
    at_most: float | None
    slack: float | None
    price: float = Field(description="What one more unit of room at the bound that binds would earn.")
    binding: bool


class CertificateDocument(BaseModel):
    """The independent check of the plan."""

    valid: bool
    objective: float
    dual_bound: float | None
    problems: list[str]
    rows: list[dict[str, Any]]


class SolveResult(BaseModel):
    """A plan with its proof: the figures of summary.json, and who gets what."""

    job: str
    plan: str | None = Field(
        description="Id to decide with at `/v1/decide`; None for a fair objective or an experiment."
    )
    status: Literal["optimal", "feasible", "least violating"]
    objective: float
    bound: float | None = Field(description="No plan is worth more.")
    gap: float | None
    method: str
    seconds: float
    seed: int
    users: int
    coupons: int
    assigned: int
    spend: float
    value: float
    limits: list[LimitRow]
    prices: dict[str, float] = Field(
        description="Dual price by row, per unit of it: negative where a row must be reached."
    )
    certificate: CertificateDocument
    assignments: dict[str, list[Any]] = Field(
        description="Columns `user_id`, `coupon_id`, `value` and every measure, one row an assignment."
    )
    digests: dict[str, str] = Field(description="SHA-256 of the request, or of the campaign's files.")
    versions: dict[str, str]
    notes: list[str]

    model_config = ConfigDict(extra="allow") | stating(SOLVED)


class WhatIfResult(BaseModel):
    """As `allocate whatif --json`: `scenarios`, or the points of a frontier."""

    job: str
    name: str
    currency: str
    cautions: list[str] = Field(description="What to know before anything is sent, such as who consents.")
    scenarios: list[dict[str, Any]] | None = None
    points: list[dict[str, Any]] | None = None

    model_config = ConfigDict(extra="allow") | stating(SWEPT)
