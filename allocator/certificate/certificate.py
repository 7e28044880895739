"""An independent check of a plan, from the raw data and the limits' own statements.

Shares nothing with the solver: no cells, no tables, no kernels. Every limit is summed in float64 over its
own groups of users, and the dual bound is recomputed user by user, in a loop of the certificate's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.certificate.recount import Groups, Recount, recount
from allocator.certificate.unfit import Unfit
from allocator.errors import Finding, InputError
from allocator.limits.fields import read_numbers
from allocator.limits.rows import LimitLike, Row, Term, checked_limits
from allocator.problem import Problem
from allocator.problem.arrays import array_of, shown

Array = NDArray[np.float64]
TOLERANCE = 1e-9  # relative rounding error of a float64 sum that is not called a violation
SUM_ERROR = 1e-12  # relative, of a row's usage and bound as prices count them
COUNT, VALUE = 0, 1  # come first in every table
EVERYONE = Term("value", 1.0, {}, np.ones(0, dtype=np.bool_))


@dataclass(frozen=True)
class RowCheck:
    """What one row of a limit uses, recomputed, and by how much it is violated."""

    label: str
    used: float
    at_least: float
    at_most: float
    violation: float
    soft: bool


@dataclass(frozen=True)
class Certificate:
    """The outcome of a check.

    Parameters
    ----------
    objective
        Value of the plan less penalties of soft limits, in objective units.
    dual_bound
        No plan can be worth more than this, by the given prices.
    rows
        Every row of every limit.
    problems
        What is wrong, as sentences; empty for a valid plan.
    """

    objective: float
    dual_bound: float
    rows: tuple[RowCheck, ...]
    problems: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether the plan keeps every hard limit and claims nothing that is not so."""
        return not self.problems


def certify(
    problem: Problem,
    limits: Sequence[LimitLike],
    choice: NDArray[np.integer],
    prices: Mapping[str, float],
    claimed_objective: float | None = None,
    claimed_bound: float | None = None,
    threads: int | None = None,
    unfit_by: Sequence[str] = (),
) -> Certificate:
    """Check a plan.

    Parameters
    ----------
    problem, limits
        What was to be solved.
    choice
        (n_users,) or (n_users, k) coupon indices, -1 for none.
    prices
        Dual price by row label; a row without one has price 0, and an exclusion needs none.
    claimed_objective, claimed_bound
        Figures to compare with what is recomputed.
    threads
        Worker threads; all cores unless given. The result does not depend on it.
    unfit_by
        Labels of rows that rule some pairs out: those that alone use more than all other users can leave.
        Which they are is worked out here, and the bound does not count them.

    Raises
    ------
    InputError
        If choices are no whole numbers, a row for each user, or prices no numbers by label.
    """
    limits, choice, prices = checked_limits(limits), _choices(problem, choice), _prices(prices)
    if choice.min(initial=-1) < -1 or choice.max(initial=-1) >= problem.n_coupons:
        outside = (choice < -1) | (choice >= problem.n_coupons)
        return Certificate(math.nan, math.nan, (), (f"{int(outside.sum()):,} choices name no coupon",))
    rows = [row for limit in limits for row in limit.rows(problem)]
    groups = Groups(problem, rows)
    bound, price, problems = _charges(groups, rows, prices)
    ruling = [row for row in rows if row.label in set(unfit_by) and math.isinf(row.penalty)]
    unfit = Unfit(problem, ruling, [row for row in rows if row.is_exclusion]) if ruling else None
    count = recount(groups, choice.astype(np.int16, copy=False), price, threads, unfit)
    wrong = _wrong_choices(problem, count)
    if wrong:
        return Certificate(math.nan, math.nan, (), tuple(wrong))
    checks = _with_risk(rows, [_check_row(groups, row, count.used) for row in rows])
    broken = []
    for check in checks:
        if check.violation > 0 and not check.soft:
            side = (
                f"at most {check.at_most:,.6g}"
                if check.used > check.at_most
                else f"at least {check.at_least:,.6g}"
            )
            broken.append(f"limit '{check.label}' is violated: {check.used:,.6g}, allowed is {side}")
    penalties = {row.label: row.penalty for row in rows}
    lost = sum(penalties[check.label] * check.violation for check in checks if check.soft)
    objective = float(count.used[VALUE, groups.of(EVERYONE)].sum()) - lost
    bound += count.best
    forgiven = sum(abs(prices.get(check.label, 0.0)) * _rounding(check) for check in checks)
    problems = broken + problems + _compare(objective, bound, forgiven, claimed_objective, claimed_bound)
    return Certificate(objective, bound, checks, tuple(problems))


def _wrong_choices(problem: Problem, count: Recount) -> list[str]:
    """Return what is wrong with the choices themselves."""
    problems = []
    if count.ineligible:
        name = problem.ids_of(np.array([count.first_ineligible]))[0]
        problems.append(
            f"{count.ineligible:,} users get a coupon they are not eligible for, for example '{name}'"
        )
    if count.repeated:
        problems.append("a user gets one coupon twice")
    if count.wrong_number:
        fewest, most = problem.per_user
        problems.append(f"{count.wrong_number:,} users get fewer than {fewest} or more than {most} coupons")
    return problems


