"""Plans that decide at request time, in the database: any server of it can take up any of them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from allocator.online.plan import OnlinePlan
from allocator.service.database import metadata, reading, writing

EVERYONE = "*"
"""The owner of plans that every key may use; no key can have this name."""

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class StoredPlan:
    """One row of the table."""

    id: str
    owner: str
    created_at: float
    document: str

    @property
    def ledger(self) -> str:
        """Under which the plan's counters are kept: another plan that gets the id later has its own.

        A server that has not heard of it yet so cannot spend its budget by the old plan's limits.
        """
        return f"{self.id}@{self.created_at!r}"

    def read(self) -> OnlinePlan:
        """Return the plan."""
        return OnlinePlan.from_json(self.document)


class PlanStore:
    """Reads and writes plans. Methods block, and may be called from any thread."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, plan: StoredPlan) -> StoredPlan:
        """Store a plan, or return what is stored under its id already."""
        try:
            with writing(self._engine) as connection:
                connection.execute(sa.insert(plans).values(vars(plan)))
                return plan
        except sa.exc.IntegrityError:
            found = self.get(plan.id)
            if found is None:
                raise
            return found

    def get(self, plan_id: str) -> StoredPlan | None:
        """Return a plan, None if there is none."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(plans).where(plans.c.id == plan_id)).one_or_none()
        return None if row is None else StoredPlan(**row._mapping)

    def of_owner(self, owner: str, most: int) -> list[StoredPlan]:
        """Return the plans that an owner may use, the newest first."""
        query = sa.select(plans).where(plans.c.owner.in_((owner, EVERYONE)))
        query = query.order_by(plans.c.created_at.desc(), plans.c.id).limit(most)
        with reading(self._engine) as connection:
            return [StoredPlan(**row._mapping) for row in connection.execute(query)]

    def delete(self, plan_id: str) -> None:
        """Forget a plan."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(plans).where(plans.c.id == plan_id))
