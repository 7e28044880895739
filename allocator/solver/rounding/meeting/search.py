"""Better plans by meeting in the middle, and the best one where all that may matter can be listed.

Every plan is a combination of classes' options, and loses what those regret and the price of the room that it
leaves. The combinations of least regret of either half of the classes are listed, and a grid over rows finds
for each of the first half those of the second that leave little room (Horowitz and Sahni 1974, "Computing
partitions with applications to the knapsack problem"). Where the lists hold all that may matter, that proves
the best plan. Else each half is itself made of two lists, of those pairs that change some rows by what they
should (Schroeppel and Shamir 1981, "A T = O(2^(n/2)), S = O(2^(n/4)) algorithm for certain NP-complete
problems"; Wagner 2002, "A generalized birthday problem"), over divisions of the classes drawn anew each time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.solver.interrupt import run_interruptibly, still_at_it
from allocator.solver.rounding.meeting.combos import Combos, count, list_least, pair_up
from allocator.solver.rounding.meeting.halves import Met, meet
from allocator.solver.rounding.meeting.options import Options, options_of
from allocator.solver.rounding.standing import Standing

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_LISTED, MOST_ENTRIES = 1_000_000, 20_000_000  # combinations of a half to list them all; times rows
HALF, HALF_ENTRIES = 100_000, 2_000_000  # combinations of a half, else
FIRST_QUARTER, LEAST_QUARTER, MOST_QUARTER = 4_000, 1_000, 100_000  # combinations of a quarter
AT_ONCE = 2  # divisions whose combinations meet beside each other
STEP = 1.5  # from one size of a quarter to the next
REGRETS = (0.6, 0.8)  # of what a plan may lose, that pairs should regret: rows' room takes the rest
NEAR = 1 / 3  # of what a pair may lose besides, that the room in one row may be worth
PATIENCE = 30  # times as many rounds as led to the last better plan
FIRST_MOVES = 4  # for each row, whose regret tells what to look for while there is no plan
EVEN = 10.0  # how much an option within reach counts less than one without regret, as a power of e
ROUNDING = 1e-13  # relative to what is at stake


class Meeting:
    """Looks for better plans of some classes.

    Parameters
    ----------
    seed
        Of the divisions.
    threads
        Worker threads.
    """

    def __init__(self, seed: int, threads: int) -> None:
        self._threads = min(threads, AT_ONCE)
        self._random = np.random.default_rng(seed)
        self._quarter = FIRST_QUARTER
        self._hope = 1.0
        self._rounds, self._helped = 0, 0
        self._possible = True

    @property
    def helps(self) -> bool:
        """Whether it has found a better plan."""
        return self._helped > 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing better is to be expected, as nothing was found for long."""
        return not self._possible or self._rounds - self._helped > PATIENCE * (1 + self._helped)

    def settle(self, standing: Standing, enough: float, deadline: float) -> tuple[Standing, float]:
        """Find the best plan of all, if the combinations that may matter are few enough to list.

        Parameters
        ----------
        standing
            A plan.
        enough
            Plans that lose less, but by no more than this, are not looked for.
        deadline
            `time.monotonic()` at which to give up.

        Returns
        -------
        tuple
            The best plan, and a loss that no plan is below; 0 if that was not found out.
        """
        options = options_of(standing)
        rounding = _rounding(standing)
        most = standing.loss - max(enough, rounding)
        reach = most - options.base_regret
        if not options.whole or not np.isfinite(reach):
            return standing, 0.0
        if reach <= 0:
            return standing, standing.loss if enough <= rounding else most
        halves = _even_halves(options, reach)
        listed = min(MOST_LISTED, MOST_ENTRIES // max(len(options.room), 1))
        if any(count(options, classes, reach)[-1] > listed for classes in halves):
            return standing, 0.0
        still_at_it()
        fewer, more = sorted((list_least(options, half, listed, reach) for half in halves), key=len)
        met = meet(options, fewer, more, most, None, deadline)
        if not met.complete:
            return standing, 0.0
        if met.options is None:
            return standing, standing.loss if enough <= rounding else most
        better = _led_to(standing, options, met.options)
        return (better, better.loss) if better.loss < standing.loss else (standing, 0.0)

    def improve(self, standing: Standing, enough: float, rounds: int, deadline: float) -> Iterator[Standing]:
        """Divide the classes anew and let the quarters' best combinations meet, `rounds` times.

        Yields every better plan; stops when one loses no more than `enough`.
        """
        options = options_of(standing)
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in range(rounds):
                if standing.loss <= enough or self.exhausted or time.monotonic() > deadline:
                    return
                self._rounds += 1
                found = self._round(options, standing.loss - _rounding(standing), deadline, pool)
                better = None if found is None else _led_to(standing, options, found)
                if better is not None and better.loss < standing.loss:
                    standing, options = better, options_of(better)
                    self._helped = self._rounds
                    yield standing

    def _round(
        self, options: Options, loss: float, deadline: float, pool: ThreadPoolExecutor
    ) -> list[int] | None:
        """Let the combinations of some divisions meet; return the options of the best plan, if one is better.

        How many divisions there are does not depend on the number of threads: nor does what is found.
        """
        if np.isinf(loss):
            loss, self._hope = options.base_regret + self._hope * _first_reach(options), STEP * self._hope
        reach = loss - options.base_regret
        classes = _open_classes(options, reach)
        self._possible = len(classes) >= 4 and reach > 0 and len(options.keys) > 0
        if not self._possible:
            return None
        divisions = [
            _Division(
                options, np.array_split(self._random.permutation(classes), 4), self._quarter,
                self._random.uniform(0.5, 1.0, len(options.keys)), loss, deadline,
            )
            for _ in range(AT_ONCE)
        ]  # fmt: skip
        run = map if self._threads == 1 else pool.map
        results = run_interruptibly(lambda: list(run(_Division.meet, divisions)))
        regretted = max(division.regretted for division in divisions) / reach
        if regretted < REGRETS[0]:
            self._resize(STEP)
        elif regretted > REGRETS[1]:
            self._resize(1 / STEP)
        return min(results, key=lambda met: met.loss).options

    def _resize(self, times: float) -> None:
        self._quarter = int(np.clip(times * self._quarter, LEAST_QUARTER, MOST_QUARTER))


@dataclass
class _Division:
    """The open classes in four parts, and how their combinations are to meet.

    Parameters
    ----------
    options, parts
        The classes' options, and the classes of each part.
    quarter
        Combinations to list of each part.
    drawn
        (n_keys,) by which to vary the order in which rows choose among pairs.
    loss
        To stay below.
    deadline
        `time.monotonic()` at which to give up.
    """

    options: Options
    parts: list[Index]
    quarter: int
    drawn: Array
    loss: float
    deadline: float
    regretted: float = 0.0  # by the halves' median combinations

    def meet(self) -> Met:
        """Pair the quarters to halves that together about fill the rows where options differ most."""
        options, reach = self.options, self.loss - self.options.base_regret
        quarters = [list_least(options, part, self.quarter, reach) for part in self.parts]
        spread = np.sqrt(np.sum([part.change.var(axis=0) for part in quarters], axis=0))
        rows = options.keys[np.argsort(-spread[options.keys] * self.drawn, kind="stable")]
        means = [part.change.mean(axis=0) for part in quarters]
        missing = options.room - np.sum(means, axis=0)
        most = min(HALF, HALF_ENTRIES // len(options.room))

        def half(k: int) -> Combos:
            centre = means[k] + means[k + 1] + 0.5 * missing
            return pair_up(quarters[k], quarters[k + 1], rows, centre, options.grain, most, reach)

        first, second = half(0), half(2)
        if len(first) == 0 or len(second) == 0:
            return Met(self.loss, None, True)
        self.regretted = float(np.median(first.regret) + np.median(second.regret))
        near = NEAR * max(reach - self.regretted, (1 - REGRETS[1]) * reach)
        return meet(options, first, second, self.loss, near, self.deadline)


def _open_classes(options: Options, reach: float) -> Index:
    """Return the classes with a second option within reach, those where it costs most first: so lists stay
    short until the last.
    """
    several = np.flatnonzero(np.diff(options.starts) > 1)
    second = options.regret[options.starts[several] + 1]
    order = np.argsort(-second, kind="stable")
    return several[order][second[order] <= reach]


def _even_halves(options: Options, reach: float) -> tuple[Index, Index]:
    """Divide the classes so that either half has about as many combinations within reach."""
    classes = _open_classes(options, reach)
    weight = np.exp(-EVEN * options.regret / reach)
    choices = np.log(np.add.reduceat(weight, options.starts[:-1]))[classes]
    second = np.zeros(len(classes), np.bool_)
    ahead = 0.0
    for place in np.argsort(-choices, kind="stable"):
        second[place] = ahead > 0
        ahead += -choices[place] if second[place] else choices[place]
    return classes[~second], classes[second]


def _rounding(standing: Standing) -> float:
    """Return what losses may differ by rounding alone."""
    return ROUNDING * (abs(standing.classes.dual) + abs(standing.regret))


def _first_reach(options: Options) -> float:
    """Return the regret of the cheapest few options: about what a first plan may take."""
    return float(np.sort(options.regret[options.regret > 0])[: FIRST_MOVES * len(options.room)].sum())


def _led_to(standing: Standing, options: Options, chosen: list[int]) -> Standing:
    """Return the plan of each class's first option, or the one chosen in its place."""
    option = options.starts[:-1].copy()
    option[np.searchsorted(options.starts, chosen, side="right") - 1] = chosen
    move = options.move[option]
    led = standing.moved(options.moves, move[move >= 0])
    return standing.classes.standing(led.count)  # sums afresh
