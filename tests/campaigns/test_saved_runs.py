"""What an earlier version saved still opens: its runs, its models, and the plans in them.

tests/saved holds a folder for each version: a campaign `shop`, the `run` of `allocate run`, the `model` of
`allocate train`, and what `allocate predict` said with that model. They stay as that version wrote them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.predictions import write_predictions
from allocator.online import read_online_plan
from allocator.runs.models import find_predictor
from allocator.runs.stages import predict_with
from support.command_line import Command
from support.paths import ROOT

VERSIONS = ROOT / "tests" / "saved"


@pytest.fixture(params=sorted(path.name for path in VERSIONS.iterdir()))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A copy of what a version wrote, in which nothing but new files may come up."""
    folder = tmp_path / "saved"
    shutil.copytree(VERSIONS / request.param, folder)
    before = contents(folder)
    yield folder
    after = contents(folder)
    assert {path: after.get(path) for path in before} == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assigned(run: Path) -> dict[str, str]:
    """Return the coupon of each user who got one."""
    return dict(pl.read_csv(run / "assignments.csv").select("user_id", "coupon_id").iter_rows())


def assert_alike(found: Path, recorded: Path) -> None:
    """Both files say the same of every pair, up to rounding."""
    tables = [pl.read_parquet(path).sort("user_id", "coupon_id") for path in (found, recorded)]
    assert tables[0].columns == tables[1].columns
    assert tables[0].height > 0
    for ours, theirs in zip(*(table.iter_columns() for table in tables), strict=True):
        if ours.dtype == pl.String:
            assert ours.to_list() == theirs.to_list()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=ours.name)


def test_the_certificate_holds_and_no_file_has_changed(saved: Path, allocate: Command) -> None:
    checked = allocate("check", saved / "run", "--json")
    summary = pl.read_json(saved / "run" / "summary.json")
    assert (checked.code, checked.document["valid"]) == (0, True), checked.err
    assert checked.document["objective"] == pytest.approx(summary["objective"][0])
    assert checked.document["dual_bound"] == pytest.approx(summary["bound"][0])


def test_users_are_explained(saved: Path, allocate: Command) -> None:
    plan = assigned(saved / "run")
    skipped = pl.read_csv(saved / "run" / "skipped.csv")["user_id"]
    for user in (next(iter(plan)), skipped[0]):
        found = allocate("explain", saved / "run", "--user", user, "--json")
        assert found.code == 0, found.err
        chosen = [coupon["coupon_id"] for coupon in found.document["coupons"] if coupon["chosen"]]
        assert chosen == ([plan[user]] if user in plan else [])
        assert found.document["uplift"], found.document["uplift_note"]


def test_the_importance_of_inputs_is_explained(saved: Path, allocate: Command) -> None:
    of_run = allocate("explain", saved / "run", "--importance", "--json")
    of_model = allocate("explain", saved / "model", "--importance", "--campaign", saved / "shop", "--json")
    for found, predictor in ((of_run, "auto"), (of_model, "baseline")):
        assert (found.code, found.document["predictor"]) == (0, predictor), found.err
        assert any(row["effect"] > 0 for row in found.document["inputs"])


def test_the_page_is_written(saved: Path, allocate: Command) -> None:
    page = saved / "page.html"
    assert allocate("report", saved / "run", "--out", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert "summer-starter" in text
    assert all(coupon in text for coupon in set(assigned(saved / "run").values()))


def test_the_runs_predictor_says_what_it_said(saved: Path) -> None:
    campaign = read_campaign(saved / "shop")
    found = find_predictor(saved / "run", campaign.config)
    assert found is not None
    write_predictions(predict_with(found[0], campaign, found[1]), saved / "again.parquet")
    assert_alike(saved / "again.parquet", saved / "run" / "predictions.parquet")


def test_the_model_says_what_it_said(saved: Path, allocate: Command) -> None:
    again = saved / "again.parquet"
    done = allocate("predict", saved / "shop", "--model", saved / "model", "--out", again)
    assert done.code == 0, done.err
    assert_alike(again, saved / "model_predictions.parquet")


def test_what_ifs_start_from_its_predictions(saved: Path, allocate: Command) -> None:
    call = ("whatif", saved / "shop", "--predictions", saved / "run", "--only")
    found = allocate(*call, "--set", "total.at_most=50", "--json")
    assert found.code == 0, found.err
    base, less = found.document["scenarios"]
    checked = allocate("check", saved / "run", "--json").document
    assert base["objective"] == pytest.approx(checked["objective"])
    assert less["spend"] <= 50 < base["spend"]
    assert less["objective"] < base["objective"]


def test_messages_are_written_for_its_plan(saved: Path, allocate: Command) -> None:
    done = allocate("copy", saved / "run", "--out", saved / "messages")
    assert done.code == 0, done.err
    messages = pl.read_csv(saved / "messages" / "messages.csv")
    assert dict(messages.select("user_id", "coupon_id").iter_rows()) == assigned(saved / "run")
    assert all(messages["body"])


def test_its_predictions_still_make_the_same_plan(saved: Path, allocate: Command) -> None:
    new = saved / "new"
    done = allocate("solve", saved / "shop", "--predictions", saved / "run", "--out", new)
    assert done.code == 0, done.err
    assert assigned(new) == assigned(saved / "run")


def test_its_plan_for_online_decisions_is_read(saved: Path) -> None:
    plan = read_online_plan(saved / "run")
    coupons = pl.read_csv(saved / "shop" / "coupons.csv")["coupon_id"]
    assert plan.coupon_ids == tuple(coupons)
    assert {row.label for row in plan.rows} >= {"total", "sms capacity"}
