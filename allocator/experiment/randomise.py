"""A plan for everyone, and what is really sent after chance has decided: both proven."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InfeasibleError, InputError
from allocator.experiment.arms import HOLDOUT, PLAN, Experiment
from allocator.experiment.draw import Draw, draw_arms
from allocator.experiment.room import Room
from allocator.experiment.turns import Turns
from allocator.limits.rows import LimitLike, Row, Term, checked_limits
from allocator.problem import Problem
from allocator.solution import Solution

Solve = Callable[[tuple[LimitLike, ...], Solution | None], Solution]
MOST_TRIES = 8


@dataclass(frozen=True)
class Randomised:
    """An experiment inside a plan.

    Parameters
    ----------
    plan
        For everyone, before chance decides, under limits with room for whatever it may decide.
    sent
        What is really sent: its certificate is that of the limits as they were asked for, its bound what no
        plan without chance is worth more than.
    draw
        The arms, and the law of the draw.
    value
        What is sent is worth so much on average over all draws.
    explored
        Of which exploring users are worth so much.
    """

    plan: Solution
    sent: Solution
    draw: Draw
    value: float
    explored: float

    @cached_property
    def arms(self) -> NDArray[np.int8]:
        """Each user's arm, (n_users,): `PLAN`, `EXPLORE`, `HOLDOUT`, or -1 for who may get nothing anyway."""
        return self.draw.arms()

    @cached_property
    def propensity(self) -> NDArray[np.float64]:
        """Exact probability that users get what they get, nothing included, (n_users,)."""
        return self.draw.propensity(self.plan.choice, self.sent.choice)

    @property
    def cost(self) -> float:
        """What randomising costs at most: no plan that sends the best to everyone earns more than so much
        above what this one earns on average.
        """
        return max(self.sent.bound - self.value, 0.0)

    @property
    def compared(self) -> tuple[int, int]:
        """Users to whom the plan gives a coupon: how many of them got it, and how many were held out."""
        planned = self.plan.choice >= 0
        return int((planned & (self.arms == PLAN)).sum()), int((planned & (self.arms == HOLDOUT)).sum())


def randomise(
    problem: Problem,
    limits: Iterable[LimitLike],
    experiment: Experiment,
    *,
    units: ArrayLike | None = None,
    strata: Sequence[ArrayLike] = (),
    **settings: Any,
) -> Randomised:
    """Plan for everyone, let chance hold out some users and explore with others, and prove what is sent.

    Parameters
    ----------
    problem, limits
        As for `allocator.solve`; at most one coupon a user.
    experiment
        Shares, seed and wave.
    units
        (n_users,) labels of what is drawn as one, such as households; each user unless given.
    strata
        (n_users,) labels each, within whose combinations arms have their shares.
    settings
        Of `allocator.solve`, without `objective` and `on_infeasible`.

    Returns
    -------
    Randomised
        The plan before chance, and what is sent.

    Raises
    ------
    InputError
        If a setting makes no sense, or limits leave no room for chance.
    InfeasibleError, NoPlanError
        As for `allocator.solve`, of limits that leave room for chance.
    """
    from allocator.solver.solve import solve

    if strange := [name for name in ("objective", "on_infeasible") if settings.get(name) is not None]:
        message = "an experiment is of plans that maximise the sum of values and keep every limit"
        raise InputError([Finding(message, column=name) for name in strange])
    limits = checked_limits(limits)
    start = settings.pop("warm_start", None)
    draw = draw_arms(problem, may_be_sent(problem, limits), experiment, units, strata)

    def solved(limits: tuple[LimitLike, ...], before: Solution | None) -> Solution:
        return solve(problem, limits, warm_start=before or start, **settings)

    return randomise_with(problem, limits, draw, solved)


