"""An independent check of a plan, from the raw data and the limits' own statements.

Shares nothing with the solver: no cells, no tables, no kernels. Every limit is summed in float64
over plain masks, and the dual bound is recomputed user by user.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.problem import Problem
from allocator.rows import LimitLike, Row, Term

Array = NDArray[np.float64]
TOLERANCE = 1e-9  # relative rounding error of a float64 sum that is not called a violation
CHUNK = 200_000  # users whose dual value is computed at once


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
    """
    choice = np.asarray(choice).reshape(problem.n_users, -1)
    problems = _check_choices(problem, choice)
    if problems:
        return Certificate(math.nan, math.nan, (), tuple(problems))
    rows = [row for limit in limits for row in limit.rows(problem)]
    checks = tuple(_check_row(problem, row, choice) for row in rows)
    for check in checks:
        if check.violation > 0 and not check.soft:
            side = (
                f"at most {check.at_most:,.6g}"
                if check.used > check.at_most
                else f"at least {check.at_least:,.6g}"
            )
            problems.append(f"limit '{check.label}' is violated: {check.used:,.6g}, allowed is {side}")
    penalties = {row.label: row.penalty for row in rows}
    lost = sum(penalties[check.label] * check.violation for check in checks if check.soft)
    objective = _total(problem, "value", choice, _all_users(problem), _all_coupons(problem)) - lost
    bound = _dual_bound(problem, rows, prices, problems)
    problems += _compare(objective, bound, claimed_objective, claimed_bound)
    return Certificate(objective, bound, checks, tuple(problems))


def _check_choices(problem: Problem, choice: NDArray[np.integer]) -> list[str]:
    """Return what is wrong with the choices themselves."""
    problems = []
    outside = (choice < -1) | (choice >= problem.n_coupons)
    if outside.any():
        return [f"{int(outside.sum()):,} choices name no coupon"]
    given = choice >= 0
    user, slot = np.nonzero(given)
    ineligible = np.isnan(problem.value[user, choice[user, slot]])
    if ineligible.any():
        name = problem.user_ids[user[np.argmax(ineligible)]]
        problems.append(
            f"{int(ineligible.sum()):,} users get a coupon they are not eligible for, for example '{name}'"
        )
    ordered = np.sort(choice, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        problems.append("a user gets one coupon twice")
    fewest, most = problem.per_user
    count = given.sum(axis=1)
    wrong = (count < fewest) | (count > most)
    if wrong.any():
        problems.append(f"{int(wrong.sum()):,} users get fewer than {fewest} or more than {most} coupons")
    return problems


def _check_row(problem: Problem, row: Row, choice: NDArray[np.integer]) -> RowCheck:
    parts = [
        term.weight * _total(problem, term.measure, choice, _users_of(problem, term), term.coupons)
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


def _total(
    problem: Problem,
    measure: str,
    choice: NDArray[np.integer],
    users: NDArray[np.bool_],
    coupons: NDArray[np.bool_],
) -> float:
    """Return the sum of a measure over the assignments of some users and coupons."""
    user, slot = np.nonzero((choice >= 0) & users[:, None])
    coupon = choice[user, slot]
    inside = coupons[coupon]
    if measure == "count":
        return float(inside.sum())
    return float(problem.measure(measure)[user[inside], coupon[inside]].astype(np.float64).sum())


def _users_of(problem: Problem, term: Term) -> NDArray[np.bool_]:
    inside = _all_users(problem)
    for column, codes in term.users.items():
        inside &= np.isin(problem.groups[column].codes, list(codes))
    return inside


def _all_users(problem: Problem) -> NDArray[np.bool_]:
    return np.ones(problem.n_users, dtype=np.bool_)


def _all_coupons(problem: Problem) -> NDArray[np.bool_]:
    return np.ones(problem.n_coupons, dtype=np.bool_)


def _dual_bound(
    problem: Problem, rows: Sequence[Row], prices: Mapping[str, float], problems: list[str]
) -> float:
    """Return the Lagrangian bound at the given prices; weak duality makes it valid for any prices.

    Fisher 1981, "The Lagrangian relaxation method for solving integer programming problems".
    """
    bound = 0.0
    charged: list[tuple[Term, float]] = []
    excluded: list[Term] = []
    for row in rows:
        price = float(prices.get(row.label, 0.0))
        if not math.isfinite(price) or abs(price) > row.penalty * (1 + 1e-12):
            problems.append(f"the price of '{row.label}' is not a price: {price:g}")
            continue
        side = row.at_most if price > 0 else row.at_least
        if row.is_exclusion:
            excluded += row.terms
            continue
        if price == 0:
            continue
        if not math.isfinite(side):
            problems.append(f"the price of '{row.label}' has the wrong sign: {price:g}")
            continue
        bound += price * side
        charged += [(term, price) for term in row.terms]
    unknown = set(prices) - {row.label for row in rows}
    if unknown:
        problems.append(f"prices of unknown limits: {', '.join(sorted(unknown))}")
    tables = _Tables(problem, charged, excluded)
    return bound + math.fsum(
        tables.best(slice(start, start + CHUNK)) for start in range(0, problem.n_users, CHUNK)
    )


class _Tables:
    """Prices by (group columns used together) and measure, looked up user by user."""

    def __init__(self, problem: Problem, charged: list[tuple[Term, float]], excluded: list[Term]) -> None:
        self.problem = problem
        self.excluded = [(_users_of(problem, term), term.coupons) for term in excluded]
        self.price: dict[tuple[str, ...], dict[str, Array]] = defaultdict(dict)
        for term, price in charged:
            columns = tuple(sorted(term.users))
            sizes = [len(problem.groups[column].labels) for column in columns]
            table = self.price[columns].setdefault(term.measure, np.zeros((*sizes, problem.n_coupons)))
            codes = [np.array(sorted(term.users[column]), dtype=np.int64) for column in columns]
            place = np.ix_(*codes, np.flatnonzero(term.coupons))
            table[place] += price * term.weight

    def best(self, users: slice) -> float:
        """Return the greatest sum of reduced values that the users of a slice can choose."""
        problem = self.problem
        value = problem.value[users].astype(np.float64)
        reduced = value.copy()
        for columns, tables in self.price.items():
            codes = tuple(problem.groups[column].codes[users] for column in columns)
            for measure, table in tables.items():
                price = table[codes]
                reduced -= price if measure == "count" else price * problem.measure(measure)[users]
        reduced[np.isnan(value)] = -np.inf
        for inside, coupons in self.excluded:
            reduced[np.ix_(inside[users], coupons)] = -np.inf
        fewest, most = problem.per_user
        if most == 1 and fewest == 0:
            return float(np.maximum(reduced.max(axis=1), 0.0).sum())
        ordered = -np.sort(-reduced, axis=1)[:, :most]
        ordered[:, fewest:] = np.maximum(ordered[:, fewest:], 0.0)
        return float(ordered.sum())


def _compare(
    objective: float, bound: float, claimed_objective: float | None, claimed_bound: float | None
) -> list[str]:
    problems = []
    size = 1e-9 * max(abs(objective), abs(bound))
    if bound < objective - size:
        problems.append(f"the bound {bound:,.6g} is below the objective {objective:,.6g}")
    if claimed_objective is not None and abs(objective - claimed_objective) > size:
        problems.append(f"the plan is worth {objective:,.9g}, not {claimed_objective:,.9g} as stated")
    if claimed_bound is not None and claimed_bound < objective - size:
        problems.append(f"the stated bound {claimed_bound:,.9g} is below what the plan is worth")
    return problems
