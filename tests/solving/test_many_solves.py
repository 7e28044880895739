"""Solves in many threads and processes at once give what they give one after another, and leave nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from allocator import Budget, Inventory, Parity, Problem, ProportionalFairness, Solution, solve

HERE = Path(__file__).parent


def campaign(seed: int, n: int = 6_000) -> tuple[Problem, list]:
    generator = np.random.default_rng(seed)
    value = generator.gamma(2, 1, (n, 4))
    value[generator.random((n, 4)) < 0.2] = np.nan
    cost, region = generator.uniform(0.5, 5, (n, 4)), generator.choice(["a", "b"], n)
    problem = Problem(value, {"cost": cost}, groups={"region": region})
    return problem, [Budget(0.3 * n, label="total"), Inventory({"0": 0.1 * n}), Parity("region", 0.02)]


def hard(n: int = 300) -> tuple[Problem, list]:
    """Return what no method finishes in a minute."""
    generator = np.random.default_rng(0)
    problem = Problem(
        generator.gamma(2, 1, (n, 6)),
        {"cost": generator.uniform(0.5, 5, (n, 6))},
        groups={"store": generator.integers(0, 60, n)},
    )
    return problem, [Budget(0.3 * n, label="total"), Parity("store", 0.3)]


def facts(solution: Solution) -> tuple:
    return solution.choice.tobytes(), solution.bound, tuple(solution.prices.items()), solution.method


def answer(seed: int, method: str = "decomposition") -> tuple:
    return facts(solve(*campaign(seed, 100 if method == "exact" else 6_000), method=method))


@pytest.mark.parametrize("method", ["decomposition", "convex", "exact"])
def test_eight_threads_on_different_problems_and_on_one_agree_with_one_thread(method):
    count = {"decomposition": 8, "convex": 4, "exact": 2}[method]
    alone = [answer(seed, method) for seed in range(count)]
    problem, limits = campaign(0, 100 if method == "exact" else 6_000)
    filters, alive = list(warnings.filters), threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        different = list(pool.map(lambda seed: answer(seed, method), range(count)))
        same = list(pool.map(lambda _: facts(solve(problem, limits, method=method)), range(count)))
    assert different == alone
    assert same == [alone[0]] * count
    assert warnings.filters == filters
    assert threading.active_count() == alive


def test_a_fair_objective_may_be_solved_in_threads_too():
    problem, limits = campaign(1, 120)
    run = lambda _: facts(solve(problem, limits[:1], objective=ProportionalFairness("region"), gap=0.01))  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(4))) == {run(0)}


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_processes_agree(start):
    alone = [answer(seed) for seed in range(2)]
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(answer, range(2))) == alone


def test_a_fork_after_a_solve_can_solve():
    code = (
        f"import sys, warnings, multiprocessing; sys.path.insert(0, {str(HERE)!r})\n"
        # Python 3.12 on warns of a fork where there are threads.
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "from test_many_solves import answer\n"
        "methods = ('decomposition', 'convex', 'exact')\n"
        "alone = [answer(0, method) for method in methods]\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "    print(pool.starmap_async(answer, [(0, m) for m in methods]).get(60) == alone)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


class CancelledError(Exception):
    """Raised by what hears of progress."""


@pytest.mark.parametrize("method", ["decomposition", "convex"])
def test_cancelling_leaves_nothing_behind(method):
    alone, alive, before = answer(0, method), threading.active_count(), signal.getsignal(signal.SIGINT)
    for patience in (0, 3, 8):
        heard = []

        def cancel(step: str, done: int, total: int, heard: list = heard, patience: int = patience) -> None:
            heard.append(step)
            if len(heard) > patience:
                raise CancelledError

        with pytest.raises(CancelledError):
            solve(*campaign(0), method=method, progress=cancel)
        assert len(heard) == patience + 1
        assert threading.active_count() == alive
    assert signal.getsignal(signal.SIGINT) is before
    assert answer(0, method) == alone


@pytest.mark.parametrize("main", [True, False])
def test_a_long_step_can_be_cancelled_too(main):
    """Of several kinds: exchange in compiled kernels, branch and bound in HiGHS."""
    cancelled = time.monotonic() + 2

    def cancel(step: str, done: int, total: int) -> None:
        if time.monotonic() > cancelled:
            raise CancelledError

    def run() -> float:
        with pytest.raises(CancelledError):
            solve(*hard(), progress=cancel, time_limit=100, gap=0)
        return time.monotonic() - cancelled

    with ThreadPoolExecutor(1) as pool:
        late = run() if main else pool.submit(run).result()
    assert late < 30


def test_asyncio_keeps_answering_while_solves_run():
    async def service() -> tuple[list[Solution], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        beside = asyncio.create_task(tick())
        jobs = [asyncio.to_thread(solve, *campaign(seed), threads=1) for seed in range(3)]
        solutions = await asyncio.gather(*jobs)
        beside.cancel()
        return solutions, ticks

    solutions, ticks = asyncio.run(service())
    assert [facts(solution) for solution in solutions] == [answer(seed) for seed in range(3)]
    assert ticks > 0