def randomise_with(problem: Problem, limits: tuple[LimitLike, ...], draw: Draw, solve: Solve) -> Randomised:
    """As `randomise`, for arms that are drawn already.

    Parameters
    ----------
    problem, limits, draw
        What to plan.
    solve
        Called as ``solve(limits, start)`` with limits that leave room, and an earlier plan, or None.

    Raises
    ------
    InputError
        If limits leave no room for chance.
    """
    # The check is compiled: a plain import of the package must not load a compiler.
    from allocator.certificate.relaxed import relax

    room = room_for(problem, limits, draw)
    plan: Solution | None = None
    broken: list[str] = []
    for tries in range(MOST_TRIES):
        try:
            plan = solve(relax(limits, room.bounds()), plan)
        except InfeasibleError as error:
            raise _with_room(error) from error
        broken = room.widen(room.turns.sent(plan.choice), tries)
        if not broken:
            return _drawn(problem, limits, draw, plan, room.turns)
        if plan.interrupted:
            raise KeyboardInterrupt
    message = (
        "no plan was found that keeps these limits however the lots fall; lower the shares, name strata, or "
        "loosen them"
    )
    raise InputError(Finding(message, None, None, "holdout", ", ".join(broken)))


def room_for(problem: Problem, limits: Sequence[LimitLike], draw: Draw) -> Room:
    """Return the room that exploration needs in limits, before anything is planned.

    Raises
    ------
    InputError
        If users may get several coupons, or must get one.
    """
    if problem.per_user != (0, 1):
        message = "an experiment needs users who may get one coupon, or nothing"
        raise InputError(Finding(message, None, None, "per_user", str(problem.per_user), "(0, 1)"))
    rows = [row for limit in limits for row in limit.rows(problem)]
    return Room.of(problem, limits, Turns(problem, rows, draw))


def may_be_sent(problem: Problem, limits: Iterable[LimitLike]) -> NDArray[np.bool_]:
    """Return which pairs may be sent: eligible, and not forbidden by a limit, (n_users, n_coupons)."""
    allowed = problem.eligible()
    for row in (row for limit in limits for row in limit.rows(problem) if row.is_exclusion):
        for term in row.terms:
            users = np.ones(problem.n_users, np.bool_)
            for column, codes in term.users.items():
                users &= np.isin(problem.groups[column].codes, list(codes))
            allowed[np.ix_(users, term.coupons)] = False
    return allowed


def _drawn(
    problem: Problem, limits: tuple[LimitLike, ...], draw: Draw, plan: Solution, turns: Turns
) -> Randomised:
    from allocator.certificate import certify

    choice = draw.sent(plan.choice)
    checked = certify(problem, limits, choice, plan.prices, unfit_by=plan.unfit_by)
    if checked.problems:
        raise InputError([Finding(f"what chance decided does not hold: {text}") for text in checked.problems])
    sent = replace(
        plan, limits=limits, choice=choice, objective=checked.objective, bound=checked.dual_bound,
        bound_source="dual prices", certificate=checked, trace=(),
    )  # fmt: skip
    everything = Row("", (Term("value", 1.0, {}, np.ones(problem.n_coupons, np.bool_)),), -np.inf, np.inf)
    worth = Turns(problem, [everything], draw)
    lost = _penalties(turns, plan)
    value = float(worth.sent(plan.choice).mean()) - lost
    return Randomised(plan, sent, draw, value, float(worth.explored.mean()))


def _penalties(turns: Turns, plan: Solution) -> float:
    """Return what soft limits cost on average over all draws."""
    soft = [r for r, row in enumerate(turns.rows) if np.isfinite(row.penalty)]
    if not soft:
        return 0.0
    used, total = turns.sent(plan.choice), 0.0
    for r in soft:
        row = turns.rows[r]
        beyond = np.maximum(np.maximum(row.at_least - used[r], used[r] - row.at_most), 0.0)
        total += row.penalty * float(beyond.mean())
    return total


def _with_room(error: InfeasibleError) -> InfeasibleError:
    """Say that limits clash once they leave room for chance."""
    told = InfeasibleError(error.labels, error.repairs, error.repairs_alone)
    message = (
        f"{error} These limits leave room for what chance may decide: lower the shares of the experiment."
    )
    told.args = (message,)
    return told
