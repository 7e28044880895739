"""The examples of embedding run as they stand, and do what their first lines promise."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from support.paths import ROOT, STARTER

EXAMPLES = ROOT / "examples" / "embedding"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_solves_and_saves_a_plan(tmp_path, monkeypatch, capsys):
    script = load("script")
    monkeypatch.setattr(sys, "argv", ["script.py", str(tmp_path / "plan.parquet")])
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert printed.startswith("optimal: worth ")
    plan = pl.read_parquet(tmp_path / "plan.parquet")
    assert plan["user_id"].dtype == pl.Int64
    assert plan["cost"].sum() <= 1_500
    assert plan.filter(pl.col("coupon_id") == "SHIP").height <= 300


def test_the_async_service_plans_at_once_and_gives_one_up(capsys):
    asyncio.run(load("async_service").main())
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines[:3]] == [
        "campaign 0: optimal", "campaign 1: optimal", "campaign 2: CancelledError",
    ]  # fmt: skip
    assert re.fullmatch(r"heard of \d+ steps, such as '.+'", lines[3])


def test_a_cancelled_coroutine_ends_its_solve():
    example, alive = load("async_service"), threading.active_count()

    async def give_up() -> float:
        started = asyncio.Event()
        planner = example.Planner(at_once=1)
        plan = planner.plan(example.campaign(0, 200_000), 90_000.0, 60, lambda step: started.set())
        task = asyncio.create_task(plan)
        await started.wait()
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert planner._room._value == 1
        return time.monotonic() - began

    assert asyncio.run(give_up()) < 20
    assert threading.active_count() == alive


@pytest.fixture
def shop(tmp_path) -> Path:
    shutil.copytree(STARTER, tmp_path / "shop")
    return tmp_path / "shop"


def test_the_batch_job_makes_each_dates_plan_once(shop, tmp_path, capsys):
    job, out = load("batch_job"), tmp_path / "plans"

    def run(day: str) -> int:
        return job.main([str(shop), str(out), "--date", day, "--scores"])

    assert run("2026-06-01") == 0
    plan = out / "2026-06-01" / "assignments.csv"
    assert (out / "latest" / "assignments.csv").read_bytes() == plan.read_bytes()
    made = plan.stat().st_mtime_ns
    assert run("2026-06-01") == 0
    assert plan.stat().st_mtime_ns == made
    assert run("2026-06-02") == 0
    assert (out / "latest").resolve().name == "2026-06-02"
    with job.only_one(out / ".2026-06-03.lock"):
        assert run("2026-06-03") == 75
    (shop / "scores.csv").write_text("user_id,coupon_id,value\n,,x\n")
    assert run("2026-06-03") == 3
    assert "scores.csv" in capsys.readouterr().err
    assert not (out / "2026-06-03").exists()


def test_a_killed_batch_job_leaves_no_half_plan_and_is_finished_by_the_next(shop, tmp_path):
    job, out = load("batch_job"), tmp_path / "plans"
    arguments = [str(shop), str(out), "--date", "2026-06-01", "--scores"]
    process = subprocess.Popen([sys.executable, EXAMPLES / "batch_job.py", *arguments])
    while not (out / ".2026-06-01.work").exists():
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (out / "2026-06-01").exists()
    assert job.main(arguments) == 0
    assert (out / "2026-06-01" / "assignments.csv").exists()
    assert not (out / ".2026-06-01.work").exists()


def test_the_batch_job_says_when_limits_clash(shop, tmp_path, capsys):
    floor = '\n[[limits]]\nkind = "floor"\nlabel = "too many"\nat_least = 100000\n'
    with (shop / "campaign.toml").open("a") as file:
        file.write(floor)
    assert load("batch_job").main([str(shop), str(tmp_path / "plans"), "--scores"]) == 4
    assert "'too many'" in capsys.readouterr().err


def test_the_notebook_is_valid_without_outputs_and_runs():
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    names: dict = {}
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    values = [row["value"] for row in names["curve"]]
    assert values == sorted(values)
    assert max(row["gap"] for row in names["curve"]) < 1e-4


def test_decisions_keep_the_plans_limits_however_many_come(capsys):
    load("decide").main()
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[\d,]+ of 10,000 visitors got a coupon", lines[0])
    for line, most in zip(lines[1:], (3_000, 400), strict=True):
        used = float(re.search(r": ([\d,.]+) of", line)[1].replace(",", ""))
        assert 0.9 * most < used <= most


def test_one_visit_gets_one_answer_and_what_is_given_back_is_free():
    example = load("decide")
    shop = example.Shop(example.plan_ahead())
    cost = {"TEN": 1.0, "SHIP": 1.0}
    first = shop.visit("v", "ann", {"TEN": 9.0, "SHIP": 1.0}, cost)
    assert first == "TEN"
    assert shop.visit("v", "ann", {"TEN": 9.0, "SHIP": 1.0}, cost) == first
    assert shop.visit("w", "ann", {"TEN": 9.0, "SHIP": 1.0}, cost) is None  # one coupon a user
    shop.bought("v", None)
    assert {row.held for row in shop.decider.standings()} == {0.0}


def test_a_ray_cluster_gives_the_plan_of_one_machine(tmp_path):
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "ray_service.py", "20000"],
        capture_output=True, text=True, check=False, env=os.environ | {"RAY_ADDRESS": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the same plan"
