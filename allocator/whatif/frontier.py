"""A frontier: what a campaign earns over a range of one bound, or of two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Scenario
from allocator.campaign.summary import amount, chosen_pairs
from allocator.campaign.task import Task
from allocator.errors import AllocateError, Finding, InputError
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress
from allocator.solution import Solution
from allocator.solver.model import state_rows
from allocator.whatif.limit_changes import changed_by, number_at
from allocator.whatif.scenario import (
    Predict,
    Solve,
    build_scenario,
    change_campaign,
    check_scenarios,
    with_limits,
)

MOST_POINTS = 400
CLOSE = 0.002  # share of the range within which the floor is found
MOST_HALVINGS = 12
FEWEST_POINTS = 4  # of which one can be a knee
BEND = 0.2  # how far above the straight line, as a share of the whole rise, a knee lies
BASE = Scenario(name="base")
"""No change at all."""


@dataclass(frozen=True)
class Sweep:
    """The numbers that one bound takes in turn.

    Parameters
    ----------
    path
        As in a scenario's `set`: ``<limit label>.<key>``, such as ``total.at_most``.
    values
        At least two, rising.
    relative
        Whether they are changes as shares of the campaign's own number: -0.1 is a tenth less.
    """

    path: str
    values: tuple[float, ...]
    relative: bool = False

    def of(self, campaign: Campaign) -> Sweep:
        """Return the sweep with the numbers themselves.

        Raises
        ------
        InputError
            If the campaign has no number there.
        """
        if not self.relative:
            return self
        number = number_at(campaign, self.path)
        if number is None:
            message = f"campaign.toml states no number at '{self.path}', of which to take shares"
            raise InputError(Finding(message, column="sweep", expected="FROM:TO in numbers"))
        return Sweep(self.path, tuple(changed_by(number, share) for share in self.values))


@dataclass(frozen=True)
class FrontierPoint:
    """One plan of a frontier, or why there is none.

    Parameters
    ----------
    at
        The number of each sweep.
    value, bound, spend, users
        Worth of the plan, what no plan is worth more than, its cost, and how many users get a coupon.
    marginal
        What one more unit of the first sweep's bound earns: its dual price. None where the bound stands
        in several rows, each of which has its own.
    error
        Why there is no plan; all figures are then None.
    """

    at: tuple[float, ...]
    value: float | None = None
    bound: float | None = None
    gap: float | None = None
    spend: float | None = None
    users: int | None = None
    marginal: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Frontier:
    """The plans of all points.

    Parameters
    ----------
    sweeps
        One or two.
    points
        The first sweep's numbers in order, and for each those of the second.
    base
        The numbers in the campaign as it is; None for a bound that it does not have.
    knee
        Place of the point after which more earns clearly less than before; None if there is none.
    floor, floor_at
        A marginal return, and the bound at which it falls to that; None where it does not within the range.
    """

    sweeps: tuple[Sweep, ...]
    points: tuple[FrontierPoint, ...]
    base: tuple[float | None, ...]
    knee: int | None = None
    floor: float | None = None
    floor_at: float | None = None


def trace_frontier(
    campaign: Campaign,
    predictions: Predictions | None,
    sweeps: Sequence[Sweep],
    solve_task: Solve,
    *,
    scenario: Scenario | None = None,
    floor: float | None = None,
    progress: Progress = no_progress,
    predict: Predict | None = None,
    task: Task | None = None,
) -> Frontier:
    """Solve the campaign at every point of a sweep, each from the prices of the plan before it.

    Parameters
    ----------
    campaign, predictions
        As for `allocator.whatif.scenario.solve_scenarios`.
    sweeps
        One or two.
    solve_task
        As for `allocator.whatif.scenario.solve_scenarios`.
    scenario
        Changes that hold at every point.
    floor
        Find the bound at which the marginal return falls to this; for one sweep.
    progress
        Called as ``progress(step, done, total)``.
    predict
        As for `allocator.whatif.scenario.build_scenario`.
    task
        Of the scenario, where it is built already.

    Raises
    ------
    InputError
        If a sweep names no bound of a limit, or there are too many points.
    """
    scenario = scenario or BASE
    sweeps = check_sweeps(campaign, sweeps, scenario, floor)
    tracer = _Tracer(
        campaign, predictions, scenario, tuple(sweep.path for sweep in sweeps), solve_task, predict, task
    )
    grid = list(itertools.product(*(sweep.values for sweep in sweeps)))
    points = []
    for done, at in enumerate(grid):
        progress("frontier", done, len(grid))
        points.append(tracer.point(at))
    changed = change_campaign(campaign, scenario)
    base = tuple(number_at(changed, sweep.path) for sweep in sweeps)
    frontier = Frontier(tuple(sweeps), tuple(points), base)
    if len(sweeps) == 2:
        return frontier
    found = None if floor is None else _find_floor(tracer, points, floor)
    return replace(frontier, knee=_knee(points), floor=floor, floor_at=found)


def frontier_table(frontier: Frontier) -> pl.DataFrame:
    """Return one row a point: the number of each sweep by its path, and the figures."""
    figures = ("value", "bound", "gap", "spend", "users", "marginal", "error")
    rows = [
        {sweep.path: at for sweep, at in zip(frontier.sweeps, point.at, strict=True)}
        | {name: getattr(point, name) for name in figures}
        for point in frontier.points
    ]
    kinds = {"users": pl.Int64, "error": pl.String}
    schema = {sweep.path: pl.Float64 for sweep in frontier.sweeps}
    return pl.DataFrame(rows, schema | {name: kinds.get(name, pl.Float64) for name in figures})


class _Tracer:
    """Solves points near one another."""

    def __init__(
        self,
        campaign: Campaign,
        predictions: Predictions | None,
        scenario: Scenario,
        paths: tuple[str, ...],
        solve: Solve,
        predict: Predict | None,
        task: Task | None,
    ) -> None:
        self._campaign, self._predictions, self._scenario = campaign, predictions, scenario
        self._paths, self._solve, self._predict = paths, solve, predict
        self._task = task or build_scenario(campaign, predictions, scenario, None, predict)
        self._last: Solution | None = None

    def point(self, at: tuple[float, ...]) -> FrontierPoint:
        """Solve one point."""
        scenario = _at(self._scenario, self._paths, at)
        changed = change_campaign(self._campaign, scenario)
        task = with_limits(self._task, changed)
        if task is None:
            task = build_scenario(self._campaign, self._predictions, scenario, None, self._predict)
        try:
            plan = self._solve(changed, task, self._last)
        except InputError:
            raise
        except AllocateError as error:
            return FrontierPoint(at, error=str(error))
        self._last = plan
        return FrontierPoint(
            at, plan.objective, plan.bound, plan.gap, _spend(plan), int((plan.choice >= 0).sum()),
            _marginal(plan, self._paths[0], at[0]),
        )  # fmt: skip


def _marginal(plan: Solution, path: str, number: float) -> float | None:
    """Return the price of the row that has this number as its bound; None if no row has it as it stands."""
    for row in state_rows(plan.problem, plan.limits):
        whole, _, entry = row.label.removesuffix("]").partition("[")
        for key, sign in (("at_most", 1.0), ("at_least", -1.0)):
            named = (f"{row.label}.{key}", f"{whole}.{key}.{entry}")
            if path in named and getattr(row, key) == number:
                price = plan.prices.get(row.label, 0.0)
                return price if sign * price > 0 else 0.0
    return None


def check_sweeps(
    campaign: Campaign, sweeps: Sequence[Sweep], scenario: Scenario | None = None, floor: float | None = None
) -> list[Sweep]:
    """Return the sweeps of a frontier in numbers; raise InputError with what is wrong with them."""
    sweeps, findings = [sweep.of(campaign) for sweep in sweeps], []
    if not 1 <= len(sweeps) <= 2 or len({sweep.path for sweep in sweeps}) < len(sweeps):
        findings.append(Finding("a frontier is over one bound, or over two different ones", column="sweep"))
    count = math.prod(len(sweep.values) for sweep in sweeps)
    if count > MOST_POINTS:
        findings.append(
            Finding("too many points", column="sweep", found=f"{count:,}", expected=f"at most {MOST_POINTS}")
        )
    for sweep in sweeps:
        rising = all(a < b for a, b in itertools.pairwise(sweep.values))
        if len(sweep.values) < 2 or not rising or not np.isfinite(sweep.values).all():
            findings.append(
                Finding(f"the numbers of '{sweep.path}' must be two or more, and rise", column="sweep")
            )
    if floor is not None and len(sweeps) == 2:
        findings.append(Finding("a floor of the marginal return is found along one sweep", column="floor"))
    if findings:
        raise InputError(findings)
    paths = tuple(sweep.path for sweep in sweeps)
    corners = itertools.product(*((sweep.values[0], sweep.values[-1]) for sweep in sweeps))
    for at in corners:  # what is wrong with one is wrong with all: the first to fail says it
        check_scenarios(campaign, [_at(scenario or BASE, paths, at)])
    return sweeps


def _knee(points: Sequence[FrontierPoint]) -> int | None:
    """Return where a rising, flattening curve bends most: farthest above the line between its ends.

    Satopää, Albrecht, Irwin and Raghavan 2011, "Finding a 'Kneedle' in a Haystack".
    """
    known = [i for i, point in enumerate(points) if point.value is not None]
    if len(known) < FEWEST_POINTS:
        return None
    x = np.array([points[i].at[0] for i in known])
    y = np.array([points[i].value for i in known], dtype=np.float64)
    if y[-1] <= y[0]:
        return None
    above = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    best = int(np.argmax(above))
    return known[best] if above[best] >= BEND else None


def _find_floor(tracer: _Tracer, points: Sequence[FrontierPoint], floor: float) -> float | None:
    """Return the bound at which the marginal return falls to `floor`, by halving between two points."""
    known = [point for point in points if point.marginal is not None]
    pair = next(
        ((a, b) for a, b in itertools.pairwise(known) if (a.marginal or 0) >= floor > (b.marginal or 0)), None
    )
    if pair is None:
        return None
    low, high = (point.at[0] for point in pair)
    close = CLOSE * (points[-1].at[0] - points[0].at[0])
    for _ in range(MOST_HALVINGS):
        if high - low <= close:
            break
        middle = tracer.point((0.5 * (low + high),))
        if middle.marginal is not None and middle.marginal >= floor:
            low = middle.at[0]
        else:
            high = middle.at[0]
    return 0.5 * (low + high)


def _at(scenario: Scenario, paths: Sequence[str], at: Sequence[float]) -> Scenario:
    """Return the scenario of one point."""
    numbers = dict(zip(paths, at, strict=True))
    name = ", ".join(f"{path}={number:g}" for path, number in numbers.items())
    return scenario.model_copy(update={"name": name, "set": {**scenario.set, **numbers}})


def _spend(plan: Solution) -> float:
    return float(amount(plan.problem, "cost", *chosen_pairs(plan)).sum())
