"""A campaign with [experiment], through the command line: every file and page says what chance decided."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from allocator.export import outcomes_of_run
from support.campaign_folders import Folder, write_tiny
from support.command_line import Command, call_here
from support.sent_runs import CAMPAIGN as SENT
from support.sent_runs import make_run
from support.tool_results import WRITERS, Happened

EXPERIMENT = """
[experiment]
holdout = 0.2
explore = 0.1
strata = ["region"]
waves_to_come = 4
"""
USERS = "user_id,region,home,email\n" + "".join(
    f"u{i},{'north' if i % 2 else 'south'},h{i // 4},u{i}@example.com\n" for i in range(80)
)
SCORES = "user_id,coupon_id,value,cost\n" + "".join(
    f"u{i},C{j},{3 + (7 * i + 3 * j) % 11 / 4},{1 + (i * j) % 3}\n" for i in range(80) for j in (1, 2)
)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("COLUMNS", "200")  # sentences are not cut
    return lambda *arguments: call_here(capsys, *arguments)


@pytest.fixture
def shop(tmp_path: Path) -> Folder:
    folder = write_tiny(tmp_path / "shop")
    folder.write(users=USERS, scores=SCORES)
    folder.replace("campaign.toml", "at_most = 6", "at_most = 90")
    return folder


def with_experiment(shop: Folder, text: str = EXPERIMENT) -> Folder:
    config = shop.path / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8") + text, encoding="utf-8")
    return shop


def test_files_hold_arms_and_a_row_without_a_coupon_for_who_is_held_out(shop, call, tmp_path):
    with_experiment(shop)
    made = call("run", shop.path, "--no-predict", "--no-charts", "--out", tmp_path / "run", "--json")
    assert made.code == 0
    table = pl.read_csv(tmp_path / "run" / "assignments.csv")
    held = table.filter(pl.col("arm") == "holdout")
    assert held.height == made.document["experiment"]["arms"]["holdout"] == 16
    assert held["coupon_id"].null_count() == held.height
    assert table.filter(pl.col("arm") != "holdout")["coupon_id"].null_count() == 0
    assert set(table["wave"]) == {"wave 1"}
    assert set(held["propensity"]) <= {0.2, 0.9}
    explored = table.filter(pl.col("arm") == "explore")
    assert (explored["propensity"] >= 0.05).all()
    messages = pl.read_csv(tmp_path / "run" / "messages.csv")
    assert messages.filter(pl.col("arm") == "holdout")["body"].null_count() == held.height
    assert messages["user_id"].to_list() == table["user_id"].to_list()
    skipped = pl.read_csv(tmp_path / "run" / "skipped.csv")
    by_lot = skipped.filter(pl.col("reason").str.starts_with("held out by lot"))
    assert by_lot["user_id"].to_list() == held["user_id"].to_list()
    assert "Randomising costs at most" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert call("check", tmp_path / "run").code == 0
    words = " ".join(made.document["experiment"]["words"])
    for part in ("(held out: 16, exploring: 8)", "Randomising costs at most", "standard deviations",
                 "each of 4 waves to come", "count who is held out"):  # fmt: skip
        assert part in words
    table.filter(pl.col("user_id") != held["user_id"][0]).write_csv(tmp_path / "run" / "assignments.csv")
    assert call("check", tmp_path / "run").code == 3


def test_screen_explanation_and_what_ifs_say_what_chance_does(shop, call, tmp_path):
    with_experiment(shop)
    shown = call("solve", shop.path, "--out", tmp_path / "run")
    assert "Chance decides for 24 users" in shown.out.replace("\n", " ")
    table = pl.read_csv(tmp_path / "run" / "assignments.csv")
    for arm, words in (("holdout", "Held out by lot"), ("explore", "Explores by lot"), ("plan", "Gets what")):
        user = table.filter(pl.col("arm") == arm)["user_id"][0]
        found = call("explain", tmp_path / "run", "--user", user, "--json").document
        assert found["words"][0].startswith(words)
    group = call("explain", tmp_path / "run", "--segment", "region=north", "--json").document
    assert sum(count for why, count in group["nothing"].items() if "by lot" in why) == 8
    what = call("whatif", shop.path, "--set", "total.at_most=80", "--json").document
    assert any("plans before chance decides" in text for text in what["cautions"])
    facts = call("check", shop.path, "--no-predict", "--no-copy", "--json").document
    assert facts["experiment"].startswith("Chance decides for 24 users")
    page = tmp_path / "page.html"
    assert call("report", tmp_path / "run", "--out", page, "--sweep", "total.at_most=70:90:2").code == 0
    assert "Scenarios and frontiers: figures here" in page.read_text(encoding="utf-8")


def test_exports_leave_out_who_is_held_out_and_outcomes_count_them_as_control(shop, call, tmp_path):
    with_experiment(shop)
    run, out = tmp_path / "run", tmp_path / "out"
    assert call("solve", shop.path, "--out", run, "--quiet").code == 0
    held = set(pl.read_csv(run / "assignments.csv").filter(pl.col("arm") == "holdout")["user_id"])
    assert call("export", run, "--for", "csv", "--out", out, "--quiet").code == 0
    sent = [file for file in out.glob("*.csv") if file.name != "suppression.csv"]
    assert sent
    for file in sent:
        assert not held & set(pl.read_csv(file)["user_id"])
    barred = pl.read_csv(out / "suppression.csv")
    reasons = dict(barred.select("user_id", "allocate_reason").iter_rows())
    assert all("held out by lot" in reasons[user] for user in held)


def test_outcomes_of_a_tool_count_who_was_held_out_by_lot(tmp_path):
    run = make_run(tmp_path, campaign=SENT + "\n[experiment]\nholdout = 0.4\n")
    table = pl.read_csv(run / "assignments.csv", schema_overrides={"coupon_id": pl.String})
    held = set(table.filter(pl.col("arm") == "holdout")["user_id"])
    given = table.filter(pl.col("coupon_id").is_not_null() & (pl.col("channel") == "email"))["user_id"]
    assert held
    at = "2026-06-02T09:00:00+00:00"
    story = [Happened("sent", who, at) for who in given]
    story += [Happened("ordered", who, "2026-06-03T09:00:00+00:00", revenue=7.0) for who in sorted(held)]
    (tmp_path / "results").mkdir()
    WRITERS["braze"](tmp_path / "results", story)
    rows = outcomes_of_run(run, "braze", [tmp_path / "results"]).frame
    control = rows.filter(pl.col("coupon_id").is_null())
    assert set(control["user_id"]) == held | {"u5"}  # u5 is held out of everything
    assert set(control.filter(pl.col("user_id") != "u5")["revenue"]) == {7.0}


def test_households_are_not_torn(shop, call, tmp_path):
    with_experiment(shop, '\n[experiment]\nholdout = 0.3\nunit = "home"\n')
    assert call("solve", shop.path, "--out", tmp_path / "run", "--quiet").code == 0
    arms = pl.read_csv(tmp_path / "run" / "assignments.csv").select("user_id", "arm")
    homes = pl.read_csv(shop.path / "users.csv").join(arms, on="user_id").group_by("home")
    assert homes.agg(pl.col("arm").n_unique())["arm"].max() == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('holdout = "auto"', "not chosen by themselves yet"),
        ("holdout = 5", "lies between 0 and 1"),
        ("holdout = 0.6\nexplore = 0.4", "leave nobody to the plan"),
        ('holdout = 0.1\nunit = "house"', "no such column"),
        ('holdout = 0.1\nstrata = ["area"]', "no such column"),
        ('holdout = 0.1\nunit = "home"\nstrata = ["region"]', "different strata"),
        ("holdout = 0.1\nhold = 1", "unknown key"),
        ("holdout = 0.1\nwaves_to_come = 0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_experiment_is_refused_before_the_work(shop, call, table, message):
    with_experiment(shop, f"\n[experiment]\n{table}\n")
    for command in (("check",), ("solve",)):
        refused = call(*command, shop.path)
        assert refused.code == 3
        assert message in refused.err.replace("\n", " ")
        assert "campaign.toml" in refused.err


def test_least_violation_and_chance_exclude_each_other(shop, call):
    with_experiment(shop)
    refused = call("solve", shop.path, "--least-violation")
    assert refused.code == 3
    assert "set holdout and explore to 0" in " ".join(refused.err.split())


def test_switched_off_a_run_is_as_without_the_table(shop, call, tmp_path):
    assert call("solve", shop.path, "--out", tmp_path / "without", "--quiet").code == 0
    with_experiment(shop, "\n[experiment]\nholdout = 0\nexplore = 0\n")
    assert call("solve", shop.path, "--out", tmp_path / "off", "--quiet").code == 0
    for name in ("assignments.csv", "skipped.csv", "prices.json"):
        assert (tmp_path / "without" / name).read_bytes() == (tmp_path / "off" / name).read_bytes()
    summary = json.loads((tmp_path / "without" / "summary.json").read_text(encoding="utf-8"))
    assert "experiment" not in summary
    assert "experiment" not in (tmp_path / "without" / "campaign.toml").read_text(encoding="utf-8")
    assert "experiment" not in (tmp_path / "without" / "manifest.json").read_text(encoding="utf-8")


def test_a_job_of_the_service_tells_arms_and_what_chance_costs(shop, call, tmp_path):
    from allocator.service.jobs.job_request import REQUEST_FILE, RESULT_FILE, SOLVE, JobRequest
    from allocator.service.jobs.solving import do

    with_experiment(shop)
    assert call("solve", shop.path, "--out", tmp_path / "run", "--quiet").code == 0
    job = JobRequest("j1", SOLVE, tmp_path / "jobs", shop.path.parent, 60.0, 1)
    job.folder.mkdir(parents=True)
    (job.folder / REQUEST_FILE).write_text(json.dumps({"campaign": "shop"}), encoding="utf-8")
    do(job, lambda step, done, total: None)
    told = json.loads((job.folder / RESULT_FILE).read_text(encoding="utf-8"))
    assert told["plan"] is None
    assert told["certificate"]["valid"]
    assert told["experiment"]["arms"]["holdout"] == 16
    run = pl.read_csv(tmp_path / "run" / "assignments.csv")
    assert told["assignments"]["arm"] == run["arm"].to_list()
    assert told["assignments"]["coupon_id"] == run["coupon_id"].to_list()
