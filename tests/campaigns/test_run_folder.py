"""What a run leaves on disk: complete, reproducible, resumable, and impossible to change unseen."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.errors import InfeasibleError, InputError, PluginError
from allocator.files import write_folder, write_text
from allocator.runs.opening import open_run, verify_run
from allocator.runs.options import Options
from allocator.runs.pipeline import run_campaign

FAST = Options(predictor="baseline", writer="template")
TABLES = {"assignments.csv", "messages.csv", "copy.csv", "skipped.csv"}
REST = {"summary.json", "report.html", "campaign.toml", "prices.json", "plan.json", "manifest.json"}


@pytest.fixture(scope="module")
def finished(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the starter campaign; tests that spoil it take a copy."""
    out = tmp_path_factory.mktemp("runs") / "finished"
    run_campaign(shared_starter, out, options=FAST)
    return out


@pytest.fixture
def run(finished: Path, shared_starter: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may spoil; its campaign is where it was."""
    shutil.copytree(shared_starter, tmp_path / "campaign" / "starter")
    shutil.copytree(finished, tmp_path / "runs" / "finished")
    manifest = tmp_path / "runs" / "finished" / "manifest.json"
    data = json.loads(manifest.read_text())
    data["campaign"] = "../../campaign/starter"
    manifest.write_text(json.dumps(data))
    return tmp_path / "runs" / "finished"


def read(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)


def leftovers(folder: Path) -> list[str]:
    """Temporary files, which atomic writes name with a leading dot."""
    return [path.name for path in folder.rglob(".*")]


# Contents


def test_the_files_of_the_contract_are_there(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == TABLES | REST | {"predictor", "predictions.parquet", "evaluation.json"}
    summary = json.loads((finished / "summary.json").read_text())
    wanted = {
        "schema_version",
        "digests",
        "seed",
        "versions",
        "status",
        "objective",
        "bound",
        "gap",
        "limits",
    }
    assert wanted <= summary.keys()
    assert {"used", "price", "label", "binding"} <= summary["limits"][0].keys()
    assert summary["spend"] <= 400
    assert sum(row["assigned"] for row in summary["by_group"]["region"]) == summary["assigned"]


def test_the_manifest_is_written_last_and_names_every_file(finished: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    files = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {"manifest.json"}
    written = (finished / "manifest.json").stat().st_mtime_ns
    assert all((finished / name).stat().st_mtime_ns <= written for name in files)


def test_results_are_as_readable_as_other_files(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    assert (finished / "summary.json").stat().st_mode == (tmp_path / "file").stat().st_mode
    assert (finished / "predictor").stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_everyone_is_assigned_or_left_out_with_a_reason(finished: Path, shared_starter: Path) -> None:
    users = read(shared_starter / "users.csv")["user_id"].to_list()
    assigned = read(finished / "assignments.csv")["user_id"].to_list()
    skipped = read(finished / "skipped.csv")
    assert sorted([*assigned, *skipped["user_id"]]) == sorted(users)
    assert skipped["reason"].null_count() == 0
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["skipped"] == dict(Counter(skipped["reason"]))


def test_every_assignment_has_its_message(finished: Path) -> None:
    assignments, messages, texts = (read(finished / f"{n}.csv") for n in ("assignments", "messages", "copy"))
    key = ["user_id", "coupon_id", "channel", "segment"]
    assert messages.select(key).equals(assignments.select(key))
    assert messages["body"].null_count() == 0
    assert texts["audience"].cast(pl.Int64).sum() == messages.height


def test_eligibility_holds_in_the_plan(finished: Path, shared_starter: Path) -> None:
    users = read(shared_starter / "users.csv")
    coupons = read(shared_starter / "coupons.csv")
    plan = read(finished / "assignments.csv").join(users, on="user_id")
    assert set(plan["holdout"]) == {"0"}
    assert plan["messages_7d"].cast(pl.Int64).max() < 3
    for row in plan.iter_rows(named=True):
        assert row[f"consent_{row['channel']}"] == "1", row["user_id"]
    limited = coupons.filter(pl.col("per_user_limit") == "1")["coupon_id"].to_list()
    redeemed = read(shared_starter / "history.csv").filter(pl.col("redeemed") == "1")
    before = set(redeemed.select("user_id", "coupon_id").iter_rows())
    pairs = set(plan.filter(pl.col("coupon_id").is_in(limited)).select("user_id", "coupon_id").iter_rows())
    assert before
    assert not pairs & before


def test_a_coupon_with_a_limit_of_none_a_head_is_never_sent(tiny: Any, tmp_path: Path) -> None:
    tiny.write(coupons="coupon_id,kind,value,per_user_limit\nC1,percent,10,0\nC2,amount,5,\n")
    run_campaign(tiny.path, tmp_path / "out", copy=False)
    assert set(read(tmp_path / "out" / "assignments.csv")["coupon_id"]) == {"C2"}


def test_reasons_tell_the_rules_apart(tiny: Any, tmp_path: Path) -> None:
    tiny.write(
        users="user_id,holdout,messages_7d,consent_sms\nu1,1,0,1\nu2,0,9,1\nu3,0,0,0\nu4,0,0,1\n",
        scores="user_id,coupon_id,value,cost\nu1,C1,9,1\nu2,C1,9,1\nu3,C1,9,1\nu4,C1,-1,1\n",
    )
    tiny.replace("campaign.toml", "[copy]", "[eligibility]\nmax_messages_7d = 3\n[copy]")
    run_campaign(tiny.path, tmp_path / "out", copy=False)
    skipped = dict(read(tmp_path / "out" / "skipped.csv").iter_rows())
    assert "holdout" in skipped["u1"]
    assert "3 or more messages" in skipped["u2"]
    assert "consent" in skipped["u3"]
    assert "earn" in skipped["u4"]


def test_messages_and_report_name_a_segment_alike(tiny: Any, tmp_path: Path) -> None:
    tiny.write(users="user_id,tier\nu1,1\nu2,2.0\nu3,\nu4,1\n")
    tiny.replace("campaign.toml", "[copy]", '[copy]\nsegment_by = "tier"').replace(
        "campaign.toml", "at_most = 6", "at_most = 600"
    )
    summary = run_campaign(tiny.path, tmp_path / "out").summary
    messages = read(tmp_path / "out" / "messages.csv")
    assert dict(messages.select("user_id", "segment").iter_rows()) == {
        "u1": "1", "u2": "2", "u3": "(missing)", "u4": "1"
    }  # fmt: skip
    assert [row["label"] for row in summary["by_group"]["tier"]] == ["(missing)", "1", "2"]
    assert messages["body"].null_count() == 0


def test_a_user_whom_a_rule_leaves_out_is_told_of_limits(tiny: Any, tmp_path: Path) -> None:
    rule = '[[limits]]\nkind = "exclude"\nlabel = "no south"\nusers = { region = "south" }\n'
    tiny.replace("campaign.toml", "[copy]", rule + "[copy]")
    run_campaign(tiny.path, tmp_path / "out", copy=False)
    skipped = dict(read(tmp_path / "out" / "skipped.csv").iter_rows())
    assert "what the limits allow" in skipped["u2"]
    assert set(json.loads((tmp_path / "out" / "prices.json").read_text())) == {"total"}
    assert verify_run(tmp_path / "out")[0].problems == ()


def test_a_folder_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write_folder(folder, lambda target: (target / "first").touch())
    with pytest.raises(FileNotFoundError):
        write_folder(folder, shutil.rmtree)  # nothing is left to move into place
    assert [path.name for path in folder.iterdir()] == ["first"]
    write_folder(folder, lambda target: (target / "second").touch())
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_umask_of_the_process_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", None)
        write_text(tmp_path / "file", "text")
        write_folder(tmp_path / "folder", lambda target: (target / "inside").touch())
        monkeypatch.undo()
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
        assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750
    finally:
        monkeypatch.undo()
        os.umask(before)


# Same input, same output


@pytest.mark.parametrize("threads", [1, 2])
def test_a_second_run_writes_the_same_bytes(
    finished: Path, shared_starter: Path, tmp_path: Path, threads: int
) -> None:
    options = Options(predictor="baseline", writer="template", threads=threads)
    run_campaign(shared_starter, tmp_path / "again", options=options)
    for name in (*TABLES, "summary.json", "prices.json", "report.html", "campaign.toml"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / name).read_bytes(), name


def test_parquet_results_hold_the_same_rows(finished: Path, shared_starter: Path, tmp_path: Path) -> None:
    options = Options(predictor="baseline", writer="template", format="parquet")
    run_campaign(shared_starter, tmp_path / "out", options=options)
    plan = pl.read_parquet(tmp_path / "out" / "assignments.parquet")
    assert plan["user_id"].to_list() == read(finished / "assignments.csv")["user_id"].to_list()
    assert verify_run(tmp_path / "out")[0].problems == ()


def test_parquet_input_gives_the_same_plan(finished: Path, shared_starter: Path, tmp_path: Path) -> None:
    campaign = tmp_path / "campaign"
    campaign.mkdir()
    shutil.copy(shared_starter / "campaign.toml", campaign)
    for path in shared_starter.glob("*.csv"):
        pl.read_csv(path, try_parse_dates=True).write_parquet(campaign / f"{path.stem}.parquet")
    run_campaign(campaign, tmp_path / "out", options=FAST)
    for name in TABLES:
        assert (tmp_path / "out" / name).read_bytes() == (finished / name).read_bytes(), name


# Interruption


class Stop:
    """Interrupts at a step, as Ctrl-C does, and keeps the steps that were seen."""

    def __init__(self, at: str | None, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.at, self.error, self.seen = at, error, []  # type: ignore[var-annotated]

    def __call__(self, step: str, done: int, total: int) -> None:
        self.seen.append(step)
        if step == self.at:
            raise self.error


@pytest.mark.parametrize("step", ["train", "predict", "prices", "write copy", "save"])
def test_an_interrupted_run_continues_and_gives_the_same_result(
    finished: Path, shared_starter: Path, tmp_path: Path, step: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_campaign(shared_starter, out, options=FAST, progress=Stop(step))
    assert not (out / "manifest.json").exists()
    assert leftovers(out) == []
    with pytest.raises(InputError, match="unfinished"):
        open_run(out)

    trained = {path: path.stat().st_mtime_ns for path in (out / "predictor").rglob("*")}
    again = Stop(None)
    run_campaign(shared_starter, out, options=FAST, progress=again)
    assert ("train" in again.seen) == (step in ("train", "predict"))
    assert trained == {path: path.stat().st_mtime_ns for path in trained}
    for name in (*TABLES, "summary.json"):
        assert (out / name).read_bytes() == (finished / name).read_bytes(), name
    assert not (out / "state.json").exists()


def test_other_inputs_do_not_continue_an_interrupted_run(starter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_campaign(starter, out, options=FAST, progress=Stop("write copy"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="other inputs"):
        run_campaign(starter, out, options=Options(predictor="baseline", writer="template", seed=8))
    with (starter / "users.csv").open("a") as file:
        file.write("new,18-29,north,gold,1,1,1,0,en,0,1,1,1\n")
    with pytest.raises(InputError, match="other inputs"):
        run_campaign(starter, out, options=FAST)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_caller_may_cancel_with_an_error_of_its_own(shared_starter: Path, tmp_path: Path) -> None:
    class CancelledError(Exception):
        pass

    with pytest.raises(CancelledError):
        run_campaign(shared_starter, tmp_path / "out", options=FAST, progress=Stop("train", CancelledError))


@pytest.mark.parametrize(
    "options",
    [
        Options(predictor="baseline", writer="nobody"),
        Options(predictor="nobody", writer="template"),
    ],
)
def test_a_plugin_that_is_not_there_is_found_before_the_work(
    shared_starter: Path, tmp_path: Path, options: Options
) -> None:
    steps = Stop(None)
    with pytest.raises(PluginError, match="nobody"):
        run_campaign(shared_starter, tmp_path / "out", options=options, progress=steps)
    assert set(steps.seen) == {"read campaign", "check"}
    assert not (tmp_path / "out").exists()


def test_a_run_that_failed_leaves_its_folder_free(tiny: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    floor = '[[limits]]\nkind = "floor"\nlabel = "all"\nat_least = 4\nmeasure = "cost"\n'
    tiny.replace("campaign.toml", "at_most = 6", f"at_most = 3\n{floor}")
    with pytest.raises(InfeasibleError):
        run_campaign(tiny.path, out)
    assert not out.exists()
    run_campaign(tiny.replace("campaign.toml", "at_most = 3", "at_most = 6").path, out)
    assert (out / "manifest.json").is_file()


def test_an_unknown_plugin_leaves_nothing_behind(tiny: Any, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="nobody"):
        run_campaign(tiny.path, tmp_path / "out", options=Options(writer="nobody"))
    assert not (tmp_path / "out").exists()


# Nothing is written over


def test_a_finished_run_is_not_written_over(finished: Path, shared_starter: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="finished run"):
        run_campaign(shared_starter, finished, options=FAST)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_a_folder_of_something_else_is_not_written_to(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"sea")
    with pytest.raises(InputError, match="not empty"):
        run_campaign(tiny.path, tmp_path / "holiday")
    assert [path.name for path in (tmp_path / "holiday").iterdir()] == ["photo.jpg"]


# Verification


def test_an_untouched_run_is_valid(run: Path) -> None:
    certificate, changed = verify_run(run)
    assert certificate.problems == ()
    assert changed == []


def test_another_coupon_for_a_user_is_found(run: Path) -> None:
    opened = open_run(run)
    problem, plan = opened.task.problem, read(run / "assignments.csv")
    user = plan["user_id"][0]
    may_get = problem.coupon_ids[problem.eligible()[problem.user_ids.tolist().index(user)]]
    plan[0, "coupon_id"] = next(c for c in may_get.tolist() if c != plan["coupon_id"][0])
    plan.write_csv(run / "assignments.csv")
    certificate, changed = verify_run(run)
    assert changed == ["assignments.csv is not the file that the run wrote"]
    assert any("the plan is worth" in problem for problem in certificate.problems)


def test_a_second_coupon_for_a_user_is_found(run: Path) -> None:
    plan = read(run / "assignments.csv")
    extra = plan.head(1).with_columns(coupon_id=pl.lit("SHIPFREE"))
    assert plan["coupon_id"][0] != "SHIPFREE"
    pl.concat([plan, extra]).write_csv(run / "assignments.csv")
    certificate, changed = verify_run(run)
    assert changed
    assert certificate.problems


def test_a_coupon_for_a_stranger_is_found(run: Path) -> None:
    plan = read(run / "assignments.csv")
    pl.concat([plan, plan.head(1).with_columns(user_id=pl.lit("ghost"))]).write_csv(run / "assignments.csv")
    assert any("user or coupon" in problem for problem in verify_run(run)[1])


def test_a_user_who_may_get_nothing_is_found(run: Path) -> None:
    plan, skipped = read(run / "assignments.csv"), read(run / "skipped.csv")
    held = skipped.filter(pl.col("reason").str.contains("holdout"))["user_id"][0]
    extra = plan.head(1).with_columns(user_id=pl.lit(held))
    pl.concat([plan, extra]).write_csv(run / "assignments.csv")
    assert verify_run(run)[0].problems


def test_a_prettier_objective_is_found(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "objective": summary["objective"] * 1.1}))
    certificate, changed = verify_run(run)
    assert any("summary.json" in problem for problem in changed)
    assert certificate.problems


def test_a_cheaper_bound_is_found(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "bound": summary["objective"] * 0.9}))
    assert verify_run(run)[0].problems


@pytest.mark.parametrize("name", ["summary.json", "assignments.csv", "prices.json", "campaign.toml"])
def test_a_file_that_is_gone_or_garbage_is_named(run: Path, name: str) -> None:
    (run / name).write_bytes(b"\xff\xfe[")
    with pytest.raises(InputError, match=name.split(".")[0]):
        verify_run(run)
    (run / name).unlink()
    with pytest.raises(InputError, match=name.split(".")[0]):
        verify_run(run)


def test_a_campaign_that_has_changed_since_is_named(run: Path) -> None:
    scores = run.parents[1] / "campaign" / "starter" / "scores.csv"
    scores.write_text(scores.read_text().replace("u0001,COFFEE15,0.707", "u0001,COFFEE15,9.707"))
    with pytest.raises(InputError, match="has changed since the run"):
        verify_run(run)


def test_a_campaign_that_has_moved_can_be_named(run: Path) -> None:
    campaign = run.parents[1] / "campaign"
    campaign.rename(run.parents[1] / "elsewhere")
    with pytest.raises(InputError, match="--campaign"):
        verify_run(run)
    assert verify_run(run, run.parents[1] / "elsewhere" / "starter")[0].problems == ()


def test_a_run_behind_a_link_finds_its_campaign(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "deep" / "store").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "store", target_is_directory=True)
    run_campaign(tiny.path, tmp_path / "link" / "out", copy=False)
    assert verify_run(tmp_path / "link" / "out")[0].problems == ()


def test_an_old_run_stays_valid_when_its_coupons_have_expired(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datetime as dt

    from allocator.campaign import reading

    tiny.replace("campaign.toml", "as_of = 2026-06-01\n", "")
    tiny.write(coupons="coupon_id,kind,value,ends_at\nC1,percent,10,2026-07-01\nC2,amount,5,\n")

    class Summer(dt.date):
        @classmethod
        def today(cls) -> dt.date:
            return dt.date(2026, 6, 15)

    class Autumn(Summer):
        @classmethod
        def today(cls) -> dt.date:
            return dt.date(2026, 10, 1)

    class Calendar:
        date: type[dt.date] = Summer

    monkeypatch.setattr(reading, "dt", Calendar)
    run_campaign(tiny.path, tmp_path / "out", copy=False)
    Calendar.date = Autumn
    with pytest.raises(InputError, match="expired"):
        read_campaign(tiny.path)
    assert verify_run(tmp_path / "out")[0].problems == ()


# Ids that are up to something


EVIL = [
    "=cmd|' /C calc'!A0",
    "'=x",
    "-2",
    "+1e",
    "@SUM(A1)",
    "<script>alert(1)</script>",
    "[/red]",
    "{0}",
    "张伟",
]


def test_ids_that_look_like_formulas_are_defused_and_come_back(tiny: Any, tmp_path: Path) -> None:
    rows = "".join(f'"{name}",north\n' for name in EVIL)
    scores = "".join(f'"{name}",=C1,5,0.5\n' for name in EVIL)
    tiny.write(
        users="user_id,region\n" + rows,
        coupons='coupon_id,kind,value,code\n=C1,percent,10,TEN\n"C,2",amount,5,FIVE\n',
        scores="user_id,coupon_id,value,cost\n" + scores,
    )
    out = tmp_path / "out"
    run_campaign(tiny.path, out)
    for name in ("assignments.csv", "messages.csv"):
        for user, coupon in read(out / name).select("user_id", "coupon_id").iter_rows():
            assert coupon == "'=C1"
            assert user[0] not in "=+@", user
            assert user[0] != "-" or user == "-2"
    assert verify_run(out)[0].problems == ()
    assert set(open_run(out).assigned) == set(EVIL)
    assert "<script>" not in (out / "report.html").read_text()


def test_options_of_one_predictor_are_not_given_to_another(starter):
    with (starter / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write("[predict.options]\nfolds = 3\n")
    campaign = read_campaign(starter)
    assert FAST.apply(campaign).config.predict.options == {}
    assert "'auto'" in FAST.apply(campaign).notes[-1]
    assert Options(predictor="auto", seed=3).apply(campaign).config.predict.options == {"folds": 3}
