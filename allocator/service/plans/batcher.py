"""Group commit: what arrives while one batch is written becomes the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

from allocator.service.database import UnavailableError

SPACING = 0.003
"""Seconds from one batch to the next: under load, a few items share what writing costs."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Gathers items of concurrent callers, and does them together in a thread, one batch at a time.

    Its methods belong to the event loop. Where a batch fails, each caller's items are done by themselves, so
    that one caller's fail nobody else's; but not where the database is away, which is so for all of them.

    Parameters
    ----------
    executor
        Whose thread does the work.
    work
        Returns a result for each item.
    most
        Items in a batch; the items of one caller stay together all the same.
    """

    def __init__(
        self, executor: Executor, work: Callable[[Sequence[Item]], Sequence[Result]], most: int
    ) -> None:
        self._executor, self._work, self._most = executor, work, most
        self._waiting: deque[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything."""
        return self._task is None

    async def do(self, items: Sequence[Item]) -> Sequence[Result]:
        """Do some items, with others if there are any."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Sequence[Result]] = loop.create_future()
        self._waiting.append((items, future))
        if self._task is None:
            self._task = loop.create_task(self._drain(loop))
        return await future

    async def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft()]
                size = len(batch[0][0])
                while self._waiting and size + len(self._waiting[0][0]) <= self._most:
                    batch.append(self._waiting.popleft())
                    size += len(batch[-1][0])
                began = loop.time()
                await self._write(loop, batch)
                await asyncio.sleep(max(0.0, began + SPACING - loop.time()))
        finally:
            self._task = None

    async def _write(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]],
    ) -> None:
        items = [item for mine, _ in batch for item in mine]
        try:
            results = await loop.run_in_executor(self._executor, self._work, items)
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, UnavailableError):
                for one in batch:
                    await self._write(loop, [one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        begin = 0
        for mine, future in batch:
            if not future.done():  # its caller may have gone away
                future.set_result(results[begin : begin + len(mine)])
            begin += len(mine)
