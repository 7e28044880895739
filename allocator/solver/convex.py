"""The convex method: a small CVXPY master over aggregate tables (Dantzig-Wolfe).

Every pass over the data gives a column: what its choices are worth and use. The master mixes columns
under the limits and a concave objective; its dual prices ask the data for the next column. The mixture
then becomes an integer plan by the decomposition's recovery, and a concave dual bounds it.

Dantzig and Wolfe 1960, "Decomposition principle for linear programs"; smoothing of the prices as in
Wentges 1997, "Weighted Dantzig-Wolfe decomposition for linear mixed-integer programming".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError, NoPlanError
from allocator.limits import Limit
from allocator.objectives import ProportionalFairness
from allocator.problem import Problem
from allocator.rows import LimitLike, Row, select
from allocator.solution import Solution, Status, relative_gap
from allocator.solver.certificate import certify
from allocator.solver.decomposition import decompose
from allocator.solver.infeasibility import prove_infeasible
from allocator.solver.master import Scale, natural_scale
from allocator.solver.model import VALUE, Model, compile_model
from allocator.solver.pricing import Compute, Engine

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

MOST_COLUMNS = 300
CLOSE = 1e-5  # relative gap of the mixture at which recovery takes over
SMOOTH = 0.5  # weight of the best prices so far in the next pass
PROOF_SECONDS = 20.0  # for the proof that no mixture meets every limit
HARD = 1e3  # charge for violating a hard row in the master, in natural units
ROOM = 1e-4  # relative room that the integer plan has around each group's value


def solve_convex(
    model: Model,
    limits: tuple[LimitLike, ...],
    objective: ProportionalFairness | None,
    *,
    gap: float,
    deadline: float,
    began: float,
    seed: int,
    compute: Compute,
    report: Report,
) -> Solution:
    """Solve for the sum of values (`objective` None) or for proportional fairness."""
    from allocator.solver.solve import finish

    if objective is None:
        found = _mix(model, None, deadline, compute, report)
        outcome = decompose(
            model, gap=gap, deadline=deadline, seed=seed, compute=compute, start=found.prices, report=report
        )
        return finish(model, limits, outcome, "convex", gap, began, seed, compute, report)
    weights = _group_weights(model.problem, objective)
    priced = compile_model(model.problem, [*limits, _Benefits(objective.by)])
    priced = replace(priced, worth=np.zeros_like(priced.worth))
    found = _mix(priced, weights, deadline, compute, report)
    choice = _round(model.problem, limits, objective, found, gap, deadline, seed, compute, report)
    return _fair_solution(
        model.problem, limits, objective, weights, found, choice, model.labels, gap, began, seed
    )


@dataclass(frozen=True)
class _Benefits:
    """Rows without bounds that make each group's value visible to the master."""

    by: str
    label: str = "benefit of group"

    def rows(self, problem: Problem) -> list[Row]:
        return [
            Row(
                f"{self.label} {group}",
                (select(problem, self.label, "value", {self.by: group}, None),),
                -math.inf,
                math.inf,
            )
            for group in problem.groups[self.by].labels
        ]


@dataclass(frozen=True)
class _Mixture:
    """The master's answer: row prices, each group's weight on value (slope) and value, and the bound."""

    prices: Array
    slope: Array
    benefit: Array
    bound: float


def _group_weights(problem: Problem, objective: ProportionalFairness) -> Array:
    if objective.by not in problem.groups:
        found, expected = repr(objective.by), "one of " + ", ".join(problem.groups)
        raise InputError(
            Finding(
                "proportional fairness: unknown group column", column="by", found=found, expected=expected
            )
        )
    grouping = problem.groups[objective.by]
    if objective.weights is None:
        weights = grouping.sizes().astype(np.float64)
    else:
        wrong = set(objective.weights) ^ set(grouping.labels)
        if wrong or min(objective.weights.values()) <= 0:
            message = "proportional fairness needs one weight above 0 for each group"
            raise InputError(
                Finding(
                    message,
                    column="weights",
                    found=str(dict(objective.weights)),
                    expected=", ".join(grouping.labels),
                )
            )
        weights = np.array([objective.weights[label] for label in grouping.labels], dtype=np.float64)
    best = np.nanmax(np.where(problem.eligible(), problem.value, -np.inf), axis=1)
    for code, label in enumerate(grouping.labels):
        if not (best[grouping.codes == code] > 0).any():
            message = f"proportional fairness: no coupon is worth anything to group '{label}'"
            raise InputError(Finding(message + "; leave the group out of the campaign", column=objective.by))
    return np.asarray(weights / weights.sum())


