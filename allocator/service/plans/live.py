"""Plans at work: each with its decider, its counters in the database, and its queue of requests."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from allocator.errors import Finding, InputError
from allocator.online import (
    Decider,
    DecisionRequest,
    OnlinePlan,
    Outcome,
    RequestReader,
    Reservation,
    Settlement,
    Standing,
    read_online_plan,
)
from allocator.online.plan_file import PLAN_FILE
from allocator.service.error_documents import ServiceError
from allocator.service.jobs.store import JobStatus, JobStore
from allocator.service.logs import log
from allocator.service.metrics import Metrics
from allocator.service.plans.batcher import Batcher
from allocator.service.plans.sql_ledger import SqlLedger
from allocator.service.plans.store import EVERYONE, PlanStore, StoredPlan
from allocator.service.settings import DAY, Settings

MOST_AT_WORK = 200  # plans kept ready; others are read again when they are asked for
WRITTEN_AT_ONCE = 256
WRITERS = 4  # threads; a plan has one at a time, and SQLite one in all
EXPIRE_SECONDS = 30.0
LOOK_SECONDS = 2.0  # after which it is looked up whether another server deleted or replaced a plan
PLAN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Given:
    """What a request was given, best first, and whether it was decided before."""

    reservations: list[Reservation]
    replayed: bool


class PlanAtWork:
    """A plan that decides."""

    def __init__(
        self,
        stored: StoredPlan,
        ledger: SqlLedger,
        hold_for: float,
        executor: ThreadPoolExecutor,
        metrics: Metrics,
    ) -> None:
        self.stored, self.plan, self._metrics = stored, stored.read(), metrics
        self._last, self._mine = 0.0, threading.local()
        counted = replace(self.plan, plan_id=stored.ledger)
        self.decider = Decider(counted, ledger, clock=self._tick, hold_for=hold_for)
        self.looked_up = time.monotonic()
        self.reader = RequestReader(self.plan)
        self.decisions = Batcher(executor, self._decide, WRITTEN_AT_ONCE)
        self.outcomes = Batcher(executor, self._settle, WRITTEN_AT_ONCE)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for the plan."""
        return self.decisions.is_idle and self.outcomes.is_idle

    def _tick(self) -> float:
        """Return a time that no other call here had, by which a batch knows its own decisions.

        The decider asks while it holds the ledger, so that two threads never ask at once.
        """
        self._last = self._mine.now = max(time.time(), self._last + 1e-5)
        return self._last

    def _decide(self, requests: Sequence[DecisionRequest]) -> list[Given]:
        found = self.decider.decide(requests)
        seen: set[str] = set()
        given = []
        for request, reservations in zip(requests, found, strict=True):
            replayed = reservations[0].decided_at != self._mine.now or request.request_id in seen
            seen.add(request.request_id)
            given.append(Given(reservations, replayed))
        self._metrics.decided(Counter(map(_result, given)))
        return given

    def _settle(self, outcomes: Sequence[Outcome]) -> list[Settlement]:
        settled = self.decider.settle(outcomes)
        for settlement in settled:
            self._metrics.outcome(settlement.answer)
        return settled


def _result(given: Given) -> str:
    if given.replayed:
        return "replayed"
    return "nothing" if given.reservations[0].coupon_id is None else "given"


