"""Budgets that hold with a stated probability: expected spend plus so many standard deviations.

With expectation M and variance V, which are linear in whole-number choices, and shared errors S (one
standard deviation each), a risky row says M + z sqrt(V + |S|^2) <= B. In S this is a second-order cone. In V
it is a reverse convex: the square root is concave. Both sides of it are handled:

- *Bound.* Where V lies between two numbers, the root is at least its chord, and the relaxation is a cone
  program, which the master solves. Splitting the range of V makes the chords tight: a branch and bound
  over one number for each risky row, whose nodes share all cuts.
  What whole numbers lose besides, decomposition bounds: within a range the chord is an ordinary limit, too.
- *Plan.* The tangent at a point, M + c V + d.S <= b, is an ordinary limit. It lies on the safe side in V; in
  S it may be exceeded a little, and is then drawn in and solved again.

Falk and Soland 1969, "An algorithm for separable nonconvex programming problems"; Charnes and Cooper 1959,
"Chance-constrained programming".
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray

from allocator.certificate import certify
from allocator.errors import Finding, InputError
from allocator.limits.rows import LimitLike, Row, Term
from allocator.problem import Problem
from allocator.solver.convex.bundle import Bundle, Request
from allocator.solver.convex.run import Run
from allocator.solver.decomposition import Outcome, decompose
from allocator.solver.master import Prices
from allocator.solver.model import Model, compile_model
from allocator.solver.rounding.recovery import Plan

Array = NDArray[np.float64]
Interval = tuple[float, float]

CLOSE = 1e-7  # share of the value at stake at which the prices of a node are good enough
MOST_NODES = 40  # from one time that whole numbers bound what is left to the next
WHOLE_SHARE = 0.25  # of the gap asked for: that of a range in whole numbers
MOST_PLANS = 4  # points at which tangents are drawn
DRAWN_IN = 6  # times a tangent is drawn in before its point is given up
NARROW = (
    0.05  # share of what is left of the gap that chords may be worth in a node that needs no more splitting
)


@dataclass(frozen=True)
class Cone:
    """A risky row in the master, where its variance lies between two numbers.

    For prices (q, r, s) of expectation, variance and shared errors, with w^2 = (z q)^2 - |s|^2, the
    support function is q B + the greater of r V - w sqrt(V) at both ends: by Cauchy's inequality, and because
    that is convex in V.
    """

    rows: NDArray[np.int64]  # expectation, variance, shared errors
    at_most: float
    times: float
    between: Interval

    def support(self, prices: Array) -> float:
        """Return the support function; prices as `rows`."""
        price, spread, shared = prices[0], prices[1], prices[2:]
        room = float((self.times * price) ** 2 - shared @ shared)
        if price < 0 or room < -1e-9 * (self.times * price) ** 2:
            return math.inf
        width = math.sqrt(max(room, 0.0))
        return float(price * self.at_most + max(spread * v - width * math.sqrt(v) for v in self.between))

    def stated(self, prices: cp.Expression, near: Array) -> tuple[cp.Expression, list[cp.Constraint]]:
        """Return the same for CVXPY: the second-order cone of the prices."""
        width, ends = cp.Variable(nonneg=True), cp.Variable()
        needed = cp.hstack([prices[2:], cp.reshape(width, (1,), order="C")]) if len(self.rows) > 2 else width
        cone = (
            cp.SOC(self.times * prices[0], needed) if len(self.rows) > 2 else needed <= self.times * prices[0]
        )
        above = [ends >= prices[1] * v - width * math.sqrt(v) for v in self.between]
        return prices[0] * self.at_most + ends, [prices[0] >= 0, cone, *above]

    def repaired(self, prices: Array) -> Array:
        """Return prices inside the cone."""
        price = max(prices[0], 0.0)
        size = float(np.linalg.norm(prices[2:]))
        fit = 1.0 if size <= self.times * price else self.times * price / size
        return np.concatenate([[price, prices[1]], fit * prices[2:]])


@dataclass(frozen=True)
class _Risky:
    """A risky row with the rows that count its variance and shared errors, and their places in the model."""

    row: Row
    parts: tuple[Row, ...]
    places: NDArray[np.int64]

    def point(self, usage: Array) -> tuple[float, Array]:
        """Return variance and shared errors of a usage of all rows."""
        counted = usage[self.places[1:]]
        return max(float(counted[0]), 0.0), counted[1:]

    def chord(self, ends: Interval, usage: Array) -> tuple[Array, float]:
        """Return coefficients, as of `tangent`, and the bound of a row that every plan of some range keeps.

        It is the tangent of sqrt(w^2 + |S|^2), where w is the chord of the variance's root in the range.
        """
        assert self.row.risk is not None
        low, high = (math.sqrt(v) for v in ends)
        steep = 1.0 / max(low + high, 1e-300)
        flat = low * high * steep
        variance, shared = self.point(usage)
        width = flat + steep * variance
        size = math.hypot(width, float(np.linalg.norm(shared))) or 1.0
        share, times = width / size if size else 1.0, self.row.risk.times
        coefficients = np.concatenate([[1.0, times * share * steep], times * shared / size])
        return coefficients, self.row.at_most - times * share * flat

    def tangent(self, variance: float, shared: Array) -> tuple[Array, float]:
        """Return coefficients of (expectation, variance, shared errors) and the bound of the tangent."""
        assert self.row.risk is not None
        times, deviation = self.row.risk.times, math.sqrt(variance + float(shared @ shared))
        if deviation == 0:
            return np.concatenate([[1.0], np.zeros(len(self.places) - 1)]), self.row.at_most
        coefficients = np.concatenate([[1.0, times / (2 * deviation)], times * shared / deviation])
        return coefficients, self.row.at_most - times * variance / (2 * deviation)

    def ordinary(self, coefficients: Array, at_most: float) -> Row:
        """Return the row's parts times coefficients as an ordinary row."""
        terms: list[Term] = []
        for row, factor in zip((self.row, *self.parts), coefficients, strict=True):
            terms += [replace(term, weight=term.weight * float(factor)) for term in row.terms if factor]
        return Row(self.row.label, tuple(terms), -math.inf, at_most)


