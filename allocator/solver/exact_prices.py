"""Exact prices: a linear program over the contested users of a price box that moves where they press."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.contested import Contested, contest, row_prices, state_program
from allocator.solver.first_prices import price_width, prices_on_all
from allocator.solver.highs import solve_program
from allocator.solver.master import Box, Prices, Scale, minimise_dual, oracle_of, price_box
from allocator.solver.pricing import Engine, Pass, restrict
from allocator.solver.rounding.recovery import with_grace
from allocator.solver.search import Search, Survey, take_survey
from allocator.solver.smoothed import COOL, minimise_smoothed, suits

Array = NDArray[np.float64]

PROGRAM_USERS = 1_500  # contested classes in the first linear program; twice as many in each further one
MOST_PROGRAM_USERS = 12_000
SHRINK, WARM_SHRINK = 10, 20  # each sharpening stage keeps one contested user in so many
ROUNDS = 12  # recentrings of the price box
MOST_TIED = 150_000  # pairs of one program: only where users tie are there more


class TiedError(Exception):
    """More users are as good as undecided between choices than a program can decide.

    Parameters
    ----------
    exact
        What a program over some of them says; None if there is none.
    """

    def __init__(self, exact: Exact | None) -> None:
        self.exact = exact
        super().__init__()


@dataclass(frozen=True)
class _Focus:
    """The contested users of a price box; others are decided. `width` is the box's half-width.

    If they were cut out of all users, `users` says which they are, `choice` what all choose at its centre.
    """

    engine: Engine
    box: Box
    width: Array
    users: NDArray[np.int64]
    choice: NDArray[np.int16] | None = None

    def holds(self, far: Box, prices: Array) -> bool:
        """Return whether prices lie inside the box, and do not press against its sides."""
        return not far.touches(self.box, prices, self.width).any()

    def contested(self) -> Contested:
        """Return the users with every eligible pair."""
        assert self.engine.base is not None
        model = self.engine.model
        return contest(model, self.engine.batch(), model.usage(self.engine.base))


@dataclass(frozen=True)
class Exact:
    """Exact prices, and the linear program's solution over the pairs of contested users: whole numbers need
    more of them than prices.

    `near` are the users cut out of all of them, in whose box the prices lie.
    """

    prices: Array
    contested: Contested
    columns: Array
    near: _Focus

    def choices(self) -> tuple[NDArray[np.int16], Pass]:
        """Return what all users choose at the prices, and the sums of it; only those near choose anew."""
        choice = self.near.choice
        assert choice is not None
        of_near = np.empty((len(self.near.users), choice.shape[1]), np.int16)
        done = self.near.engine.price(self.prices, of_near)
        choice[self.near.users] = of_near
        return choice, done


def sharpen(search: Search, found: Prices, survey: Survey | None) -> Exact | None:
    """Make the prices exact: a linear program over the contested users of a price box, which moves
    until the prices no longer press against its sides.

    Raises
    ------
    TiedError
        If too many users tie.
    """
    far = price_box(search.model, search.scale)
    centre, width = found.prices, price_width(search, found)
    shrink = SHRINK if survey is None else WARM_SHRINK
    everyone = _Focus(search.engine, far, np.full_like(width, np.inf), np.arange(0))
    inside = [everyone]  # ever smaller boxes, each with the users contested in it
    exact: Exact | None = None
    programs = 0
    for turn in range(ROUNDS):
        search.report("exact prices", turn + 1, 0)
        last_turn = turn == ROUNDS - 1
        last = min(PROGRAM_USERS << programs, MOST_PROGRAM_USERS)
        centre = _shrink(search, inside, centre, width, last, shrink, survey)
        shrink, survey = SHRINK, None
        if inside[-1].holds(far, centre) or search.late() or last_turn:
            exact = _solve_contested(search, inside, centre, exact)
            programs += 1
            if exact is None:
                break
            centre = exact.prices
            if inside[-1].holds(far, centre) or search.late():
                break
        elif len(inside) == 2 and np.isinf(found.dual):
            found = prices_on_all(search, centre)  # an earlier solve's prices are too far off
            centre, width = found.prices, price_width(search, found)
        if last_turn:
            raise TiedError(exact)  # every box lacks somebody as good as those in it
        width = np.where(far.touches(inside[-1].box, centre, inside[-1].width), 3.0 * width, width)
        while not inside[-1].holds(far, centre):
            inside.pop()
    return exact


def _solve_contested(
    search: Search, inside: list[_Focus], centre: Array, before: Exact | None
) -> Exact | None:
    """Solve the linear program over contested users; the one before, or None, where time is short."""
    focus = inside[-1]
    every = focus.contested()
    contested, kept = every.within(centre, focus.width)
    if len(contested.value) > MOST_TIED and before is None:
        raise TiedError(None)
    until = with_grace(search.deadline) if before is None else search.deadline
    answer = solve_program(state_program(contested, focus.box), until)
    if answer is None:
        return before
    prices = _clean(focus.box.clip(row_prices(contested, answer)), search.scale)
    columns = np.zeros(len(every.value))
    columns[kept] = answer.columns[: len(kept)]
    return Exact(prices, every, columns, inside[1])


def _clean(prices: Array, scale: Scale) -> Array:
    """Make prices zero that are rounding errors: a bound of zero must come out as zero."""
    return np.where(np.abs(prices) < 1e-12 * scale.price, 0.0, prices)


def _shrink(
    search: Search,
    inside: list[_Focus],
    centre: Array,
    width: Array,
    last: int,
    shrink: int,
    survey: Survey | None,
) -> Array:
    """Keep ever fewer contested users, down to `last`, with better prices from each stage; return those.

    Stops early where they press against the sides of a stage's box. A `survey` of the first stage's users
    serves unless its prices are too far from the centre.
    """
    far = inside[0].box
    for stage in _stages(inside[-1].engine.n_users, last, shrink):
        focus, size = inside[-1], last if search.late() else stage
        if survey is None or (needed := survey.contested(centre)) > focus.engine.n_users // SHRINK:
            survey, needed = take_survey(search, focus.engine, centre, width), size
        inside.append(_cut(focus, survey, max(needed, size)))
        survey = None
        if size == last or search.late():
            break
        centre = _prices_inside(search, inside[-1], centre)
        if not inside[-1].holds(far, centre):
            break
    return centre


def _prices_inside(search: Search, focus: _Focus, start: Array) -> Array:
    """Minimise the dual of a price box's contested users."""
    if suits(focus.engine):
        return minimise_smoothed(
            focus.engine, start, focus.box, search.scale, heat=COOL, tolerance=1e-9, most_passes=60,
            deadline=search.deadline, threads=search.engines.threads,
        ).prices  # fmt: skip
    return minimise_dual(
        search.model, oracle_of(focus.engine), start, focus.box, search.scale, step=0.01, tolerance=1e-10,
        most_passes=60, deadline=search.deadline,
    ).prices  # fmt: skip


