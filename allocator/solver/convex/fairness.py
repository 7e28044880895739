"""Fair objectives: concave functions of the groups' values, in the master and in whole numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from allocator.certificate import certify
from allocator.errors import Finding, InputError, NoPlanError
from allocator.limits import Limit
from allocator.limits.groups import Group, columns_of
from allocator.limits.objectives import Fairness, MaxMin
from allocator.limits.rows import LimitLike, Row, Term
from allocator.limits.scope import select
from allocator.problem import Problem
from allocator.solution import Solution, Status
from allocator.solution.solution import relative_gap
from allocator.solver.convex.bundle import Bundle, Request
from allocator.solver.convex.run import Run
from allocator.solver.decomposition import Outcome, decompose
from allocator.solver.fair_groups import fair_groups, name_of, title_of
from allocator.solver.master import Prices, natural_scale
from allocator.solver.model import VALUE, Model, compile_model
from allocator.solver.pricing import Engine
from allocator.solver.rounding.recovery import Plan
from allocator.solver.watch import Watch

Array = NDArray[np.float64]

CLOSE = 1e-7  # share of the unit at which the prices are good enough
ROOM = 1e-4  # relative room that the integer plan has around each group's value
PENALTIES = (1e2, 1e4, 1e6)  # for each unit of value that a group lacks, in units of value
COARSE = 5.0  # gaps to which the sum of values is maximised while the smallest value is held
STAY = 10.0  # slopes that a unit of value costs which a group lacks beside the mixture
SOFT = 1e-2  # relative shortfall of the smallest value that says that the penalty was too low
SMALL = 20_000  # user-coupon pairs up to which whole numbers are searched for the greatest smallest value
TRY_SECONDS = 5.0  # for one step of that search


@dataclass(frozen=True)
class Proportional:
    """The sum of weight x log(value), as a piece of the master; weights sum to 1."""

    rows: NDArray[np.int64]
    weights: Array

    def unit(self, value: float) -> float:
        """Logarithms have a size of their own."""
        return 1.0

    def first(self, most: Array) -> Array:
        """Return prices to start from; `most` is the most that each group can be worth."""
        return np.asarray(-self.weights / most)

    def support(self, prices: Array) -> float:
        """Return the greatest utility less what the groups' values cost at slopes -prices."""
        if (prices >= 0).any():
            return math.inf
        return float(self.weights @ (np.log(self.weights / -prices) - 1.0))

    def stated(self, prices: cp.Expression, near: Array) -> tuple[cp.Expression, list[cp.Constraint]]:
        """Return the same for CVXPY."""
        return self.support(near) - self.weights @ cp.log(cp.multiply(1.0 / near, prices)), []

    def repaired(self, prices: Array) -> Array:
        """Return negative prices."""
        return np.asarray(np.minimum(prices, -1e-9 * np.abs(prices).max()))

    def utility(self, earned: Array) -> float:
        """Return the weighted geometric mean of the groups' values."""
        return math.exp(float(self.weights @ np.log(earned))) if (earned > 0).all() else 0.0

    def bound(self, dual: float) -> float:
        """Return the bound on the utility that a dual value proves."""
        return math.exp(dual)


@dataclass(frozen=True)
class Smallest:
    """The smallest of value / `owed`, as a piece of the master; `owed` is heads x weight."""

    rows: NDArray[np.int64]
    owed: Array

    def unit(self, value: float) -> float:
        """Value at stake a head."""
        return value / float(self.owed.sum())

    def first(self, most: Array) -> Array:
        """Return prices to start from: every group counts."""
        return -1.0 / (len(self.owed) * self.owed)

    def support(self, prices: Array) -> float:
        """Return 0 where the slopes -prices share out one unit of utility, else infinity."""
        shared = abs(float(-prices @ self.owed) - 1.0) <= 1e-9
        return 0.0 if shared and (prices <= 0).all() else math.inf

    def stated(self, prices: cp.Expression, near: Array) -> tuple[cp.Expression, list[cp.Constraint]]:
        """Return the same for CVXPY."""
        return cp.Constant(0.0), [cp.multiply(self.owed, prices) <= 0, -self.owed @ prices == 1]

    def repaired(self, prices: Array) -> Array:
        """Return prices that share out exactly one unit."""
        shares = np.maximum(-prices * self.owed, 0.0)
        total = float(shares.sum())
        return -(shares / total if total > 0 else np.full(len(shares), 1.0 / len(shares))) / self.owed

    def utility(self, earned: Array) -> float:
        """Return the smallest value a head, over weight."""
        return float((earned / self.owed).min())

    def bound(self, dual: float) -> float:
        """Return the bound on the utility that a dual value proves."""
        return dual