def _check_row(groups: Groups, row: Row, used_by: Array) -> RowCheck:
    parts = [
        term.weight * float(used_by[groups.measures.index(term.measure)][_place(groups, term)].sum())
        for term in row.terms
    ]
    used = math.fsum(parts)
    bounds = [abs(bound) for bound in (row.at_least, row.at_most) if math.isfinite(bound)]
    size = max([*(abs(part) for part in parts), *bounds], default=0.0)
    violation = max(row.at_least - used, used - row.at_most, 0.0)
    soft = math.isfinite(row.penalty)
    if not soft and violation <= TOLERANCE * size:
        violation = 0.0
    return RowCheck(row.label, used, row.at_least, row.at_most, violation, soft)


def _with_risk(rows: Sequence[Row], checks: Sequence[RowCheck]) -> tuple[RowCheck, ...]:
    """Add to what risky rows use the standard deviations that must fit under their bound, too."""
    used = {check.label: check.used for check in checks}
    result = []
    for row, check in zip(rows, checks, strict=True):
        if row.risk is not None:
            needed = check.used + row.risk.times * row.risk.deviation(used)
            over = needed - row.at_most
            violation = over if over > TOLERANCE * max(abs(needed), abs(row.at_most)) else 0.0
            check = replace(check, used=needed, violation=violation)
        result.append(check)
    return tuple(result)


def _place(groups: Groups, term: Term) -> tuple[NDArray[np.intp], ...]:
    """Return where a term stands in a table over (group, coupon)."""
    return np.ix_(groups.of(term), np.flatnonzero(term.coupons))


def _choices(problem: Problem, choice: object) -> NDArray[np.integer]:
    """Return choices as (n_users, k) whole numbers."""
    if not isinstance(problem, Problem):
        raise InputError(Finding("this is no Problem", column="problem", found=type(problem).__name__))
    findings: list[Finding] = []
    array = array_of(choice, "choice", findings)
    if array is not None and (array.dtype.kind not in "iu" or array.ndim not in (1, 2)):
        findings.append(Finding("must be indices of coupons", column="choice", found=shown(choice)))
    elif array is not None and len(array) != problem.n_users:
        found, expected = str(array.shape), f"{problem.n_users:,} rows"
        findings.append(Finding("there is not one row for each user", None, None, "choice", found, expected))
    if findings or array is None:
        raise InputError(findings)
    return array.reshape(problem.n_users, -1)


def _prices(prices: object) -> dict[str, float]:
    findings: list[Finding] = []
    found: dict[str, float] = read_numbers("prices", prices, findings)
    if findings:
        raise InputError(findings)
    return found


def _charges(
    groups: Groups, rows: Sequence[Row], prices: Mapping[str, float]
) -> tuple[float, Array, list[str]]:
    """Return what the bounds contribute to the Lagrangian bound, the prices that users pay as a table, and
    what is wrong with the prices; weak duality makes the bound valid for any prices.

    Fisher 1981, "The Lagrangian relaxation method for solving integer programming problems".
    """
    bound = 0.0
    table = np.zeros(groups.shape)
    problems = []
    for row in rows:
        price = float(prices.get(row.label, 0.0))
        if not math.isfinite(price) or abs(price) > row.penalty * (1 + 1e-12):
            problems.append(f"the price of '{row.label}' is not a price: {price:g}")
            continue
        side = row.whole_bounds[1] if price > 0 else row.whole_bounds[0]
        if row.is_exclusion:
            for term in row.terms:
                table[COUNT][_place(groups, term)] = np.inf
            continue
        if price == 0 or row.is_open:
            continue
        if not math.isfinite(side):
            problems.append(f"the price of '{row.label}' has the wrong sign: {price:g}")
            continue
        bound += price * side
        for term in row.terms:
            table[groups.measures.index(term.measure)][_place(groups, term)] += price * term.weight
    unknown = set(prices) - {row.label for row in rows}
    if unknown:
        problems.append(f"prices of unknown limits: {', '.join(sorted(unknown))}")
    return bound, table, problems


def _rounding(check: RowCheck) -> float:
    """Return by how much a row that counts as kept may be off, as prices see it."""
    if check.violation > 0:
        return 0.0
    bounds = [abs(bound) for bound in (check.at_least, check.at_most) if math.isfinite(bound)]
    beyond = max(check.at_least - check.used, check.used - check.at_most, 0.0)
    return beyond + SUM_ERROR * max([abs(check.used), *bounds])


def _compare(
    objective: float,
    bound: float,
    forgiven: float,
    claimed_objective: float | None,
    claimed_bound: float | None,
) -> list[str]:
    """Return what is wrong with the figures; `forgiven` is what rounding errors of rows are worth."""
    problems = []
    size = 1e-9 * max(abs(objective), abs(bound))
    if bound < objective - size - forgiven:
        problems.append(f"the bound {bound:,.6g} is below the objective {objective:,.6g}")
    if claimed_objective is not None and abs(objective - claimed_objective) > size:
        problems.append(f"the plan is worth {objective:,.9g}, not {claimed_objective:,.9g} as stated")
    if claimed_bound is not None and claimed_bound < objective - size - forgiven:
        problems.append(f"the stated bound {claimed_bound:,.9g} is below what the plan is worth")
    return problems