class Plans:
    """Finds, stores and forgets plans. Its methods belong to the event loop."""

    def __init__(self, settings: Settings, metrics: Metrics, engine: sa.Engine, jobs: JobStore) -> None:
        self.settings, self.metrics = settings, metrics
        self.store, self._jobs, self._ledger = PlanStore(engine), jobs, SqlLedger(engine)
        self._executor = ThreadPoolExecutor(WRITERS, thread_name_prefix="decide")
        self._at_work: OrderedDict[str, PlanAtWork] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Store the plans that the service was started with, and begin to free what is overdue.

        Raises
        ------
        InputError
            If one cannot be read, or another plan is stored under its id.
        """
        findings: list[Finding] = []
        for plan_id, folder in self.settings.plans.items():
            try:
                check_plan_id(plan_id)
                plan = replace(read_online_plan(folder), plan_id=plan_id)
                stored = await asyncio.to_thread(self._add, plan, EVERYONE)
            except InputError as error:
                findings += error.findings
                continue
            if stored.owner != EVERYONE or stored.document != plan.to_json():
                message = (
                    f"another plan is stored as '{plan_id}', with counters of its own; give this one "
                    "another name with --plan NAME=RUN"
                )
                findings.append(Finding(message, file=str(folder)))
        if findings:
            raise InputError(findings)
        self._task = asyncio.create_task(self._expire())

    async def stop(self) -> None:
        """End the threads once they have written what they have begun."""
        if self._task is not None:
            self._task.cancel()
        await asyncio.to_thread(self._executor.shutdown)

    async def get(self, plan_id: str, owner: str) -> PlanAtWork:
        """Return a plan that an owner may use: a stored one, or that of a solve of theirs.

        Raises
        ------
        ServiceError
            404 if they have none of this id.
        """
        found = self._at_work.get(plan_id)
        if found is not None and time.monotonic() - found.looked_up >= LOOK_SECONDS:
            found.looked_up = time.monotonic()  # others need not look, too
            found = self._renewed(plan_id, await asyncio.to_thread(self.store.get, plan_id))
        if found is None and PLAN_ID.fullmatch(plan_id):
            found = self._renewed(plan_id, await asyncio.to_thread(self._find, plan_id))
        if found is None or found.stored.owner not in (owner, EVERYONE):
            raise ServiceError(404, "not-found", "No such plan", "You have no plan of this id.")
        return found

    async def add(self, plan: OnlinePlan, owner: str) -> tuple[StoredPlan, bool]:
        """Store a plan; return it, and whether it is new.

        Raises
        ------
        InputError
            If its id cannot be one.
        ServiceError
            409 if another plan has its id.
        """
        check_plan_id(plan.plan_id)
        began = time.time()
        stored = await asyncio.to_thread(self._add, plan, owner)
        if stored.owner != owner or stored.document != plan.to_json():
            text = f"Another plan is stored as '{plan.plan_id}', with counters of its own; give another id."
            raise ServiceError(409, "plan-exists", "The id is taken", text)
        return stored, stored.created_at >= began

    async def delete(self, plan_id: str, owner: str) -> None:
        """Forget a plan of an owner's, its counters and its reservations.

        Raises
        ------
        ServiceError
            404 if they have none of this id; 403 if it is everyone's.
        """
        plan = await self.get(plan_id, owner)
        if plan.stored.owner == EVERYONE and self.settings.keys:
            text = "The service was started with this plan, for everyone."
            raise ServiceError(403, "forbidden", "Not your plan", text)
        await asyncio.to_thread(self.store.delete, plan_id)
        self._at_work.pop(plan_id, None)
        await asyncio.to_thread(self._ledger.forget, plan.stored.ledger)

    async def of_owner(self, owner: str, most: int) -> list[StoredPlan]:
        """Return the stored plans that an owner may use, the newest first."""
        return await asyncio.to_thread(self.store.of_owner, owner, most)

    async def standings(self, plan: PlanAtWork) -> list[Standing]:
        """Return how a plan's limits stand."""
        return await asyncio.to_thread(plan.decider.standings)

    def used(self) -> Iterator[tuple[str, str, float]]:
        """Yield plan, limit and the share of it that is used or held, for plans at work. Blocks."""
        for plan_id, plan in list(self._at_work.items()):
            for row in plan.decider.standings():
                if row.held is not None and row.at_most > 0:
                    yield plan_id, row.label, row.held / row.at_most

    def _add(self, plan: OnlinePlan, owner: str) -> StoredPlan:
        return self.store.add(StoredPlan(plan.plan_id, owner, time.time(), plan.to_json()))

    def _find(self, plan_id: str) -> StoredPlan | None:
        stored = self.store.get(plan_id)
        if stored is not None:
            return stored
        job = self._jobs.get(plan_id)  # a solve's plan has the id of its job
        if job is None or job.status is not JobStatus.DONE:
            return None
        file: Path = self.settings.jobs_folder / job.id / PLAN_FILE
        return self._add(read_online_plan(file), job.owner) if file.is_file() else None

    def _renewed(self, plan_id: str, stored: StoredPlan | None) -> PlanAtWork | None:
        """Return the plan at work as it is stored now; None if it is stored no more."""
        found = self._at_work.get(plan_id)
        if stored is None:
            self._at_work.pop(plan_id, None)
            return None
        return found if found is not None and found.stored == stored else self._take_up(stored)

    def _take_up(self, stored: StoredPlan) -> PlanAtWork:
        hold_for = DAY * self.settings.hold_days
        plan = PlanAtWork(stored, self._ledger, hold_for, self._executor, self.metrics)
        self._at_work[stored.id] = plan
        for plan_id in list(self._at_work)[: max(0, len(self._at_work) - MOST_AT_WORK)]:
            if self._at_work[plan_id].is_idle:
                del self._at_work[plan_id]
        return plan

    async def _expire(self) -> None:
        """Free what overdue coupons hold, also while nobody comes."""
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            for plan in list(self._at_work.values()):
                try:
                    await asyncio.to_thread(plan.decider.expire)
                except Exception as error:  # the next time may be better
                    log(logging.ERROR, "upkeep", error=error)


def check_plan_id(plan_id: str) -> None:
    """Raise InputError for an id that cannot stand in a path."""
    if not PLAN_ID.fullmatch(plan_id):
        expected = "up to 200 letters, digits, dots, dashes and underscores"
        raise InputError(Finding("this cannot be a plan's id", None, None, "id", repr(plan_id), expected))