def _mix(
    model: Model, weights: Array | None, deadline: float, compute: Compute, report: Report
) -> _Mixture:
    """Generate columns until the mixture is close to the bound that the prices prove."""
    engine = compute.engine_for(model)
    scale = natural_scale(engine)
    n_groups = 0 if weights is None else len(weights)
    n_limits = model.n_rows - n_groups
    # The first columns: everyone's best coupon, and little of anything, so that a mixture can be feasible.
    free, dear = np.zeros(model.n_rows), np.zeros(model.n_rows)
    free[n_limits:] = dear[n_limits:] = -1.0
    dear[:n_limits] = 0.5 * scale.price[:n_limits]
    columns = [_column(engine, free), _column(engine, dear)]
    best: _Mixture | None = None
    for turn in range(MOST_COLUMNS):
        report("convex prices", turn + 1, 0)
        prices, slope, benefit, utility, over = _master(model, columns, weights, scale, n_limits)
        if best is not None:
            prices = SMOOTH * best.prices[:n_limits] + (1 - SMOOTH) * prices
            slope = np.exp(SMOOTH * np.log(best.slope) + (1 - SMOOTH) * np.log(slope))
        full = np.concatenate([prices[:n_limits], -slope]) if n_groups else prices
        done = engine.price(full)
        bound = done.reduced + model.bound_cost(full)
        if weights is not None:
            bound += float(weights @ (np.log(weights / slope) - 1.0))
        columns.append((float(done.table[VALUE].sum()), model.usage(done.table)))
        if best is None or bound < best.bound:
            best = _Mixture(full, slope, benefit, bound)
        else:
            best = replace(best, benefit=benefit)
        close = best.bound - utility <= (CLOSE if n_groups else CLOSE * abs(best.bound))
        if (close and over <= CLOSE) or time.monotonic() > deadline:
            break
    assert best is not None
    if over > 1e-3:
        raise prove_infeasible(engine, scale, time.monotonic() + PROOF_SECONDS, report) or NoPlanError(
            "The convex method found no mixture of plans that meets every limit in time: allow more time."
        )
    return best


def _column(engine: Engine, prices: Array) -> tuple[float, Array]:
    done = engine.price(prices)
    return float(done.table[VALUE].sum()), engine.model.usage(done.table)


def _master(
    model: Model, columns: list[tuple[float, Array]], weights: Array | None, scale: Scale, n_limits: int
) -> tuple[Array, Array, Array, float, float]:
    """Solve the master; return prices, slopes, group values, utility and the violation in natural units."""
    unit = scale.price[:n_limits] / scale.value
    value = np.array([column[0] for column in columns]) / scale.value
    usage = np.array([column[1] for column in columns]).T
    mix = cp.Variable(len(columns), nonneg=True)
    over, under = cp.Variable(n_limits, nonneg=True), cp.Variable(n_limits, nonneg=True)
    used = (usage[:n_limits] * unit[:, None]) @ mix
    penalty = np.minimum(model.penalty[:n_limits] / scale.price[:n_limits], HARD)
    upper = np.flatnonzero(np.isfinite(model.at_most[:n_limits]))
    lower = np.flatnonzero(np.isfinite(model.at_least[:n_limits]))
    most = (used - over)[upper] <= model.at_most[upper] * unit[upper]
    least = (used + under)[lower] >= model.at_least[lower] * unit[lower]
    # Logarithms of values in natural units; the scale is added back below.
    shares = usage[n_limits:] / scale.value
    earned = value @ mix if weights is None else weights @ cp.log(shares @ mix)
    problem = cp.Problem(cp.Maximize(earned - penalty @ (over + under)), [cp.sum(mix) == 1, most, least])
    problem.solve(solver=cp.CLARABEL)
    prices = np.zeros(n_limits)
    prices[upper] += most.dual_value
    prices[lower] -= least.dual_value
    prices *= scale.price[:n_limits] if weights is None else unit
    hard = np.isinf(model.penalty[:n_limits])
    broken = float(np.max((over.value + under.value)[hard], initial=0.0))
    if weights is None:
        return prices, np.ones(0), np.ones(0), float(problem.value) * scale.value, broken
    benefit = usage[n_limits:] @ mix.value
    utility = float(problem.value) + math.log(scale.value)
    return prices, weights / benefit, benefit, utility, broken


