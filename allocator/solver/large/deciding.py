"""Large pairs are decided in whole numbers, all others by prices under what those leave.

Prices bound what all others can earn beside any choice of large pairs, so each set of prices is a cut in an
integer program over large pairs alone (Benders 1962, "Partitioning procedures for solving mixed-variables
programming problems"; Geoffrion 1972, "Generalized Benders decomposition"). Its best choice is tried: the
rest is solved under what is left, which gives a plan, a bound for this choice, and the next cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from allocator.solver.highs import Program, solve_program
from allocator.solver.large.finding import Large
from allocator.solver.master import Box, minimise_dual, natural_scale, oracle_of
from allocator.solver.model import Model
from allocator.solver.pricing import Engine
from allocator.solver.rounding.recovery import Plan
from allocator.solver.search import Search

Array = NDArray[np.float64]

FARKAS_PASSES = 60
CERTAIN = 1e-7  # a least charge above this share of the value at stake proves a clash
TIME_SHARE = 0.5  # of the time left: what does not lead to the gap by then leaves the rest to other ways
TRY_SHARE = 0.34  # of the time left then that one choice of large pairs may take


@dataclass(frozen=True)
class Rest:
    """What solving the rest came to: a plan or None, prices, and what no plan is worth more than."""

    choice: NDArray[np.int16] | None
    value: float
    prices: Array
    bound: float


SolveRest = Callable[[Model, Array, float, float], Rest]
"""Solves a model from first prices, to an absolute gap, until a deadline."""


def decide_large(
    search: Search, large: Large, known: Plan, prices: Array, dual: float, solve_rest: SolveRest
) -> tuple[Plan, Array]:
    """Decide large pairs and the rest in turn until the gap is reached or time is over.

    Parameters
    ----------
    search
        Model, gap and time.
    large
        The pairs to decide in whole numbers.
    known
        The best plan so far, with its value.
    prices, dual
        Of the relaxation of all users, and its value.
    solve_rest
        How the users without large pairs are solved.

    Returns
    -------
    tuple
        The best plan with its bound, and the prices of the rest beside it.
    """
    decision = _Decision(search, large, known, prices, min(dual, known.bound), solve_rest)
    now = time.monotonic()
    decision.run(now + TIME_SHARE * (search.deadline - now))
    return Plan(decision.plan, decision.bound, value=decision.value), decision.prices


class _Decision:
    """The integer program over large pairs with its cuts, and the best plan so far."""

    def __init__(
        self,
        search: Search,
        large: Large,
        known: Plan,
        prices: Array,
        bound: float,
        solve_rest: SolveRest,
    ) -> None:
        model = search.model
        self.search, self.large, self.solve_rest = search, large, solve_rest
        self.plan, self.value = known.choice, known.value
        self.prices, self.bound = prices, bound
        self.others = np.setdiff1d(np.arange(model.problem.n_users), large.users)
        part = model.problem.of_users(self.others)
        self.rest = replace(model, problem=part, cell=model.cell[self.others])
        self.engine: Engine = search.engines.engine_for(self.rest)
        self.cuts: list[tuple[float, Array]] = []  # what the rest earns at most, and each pair's part in it
        self.walls: list[tuple[float, Array]] = []  # 0 at most the first plus each pair's part
        self.tried: list[NDArray[np.bool_]] = []
        self.proven = -np.inf  # of the choices tried
        self.until = search.deadline
        self._add_cut(prices)
        self._add_cut(np.zeros(model.n_rows))

    @property
    def enough(self) -> float:
        """The gap asked for, in objective units; it shrinks with the bound."""
        return self.search.gap * abs(self.bound)

    def run(self, until: float) -> None:
        """Try choices of large pairs until none can be better, or until some `time.monotonic()`."""
        self.until = until
        while time.monotonic() < until:
            self.search.report("large pairs", len(self.tried), 0)
            best = self._best_choice()
            if best is None:  # no choice is left
                self._prove(max(self.proven, self.value))
                return
            chosen, bound = best
            self._prove(max(bound, self.proven, self.value))
            if self.bound - self.value <= self.enough or bound <= self.value:
                return
            self._try(chosen)

    def _prove(self, bound: float) -> None:
        if bound < self.bound:
            self.bound = bound
            self.search.watch.bounded("large pairs", bound)

    def _try(self, chosen: NDArray[np.bool_]) -> None:
        """Solve the rest beside some large pairs; note plan, bound and cut."""
        search, large = self.search, self.large
        used = large.uses[:, chosen].sum(axis=1)
        model = replace(self.rest, at_least=self.rest.at_least - used, at_most=self.rest.at_most - used)
        earned = float(large.value[chosen].sum())
        now = time.monotonic()
        until = min(now + max(TRY_SHARE * (self.until - now), 1.0), self.until)
        start = self.prices
        found = self.solve_rest(model, start, 0.5 * self.enough, until)
        self.tried.append(chosen)
        if found.choice is None and not np.isfinite(found.bound):
            self._add_wall(model)
            return
        self._add_cut(found.prices)
        self.proven = max(self.proven, earned + found.bound)
        if found.choice is not None and earned + found.value > self.value:
            self.plan = self._whole(chosen, found.choice)
            self.value, self.prices = earned + found.value, found.prices
            search.watch.found("large pairs", self.plan, self.value)

    def _whole(self, chosen: NDArray[np.bool_], of_rest: NDArray[np.int16]) -> NDArray[np.int16]:
        problem, large = self.search.model.problem, self.large
        choice = np.full((problem.n_users, self.search.model.step.width), -1, np.int16)
        choice[self.others] = of_rest
        slot = np.zeros(len(large.users), np.int64)
        for pair in np.flatnonzero(chosen).tolist():
            place = large.place[pair]
            choice[large.users[place], slot[place]] = large.coupon[pair]
            slot[place] += 1
        return choice

    def _add_cut(self, prices: Array) -> None:
        """At these prices the rest earns no more than a constant, less what large pairs use of every row."""
        constant = self.engine.price(prices).reduced + self.rest.bound_cost(prices)
        self.cuts.append((constant, -(self.large.uses.T @ prices)))

    def _add_wall(self, model: Model) -> None:
        """Find prices that prove that the rest cannot hold beside what was chosen: a row for all choices."""
        nothing = model.without_values()
        engine = self.search.engines.engine_for(nothing)
        scale = natural_scale(engine)
        hard = np.isinf(model.penalty)
        lowest = np.where(hard & np.isfinite(model.at_least), -scale.price, 0.0)
        highest = np.where(hard & np.isfinite(model.at_most), scale.price, 0.0)
        found = minimise_dual(
            nothing, oracle_of(engine), np.zeros(model.n_rows), Box(lowest, highest), scale, step=1.0,
            tolerance=0.1 * CERTAIN, most_passes=FARKAS_PASSES, deadline=self.until,
            stop_below=-CERTAIN * scale.value,
        )  # fmt: skip
        if found.dual < -CERTAIN * scale.value:
            constant = engine.price(found.prices).reduced + self.rest.bound_cost(found.prices)
            self.walls.append((constant, -(self.large.uses.T @ found.prices)))

    def _best_choice(self) -> tuple[NDArray[np.bool_], float] | None:
        """Return the choice of large pairs that may earn most beside the rest, and a bound of all choices
        that were not tried; None if there is none.
        """
        program = self._program()
        answer = solve_program(program, self.until, 0.1 * self.enough, self.search.seed)
        if answer is None:
            return None
        return answer.columns[:-1] > 0.5, answer.bound

    def _program(self) -> Program:
        """Maximise what large pairs and the rest earn: a column a pair, and the last for the rest."""
        large = self.large
        fewest, most = self.search.model.step.bounds(np.ones(len(large.users), np.int64))
        n = len(large.place)
        rows: list[Array] = []
        lower: list[float] = []
        upper: list[float] = []

        def add(row: Array, low: float, high: float) -> None:
            size = float(np.abs(row).max(initial=0.0)) or 1.0
            rows.append(row / size)
            lower.append(low / size)
            upper.append(high / size)

        for constant, part in self.cuts:
            add(np.append(-part, 1.0), -np.inf, constant)
        for constant, part in self.walls:
            add(np.append(-part, 0.0), -np.inf, constant)
        for chosen in self.tried:
            add(np.append(np.where(chosen, 1.0, -1.0), 0.0), -np.inf, float(chosen.sum()) - 1.0)
        members = sp.csr_array((np.ones(n), (large.place, np.arange(n))), shape=(len(large.users), n + 1))
        dense = sp.csr_array(np.array(rows)) if rows else sp.csr_array((0, n + 1))
        value = np.append(large.value, 1.0)
        return Program(
            value=value,
            rows=sp.csc_array(sp.vstack([dense, members])),
            row_lower=np.append(lower, fewest),
            row_upper=np.append(upper, most),
            column_lower=np.append(np.zeros(n), -np.inf),
            column_upper=np.append(np.ones(n), np.inf),
            integer=np.arange(n + 1) < n,
            unit=max(float(np.abs(large.value).max()), abs(self.bound) * 1e-3, 1e-300),
        )
