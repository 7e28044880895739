"""``POST /v1/solve`` and ``POST /v1/whatif``: problems in columns, campaigns by name, what changes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter, WithJsonSchema

from allocator.service.schemas.base import Body, Id, Number, stating

_CELL = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]}
Column = Annotated[list[Any], WithJsonSchema({"type": "array", "items": _CELL})]
Columns = dict[str, Column]
LimitTable = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"type": "string"}, "label": {"type": "string"}},
            "additionalProperties": True,
        }
    ),
]

PAIRS = {
    "user_id": ["u1", "u1", "u2", "u2", "u3", "u3"],
    "coupon_id": ["C1", "C2", "C1", "C2", "C1", "C2"],
    "value": [3.0, 5.0, 2.0, 4.0, 1.0, 6.0],
    "cost": [1.0, 3.0, 1.0, 2.0, 1.0, 3.0],
}
BUDGET = {"kind": "budget", "label": "total", "at_most": 6}
FLOOR = {"kind": "floor", "label": "the north", "users": {"region": "north"}, "at_least": 1}
SMALL = {"pairs": PAIRS, "limits": [BUDGET]}
WITH_GROUPS = {
    "pairs": PAIRS,
    "users": {"user_id": ["u1", "u2", "u3"], "region": ["north", "south", "north"]},
    "coupons": {"coupon_id": ["C1", "C2"], "inventory": [2, 1]},
    "limits": [BUDGET, FLOOR],
    "online": {"starts_at": "2026-11-01T00:00:00Z", "ends_at": "2027-11-01T00:00:00Z"},
    "gap": 0.0001,
    "time_limit": 10,
    "seed": 7,
}


class SolveSettings(Body):
    """How to solve."""

    gap: Number | None = Field(None, ge=0, description="Relative optimality gap to reach.")
    time_limit: Number | None = Field(
        None, gt=0, description="Seconds for the solver; the service has a most of its own."
    )
    seed: int | None = Field(None, ge=0, lt=2**32, description="Same input and seed, same plan.")
    method: Literal["auto", "decomposition", "exact", "convex"] | None = None
    on_infeasible: Literal["raise", "least_violation"] = Field(
        "raise", description="Where limits clash: say which, or return the plan that breaks them least."
    )


class InlineProblem(SolveSettings):
    """A problem in columns: one row of `pairs` for each user and coupon that may be matched."""

    pairs: Columns = Field(
        description="Columns of one length: `user_id`, `coupon_id`, `value` (expected incremental value), "
        "`cost`, and any further measure that limits name."
    )
    users: Columns | None = Field(
        None, description="`user_id` and the columns that limits group by; the pairs' users unless given."
    )
    coupons: Columns | None = Field(
        None,
        description="`coupon_id` and columns of coupons.csv such as `inventory`, `channel`, `category`; the "
        "pairs' coupons unless given.",
    )
    columns: dict[str, dict[str, Any]] = Field(
        {},
        description="As `[columns]` in campaign.toml: what the columns of `users`, `coupons` and `scores` "
        "(the pairs) are, where their names do not say it.",
    )
    limits: list[LimitTable] = Field([], description="As `[[limits]]` in campaign.toml.")
    sets: dict[str, str] | None = Field(
        None,
        description="As `[sets]` in campaign.toml: columns of `users` whose cells hold several labels, and "
        "what stands between them.",
    )
    objective: dict[str, Any] | None = Field(None, description="As `[objective]` in campaign.toml.")
    online: dict[str, Any] | None = Field(
        None,
        description="As `[online]` in campaign.toml: `starts_at` and `ends_at`, between which users arrive, "
        "and the `profile` of their volume. Decisions from the plan are paced over that time; without it, "
        "over the number of users.",
    )
    name: str = Field("problem", min_length=1, max_length=120)
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")

    model_config = stating(SMALL, WITH_GROUPS)


class NamedCampaign(SolveSettings):
    """A campaign folder of the service, solved with its ready scores."""

    campaign: Id = Field(description="Name of a folder directly under the one the service was given.")

    model_config = stating({"campaign": "double-eleven"})


def _solve_kind(value: Any) -> str:
    return "@campaign" if isinstance(value, dict) and "campaign" in value else "@problem"


SolveRequest = Annotated[
    Annotated[InlineProblem, Tag("@problem")] | Annotated[NamedCampaign, Tag("@campaign")],
    Discriminator(_solve_kind),
]
solve_request: TypeAdapter[InlineProblem | NamedCampaign] = TypeAdapter(SolveRequest)


class SweepTable(Body):
    """The numbers that one bound takes in turn."""

    path: str = Field(min_length=1, description="`<limit label>.<key>`, such as `total.at_most`.")
    values: list[Number] = Field(min_length=2, max_length=400, description="Rising.")


class WhatIf(Body):
    """Plans beside the base plan, or the plans over a range of a bound."""

    scenarios: list[dict[str, Any]] = Field(
        [], max_length=100, description="As `[[scenarios]]` in campaign.toml; for sweeps, at most one."
    )
    own_scenarios: bool = Field(True, description="Also those of the campaign itself; not for sweeps.")
    sweeps: list[SweepTable] = Field([], max_length=2)
    floor: Number | None = Field(
        None, description="Find along the one sweep where one more unit earns less than this."
    )
    time_limit: Number | None = Field(None, gt=0, description="Seconds for each plan.")
    gap: Number | None = Field(None, ge=0)
    seed: int | None = Field(None, ge=0, lt=2**32)
    method: Literal["auto", "decomposition", "exact", "convex"] | None = None


LESS = {"name": "less", "set": {"total.at_most": 4}}


class CampaignWhatIf(WhatIf):
    """What-ifs of a campaign."""

    campaign: Id = Field(description="As in `/v1/solve`.")

    model_config = stating({"campaign": "double-eleven", "scenarios": [LESS]})


class JobWhatIf(WhatIf):
    """What-ifs of a problem that was sent to `/v1/solve` before."""

    job: Id = Field(description="Id of its job.")

    model_config = stating(
        {
            "job": "5f1c0e8a9b7d4c21a3f09e5d7c6b1a20",
            "sweeps": [{"path": "total.at_most", "values": [2, 4, 6]}],
        }
    )


def _whatif_kind(value: Any) -> str:
    return "@job" if isinstance(value, dict) and "job" in value else "@campaign"


WhatIfRequest = Annotated[
    Annotated[CampaignWhatIf, Tag("@campaign")] | Annotated[JobWhatIf, Tag("@job")],
    Discriminator(_whatif_kind),
]
whatif_request: TypeAdapter[CampaignWhatIf | JobWhatIf] = TypeAdapter(WhatIfRequest)
