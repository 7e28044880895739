"""The commands at work: from an empty folder to messages, and every mistake on the way."""

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest

TEMPLATE = ["campaign.toml", "coupons.csv", "scores.csv", "users.csv"]


# init


def test_init_starts_a_campaign_that_every_command_accepts(allocate: Any, tmp_path: Path) -> None:
    shop = tmp_path / "new" / "shop"
    started = allocate("init", shop)
    assert started.code == 0
    assert sorted(path.name for path in shop.iterdir()) == TEMPLATE
    assert f"allocate solve {shop}" in started.err
    facts = allocate("check", shop, "--json").document
    assert (facts["coupons"], facts["notes"]) == (3, [])
    assert allocate("solve", shop).code == 0
    compared = allocate("whatif", shop, "--json").document
    assert all(row["error"] is None for row in compared["scenarios"])
    assert allocate("run", shop, "--no-predict", "--out", shop / "result").code == 0
    assert allocate("check", shop / "result").code == 0
    written = (shop / "result" / "copy.csv").read_text()
    assert "Corner Shop" in written


def test_init_writes_over_nothing(allocate: Any, tmp_path: Path) -> None:
    assert allocate("init", tmp_path / "shop").code == 0
    mine = tmp_path / "shop" / "users.csv"
    mine.write_text("mine")
    before = {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()}
    again = allocate("init", tmp_path / "shop")
    assert "is already there and is not written over" in again.err
    assert {path.name: path.read_bytes() for path in (tmp_path / "shop").iterdir()} == before
    for name in TEMPLATE:
        if name != "users.csv":
            (tmp_path / "shop" / name).unlink()
    assert allocate("init", tmp_path / "shop").code == 0
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == ["campaign.toml", "users.csv"]
    assert mine.read_text() == "mine"


