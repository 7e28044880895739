"""``/v1/decide``, ``/v1/outcomes`` and ``/v1/plans``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from allocator.service.schemas.base import Body, Id, Number, stating

PLAN = "5f1c0e8a9b7d4c21a3f09e5d7c6b1a20"
Amounts = dict[str, Number]


class Decision(Body):
    """One user who is here now."""

    request_id: Id = Field(description="Your own, unique within the plan: the same id, the same answer.")
    value: Amounts = Field(
        description="Expected incremental value by coupon; a coupon that is left out is not open to the user."
    )
    measures: dict[str, Amounts] = Field(
        {}, description="What limits count, by measure and coupon, as expected: `cost`, for example."
    )
    groups: dict[str, Id] = Field({}, description="The user's label in each column that limits group by.")
    user_id: Id | None = Field(
        None, description="Whose coupons count over all requests; stored only as a digest. None: nobody's."
    )
    most: dict[str, Amounts] = Field(
        {},
        description="The most that a measure may come to, where that is more than expected, such as a "
        "coupon's face value. This much is held until the coupon is used or expires.",
    )


class DecisionBatch(Body):
    """Users to decide for, each as if they came one after another."""

    plan: Id = Field(description="Id of the plan, as `/v1/solve` gave it.")
    requests: list[Decision] = Field(min_length=1)

    model_config = stating(
        {
            "plan": PLAN,
            "requests": [
                {
                    "request_id": "visit-8841",
                    "user_id": "u17",
                    "groups": {"region": "north"},
                    "value": {"C1": 3.2, "C2": 5.0},
                    "measures": {"cost": {"C1": 1.0, "C2": 3.0}},
                }
            ],
        }
    )


class GivenCoupon(BaseModel):
    """A coupon, or that none was given, and why."""

    coupon_id: str | None
    state: Literal["nothing", "held", "used", "released", "expired"]
    reason: str
    expires_at: str | None = Field(description="Until when it is held unless it is used.")


class Decided(GivenCoupon):
    """What one request was given."""

    request_id: str
    replayed: bool = Field(description="Whether the request was decided before; it is the same answer.")
    more: list[GivenCoupon] = Field(description="Further coupons, where a user may get several.")


class Decisions(BaseModel):
    """What each request was given, in order."""

    decisions: list[Decided]

    model_config = stating(
        {
            "decisions": [
                {
                    "request_id": "visit-8841",
                    "coupon_id": "C1",
                    "state": "held",
                    "reason": "worth 1.2 after the limits' prices",
                    "expires_at": "2026-06-08T09:00:00.000Z",
                    "replayed": False,
                    "more": [],
                }
            ]
        }
    )


class OutcomeEntry(Body):
    """What became of a coupon."""

    request_id: Id
    coupon_id: Id | None = Field(None, description="Needed only where the request got several.")
    used: bool = Field(description="If not, what is held for it is free again.")
    measures: Amounts = Field({}, description="What it really came to; what is left out, as it is held.")


class OutcomeBatch(Body):
    """What became of coupons."""

    plan: Id
    outcomes: list[OutcomeEntry] = Field(min_length=1)

    model_config = stating(
        {
            "plan": PLAN,
            "outcomes": [{"request_id": "visit-8841", "used": True, "measures": {"cost": 0.9}}],
        }
    )


class OutcomeResult(BaseModel):
    """How an outcome was taken; told twice, it is answered twice alike."""

    request_id: str
    coupon_id: str | None
    result: Literal["settled", "unknown", "conflict", "refused", "invalid"]
    message: str
    state: Literal["nothing", "held", "used", "released", "expired"] | None


class OutcomeResults(BaseModel):
    """How each outcome was taken, in order."""

    outcomes: list[OutcomeResult]

    model_config = stating(
        {
            "outcomes": [
                {
                    "request_id": "visit-8841",
                    "coupon_id": "C1",
                    "result": "settled",
                    "message": "the coupon is used",
                    "state": "used",
                }
            ]
        }
    )


class PlanUpload(Body):
    """A plan from elsewhere: `plan.json` of a run folder."""

    plan: dict[str, Any] = Field(description="The document that a run folder holds as plan.json.")
    id: Id | None = Field(None, description="Another id than the plan's own; counters go by it.")

    model_config = stating(
        {
            "id": "spring",
            "plan": {
                "schema": 1,
                "plan_id": "spring-run",
                "coupon_ids": ["C1", "C2"],
                "per_user": [0, 1],
                "groups": {},
                "rows": [
                    {
                        "label": "total",
                        "terms": [{"measure": "cost", "weight": 1.0, "users": {}, "coupons": ["C1", "C2"]}],
                        "at_most": 6.0,
                        "price": 2.0,
                    }
                ],
                "users": 3,
                "objective": 13.0,
            },
        }
    )


ROW = {
    "label": "total",
    "at_least": None,
    "at_most": 6.0,
    "guaranteed": True,
    "held": 1.0,
    "expected": 0.9,
    "left": 5.0,
    "price": 2.1,
}


class PlanRowDocument(BaseModel):
    """How a row of the plan's limits stands."""

    label: str
    at_least: float | None
    at_most: float | None
    guaranteed: bool = Field(
        description="Whether a counter keeps it below `at_most` for certain; else its price steers decisions."
    )
    held: float | None = Field(description="Used, or held for coupons that may still be used.")
    expected: float = Field(description="Used, and what is expected of coupons that may still be used.")
    left: float | None = Field(description="What may still be given out.")
    price: float = Field(description="What a unit of it costs decisions now.")


SUMMARY = {
    "id": PLAN,
    "coupons": ["C1", "C2"],
    "measures": ["cost"],
    "group_columns": [],
    "users": 3,
    "objective": 13.0,
    "created_at": "2026-06-01T09:00:00.120Z",
}


class PlanSummary(BaseModel):
    """A stored plan."""

    id: str
    coupons: list[str]
    measures: list[str] = Field(description="Which a decision must tell.")
    group_columns: list[str] = Field(description="Of which a decision must tell the user's label.")
    users: int = Field(description="How many users the plan expects.")
    objective: float
    created_at: str

    model_config = stating(SUMMARY)


class PlanDocument(PlanSummary):
    """A stored plan, and how its limits stand."""

    rows: list[PlanRowDocument]

    model_config = stating({**SUMMARY, "rows": [ROW]})


class PlanList(BaseModel):
    """The plans you may decide with."""

    plans: list[PlanSummary]

    model_config = stating({"plans": [SUMMARY]})


decision_batch = TypeAdapter(DecisionBatch)
outcome_batch = TypeAdapter(OutcomeBatch)
plan_upload = TypeAdapter(PlanUpload)
