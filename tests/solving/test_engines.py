"""Where the passes run does not change the answer: torch on a device, and a Ray cluster whose workers die."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import Budget, Floor, InputError, Inventory, Parity, PluginError, Problem, solve
from allocator.problem.batch import SHELF
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for, ray_engine, restrict
from support.compiled_problems import compiled_problem


def campaign(n: int, dtype=np.float32) -> tuple[Problem, list]:
    """Return a problem with a budget, stocks, region floors and parity."""
    generator = np.random.default_rng(0)
    value = generator.gamma(2, 1, (n, 3)).astype(dtype)
    value[generator.random((n, 3)) < 0.2] = np.nan
    cost = generator.uniform(0.5, 5, (n, 3)).astype(dtype)
    groups = {"region": generator.choice(["a", "b", "c"], n), "age": generator.choice(["x", "y"], n)}
    limits = [
        Budget(0.3 * n, label="total"),
        Inventory({str(j): 0.12 * n for j in range(3)}),
        Floor(0.1, by="region", per_head=True),
        Parity("age", 0.02),
    ]
    return Problem(value, {"cost": cost}, groups=groups), limits


def assert_same_answer(one, two, rel: float = 0.0):
    """Both solutions are proven to their gap and agree: to the bit, or relative to `rel`."""
    assert one.status == two.status == "optimal"
    if rel == 0.0:
        assert np.array_equal(one.choice, two.choice)
    assert one.objective == pytest.approx(two.objective, rel=rel, abs=0.0)
    assert one.bound == pytest.approx(two.bound, rel=rel, abs=0.0)
    assert one.prices == pytest.approx(two.prices, rel=max(100 * rel, 0.0), abs=rel)


def assert_passes_agree(one, two, generator, rel: float):
    """Every operation of two engines of one model gives the same."""
    model = one.model
    prices, box = generator.normal(0, 0.5, model.n_rows), generator.uniform(0.1, 1, model.n_rows)
    choices = [np.empty((one.n_users, model.problem.per_user[1]), np.int16) for _ in range(4)]
    inside = generator.random(one.n_users) < 0.3
    whole = one.price(prices, choices[0]), two.price(prices, choices[1])
    radii, done = zip(one.radius(prices, box, choices[2]), two.radius(prices, box, choices[3]), strict=True)
    some = np.flatnonzero(inside)
    parts = [restrict(e, some, prices, by.table) for e, by in zip((one, two), whole, strict=True)]
    passes = [
        whole,
        done,
        (whole[0], done[0]),
        (one.extent(), two.extent()),
        tuple(part.price(prices + 0.01 * box) for part in parts),
    ]
    for a, b in passes:
        assert a.reduced == pytest.approx(b.reduced, rel=rel, abs=rel)
        np.testing.assert_allclose(a.table, b.table, rtol=rel, atol=rel)
    assert all(np.array_equal(choices[0], choice) for choice in choices)
    np.testing.assert_allclose(*radii, rtol=rel)
    other = replace(model, worth=np.full_like(model.worth, 0.5))
    half = [engine.with_model(other).price(prices) for engine in (one, two)]
    assert half[0].reduced == pytest.approx(half[1].reduced, rel=rel, abs=rel)
    nobody = [restrict(e, some[:0], prices, by.table) for e, by in zip((one, two), whole, strict=True)]
    np.testing.assert_allclose(nobody[0].base, nobody[1].base, rtol=rel, atol=rel)
    assert all(len(part.radius(prices, box)[0]) == 0 for part in nobody)
    rows = [engine.take(np.flatnonzero(inside)).batch() for engine in (one, two)]
    assert np.array_equal(rows[0].indices(), rows[1].indices())
    assert np.array_equal(rows[0].value, rows[1].value, equal_nan=True)
    assert all(np.array_equal(rows[0].measures[k], rows[1].measures[k]) for k in rows[0].measures)


class TestTorch:
    torch = pytest.importorskip("torch")
    devices = (
        "cpu",
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
        ),
    )

    @pytest.mark.parametrize("device", devices)
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(
        seed=st.integers(0, 10_000),
        per_user=st.sampled_from([(0, 1), (1, 1), (0, 2), (1, 3), (0, 5)]),
        n=st.sampled_from([60, 300, 5_000]),
        dtype=st.sampled_from([np.float32, np.float64]),
    )
    def test_every_operation_agrees_with_the_compiled_kernels(self, device, seed, per_user, n, dtype):
        _problem, model, generator = compiled_problem(seed, n, per_user=per_user, dtype=dtype)
        engines = (engine_for(model, "cpu"), engine_for(model, "torch", device))
        assert_passes_agree(*engines, generator, rel=1e-11)

    @pytest.mark.parametrize("device", devices)
    def test_a_pass_gives_the_same_bits_every_time(self, device):
        _problem, model, generator = compiled_problem(1, 200_000)
        engine = engine_for(model, "torch", device)
        prices = generator.normal(0, 0.3, model.n_rows)
        first, second = engine.price(prices), engine.price(prices)
        assert first.reduced == second.reduced
        assert np.array_equal(first.table, second.table)

    @pytest.mark.parametrize("device", devices)
    @pytest.mark.parametrize("method", ["decomposition", "convex"])
    def test_a_solve_gives_the_same_answer(self, device, method):
        problem, limits = campaign(12_000)
        mine, theirs = (solve(problem, limits, method=method, device=d) for d in (device, None))
        assert_same_answer(mine, theirs, rel=2e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engine": "gpu"}, "unknown engine .found 'gpu', expected auto, cpu, torch or ray"),
        ({"engine": "cpu", "device": "cuda"}, "the engine 'cpu' takes no device"),
        ({"engine": "ray", "device": "cuda"}, "the engine 'ray' takes no device"),
        ({"engine": "torch", "method": "exact"}, "auto or cpu, for method exact"),
        ({"device": "toaster"}, "device: torch knows no such device .found 'toaster', expected cpu"),
        ({"device": "cuda:99"}, "device: the device cannot be used.*cuda:99"),
        ({"device": "meta"}, "device: the device cannot be used"),
    ],
)
def test_an_engine_that_cannot_be_used_is_an_error(wrong, message):
    with pytest.raises(InputError, match=message):
        solve(*campaign(50), **wrong)


@pytest.mark.parametrize(("engine", "extra"), [("torch", "predict"), ("ray", "ray")])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(engine, extra):
    code = (
        f"import sys; sys.modules['{engine}'] = None\n"
        "from allocator import Problem, PluginError, solve\n"
        f"try: solve(Problem([[1.0]]), engine='{engine}')\n"
        "except PluginError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install '.[{extra}]' brings it" in done.stdout


def on_disk(problem: Problem, path) -> Problem:
    """Write a problem as Parquet and return the one that reads it."""
    columns = {"value": problem.value, "cost": problem.measures["cost"]}
    arrays = {name: pl.Series(array, dtype=pl.Array(pl.Float32, 3)) for name, array in columns.items()}
    groups = {name: np.array(group.labels)[group.codes] for name, group in problem.groups.items()}
    pl.DataFrame(arrays | groups).write_parquet(path)
    return Problem.from_parquet(path, "value", {"cost": "cost"}, groups=list(groups))


def workers() -> list[int]:
    """Return the process ids of the Ray workers that hold parts of a problem."""
    psutil = pytest.importorskip("psutil")
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if "ray::Worker" in " ".join(child.cmdline())]


@pytest.fixture(scope="class")
def cluster():
    """Start a Ray cluster of two cores on this machine."""
    ray = pytest.importorskip("ray")
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False
    )
    yield ray
    ray.shutdown()


@pytest.mark.usefixtures("cluster")
class TestRay:
    @pytest.mark.parametrize(("count", "per_user"), [(1, (1, 2)), (2, (0, 1))])
    def test_every_operation_has_the_bits_of_the_engine_in_memory(self, count, per_user):
        _problem, model, generator = compiled_problem(3, 2 * SHELF + 4_321, 3, per_user)
        engines = (engine_for(model, "ray", threads=count), engine_for(model, "cpu"))
        assert_passes_agree(*engines, generator, rel=0.0)
        assert len(workers()) >= count

    def test_no_users_data_travels_when_workers_read_files(self, tmp_path):
        problem, limits = campaign(50_000)
        model = compile_model(on_disk(problem, tmp_path / "scores.parquet"), limits)
        parts = [part for _, part in engine_for(model, "ray")._workers]
        assert max(len(pickle.dumps(part.problem)) for part in parts) < 10_000

    def test_a_worker_that_keeps_dying_ends_the_solve_with_a_reason(self, monkeypatch):
        monkeypatch.setattr(ray_engine, "RESTARTS", 1)
        before = set(workers())

        def kill(step: str, done: int, total: int) -> None:
            for worker in set(workers()) - before:
                os.kill(worker, signal.SIGKILL)

        with pytest.raises(PluginError, match="A Ray worker died again after 1 restarts"):
            solve(*campaign(5_000), engine="ray", progress=kill)

    @pytest.mark.parametrize("place", ["memory", "disk"])
    def test_a_worker_killed_in_mid_solve_changes_nothing(self, place, tmp_path):
        problem, limits = campaign(SHELF + 4_321)
        whole = problem if place == "memory" else on_disk(problem, tmp_path / "scores.parquet")
        before, killed = set(workers()), []

        def kill(step: str, done: int, total: int) -> None:
            if step == "prices" and not killed:
                mine = sorted(set(workers()) - before)
                assert len(mine) == 2
                killed.append(mine[0])
                os.kill(mine[0], signal.SIGKILL)

        settings = {"gap": 1e-6, "seed": 3}
        mine = solve(whole, limits, engine="ray", progress=kill, **settings)
        assert killed
        assert_same_answer(mine, solve(problem, limits, **settings))


def test_a_solve_starts_ray_if_it_must_shares_it_and_ends_it_quietly():
    ray = pytest.importorskip("ray")
    assert not ray.is_initialized()
    code = (
        "import signal, threading\n"
        "from allocator import Budget, Problem, solve\n"
        "import ray\n"
        "problem = Problem([[3.0, 5.0], [4.0, 2.0]], {'cost': [[1.0, 2.0], [1.0, 2.0]]})\n"
        "def run(**more):\n"
        "    solution = solve(problem, [Budget(2)], engine='ray', threads=2, **more)\n"
        "    print(solution.objective, ray.is_initialized())\n"
        "others = []\n"
        "def meanwhile(*_):\n"
        "    if not others:\n"
        "        others.append(threading.Thread(target=run))\n"
        "        others[0].start()\n"
        "        others[0].join()\n"
        "handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
        "run(progress=meanwhile)\n"
        "print(handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])\n"
    )
    quiet = os.environ | {"RAY_ADDRESS": ""}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, env=quiet
    )
    assert (done.stdout, done.stderr) == ("7.0 True\n7.0 False\nTrue\n", "")


def test_the_command_line_takes_an_engine_and_a_device(allocate, shared_starter):
    plain, on_torch = (
        allocate("solve", str(shared_starter), "--json", *more) for more in ([], ["--device", "cpu"])
    )
    assert plain.code == on_torch.code == 0
    assert json.loads(on_torch.out)["objective"] == pytest.approx(
        json.loads(plain.out)["objective"], rel=1e-6
    )
    refused = allocate("solve", str(shared_starter), "--engine", "ray", "--device", "cuda")
    assert refused.code == 3
    assert "the engine 'ray' takes no device" in refused.err
