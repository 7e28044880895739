"""A solve tells what it has reached, stops when asked to, and says the same whatever the threads."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from allocator import (
    Budget,
    Floor,
    Improvement,
    Inventory,
    Parity,
    Problem,
    ReturnFloor,
    Status,
    solve,
)
from support.paths import ROOT


def campaign(n: int, coupons: int = 4, seed: int = 0) -> tuple[Problem, list]:
    generator = np.random.default_rng(seed)
    problem = Problem(
        generator.gamma(2, 1, (n, coupons)),
        {"cost": generator.uniform(0.5, 5, (n, coupons))},
        groups={"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)},
    )
    limits = [
        Budget(0.3 * n, label="total"),
        Floor(0.1, by="region", per_head=True),
        Parity("age", 0.01),
        Inventory({str(j): 0.15 * n for j in range(coupons)}),
    ]
    return problem, limits


def plan_as_nobody_finishes(arguments: str) -> list[str]:
    """Return lines of a program that solves a problem to a gap that no plan reaches."""
    return [
        "import sys; sys.path[:0] = ['tests', 'tests/solving']",
        "import os, signal, threading",
        "from test_progress import campaign",
        "from allocator import solve",
        "problem, limits = campaign(3_000)",
        f"solution = solve(problem, limits, gap=0, time_limit=50, {arguments})",
        "print(solution.interrupted, solution.status, solution.gap < 1e-2, solution.verify().valid,",
        "      solution.seconds < 20)",
    ]


def python(lines: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("method", ["auto", "exact"])
def test_bound_falls_value_rises_and_the_solution_keeps_the_record(method):
    problem, limits = campaign(1_000)
    seen: list[Improvement] = []
    solution = solve(problem, limits, method=method, gap=1e-4, time_limit=20, on_improvement=seen.append)
    assert solution.trace == tuple(seen)
    assert seen
    for before, after in itertools.pairwise(seen):
        assert after.bound <= before.bound
        assert after.value >= before.value
        assert (after.bound, after.value) != (before.bound, before.value)
        assert after.seconds >= before.seconds
        assert after.passes >= before.passes
    last = seen[-1]
    assert last.value == pytest.approx(solution.objective)
    assert last.bound == pytest.approx(solution.bound)
    assert last.gap == pytest.approx(solution.gap, abs=1e-9)
    assert all(step.bound >= solution.objective * (1 - 1e-9) for step in seen)
    assert all(step.value <= solution.bound * (1 + 1e-9) for step in seen)


def test_what_a_listener_raises_cancels_the_solve():
    class CancelledError(Exception):
        pass

    def stop(improvement: Improvement) -> None:
        raise CancelledError

    problem, limits = campaign(500)
    with pytest.raises(CancelledError):
        solve(problem, limits, on_improvement=stop)


@pytest.mark.parametrize("step", ["prices", "exact prices", "integer plan"])
def test_an_interrupt_at_any_step_returns_a_plan(step):
    def stop(name: str, done: int, total: int) -> None:
        if name == step:
            raise KeyboardInterrupt

    problem, limits = campaign(2_000)
    solution = solve(problem, [limits[0], limits[3]], progress=stop)
    assert solution.interrupted
    assert solution.verify().valid
    assert solution.status is (Status.OPTIMAL if solution.gap <= 1e-6 else Status.FEASIBLE)
    assert solution.gap < (0.1 if step == "integer plan" else 1)
    assert (solution.choice >= 0).any()


def test_an_interrupt_without_any_plan_at_hand_is_an_interrupt():
    def stop(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    problem = Problem(np.ones((50, 2)), {"cost": np.ones((50, 2))})
    with pytest.raises(KeyboardInterrupt):
        solve(problem, [Floor(30), Budget(30)], progress=stop)


def test_a_second_interrupt_stops_for_good():
    def stop(name: str, done: int, total: int) -> None:
        if name in ("integer plan", "interrupted"):
            raise KeyboardInterrupt

    problem, limits = campaign(2_000)
    with pytest.raises(KeyboardInterrupt):
        solve(problem, limits, progress=stop)


def test_a_real_signal_during_an_integer_program_returns_the_best_plan():
    lines = plan_as_nobody_finishes("on_improvement=interrupt_after_a_plan")
    lines.insert(
        4,
        "def interrupt_after_a_plan(improvement, sent=[]):\n"  # once: a second signal may meet the exit
        "    if improvement.step == 'integer plan' and not sent:\n"
        "        sent.append(True)\n"
        "        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n",
    )
    done = python(lines)
    assert done.stdout == "True feasible True True True\n", done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("kind", ["budget", "parity"])
def test_the_same_answer_whatever_the_thread_count(kind):
    problem, limits = campaign(70_000, seed=3)
    limits = limits[:2] if kind == "budget" else [*limits, ReturnFloor(0.5)]
    plans = [solve(problem, limits, gap=1e-5, threads=threads) for threads in (1, 2, 3)]
    for plan in plans[1:]:
        assert np.array_equal(plan.choice, plans[0].choice)
        assert plan.prices == plans[0].prices
        assert [(s.step, s.bound, s.value, s.passes) for s in plan.trace] == [
            (s.step, s.bound, s.value, s.passes) for s in plans[0].trace
        ]


# The command line


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_ctrl_c_while_it_solves_writes_the_best_plan_and_is_exit_130(starter: Path, tmp_path: Path, command):
    out = tmp_path / "plan"
    process = start("solve", starter, "--gap", "0", "--time-limit", "60", "--out", out, "--json")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("integer plan"):
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            break
    document, err = process.communicate(timeout=50)
    assert process.returncode == 130
    assert json.loads(document)["interrupted"] is True
    assert json.loads(document)["gap"] < 0.05
    assert "Interrupted: this is the best plan so far" in err
    assert "Traceback" not in err
    assert (out / "assignments.csv").is_file()
    assert "The certificate holds" in command("check", out, "--campaign", starter).err


def test_a_time_limit_writes_the_best_plan_and_is_exit_5(starter: Path, tmp_path: Path, command):
    outcome = command(
        "solve", starter, "--gap", "0", "--time-limit", "0.5", "--out", tmp_path / "plan", "--json"
    )
    assert outcome.code == 5
    assert outcome.document["status"] == "feasible"
    assert 0 < outcome.document["gap"] < 0.05
    assert (tmp_path / "plan" / "assignments.csv").is_file()


def test_clashing_limits_are_exit_4_and_the_least_violating_plan_is_written_on_request(
    starter: Path, tmp_path: Path, command
):
    toml = starter / "campaign.toml"
    toml.write_text(toml.read_text().replace("at_most = 400", "at_most = 2"))
    plain = command("solve", starter, "--json")
    assert plain.code == 4
    assert "total" in plain.document["labels"]
    assert plain.document["repairs"]["total"] > 0
    assert plain.document["repairs_alone"]["total"] > 0
    least = command("solve", starter, "--least-violation", "--out", tmp_path / "plan")
    assert least.code == 4
    assert "breaks limits" in least.out
    summary = json.loads((tmp_path / "plan" / "summary.json").read_text())
    assert summary["status"] == "least violating"
    assert summary["broken_limits"] == pytest.approx(plain.document["repairs"], rel=1e-2)
    assert "does not keep all of them: it breaks 'total' by" in least.err
    assert "does not keep all of them" in (tmp_path / "plan" / "report.html").read_text()
    assert command("check", tmp_path / "plan", "--campaign", starter).code == 3