def _cut(focus: _Focus, survey: Survey, size: int) -> _Focus:
    """Keep the users of a survey whose choice changes first, so that about `size` are contested."""
    radius, contested = _nearest(survey.radius, size)
    wide = np.full_like(survey.width, np.inf) if np.isinf(radius) else survey.width * radius
    users = np.flatnonzero(contested)
    engine = restrict(focus.engine, users, survey.prices, survey.done.table)
    return _Focus(engine, focus.box.around(survey.prices, wide), wide, users, survey.choice)


def _stages(n_users: int, last: int, shrink: int) -> Iterator[int]:
    """Yield how many contested users each stage keeps, down to what one program takes."""
    while n_users > 2 * shrink * last:
        n_users //= shrink
        yield n_users
    yield last


def _nearest(radius: Array, size: int) -> tuple[float, NDArray[np.bool_]]:
    """Return the price-box radius that leaves `size` users contested, and who they are.

    Equal users tie; they count once, as they will share one class.
    """
    movable = np.isfinite(radius)
    if len(radius) <= PROGRAM_USERS:
        return np.inf, movable
    if len(radius) <= size:
        return float(np.max(radius, where=movable, initial=0.0)) or np.inf, movable
    limit = float(np.partition(radius, size - 1)[size - 1])
    if len(np.unique(radius[radius <= limit])) < 0.7 * size:
        distinct = np.unique(radius)
        limit = float(distinct[min(size, len(distinct)) - 1])
    return limit, (radius <= limit) & movable
