"""An async service: several solves at once beside the event loop, with progress, time limits and cancelling.

`solve` computes; it belongs in a thread, from which the loop goes on answering. One thread a solve
(``threads=1``) suits many small solves; a semaphore keeps them from fighting over the cores.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import numpy as np

from allocator import Budget, Problem, Solution, solve


class Cancelled(Exception):  # noqa: N818
    """Raised inside a solve to end it; nothing is left behind."""


class Planner:
    """Solves on behalf of coroutines."""

    def __init__(self, at_once: int | None = None) -> None:
        self._room = asyncio.Semaphore(at_once or os.cpu_count() or 1)

    async def plan(
        self, problem: Problem, budget: float, seconds: float, tell: Callable[[str], None] = lambda step: None
    ) -> Solution:
        """Return the best plan found in time.

        The time limit belongs to `solve`, which then returns its best plan, with the gap it could prove.
        Cancelling the coroutine, as when a client goes away, ends the solve within a second or two.
        """
        gone, loop = threading.Event(), asyncio.get_running_loop()

        def progress(step: str, done: int, total: int) -> None:  # called in the solve's thread
            if gone.is_set():
                raise Cancelled
            loop.call_soon_threadsafe(tell, step)

        async with self._room:
            work = asyncio.create_task(
                asyncio.to_thread(
                    solve,
                    problem,
                    [Budget(budget, label="total")],
                    time_limit=seconds,
                    threads=1,
                    progress=progress,
                )
            )
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                gone.set()
                await asyncio.wait([work])  # the room is taken until the thread is done
                if not work.cancelled():
                    work.exception()
                raise


def campaign(seed: int, users: int = 20_000) -> Problem:
    """Return made-up values and costs."""
    rng = np.random.default_rng(seed)
    return Problem(rng.gamma(2.0, 1.0, (users, 3)), {"cost": rng.uniform(0.5, 5.0, (users, 3))})


async def main() -> None:
    """Plan three campaigns at once, and give one of them up."""
    planner, steps = Planner(), []
    tasks = [
        asyncio.create_task(planner.plan(campaign(seed), 9_000.0, seconds=10, tell=steps.append))
        for seed in range(3)
    ]
    await asyncio.sleep(0)
    tasks[2].cancel()
    for seed, outcome in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
        if isinstance(outcome, Solution):
            print(f"campaign {seed}: {outcome.status}, worth {outcome.objective:,.0f}")
        else:
            print(f"campaign {seed}: {type(outcome).__name__}")
    print(f"heard of {len(steps)} steps, such as '{steps[0]}'")


if __name__ == "__main__":
    asyncio.run(main())