def _round(
    problem: Problem,
    limits: tuple[LimitLike, ...],
    objective: ProportionalFairness,
    found: _Mixture,
    gap: float,
    deadline: float,
    seed: int,
    compute: Compute,
    report: Report,
) -> NDArray[np.int16]:
    """Find an integer plan next to the mixture.

    It maximises the utility's slope at the mixture, with each group's value held near the mixture's:
    the slope alone has many optima, and only those near the mixture are good for the utility.
    """
    groups = problem.groups[objective.by].labels
    stay = [
        Limit(
            label=f"stay near {group}", measure="value", users={objective.by: group}, at_least=(1 - ROOM) * b
        )
        for group, b in zip(groups, found.benefit, strict=True)
    ]
    see = _Benefits(objective.by)
    for extra in ([*stay, see], [see]):
        model = compile_model(problem, [*limits, *extra])
        codes = np.zeros(model.n_cells, np.int64)
        codes[model.cell] = problem.groups[objective.by].codes
        model = replace(model, worth=np.repeat(found.slope[codes][:, None], problem.n_coupons, axis=1))
        n_limits = model.n_rows - len(extra) - len(groups) + 1
        start = np.concatenate([found.prices[:n_limits], np.zeros(model.n_rows - n_limits)])
        outcome = decompose(
            model, gap=gap, deadline=deadline, seed=seed, compute=compute, start=start, report=report
        )
        if outcome.plan.choice is not None:
            return outcome.plan.choice
    raise NoPlanError("No integer plan was found near the fair mixture in time: allow more time.")


def _fair_solution(
    problem: Problem,
    limits: tuple[LimitLike, ...],
    objective: ProportionalFairness,
    weights: Array,
    found: _Mixture,
    choice: NDArray[np.int16],
    labels: tuple[str, ...],
    gap: float,
    began: float,
    seed: int,
) -> Solution:
    """Certify the plan and state its utility: the weighted geometric mean of the groups' values."""
    groups = problem.groups[objective.by]
    user, slot = np.nonzero(choice >= 0)
    earned = np.bincount(
        groups.codes[user], problem.value[user, choice[user, slot]].astype(np.float64), len(groups.labels)
    )
    utility = math.exp(float(weights @ np.log(earned))) if (earned > 0).all() else 0.0
    utility_bound = math.exp(found.bound)
    # A price in logarithms times the geometric mean is a price in objective units.
    prices = {label: float(p) * utility for label, p in zip(labels, found.prices, strict=False)}
    certificate = certify(problem, limits, choice, prices)
    if not certificate.valid:
        raise AssertionError("the certificate rejects the plan: " + "; ".join(certificate.problems))
    return Solution(
        problem=problem,
        limits=limits,
        status=Status.OPTIMAL if relative_gap(utility, utility_bound) <= gap else Status.FEASIBLE,
        choice=choice[:, 0].astype(np.int64) if choice.shape[1] == 1 else choice.astype(np.int64),
        objective=certificate.objective,
        bound=certificate.dual_bound,
        bound_source="dual prices",
        prices=prices,
        certificate=certificate,
        method="convex",
        seconds=time.monotonic() - began,
        seed=seed,
        utility=utility,
        utility_bound=utility_bound,
    )