def test_init_into_a_file_is_wrong_usage(allocate: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert allocate("init", tmp_path / "file").code == 2


# Bad input through the real program


SPOILT = {
    "missing file": (lambda t: t.write(users=None), "users.csv", None, None),
    "missing column": (lambda t: t.replace("scores.csv", "cost", "price"), "scores.csv", 1, "cost"),
    "duplicate id": (lambda t: t.replace("users.csv", "u2,", "u1,"), "users.csv", 3, "user_id"),
    "text for a number": (lambda t: t.replace("scores.csv", "C2,5,", "C2,five,"), "scores.csv", 3, "value"),
    "unknown key": (lambda t: t.replace("campaign.toml", "name", "nmae"), "campaign.toml", None, "nmae"),
    "budget 0": (
        lambda t: t.replace("campaign.toml", "at_most = 6", "at_most = 0"),
        "campaign.toml",
        None,
        "limits[1].at_most",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_bad_input_is_exit_3_with_its_place(command: Any, tiny: Any, name: str) -> None:
    spoil, *place = SPOILT[name]
    spoil(tiny)
    outcome = command("solve", tiny.path, "--out", tiny.path / "out", "--json")
    assert outcome.code == 3
    document = outcome.document
    assert document["error"] == "InputError"
    assert place in [[f["file"], f["row"], f["column"]] for f in document["findings"]]
    assert "Traceback" not in outcome.err
    assert not (tiny.path / "out").exists()


def test_many_mistakes_are_one_table(allocate: Any, tiny: Any) -> None:
    tiny.replace("users.csv", "u2,", "u1,").replace("scores.csv", "u3,C2,6,3", "u3,C2,6,-3")
    outcome = allocate("check", tiny.path)
    assert outcome.code == 3
    assert "problems in the input" in outcome.err
    assert "users.csv:3" in outcome.err
    assert "scores.csv:7" in outcome.err
    assert outcome.out == ""


def test_a_long_message_stays_on_one_line_in_a_log(allocate: Any, tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    outcome = allocate("check", deep)
    assert f"Error: {deep}: there is no such folder" in outcome.err.splitlines()


@pytest.mark.parametrize("name", ["solve", "run", "train"])
def test_nothing_is_written_into_a_foreign_folder(
    allocate: Any, starter: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"sea")
    outcome = allocate(name, starter, "--out", tmp_path / "holiday")
    assert outcome.code == 3
    assert "--out" in outcome.err
    assert [path.name for path in (tmp_path / "holiday").iterdir()] == ["photo.jpg"]


def test_scores_or_history_are_needed(allocate: Any, tiny: Any) -> None:
    outcome = allocate("solve", tiny.write(scores=None).path)
    assert outcome.code == 3
    assert "allocate train" in outcome.err
    outcome = allocate("train", tiny.path, "--out", tiny.path / "model", "--predictor", "baseline")
    assert outcome.code == 3
    assert "history.csv" in outcome.err


# check


def test_check_says_what_was_left_out(allocate: Any, starter: Path) -> None:
    with (starter / "history.csv").open("a") as file:
        file.write("stranger,,2026-01-12,0.4,0,0,0,0\n")
    outcome = allocate("check", starter)
    assert outcome.code == 0
    assert "1 rows of users that are not in users.csv are left out" in outcome.out


def test_check_of_a_run_names_what_was_changed(
    allocate: Any, command: Any, tiny: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert allocate("solve", tiny.path, "--out", out).code == 0
    assert "certificate holds" in allocate("check", out).err
    plan = out / "assignments.csv"
    original = plan.read_text()
    rows = list(csv.DictReader(original.splitlines()))
    other = {"C1": "C2", "C2": "C1"}[rows[0]["coupon_id"]]
    plan.write_text(
        original.replace(f"{rows[0]['user_id']},{rows[0]['coupon_id']}", f"{rows[0]['user_id']},{other}")
    )
    assert plan.read_text() != original
    outcome = command("check", out, "--json")
    assert outcome.code == 3
    messages = [finding["message"] for finding in outcome.document["findings"]]
    assert "assignments.csv is not the file that the run wrote" in messages
    assert any("the plan is worth" in message for message in messages)


def test_an_unfinished_run_is_said_to_be_unfinished(allocate: Any, tiny: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert allocate("solve", tiny.path, "--out", out).code == 0
    (out / "manifest.json").rename(out / "state.json")
    outcome = allocate("check", out)
    assert outcome.code == 3
    assert "unfinished" in outcome.err


# whatif


def test_whatif_adds_a_scenario_from_the_command_line(allocate: Any, tiny: Any) -> None:
    outcome = allocate("whatif", tiny.path, "--set", "total.at_most=3", "--drop-coupon", "C2", "--json")
    base, changed = outcome.document["scenarios"]
    assert outcome.code == 0
    assert changed["name"] == "total.at_most=3, without C2"
    assert changed["spend"] <= 3
    assert {row["label"] for row in changed["by_coupon"]} == {"C1"}
    assert changed["difference"]["value"] == pytest.approx(changed["value"] - base["value"])
    shown = allocate("whatif", tiny.path, "--scale", "uplift=0.5")
    assert "Loses 6.50 USD (50.0%) against the base plan" in shown.out


def test_whatif_shows_an_impossible_scenario_beside_the_others(allocate: Any, tiny: Any) -> None:
    floor = '[[limits]]\nkind = "floor"\nlabel = "all"\nat_least = 1\n'
    tiny.replace("campaign.toml", "[copy]", floor + "[copy]")
    outcome = allocate("whatif", tiny.path, "--set", "all.at_least=5", "--json")
    base, changed = outcome.document["scenarios"]
    assert base["error"] is None
    assert "'all'" in changed["error"]
    assert outcome.code == 0
    assert "no plan" in allocate("whatif", tiny.path, "--set", "all.at_least=5").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "no scenarios"),
        (["--set", "total.at_most"], 2, "KEY=VALUE"),
        (["--set", "total.at_most=lots"], 3, "valid number"),
        (["--set", "total.at_most=nan"], 2, "finite number"),
        (["--set", "=5"], 2, "KEY=VALUE"),
        (["--scale", "luck=2"], 2, "luck"),
        (["--scale", "uplift=-1"], 3, "negative"),
        (["--scale", "redemption=2"], 3, "scores.csv only has values"),
        (["--set", "totl.at_most=5"], 3, "total.at_most"),
        (["--set", "total.at_mots=5"], 3, "at_mots"),
        (["--set", "total.at_most=0"], 3, "more than 0"),
        (["--drop-coupon", "C9"], 3, "C9"),
        (["--drop-coupon", "C1", "--drop-coupon", "C2"], 3, "every coupon"),
        (["--set", "total.at_most=5", "--predictions", "nowhere"], 3, "no predictions here"),
    ],
)
def test_whatif_names_what_it_cannot_do(
    allocate: Any, tiny: Any, arguments: list[str], code: int, words: str
) -> None:
    outcome = allocate("whatif", tiny.path, *arguments)
    assert outcome.code == code
    assert words in " ".join(outcome.err.split())
    assert outcome.out == ""


# solve


def test_spend_is_set_beside_the_budget_for_all_spend_and_no_other_limit(allocate: Any, tiny: Any) -> None:
    assert "6 USD of 6" in allocate("solve", tiny.path).out
    part = 'at_most = 6\ncoupons = ["C1", "C2"]'
    outcome = allocate("solve", tiny.replace("campaign.toml", "at_most = 6", part).path)
    assert "6 USD" in outcome.out
    assert "USD of" not in outcome.out


# explain


def test_explain_tells_why(allocate: Any, starter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert allocate("solve", starter, "--out", out).code == 0
    plan = pl.read_csv(out / "assignments.csv")
    skipped = pl.read_csv(out / "skipped.csv")
    user, coupon = plan.select("user_id", "coupon_id").row(0)
    assert f"Gets {coupon}: worth" in allocate("explain", out, "--user", user).out
    held = skipped.filter(pl.col("reason").str.contains("holdout"))["user_id"][0]
    assert "Gets nothing: in the holdout" in allocate("explain", out, "--user", held).out
    outbid = skipped.filter(pl.col("reason").str.contains("others earn more"))["user_id"][0]
    words = " ".join(allocate("explain", out, "--user", outbid, "--json").document["words"])
    assert "Gets nothing: the best coupon" in words
    stranger = allocate("explain", out, "--user", "nobody")
    assert stranger.code == 3
    assert "no such user" in stranger.err
    assert allocate("explain", starter, "--user", user).code == 3


# The whole chain


@pytest.fixture(scope="module")
def chain(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train, predict, solve and copy, each a call of its own; returns the folder they wrote to."""
    from cli.main import run

    base = tmp_path_factory.mktemp("chain")
    steps = (
        ["train", shared_starter, "--out", base / "model", "--predictor", "baseline"],
        ["predict", shared_starter, "--model", base / "model", "--out", base / "predictions.csv"],
        ["solve", shared_starter, "--predictions", base / "predictions.csv", "--out", base / "plan"],
        ["copy", base / "plan", "--out", base / "messages", "--writer", "template"],
    )
    for step in steps:
        assert run([*map(str, step), "--quiet"]) == 0
    return base


def test_the_chain_ends_in_messages_for_the_plan(chain: Path) -> None:
    plan = pl.read_csv(chain / "plan" / "assignments.csv")
    messages = pl.read_csv(chain / "messages" / "messages.csv")
    assert messages["user_id"].to_list() == plan["user_id"].to_list()
    assert messages["body"].null_count() == 0


def test_the_chain_and_run_agree(chain: Path, allocate: Any, shared_starter: Path, tmp_path: Path) -> None:
    outcome = allocate(
        "run", shared_starter, "--out", tmp_path / "out", "--predictor", "baseline", "--writer", "template"
    )
    assert outcome.code == 0
    assert "message texts" in outcome.out
    assert "predictor baseline" in outcome.out
    ours = pl.read_csv(tmp_path / "out" / "assignments.csv")
    theirs = pl.read_csv(chain / "plan" / "assignments.csv")
    assert ours["value"].sum() == pytest.approx(theirs["value"].sum(), rel=1e-3)
    assert (tmp_path / "out" / "copy.csv").is_file()


def test_predictions_may_come_in_any_order(
    chain: Path, allocate: Any, shared_starter: Path, tmp_path: Path
) -> None:
    shuffled = pl.read_csv(chain / "predictions.csv").sample(fraction=1, shuffle=True, seed=1)
    shuffled.write_csv(tmp_path / "p.csv")
    outcome = allocate("solve", shared_starter, "--predictions", tmp_path / "p.csv", "--json")
    assert outcome.code == 0
    assert outcome.document["value"] == pytest.approx(
        pl.read_csv(chain / "plan" / "assignments.csv")["value"].sum(), rel=1e-9
    )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: p.drop("uplift"), "required column is missing"),
        (lambda p: p.head(100), "one row for each user and coupon"),
        (lambda p: pl.concat([p.head(1), p.slice(2), p.head(1)]), "one row for each user and coupon"),
        (lambda p: p.filter(pl.col("coupon_id") != "SNACK5"), "of other users or coupons"),
        (lambda p: p.with_columns(uplift=float("nan")), "cannot be used"),
        (lambda p: p.with_columns(uplift=pl.lit("much")), "cannot be used"),
    ],
)
def test_spoilt_predictions_are_refused(
    chain: Path, allocate: Any, shared_starter: Path, tmp_path: Path, spoil: Any, words: str
) -> None:
    spoil(pl.read_csv(chain / "predictions.csv")).write_csv(tmp_path / "p.csv")
    outcome = allocate(
        "solve", shared_starter, "--predictions", tmp_path / "p.csv", "--out", tmp_path / "out"
    )
    assert outcome.code == 3
    assert words in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PAR1"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_no_predictions_file_is_refused(
    allocate: Any, tiny: Any, tmp_path: Path, content: bytes, ending: str
) -> None:
    (tmp_path / f"p.{ending}").write_bytes(content)
    outcome = allocate("solve", tiny.path, "--predictions", tmp_path / f"p.{ending}")
    assert outcome.code == 3
    assert "This is a bug" not in outcome.err


def test_predict_writes_over_nothing(chain: Path, allocate: Any, starter: Path) -> None:
    before = (starter / "users.csv").read_bytes()
    outcome = allocate("predict", starter, "--model", chain / "model", "--out", starter / "users.csv")
    assert outcome.code == 3
    assert (starter / "users.csv").read_bytes() == before


@pytest.mark.parametrize(("name", "words"), [("a/b/p.csv", "no such folder"), ("p.json", ".csv or .parquet")])
def test_predict_checks_where_it_writes_first(
    allocate: Any, shared_starter: Path, tmp_path: Path, name: str, words: str
) -> None:
    outcome = allocate("predict", shared_starter, "--model", tmp_path / "no model", "--out", tmp_path / name)
    assert outcome.code == 3
    assert words in outcome.err
    assert "no trained model" not in outcome.err


def test_train_and_copy_write_over_nothing(chain: Path, allocate: Any, shared_starter: Path) -> None:
    for arguments in (
        ["train", shared_starter, "--out", chain / "model", "--predictor", "baseline"],
        ["copy", chain / "plan", "--out", chain / "messages"],
        ["solve", shared_starter, "--out", chain / "plan"],
    ):
        outcome = allocate(*arguments)
        assert outcome.code == 3
        assert "written over" in outcome.err


def test_a_folder_without_a_model_is_refused(allocate: Any, starter: Path, tmp_path: Path) -> None:
    outcome = allocate("predict", starter, "--model", tmp_path, "--out", tmp_path / "p.parquet")
    assert outcome.code == 3
    assert "no trained model" in outcome.err


def test_a_spoilt_model_is_no_bug_of_ours(chain: Path, allocate: Any, starter: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(chain / "model", tmp_path / "model")
    for file in (tmp_path / "model" / "predictor").iterdir():
        file.write_bytes(b"{")
    outcome = allocate("predict", starter, "--model", tmp_path / "model", "--out", tmp_path / "p.parquet")
    assert outcome.code in (3, 7)
    assert "This is a bug" not in outcome.err


def test_ids_that_look_like_formulas_go_through_the_chain(allocate: Any, tiny: Any, tmp_path: Path) -> None:
    tiny.write(
        users='user_id,region\n"=cmd|x",north\n-u2,south\n',
        scores="user_id,coupon_id,value,cost\n=cmd|x,C1,3,1\n-u2,C2,4,2\n",
    )
    out = tmp_path / "out"
    assert allocate("run", tiny.path, "--out", out).code == 0
    assert allocate("check", out).code == 0
    explained = allocate("explain", out, "--user", "=cmd|x", "--json").document
    assert [view["coupon_id"] for view in explained["coupons"] if view["chosen"]] == ["C1"]
    messages = tmp_path / "messages"
    assert allocate("copy", out, "--out", messages).code == 0
    assert pl.read_csv(messages / "messages.csv")["user_id"].to_list() == ["'=cmd|x", "'-u2"]
