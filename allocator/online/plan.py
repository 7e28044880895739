"""What deciding at request time needs of a plan: its rows with their prices, and none of its users."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_number
from allocator.limits.row_tables import separators_of
from allocator.online.plan_rows import PlanRow, plan_rows
from allocator.problem.arrays import entries_of, shown
from allocator.solution import Solution


@dataclass(frozen=True, kw_only=True)
class OnlinePlan:
    """A plan's limits and prices, for decisions about users as they arrive.

    Parameters
    ----------
    plan_id
        Under which a ledger keeps the plan's counters: another plan, another id.
    coupon_ids
        In the order of every array of a request.
    per_user
        Fewest and most coupons a user may get.
    groups
        The labels that the plan has seen in each group column of its users.
    rows
        Of all limits, exclusions included.
    users
        How many users the plan was made for: the forecast of how many will arrive.
    objective
        What the plan expects to earn.
    starts_at, ends_at
        Between which times users arrive, in seconds since the epoch; nothing is given outside. None: the
        time is not known, and the pace goes by the number of arrivals alone.
    profile
        Forecast of the volume in equal parts of that time, in any unit; uniform unless given.
    separators
        What stands between labels, by group column in which a user has several.

    Raises
    ------
    InputError
        With every finding.
    """

    plan_id: str
    coupon_ids: tuple[str, ...]
    per_user: tuple[int, int]
    groups: Mapping[str, tuple[str, ...]] = field(repr=False)
    rows: tuple[PlanRow, ...] = field(repr=False)
    users: int
    objective: float
    starts_at: float | None = None
    ends_at: float | None = None
    profile: tuple[float, ...] = ()
    separators: Mapping[str, str] = field(default_factory=dict)

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    def __post_init__(self) -> None:
        try:
            findings = [*self._own_findings(), *self._row_findings()]
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(Finding(f"this is not what a plan holds: {error}", column="plan")) from error
        if findings:
            raise InputError(findings)

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that a request must tell: all that some row counts, but ``count`` and ``value``."""
        named = {term.measure for row in self.rows for term in row.terms}
        return tuple(sorted(named - {"count", "value"}))

    @property
    def group_columns(self) -> tuple[str, ...]:
        """Group columns whose label a request must tell."""
        return tuple(sorted({column for row in self.rows for term in row.terms for column in term.users}))

    @property
    def guaranteed(self) -> tuple[PlanRow, ...]:
        """Rows that are never overspent; see `PlanRow.is_guaranteed`."""
        return tuple(row for row in self.rows if row.is_guaranteed)

    def _own_findings(self) -> list[Finding]:
        findings = []
        if not self.plan_id.strip():
            findings.append(Finding("a plan needs an id", column="plan_id"))
        if not self.coupon_ids or len(set(self.coupon_ids)) < len(self.coupon_ids):
            findings.append(Finding("coupons must be distinct, and at least one", column="coupon_ids"))
        fewest, most = self.per_user
        if not (0 <= fewest <= most and most >= 1):
            findings.append(Finding("must be (fewest, most)", column="per_user", found=str(self.per_user)))
        if self.users < 1:
            findings.append(Finding("must be 1 or more", column="users", found=str(self.users)))
        if (self.starts_at is None) != (self.ends_at is None):
            findings.append(Finding("starts_at and ends_at belong together; give both", column="ends_at"))
        elif self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            findings.append(Finding("the plan ends before it starts", column="ends_at"))
        if self.profile and not (
            all(math.isfinite(part) and part >= 0 for part in self.profile) and sum(self.profile) > 0
        ):
            findings.append(Finding("must be volumes of 0 or more, not all 0", column="profile"))
        return findings

    def _row_findings(self) -> list[Finding]:
        findings = []
        labels = Counter(row.label for row in self.rows)
        for label in sorted(label for label, count in labels.items() if count > 1):
            findings.append(Finding("two rows have this label", column="rows", found=repr(label)))
        for row in self.rows:
            where = f"row '{row.label}'"
            for term in row.terms:
                for coupon in sorted(set(term.coupons) - set(self.coupon_ids)):
                    findings.append(Finding(f"{where}: unknown coupon", column="coupons", found=repr(coupon)))
                for column in sorted(set(term.users) - set(self.groups)):
                    findings.append(Finding(f"{where}: unknown group column", column=column))
            if not row.at_least <= row.at_most:
                findings.append(Finding(f"{where}: at_least is more than at_most", column="at_least"))
            sizes = {"penalty": row.penalty, "margin": row.margin, "rate": row.rate, "worth": row.worth}
            findings += [
                Finding(f"{where}: must be 0 or more", column=name, found=f"{size:g}")
                for name, size in sizes.items()
                if not size >= 0
            ]
            if not math.isfinite(row.price):
                findings.append(Finding(f"{where}: must be a number", column="price", found=str(row.price)))
        return findings

    @classmethod
    def from_solution(
        cls,
        solution: Solution,
        plan_id: str,
        *,
        starts_at: float | None = None,
        ends_at: float | None = None,
        profile: Sequence[float] = (),
    ) -> OnlinePlan:
        """Return what deciding at request time needs of a solved plan.

        Parameters
        ----------
        solution
            The plan; its users are the forecast of those who will arrive.
        plan_id, starts_at, ends_at, profile
            As in `OnlinePlan`.

        Raises
        ------
        InputError
            If the plan is for a fair objective, which prices alone do not carry; state fairness as a limit.
        """
        if not isinstance(solution, Solution):
            raise InputError(Finding("this is no Solution", column="solution", found=type(solution).__name__))
        volumes, findings = entries_of(profile), list[Finding]()
        if volumes is None:
            findings.append(Finding("must be volumes of 0 or more", column="profile", found=shown(profile)))
        stated = [read_number("profile", volume, findings) for volume in volumes or ()]
        if findings:
            raise InputError(findings)
        if solution.utility is not None:
            message = "a plan for a fair objective cannot be decided from prices; state fairness as a limit"
            raise InputError(Finding(message, column="objective"))
        problem = solution.problem
        return cls(
            plan_id=plan_id,
            coupon_ids=tuple(problem.coupon_ids.tolist()),
            per_user=problem.per_user,
            groups={column: tuple(grouping.names) for column, grouping in problem.groups.items()},
            rows=plan_rows(solution),
            users=problem.n_users,
            objective=float(solution.objective),
            starts_at=starts_at,
            ends_at=ends_at,
            profile=tuple(map(float, stated)),
            separators=separators_of(problem),
        )

    def to_json(self) -> str:
        """Return the plan as a JSON document."""
        # A plan offers its own form on disk, which is stated beside it.
        from allocator.online.plan_file import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> OnlinePlan:
        """Read what `to_json` wrote; InputError with everything that is wrong with it."""
        # As in `to_json`.
        from allocator.online.plan_file import from_json

        return from_json(text)