@dataclass(frozen=True)
class _Ordinary:
    """The limits with each risky row replaced by ordinary rows."""

    limit: LimitLike
    rows_of: dict[str, list[Row]]

    @property
    def label(self) -> str:
        return self.limit.label

    def rows(self, problem: Problem) -> list[Row]:
        stated = self.limit.rows(problem)
        gone = {part for row in stated if row.risk for part in (row.risk.variance, *row.risk.shared)}
        kept = (row for row in stated if row.label not in gone)
        return [put for row in kept for put in self.rows_of.get(row.label, [row])]


@dataclass
class _Node:
    """Ranges of variance, one for each risky row, with the bound and the mixture found there."""

    between: tuple[Interval, ...]
    bound: float
    usage: Array


@dataclass(frozen=True)
class _Best:
    """The best plan so far, and its prices in the order of the model's rows."""

    choice: NDArray[np.int16]
    objective: float
    prices: Array


def solve_risky(model: Model, limits: tuple[LimitLike, ...], run: Run) -> Outcome:
    """Solve with risky rows for the sum of values; an outcome without a plan if there is none in time.

    Raises
    ------
    InputError
        If a variance, or an expectation that has one, is negative.
    """
    search = _Search(model, limits, run)
    return search.outcome()


class _Search:
    """Branch and bound over the variances of risky rows."""

    def __init__(self, model: Model, limits: tuple[LimitLike, ...], run: Run) -> None:
        self.limits, self.run, self.model = limits, run, model
        self.problem = model.problem
        self.risky = _risky_rows(model, limits)
        _check_signs(self.problem, self.risky)
        places = np.concatenate([risky.places for risky in self.risky])
        opened = replace(model, at_most=model.at_most.copy())
        opened.at_most[places] = np.inf
        self.engine = run.engines.engine_for(opened)
        self.bundle = Bundle(self.engine, report=lambda k: run.report("risk prices", k, 0))
        self.best: _Best | None = None
        self.open: list[_Node] = []
        self.narrow: list[_Node] = []  # that need no more splitting

    def outcome(self) -> Outcome:
        root = self._node(tuple(self._widest(risky) for risky in self.risky), np.zeros(self.model.n_rows))
        self._plan(root.usage)
        if self.best is None:
            return Outcome(Plan(None), np.zeros(self.model.n_rows))
        self.open = [root]
        plans = self._narrow(1)
        while self.bound > self._enough() and time.monotonic() < self.run.deadline:
            before = self.bound, self.best.objective
            self._in_whole_numbers()
            plans = self._narrow(plans)
            if (self.bound, self.best.objective) == before:
                break
        return Outcome(Plan(self.best.choice, self.bound), self.best.prices)

    @property
    def bound(self) -> float:
        """What no plan is worth more than."""
        assert self.best is not None
        return max([self.best.objective, *(node.bound for node in (*self.open, *self.narrow))])

    def _narrow(self, plans: int) -> int:
        """Split ranges until their chords are tight; return how many times plans have been looked for."""
        assert self.best is not None
        for _ in range(MOST_NODES):
            self.open.sort(key=lambda node: -node.bound)
            late = time.monotonic() > self.run.deadline
            if not self.open or self.open[0].bound <= self._enough() or late:
                break
            node = self.open.pop(0)
            if plans < MOST_PLANS and plans * plans <= len(self.narrow) + len(self.open):
                self._plan(node.usage)
                plans += 1
            self._split(node)
        return plans

    def _in_whole_numbers(self) -> None:
        """Bound what is left in whole numbers, range by range, and look for plans there."""
        asked = sorted((*self.open, *self.narrow), key=lambda node: -node.bound)
        self.open, self.narrow = asked, []
        for node in asked:
            if node.bound <= self._enough() or time.monotonic() > self.run.deadline:
                break
            rows = {}
            for risky, ends in zip(self.risky, node.between, strict=True):
                chord = risky.ordinary(*risky.chord(ends, node.usage))
                spread = replace(risky.parts[0], label=f"{risky.row.label} variance")
                rows[risky.row.label] = [chord, replace(spread, at_least=ends[0], at_most=ends[1])]
            model = compile_model(self.problem, [_Ordinary(limit, rows) for limit in self.limits])
            outcome = decompose(
                model, gap=WHOLE_SHARE * self.run.gap, deadline=self.run.deadline, seed=self.run.seed,
                engines=self.run.engines, report=self.run.report,
            )  # fmt: skip
            node.bound = min(node.bound, -np.inf if outcome.plan.impossible else outcome.plan.bound)
            if outcome.plan.choice is not None and node.bound > self._enough():
                checked = certify(self.problem, self.limits, outcome.plan.choice, {})
                used = {check.label: check.used for check in checked.rows}
                if checked.valid:
                    self._take(outcome.plan.choice, checked.objective)
                node.usage = np.array([used[label] for label in self.model.labels])
                self._plan(node.usage)

    def _take(self, choice: NDArray[np.int16], objective: float) -> None:
        """Take a plan that is better than the best; prices stay."""
        assert self.best is not None
        if objective > self.best.objective:
            self.best = _Best(choice, objective, self.best.prices)

    def _enough(self) -> float:
        """Return the bound at which the best plan is good enough."""
        if self.best is None:
            return -np.inf
        return self.best.objective + self.run.gap * abs(self.best.objective)

    def _widest(self, risky: _Risky) -> Interval:
        """Return the range that the variance has in any plan that keeps the row."""
        assert risky.row.risk is not None
        dear = np.zeros(self.model.n_rows)
        dear[risky.places[1]] = -1.0
        nothing = self.engine.model.without_values()
        most = self.run.engines.engine_for(nothing).price(dear).reduced
        allowed = (risky.row.at_most / risky.row.risk.times) ** 2
        return 0.0, max(min(most * (1 + 1e-9), allowed), 0.0)

    def _node(self, between: tuple[Interval, ...], start: Array) -> _Node:
        cones = []
        for risky, ends in zip(self.risky, between, strict=True):
            assert risky.row.risk is not None
            cones.append(Cone(risky.places, risky.row.at_most, risky.row.risk.times, ends))
        request = Request(cones, CLOSE, self.run.deadline, self._enough())
        found: Prices = self.bundle.minimise(request, start, step=0.3 if self.best is None else 0.05)
        return _Node(between, found.dual, found.usage)

    def _split(self, node: _Node) -> None:
        """Split the range whose chord is farthest below the root, at the mixture's variance."""
        assert self.best is not None
        errors = [
            self._chord_error(risky, ends) for risky, ends in zip(self.risky, node.between, strict=True)
        ]
        k = int(np.argmax(errors))
        low, high = node.between[k]
        # What is left is then for whole numbers to close, not for narrower ranges.
        left = max(node.bound - self.best.objective, self.run.gap * abs(self.best.objective))
        if errors[k] <= NARROW * left:
            self.narrow.append(node)
            return
        at, _ = self.risky[k].point(node.usage)
        margin = 0.1 * (high - low)
        # At an end the chord is exact: halve, in deviations, so that both parts become narrower.
        middle = (0.5 * (math.sqrt(low) + math.sqrt(high))) ** 2
        at = at if low + margin < at < high - margin else middle
        halves = [(*node.between[:k], ends, *node.between[k + 1 :]) for ends in ((low, at), (at, high))]
        nodes = [self._node(half, self.best.prices) for half in halves]
        for half in nodes:
            half.bound = min(half.bound, node.bound)
        self.open += nodes

    def _chord_error(self, risky: _Risky, ends: Interval) -> float:
        """Return what the chord's greatest distance from the root is worth, in objective units."""
        assert self.best is not None
        assert risky.row.risk is not None
        low, high = (math.sqrt(v) for v in ends)
        distance = (high - low) ** 2 / (4 * (high + low)) if high > 0 else 0.0
        return distance * risky.row.risk.times * float(self.best.prices[risky.places[0]])

    def _plan(self, usage: Array) -> None:
        """Look for whole numbers under tangents at a point, and again at the plan that they lead to."""
        for _ in range(2):
            found = self._under_tangents(usage)
            if found is None or time.monotonic() > self.run.deadline:
                return
            best, usage = found
            better = self.best is None or best.objective > self.best.objective
            small = (
                self.best is not None
                and best.objective - self.best.objective <= 0.1 * self.run.gap * abs(best.objective)
            )
            if better:
                self.best = best
            if not better or small:
                return

    def _under_tangents(self, usage: Array) -> tuple[_Best, Array] | None:
        """Return a plan that keeps every risky row, and what it uses."""
        tangents = [risky.tangent(*risky.point(usage)) for risky in self.risky]
        drawn_in = np.zeros(len(self.risky))
        start = None
        for _ in range(DRAWN_IN):
            limits = self._tangent_limits(tangents, drawn_in)
            model = compile_model(self.problem, limits)
            outcome = decompose(
                model, gap=0.5 * self.run.gap, deadline=self.run.deadline, seed=self.run.seed,
                engines=self.run.engines, start=start, report=self.run.report,
            )  # fmt: skip
            if outcome.plan.choice is None:
                return None
            start = outcome.prices
            certificate = certify(self.problem, self.limits, outcome.plan.choice, {})
            over = {check.label: check.violation for check in certificate.rows}
            used = {check.label: check.used for check in certificate.rows}
            excess = np.array([over[risky.row.label] for risky in self.risky])
            now = np.array([used[label] for label in self.model.labels])
            if not excess.any():
                prices = self._prices(model, outcome.prices, tangents)
                return _Best(outcome.plan.choice, certificate.objective, prices), now
            drawn_in += 1.1 * excess
        return None

    def _tangent_limits(self, tangents: Sequence[tuple[Array, float]], drawn_in: Array) -> list[LimitLike]:
        rows = {
            risky.row.label: [risky.ordinary(coefficients, bound - float(less))]
            for risky, (coefficients, bound), less in zip(self.risky, tangents, drawn_in, strict=True)
        }
        return [_Ordinary(limit, rows) for limit in self.limits]

    def _prices(self, model: Model, prices: Array, tangents: Sequence[tuple[Array, float]]) -> Array:
        """Return prices of all rows: a tangent's price goes to what it charges for."""
        named = dict(zip(model.labels, prices, strict=True))
        result = np.array([named.get(label, 0.0) for label in self.model.labels])
        for risky, (coefficients, _) in zip(self.risky, tangents, strict=True):
            result[risky.places] = named[risky.row.label] * coefficients
        return result


def _risky_rows(model: Model, limits: Sequence[LimitLike]) -> list[_Risky]:
    rows = {row.label: row for limit in limits for row in limit.rows(model.problem)}
    place = {label: i for i, label in enumerate(model.labels)}
    result = []
    for row in rows.values():
        if row.risk is not None:
            labels = (row.label, row.risk.variance, *row.risk.shared)
            parts = tuple(rows[label] for label in labels[1:])
            result.append(_Risky(row, parts, np.array([place[label] for label in labels])))
    return result


def _check_signs(problem: Problem, risky: Sequence[_Risky]) -> None:
    """Raise InputError if an expectation or a variance is negative where it counts."""
    names = {
        term.measure: row.label for item in risky for row in (item.row, item.parts[0]) for term in row.terms
    }
    names.pop("count", None)
    measures = [name for name in names if name != "value"]
    for batch in problem.batches(measures):
        eligible = ~np.isnan(batch.value)
        for name, label in names.items():
            if (batch.measure(name)[eligible] < 0).any():
                message = f"limit '{label}' has a confidence, for which this measure must be 0 or more"
                raise InputError(Finding(message, column=name))