@dataclass(frozen=True)
class _Values:
    """Rows without bounds that make each group's value visible to the master."""

    groups: Sequence[Group]
    label: str = "value of group"

    def rows(self, problem: Problem) -> list[Row]:
        return [
            Row(f"{self.label} {name_of(group)}", (_value(problem, group),), -math.inf, math.inf)
            for group in self.groups
        ]


@dataclass(frozen=True)
class _Slopes:
    """Rows whose price makes a unit of a group's value count `slope` instead of 1 in the dual bound.

    Their bounds are 0 and their penalty keeps them from being violated, so they add nothing themselves.
    """

    groups: Sequence[Group]
    slopes: Array
    label: str = "slope of group"

    def rows(self, problem: Problem) -> list[Row]:
        return [
            Row(f"{self.label} {name_of(group)}", (_value(problem, group),), 0.0, 0.0, 2.0 + slope)
            for group, slope in zip(self.groups, self.slopes, strict=True)
        ]

    def prices(self) -> dict[str, float]:
        names = (f"{self.label} {name_of(group)}" for group in self.groups)
        return {name: 1.0 - float(slope) for name, slope in zip(names, self.slopes, strict=True)}


def _value(problem: Problem, group: Group) -> Term:
    return select(problem, "fairness", "value", group.users, None)


def solve_fair(problem: Problem, limits: tuple[LimitLike, ...], objective: Fairness, run: Run) -> Solution:
    """Solve for a fair objective: bound and slopes from the master, then an integer plan beside them.

    Raises
    ------
    NoPlanError
        If no integer plan was found in time.
    """
    groups, weights = fair_groups(problem, objective)
    priced = compile_model(problem, [*limits, _Values(groups)])
    priced = priced.without_values()
    rows = np.arange(priced.n_rows - len(groups), priced.n_rows)
    sizes = np.array([group.size for group in groups], dtype=np.float64)
    piece: Proportional | Smallest
    if isinstance(objective, MaxMin):
        piece = Smallest(rows, sizes * weights)
    else:
        piece = Proportional(rows, weights / weights.sum())
    engine = run.engines.engine_for(priced)
    found = _prices(engine, piece, groups, objective, run)
    finish = _Finish(problem, limits, groups, piece, found, priced.labels[: rows[0]], run)
    if isinstance(piece, Smallest):
        return finish.smallest(piece)
    return finish.proportional()


def _prices(
    engine: Engine, piece: Proportional | Smallest, groups: Sequence[Group], objective: Fairness, run: Run
) -> Prices:
    """Minimise the dual function of the fair objective."""
    model = engine.model
    start = np.zeros(model.n_rows)
    start[piece.rows] = -1.0
    most = model.usage(engine.price(start).table)[piece.rows]
    for group, value in zip(groups, most, strict=True):
        if value <= 0:
            message = f"{title_of(objective)}: no coupon is worth anything to group '{name_of(group)}'"
            column = ", ".join(columns_of(objective.by))
            raise InputError(Finding(message + "; leave the group out of the campaign", column=column))
    start[piece.rows] = piece.first(most)
    scale = natural_scale(engine)
    bundle = Bundle(engine, piece.unit(scale.value), lambda k: run.report("convex prices", k, 0))
    return bundle.minimise(Request([piece], CLOSE, run.deadline), start, step=0.3)


