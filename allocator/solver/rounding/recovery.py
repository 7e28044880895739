"""From exact prices to an integer plan, and the best proof of it.

The linear program's vertex is rounded and improved by exchange. If that leaves a gap, the users
nearest to a change are taken in, the bound is tightened block by block, and exchange starts again from
what the blocks would choose. What still is open goes to branch and bound and, where the users are few, to
combinations of their choices that meet in the middle.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.progress import Progress
from allocator.solver.contested import Contested, assign, count_choices
from allocator.solver.highs import ProgramInterrupt
from allocator.solver.model import Model
from allocator.solver.pricing import Engine, Pass
from allocator.solver.rounding.blocks import prove_losses
from allocator.solver.rounding.branching import open_sets, solve_integer
from allocator.solver.rounding.chains import improve_by_chains
from allocator.solver.rounding.exchange import improve, round_vertex
from allocator.solver.rounding.meeting.search import Meeting
from allocator.solver.rounding.nearest import nearest_users
from allocator.solver.rounding.standing import Standing, classes_of
from allocator.solver.watch import Watch

Array = NDArray[np.float64]

GRACE_SECONDS = 1.0  # past the deadline, to find a first plan at all
FIRST_ROUNDS, MORE_ROUNDS = 1, 5  # of exchange
FEW_PAIRS, FEW_CLASSES, TIGHT_ROWS = 5_000, 500, 5  # up to and from which on halves of plans meet
FEW_ROUNDS = 2  # of exchange before they do
FIRST_MEETINGS, MEETINGS = 12, 50  # before branching; after it, between two looks whether all can be listed
MEETING_SHARE = 0.1  # of the time left, that they may take before it
SET_SHARE = 0.25  # of the time left, that branching on some pairs may take
PROMISING = 0.5  # of what the plan loses, that branching must have proven by then to go on
MANY_BINDING = 60  # rows, from which on chains of moves pay
EXCHANGE_SHARE = 0.2  # of the time left that exchange takes before them
MOST_CORE = 30_000  # pairs that one integer program may decide at once


@dataclass(frozen=True)
class Plan:
    """An integer plan and the best proof at hand.

    Parameters
    ----------
    choice
        (n_users, most) int16 coupon indices, -1 for none; None if no feasible plan was found.
    bound
        Upper bound of the objective proven besides the dual one; infinite if none was.
    proof
        How: ``blocks`` or ``branch and bound``.
    value
        What the plan is worth; minus infinity if that was not worked out.
    impossible
        Whether it was proven that no plan meets every limit.
    missed
        Where there is no plan, the limits that the best attempt broke, the worst first.
    """

    choice: NDArray[np.int16] | None
    bound: float = np.inf
    proof: str = "branch and bound"
    impossible: bool = False
    value: float = -np.inf
    missed: tuple[str, ...] = ()


def with_grace(deadline: float) -> float:
    """Return the deadline for work without which there would be no plan at all."""
    return max(deadline, time.monotonic() + GRACE_SECONDS)


class Recovery:
    """Finds an integer plan near a linear program's vertex: the best so far, and what is proven.

    Parameters
    ----------
    engine
        All users.
    prices
        (n_rows,) exact prices.
    choice, chosen
        (n_users, most) what all users choose at `prices`, and the sums of it.
    gap, absolute_gap, deadline, seed, report, watch
        As in `decompose`.
    threads
        Worker threads.
    """

    def __init__(
        self,
        engine: Engine,
        prices: Array,
        choice: NDArray[np.int16],
        chosen: Pass,
        gap: float,
        absolute_gap: float,
        deadline: float,
        seed: int,
        report: Progress,
        watch: Watch,
        threads: int = 1,
    ) -> None:
        self.engine = engine
        self.model: Model = engine.model
        self.prices, self.choice, self.table = prices, choice, chosen.table
        self.deadline, self.last_call = deadline, with_grace(deadline)
        self.seed, self.report, self.watch, self.threads = seed, report, watch, threads
        self.usage = self.model.usage(chosen.table)
        self.dual = chosen.reduced + self.model.bound_cost(prices)
        watch.priced("exact prices", prices, self.dual, passes=0)
        self.enough = max(gap * abs(self.dual), absolute_gap)
        self.plan: NDArray[np.int16] | None = None
        self.loss = np.inf
        self.least_loss = 0.0
        self.proof = ""
        self.missed: tuple[str, ...] = ()
        self.missing = np.inf  # what the best attempt was charged for that

    def round(self, contested: Contested, columns: Array) -> None:
        """Round the linear program's vertex over the contested users, and improve it by exchange.

        Parameters
        ----------
        contested
            The contested users; all others take what they choose at the prices.
        columns
            (n_pairs,) the linear program's solution.
        """
        contested = self.settled(contested)
        self.exchange(contested, round_vertex(classes_of(contested, self.prices), columns), FIRST_ROUNDS)

    def close_gap(self) -> None:
        """Take in the users nearest to a change, tighten the bound, exchange again, and branch."""
        nearest, beyond = self.nearest()
        meeting = Meeting(self.seed, self.threads)
        few = len(nearest.value) <= FEW_PAIRS and len(nearest.size) <= FEW_CLASSES
        tight = few and np.count_nonzero(self.prices) >= TIGHT_ROWS
        if few:
            self.meet(meeting, nearest, beyond, 0)
        if not self.done:
            self.exchange_blocks(nearest, beyond, FEW_ROUNDS if tight else MORE_ROUNDS)
        if tight and not self.done:
            self.meet(meeting, nearest, beyond, FIRST_MEETINGS, MEETING_SHARE)
        if not self.done:
            sets = [self._core(nearest)] if meeting.helps else self._open_sets(nearest, beyond)
            self.branch(nearest, beyond, sets)
        if tight and self.plan is not None:
            self.close_tight_gap(meeting, nearest, beyond)

    def close_tight_gap(self, meeting: Meeting, contested: Contested, beyond: float) -> None:
        """Branch to the end if that promises a proof, and let halves meet until nothing better comes."""
        if not self.done and self.least_loss >= PROMISING * self.loss:
            self.branch(contested, beyond, [self._core(contested)], share=1.0)
        while not (self.done or meeting.exhausted):
            self.meet(meeting, contested, beyond, MEETINGS)

    def take_over(self, plan: Plan) -> bool:
        """Go on from a plan and a bound that were found in another way; return whether that is enough."""
        if plan.choice is not None and self.dual - plan.value < self.loss:
            self.plan, self.loss = plan.choice, self.dual - plan.value
        self._prove(self.dual - plan.bound, "branch and bound")
        return self.done

    @property
    def found(self) -> Plan:
        """The best plan so far, with its proof."""
        return Plan(self.plan, self.bound, self.proof, value=self.dual - self.loss, missed=self.missed)

    @property
    def bound(self) -> float:
        """The proven bound; infinite if it is the dual one."""
        return self.dual - self.least_loss if self.least_loss > 0 else np.inf

    @property
    def done(self) -> bool:
        """Whether the gap is reached or time is over."""
        return self.loss - self.least_loss <= self.enough or time.monotonic() > self.until

    @property
    def until(self) -> float:
        """The deadline, and some grace while there is no plan."""
        return self.last_call if self.plan is None else self.deadline

    def settled(self, contested: Contested) -> Contested:
        """Return contested users where all others take what they choose at the exact prices."""
        chosen = self.choice[contested.users]
        row, _ = np.nonzero(chosen >= 0)
        coupons = chosen[chosen >= 0].astype(np.int64)
        usage = np.asarray(self.model.coefficients(contested.batch, row, coupons).sum(axis=1)).ravel()
        return replace(contested, decided=self.usage - usage)

    def nearest(self) -> tuple[Contested, float]:
        """Return the users whose choice costs least to change, and a cost below that of any other change."""
        self.report("nearest users", 0, 0)
        kept = [self.choice] if self.plan is None else [self.choice, self.plan]
        return nearest_users(self.engine, self.prices, self.table, self.loss, kept)

    def exchange(self, contested: Contested, standing: Standing, rounds: int) -> None:
        """Improve a plan of the contested users by exchange; keep it if it is the best."""
        self.report("integer plan", 0, 0)
        enough = self.enough + self.least_loss
        if np.count_nonzero(self.prices) >= MANY_BINDING:
            now = time.monotonic()
            standing = improve(standing, enough, FIRST_ROUNDS, now + EXCHANGE_SHARE * (self.until - now))
            standing = improve_by_chains(standing, enough, self.until)
        self._keep(contested, improve(standing, enough, rounds, self.until))

    def exchange_blocks(self, contested: Contested, beyond: float, rounds: int) -> None:
        """Tighten the bound block by block, and improve what the blocks would choose."""
        self.report("integer plan", 0, 0)
        classes = classes_of(contested, self.prices)
        most = min(self.loss, beyond)
        most = max(100.0 * self.enough, 1e-6 * abs(self.dual)) if np.isinf(most) else most
        losses = prove_losses(classes, self.model.touched, beyond, 1e-3 * most, most, self.until)
        self._prove(losses.least, "blocks")
        if losses.count is not None:
            self.exchange(contested, classes.standing(losses.count), rounds)
        if self.plan is not None and not self.done:
            self.exchange(contested, classes.standing(count_choices(contested, self.plan)), rounds)

    def meet(
        self, meeting: Meeting, contested: Contested, beyond: float, rounds: int, share: float = 1.0
    ) -> None:
        """Let halves meet `rounds` times in a share of the time left; then try to list all that is better."""
        self.report("integer plan", 0, 0)
        now = time.monotonic()
        until = min(self.until, now + share * (self.until - now))
        classes = classes_of(contested, self.prices)
        planned = self.choice if self.plan is None else self.plan
        standing = classes.standing(count_choices(contested, planned))
        for better in meeting.improve(standing, self.enough + self.least_loss, rounds, until):
            self._keep(contested, better)
            standing = better
        if not self.done and standing.loss <= self.loss:
            standing, least = meeting.settle(standing, 0.5 * self.enough, self.until)
            self._keep(contested, standing)
            self._prove(min(least, beyond), "enumeration")

    def branch(
        self, contested: Contested, beyond: float, sets: Iterable[NDArray[np.bool_]], share: float = SET_SHARE
    ) -> None:
        """Decide sets of pairs by branch and bound, each in a share of the time left if others come after."""
        classes, planned = classes_of(contested, self.prices), self.plan is not None
        start = self.choice if self.plan is None else self.plan
        columns = count_choices(contested, start).astype(np.float64)
        for open_pairs in sets:
            self.report("integer plan", int(open_pairs.sum()), len(open_pairs))
            # A better plan loses less than this one: none of its pairs may lose more by itself.
            complete = beyond >= self.loss and bool((open_pairs | (classes.regret > self.loss)).all())
            try:
                found = solve_integer(
                    contested, columns, open_pairs, 0.5 * self.enough, self.until, self.seed, hint=planned,
                    share=1.0 if open_pairs.all() else share,
                )  # fmt: skip
            except ProgramInterrupt as stop:
                self._keep(contested, classes.standing(np.round(stop.answer.columns).astype(np.int64)))
                raise
            if found is not None:
                worst = self.loss
                self._keep(contested, classes.standing(np.round(found.columns).astype(np.int64)))
                if complete:
                    self._prove(min(classes.dual - found.bound, worst), "branch and bound")
            if self.done:
                break

    def _open_sets(self, contested: Contested, beyond: float) -> Iterator[NDArray[np.bool_]]:
        """Yield growing sets of pairs to decide, up to all that a better plan may hold, if they are few."""
        planned = self.choice if self.plan is None else self.plan
        columns = count_choices(contested, planned).astype(np.float64)
        for open_pairs in open_sets(contested, columns, self.prices):
            if beyond >= self.loss and open_pairs.sum() >= self._core(contested).sum():
                break
            yield open_pairs
        core = self._core(contested)
        if beyond >= self.loss and core.sum() <= MOST_CORE:
            yield core

    def _core(self, contested: Contested) -> NDArray[np.bool_]:
        """Return the pairs that a better plan may hold: none that loses more by itself."""
        return classes_of(contested, self.prices).regret <= self.loss

    def _prove(self, least_loss: float, proof: str) -> None:
        if least_loss > self.least_loss:
            self.least_loss, self.proof = least_loss, proof
            self.watch.bounded(proof, self.bound)

    def _keep(self, contested: Contested, standing: Standing) -> None:
        """Keep a plan if it is the best, or what the best attempt missed where there is none yet."""
        if self.plan is None:
            charge = standing.classes.rules.charge(standing.used)
            if charge.sum() < self.missing:
                order = np.argsort(-charge, kind="stable")[: np.count_nonzero(charge)]
                self.missed, self.missing = tuple(self.model.labels[r] for r in order), float(charge.sum())
        if standing.loss < self.loss:
            self.loss, self.plan = standing.loss, self.choice.copy()
            assign(contested, standing.count, self.plan)
            self.watch.found("integer plan", self.plan, self.dual - self.loss)
