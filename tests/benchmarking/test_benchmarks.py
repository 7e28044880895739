"""The benchmarks run: every peer solves the same instance, every table is made, recorded and reported."""

from __future__ import annotations

import gzip
import json
import os
import time

import numpy as np
import polars as pl
import pytest

from allocator import solve
from benchmarks.__main__ import main
from benchmarks.instances import CHANGES, KINDS, khan, retail
from benchmarks.measure import in_process
from benchmarks.peers import PEERS, WHOLE
from benchmarks.program import Matrix
from benchmarks.record import DOCUMENT, read
from benchmarks.tables import TABLES
from benchmarks.worlds import WORLDS

NEWER = ("highs-hipo", "highs-pdlp")  # of a HiGHS that cannot be loaded beside OR-Tools'
KHAN = "2 2 2\n10 10\n1\n 5 6 1\n 9 8 2\n2\n 3 4 9\n 7 5 8\n"


@pytest.mark.parametrize("key", list(PEERS))
def test_every_peer_finds_the_value_that_we_find(key):
    if key in NEWER and "HIGHS_PYTHON" not in os.environ:
        pytest.skip("HIGHS_PYTHON names no interpreter with a newer HiGHS; `make bench-solver` makes one")
    instance = retail(300)
    ours = solve(*instance, gap=1e-3, time_limit=20)
    peer = PEERS[key]
    found = peer.prepare(Matrix.of(instance), 5.0)()
    slack = 2e-4 * ours.bound
    if peer.answers == WHOLE:
        assert found["objective"] <= ours.bound + slack
        assert found["bound"] >= ours.objective - slack
    else:
        assert "optimal" in found["status"]
        assert ours.objective - slack <= found["objective"] <= ours.bound + slack


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_hard_kind_can_be_solved(kind):
    solution = solve(*KINDS[kind](3_000), gap=1e-2, time_limit=30)
    assert solution.gap <= 1e-2
    if kind == "many limits":
        assert len(solution.usage) >= 150
        assert sum(usage.binding for usage in solution.usage) >= 40


def test_a_knapsack_file_is_read(tmp_path):
    path = tmp_path / "I01"
    path.write_text(KHAN, encoding="utf-8")
    problem, limits = khan(path)
    assert problem.per_user == (1, 1)
    # 9 + 3 would use 12 of the first resource, 9 + 7 thirteen; 5 + 3 uses ten and ten.
    assert solve(problem, limits).objective == 8.0


def endless(seconds):
    yield
    time.sleep(seconds)
    return {}


def dying():
    yield
    raise SystemExit(3)


def hungry(megabytes):
    np.ones(3 * megabytes * 125_000)  # preparing takes memory, too, and does not count
    yield
    return {"sum": float(np.ones(megabytes * 125_000).sum())}


def test_a_task_is_measured_or_stopped():
    assert in_process(endless, 60, limit=0.2).error == "stopped"
    assert in_process(dying, limit=30).error == "died with code 3"
    small, large = (in_process(hungry, size, limit=30) for size in (1, 400))
    assert large.results == {"sum": 50_000_000.0}
    assert 350 < large.peak_mb - small.peak_mb < 450


CHANGE = next(iter(CHANGES))
LEARNERS = ["S, logistic", "DR, logistic", "auto"]
COMMANDS = {
    "speed": ["--sizes", "300", "--peers", "highs-ipm", "--gap", "0.01"],
    "passes": ["--sizes", "300", "--gap", "0.01"],
    "warm": ["--sizes", "300", "--changes", CHANGE, "--gap", "0.01"],
    "sweep": ["--sizes", "300", "--gap", "0.01"],
    "growth": ["--sizes", "300", "--gap", "0.01"],
    "quality": ["--sizes", "300", "--kinds", "plain", "--gap", "0.01"],
    "many_rows": ["--sizes", "3000", "--gap", "0.5"],
    "stopping": ["--cases", "stores and regions", "--sizes", "3000", "--seconds", "1", "--times", "1"],
    "mmkp": [],
    "mmkp_like": ["--sizes", "4", "--peers", "highs-mip"],
    "fair": ["--sizes", "4", "--objectives", "max-min", "--gap", "0.01"],
    "device": ["--sizes", "300", "--device", "cpu", "--gap", "0.01"],
    "winners_curse": ["--sizes", "300", "--seeds", "2", "--gap", "0.01"],
    "learned_plans": ["--sizes", "600", "--seeds", "2", "--learners", *LEARNERS[:2]],
    "pacing": ["--sizes", "300", "--gap", "0.01"],
    "scoring": ["--sizes", "600", "--predictors", "baseline"],
    "uplift": ["--experiments", "hillstrom-visit", "--learners", *LEARNERS, "--seeds", "2"],
    "ranks": [],
    "paired": [],
    "gpu": ["--sizes", "300", "--device", "cpu"],
    "ledger": ["--ledgers", "memory", "sqlite", "--decisions", "100"],
    "service": ["--rate", "50", "--seconds", "1", "--clients", "8"],
    "commands": ["--sizes", "300", "--forms", "csv"],
    "campaign_fuzz": ["--folders", "20"],
    "campaign_nonsense": ["--folders", "3"],
    "copy_safety": ["--coupons", "2", "--texts", "50", "--written", "4"],
    "copy_quality": ["--cells", "2"],
    "copy_lora": ["--cells", "1", "--epochs", "1", "--per-line", "1", "--themes", "2"],
    "copy_scale": ["--sizes", "600"],
}