@dataclass(frozen=True)
class _Finish:
    """From the master's prices to an integer plan and its proof."""

    problem: Problem
    limits: tuple[LimitLike, ...]
    groups: Sequence[Group]
    piece: Proportional | Smallest
    found: Prices
    labels: tuple[str, ...]
    run: Run

    def proportional(self) -> Solution:
        """Maximise the utility's slope at the mixture, with each group's value held near the mixture's.

        The slope alone has many optima, and only those near the mixture are good for the utility.
        """
        slopes = -self.found.prices[self.piece.rows]
        near = (1 - ROOM) * self.found.usage[self.piece.rows]
        extra = [*self._hold("stay near", near, STAY * slopes), _Values(self.groups)]
        model = compile_model(self.problem, [*self.limits, *extra])
        weights = model.weights[np.arange(model.n_rows - len(slopes), model.n_rows)]
        worth = np.asarray(weights.T @ slopes).reshape(model.shape)[VALUE]
        start = np.zeros(model.n_rows)
        start[: len(self.labels)] = self.found.prices[: len(self.labels)]
        outcome = self._decompose(replace(model, worth=worth), start, enough=self._near_enough)
        if outcome is None:
            raise NoPlanError
        proof = self._proof(outcome[0])
        # A price in logarithms times the geometric mean is a price in objective units.
        prices = self.found.prices[: len(self.labels)] * self.piece.utility(proof.earned)
        return self._solution(outcome[0], prices, proof)

    def smallest(self, piece: Smallest) -> Solution:
        """Hold the smallest value as high as whole numbers allow, and maximise the sum of values.

        The hold is soft, so that there is a plan however high it is; the penalty grows until it holds.
        """
        level = piece.bound(self.found.dual)
        level -= 0.5 * self.run.gap * abs(level)
        best: tuple[NDArray[np.int16], Array, _Proof] | None = None
        for penalty in PENALTIES:
            # The sum of values is about the sum of what is owed: a finer gap would not move the utility.
            enough = 0.25 * self.run.gap * penalty * float(piece.owed.min() / piece.owed.sum())
            model = self._holding(piece, level, penalty)
            outcome = self._decompose(model, None, max(self.run.gap, min(enough, COARSE * self.run.gap)))
            if outcome is None:
                break
            proof = self._proof(outcome[0])
            if best is None or piece.utility(proof.earned) > piece.utility(best[2].earned):
                best = (*outcome, proof)
            short = relative_gap(piece.utility(best[2].earned), level)
            if short <= max(self.run.gap, SOFT) or time.monotonic() > self.run.deadline:
                break
        if best is None:
            raise NoPlanError
        reached = relative_gap(piece.utility(best[2].earned), best[2].bound)
        if self.problem.n_pairs <= SMALL and reached > self.run.gap:
            best = self._searched(piece, *best)
        return self._solution(*best)

    def _holding(self, piece: Smallest, level: float, penalty: float | None) -> Model:
        """Return the model in which every group's value / owed is at least `level`."""
        least = level * piece.owed
        charge = None if penalty is None else np.full(len(least), penalty)
        return compile_model(self.problem, [*self.limits, *self._hold("smallest value of", least, charge)])

    def _searched(
        self, piece: Smallest, choice: NDArray[np.int16], prices: Array, proof: _Proof
    ) -> tuple[NDArray[np.int16], Array, _Proof]:
        """Close the gap that whole numbers leave in a small problem, by bisection with the exact method."""
        from allocator.solver.exact import solve_exactly

        run = self.run
        low, high, finer = piece.utility(proof.earned), proof.bound, 0.5 * run.gap
        while relative_gap(low, high) > finer and time.monotonic() < run.deadline:
            run.report("smallest value in whole numbers", 0, 0)
            middle = 0.5 * (low + high)
            model = self._holding(piece, middle, None)
            until = min(run.deadline, time.monotonic() + TRY_SECONDS)
            nothing = model.without_values()
            plan = solve_exactly(nothing, gap=1.0, deadline=until, seed=run.seed).plan
            if plan.choice is not None:
                choice = plan.choice
                low = max(middle, piece.utility(self._proof(choice).earned))
            elif plan.impossible:
                high = middle
            else:
                break
        held = self._holding(piece, low - 1e-9 * abs(low), None)
        best = solve_exactly(held, gap=run.gap, deadline=run.deadline + TRY_SECONDS, seed=run.seed)
        if best.plan.choice is not None:
            choice, prices = best.plan.choice, best.prices[: len(self.labels)]
        return choice, prices, replace(self._proof(choice), bound=high)

    def _hold(self, label: str, least: Array, penalty: Array | None) -> list[LimitLike]:
        return [
            Limit(
                label=f"{label} {name_of(group)}",
                measure="value",
                users=group.users,
                at_least=float(value),
                penalty=None if penalty is None else float(penalty[g]),
            )
            for g, (group, value) in enumerate(zip(self.groups, least, strict=True))
        ]

    def _decompose(
        self,
        model: Model,
        start: Array | None,
        gap: float | None = None,
        enough: Callable[[NDArray[np.int16]], bool] = lambda choice: False,
    ) -> tuple[NDArray[np.int16], Array] | None:
        """Return an integer plan with the prices of the user's limits, None if there is none in time.

        Stops at the first plan that is good `enough`.
        """
        run = self.run
        watch = _Choosy(run.began, enough)
        try:
            outcome = decompose(
                model, gap=gap or run.gap, deadline=run.deadline, seed=run.seed, engines=run.engines,
                start=start, report=run.report, watch=watch,
            )  # fmt: skip
        except _EnoughError:
            now = watch.at_hand
            prices = np.zeros(model.n_rows) if now.prices is None else now.prices
            outcome = Outcome(Plan(now.choice), prices)
        if outcome.plan.choice is None:
            return None
        return outcome.plan.choice, outcome.prices[: len(self.labels)]

    def _near_enough(self, choice: NDArray[np.int16]) -> bool:
        proof = self._proof(choice)
        return relative_gap(self.piece.utility(proof.earned), proof.bound) <= self.run.gap

    def _proof(self, choice: NDArray[np.int16]) -> _Proof:
        """Let the certificate recompute the groups' values and the dual bound from slopes and prices."""
        slopes = _Slopes(self.groups, -self.found.prices[self.piece.rows])
        named = zip(self.labels, self.found.prices, strict=False)
        prices = {label: float(price) for label, price in named} | slopes.prices()
        certificate = certify(self.problem, [*self.limits, slopes], choice, prices)
        earned = np.array([check.used for check in certificate.rows[-len(self.groups) :]])
        dual = certificate.dual_bound + self.piece.support(self.found.prices[self.piece.rows])
        return _Proof(earned, self.piece.bound(dual))

    def _solution(self, choice: NDArray[np.int16], prices: Array, proof: _Proof) -> Solution:
        run = self.run
        named = {label: float(price) for label, price in zip(self.labels, prices, strict=True)}
        certificate = certify(self.problem, self.limits, choice, named)
        if not certificate.valid:
            raise AssertionError("the certificate rejects the plan: " + "; ".join(certificate.problems))
        utility = self.piece.utility(proof.earned)
        bound = max(proof.bound, utility)
        return Solution(
            problem=self.problem,
            limits=self.limits,
            status=Status.OPTIMAL if relative_gap(utility, bound) <= run.gap else Status.FEASIBLE,
            choice=choice[:, 0] if choice.shape[1] == 1 else choice,
            objective=certificate.objective,
            bound=certificate.dual_bound,
            bound_source="dual prices",
            prices=named,
            certificate=certificate,
            method="convex",
            seconds=time.monotonic() - run.began,
            seed=run.seed,
            utility=utility,
            utility_bound=bound,
        )


class _EnoughError(Exception):
    """A plan is good enough."""


class _Choosy(Watch):
    """Stops a solve at the first plan that is good enough."""

    def __init__(self, began: float, enough: Callable[[NDArray[np.int16]], bool]) -> None:
        super().__init__(began)
        self._enough = enough

    def found(self, step: str, choice: NDArray[np.int16], value: float) -> None:
        """Note a plan, and stop if it will do."""
        super().found(step, choice, value)
        if self._enough(choice):
            raise _EnoughError


@dataclass(frozen=True)
class _Proof:
    """Each group's value in the plan, and the bound on the utility, both recomputed from raw data."""

    earned: Array
    bound: float