def write_hillstrom(folder):
    """Write an experiment in the form of Hillstrom's, in which one e-mail works on some and one on nobody."""
    rng = np.random.default_rng(0)
    n = 2_000
    segment = rng.choice(["No E-Mail", "Mens E-Mail", "Womens E-Mail"], n)
    history = rng.gamma(2.0, 100.0, n)
    visit = rng.random(n) < 0.1 + 0.4 * ((segment == "Mens E-Mail") & (history > 170))
    table = pl.DataFrame({"history": history, "segment": segment, "visit": visit.astype(int)})
    (folder / "hillstrom").mkdir()
    with gzip.open(folder / "hillstrom" / "hillstrom.csv.gz", "wb") as file:
        table.with_columns(conversion=pl.lit(0), spend=pl.lit(0.0)).write_csv(file)


@pytest.mark.slow
def test_every_table_is_measured_recorded_and_reported(tmp_path, capsys):
    assert set(COMMANDS) == set(TABLES)
    (tmp_path / "I01").write_text(KHAN, encoding="utf-8")
    write_hillstrom(tmp_path)
    results = ["--results", str(tmp_path / "results")]
    for name, arguments in COMMANDS.items():
        main([name, *arguments, "--limit", "120", "--folder", str(tmp_path), *results])
        recorded = json.loads((tmp_path / "results" / f"{name}.json").read_text(encoding="utf-8"))
        assert recorded["machine"]["cores"] >= 1
        assert recorded["versions"]["numpy"] == np.__version__
        assert all(row.get("error") is None for row in recorded["rows"]), recorded["rows"]
    uplift, ranks = (read(name, tmp_path / "results")["rows"] for name in ("uplift", "ranks"))
    assert [row["learner"] for row in uplift] == LEARNERS
    assert all(np.mean(row["qini"]) > 0.1 and len(row["seconds"]) == 2 for row in uplift)
    assert sorted(row["rank"] for row in ranks) == [1, 2, 3]
    shown = capsys.readouterr().out
    assert "HiGHS interior point, linear relaxation" in shown
    document = tmp_path / "benchmarks.md"
    pages = [document, document.with_name("campaign_fuzz.md")]
    for page in pages:
        page.write_text(DOCUMENT.with_name(page.name).read_text(encoding="utf-8"), encoding="utf-8")
    main(["report", "--document", str(document), *results])
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert all(f"<!-- {name} -->\nRecorded on" in text for name in TABLES)
    assert "<svg" in (tmp_path / "growth.svg").read_text(encoding="utf-8")
    main(["report", "--document", str(document), *results])
    assert "".join(page.read_text(encoding="utf-8") for page in pages) == text


def test_without_a_gpu_it_says_so_and_measures_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    main(["gpu", "--results", str(tmp_path)])
    assert "finds no CUDA device here, so nothing was measured" in capsys.readouterr().out
    assert not (tmp_path / "gpu.json").exists()


@pytest.mark.parametrize("key", list(WORLDS))
def test_a_world_is_what_it_says(key, tmp_path):
    world = WORLDS[key](tmp_path)
    learn, test = world.halves(1)
    assert not set(learn) & set(test)
    for coupon, (name, _, _) in enumerate(world.coupons):
        treated, control = world.arm == coupon, world.arm < 0
        observed = world.outcome[treated].mean() - world.outcome[control].mean()
        error = np.sqrt(world.outcome.var() * (1 / treated.sum() + 1 / control.sum()))
        assert abs(observed - world.truth[:, coupon].mean()) < 4 * error, name
    spread = world.truth.std(axis=0)
    assert (spread < 1e-3).all() if "same" in key else (spread > 5e-4).all()
    assert world.outcome.mean() < 0.006 if "rare" in key else world.outcome.mean() > 0.1
    moved = world.users["number_0"][test].mean() - world.users["number_0"][learn].mean()
    assert (moved > 0.5) == ("drift" in key)


def test_an_absent_folder_of_instances_is_skipped(tmp_path, capsys):
    main(["mmkp", "--folder", str(tmp_path / "none"), "--results", str(tmp_path)])
    assert "skipped: there is no folder" in capsys.readouterr().out
