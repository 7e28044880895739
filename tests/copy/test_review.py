"""`allocate copy review`: what people decide on texts, and what becomes of the run's files."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from support.campaign_folders import replace_in

HOOK = "A little joy for your week"
OTHER = "Good days start at home"


@pytest.fixture
def run(allocate: Any, tmp_path: Path) -> Path:
    """A run of the template writer, in English and Chinese, with two variants of each message."""
    shop = tmp_path / "shop"
    assert allocate("init", shop).code == 0
    replace_in(shop / "campaign.toml", 'languages = ["en"]', 'languages = ["en", "zh-CN"]\nvariants = 2')
    users = (shop / "users.csv").read_text(encoding="utf-8").splitlines()
    lines = [line.removesuffix("en") + ("zh" if i % 2 else "en") for i, line in enumerate(users[1:])]
    (shop / "users.csv").write_text("\n".join([users[0], *lines]) + "\n", encoding="utf-8")
    assert allocate("run", shop, "--no-predict", "--out", shop / "out").code == 0
    return shop / "out"


def texts(run: Path) -> list[dict[str, Any]]:
    return pl.read_csv(run / "copy.csv").to_dicts()


def decisions(run: Path) -> list[dict[str, Any]]:
    return pl.read_csv(run.parent / "reviewed_copy.csv").to_dicts()


def keys(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


# At the keys


def test_going_through_texts_from_a_pipe(allocate: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys(monkeypatch, "x", "a", "e", "Save 50% now", HOOK, "s", "e", OTHER, "u", "q")
    shown = allocate("copy", "review", run)
    assert shown.code == 0
    assert "'x' is no key here" in shown.out
    assert "This text has no hook" in shown.out
    assert "hook_fact: a hook states no number" in shown.out  # said, and asked for other words
    assert "1 of " in shown.out
    assert "COFFEE10 · 18-34 · push · en · variant A" in shown.out
    assert [(row["hook"], row["decision"]) for row in decisions(run)] == [(HOOK, "edited")]
    first = texts(run)[0]
    assert first["title"] == HOOK
    assert (first["written_by"], first["note"]) == ("approved hook", "approved by a person")
    assert allocate("check", run).code == 0


def test_the_end_of_the_input_is_the_end_of_the_review(
    allocate: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    keys(monkeypatch)
    assert allocate("copy", "review", run).code == 0
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    assert not (run.parent / "reviewed_copy.csv").exists()


def test_decided_texts_are_not_shown_again(allocate: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = len(texts(run))
    assert allocate("copy", "review", run, "--edit", "1", HOOK).code == 0
    keys(monkeypatch, "q")
    assert f"1 of {number - 1} " in allocate("copy", "review", run).out
    keys(monkeypatch, "q")
    assert f"1 of {number} " in allocate("copy", "review", run, "--all").out


def test_a_banned_hook_goes_from_every_text_and_undo_brings_it_back(
    allocate: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("1", "2"):  # a person may give both variants the same words
        assert allocate("copy", "review", run, "--edit", number, HOOK).code == 0
    keys(monkeypatch, "b", "u", "q")
    assert allocate("copy", "review", run, "--all").code == 0
    assert [row["hook"] for row in texts(run)].count(HOOK) == 2
    keys(monkeypatch, "b", "q")
    assert "2 written anew" in allocate("copy", "review", run, "--all").err
    assert HOOK not in (run / "copy.csv").read_text(encoding="utf-8")
    assert HOOK not in (run / "messages.csv").read_text(encoding="utf-8")
    assert allocate("check", run).code == 0


# By options


def test_edits_reach_every_file_that_repeats_a_text(allocate: Any, run: Path) -> None:
    listed = allocate("copy", "review", run, "--json").document["texts"]
    wanted = next(text for text in listed if text["language"] == "zh-CN" and text["channel"] == "email")
    words = "平常日子也值得好好过"
    done = allocate("copy", "review", run, "--edit", wanted["cell"], words, "--json")
    assert done.code == 0
    same = [text for text in texts(run) if text["cell"] == wanted["cell"]]
    assert done.document["edited"] == len(same) >= 1
    assert all(words in text["subject"] and words in text["body"] for text in same)
    messages = pl.read_csv(run / "messages.csv")
    assert messages.filter(pl.col("body").str.contains(words)).height == sum(t["audience"] for t in same)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary["copy"]["written_by"]["approved hook"] == len(same)
    assert "reviewed_copy.csv" in json.loads((run / "manifest.json").read_text(encoding="utf-8"))["reviewed"]
    assert allocate("check", run).code == 0
    assert allocate("explain", run, "--user", messages["user_id"][0]).code == 0


def test_the_next_run_uses_what_was_approved_and_never_what_was_banned(allocate: Any, run: Path) -> None:
    assert allocate("copy", "review", run, "--edit", "1", HOOK, "--edit", "2", OTHER).code == 0
    assert allocate("copy", "review", run, "--ban", OTHER.upper()).code == 0
    assert allocate("run", run.parent, "--no-predict", "--out", run.parent / "next").code == 0
    hooks = [text["hook"] for text in texts(run.parent / "next")]
    assert hooks[0] == HOOK
    assert OTHER not in hooks
    assert hooks == [text["hook"] for text in texts(run)]


def test_approving_keeps_the_words_and_says_so(allocate: Any, run: Path) -> None:
    assert allocate("copy", "review", run, "--edit", "1", HOOK).code == 0
    before = texts(run)
    done = allocate("copy", "review", run, "--approve", "all", "--json")
    assert done.document["approved"] == 1  # the others have no hook
    assert texts(run) == before
    assert [row["decision"] for row in decisions(run)] == ["edited", "approved"]


def test_all_mistakes_are_named_at_once_and_nothing_is_decided(allocate: Any, run: Path) -> None:
    wrong = ("--approve", "nowhere", "--edit", "1", "Free gifts", "--approve", "2")
    done = allocate("copy", "review", run, *wrong, "--ban", "x y", "--json")
    assert done.code == 3
    said = " ".join(finding["message"] for finding in done.document["findings"])
    assert "no text of this cell" in said
    assert "hook_fact" in said
    assert "no hook to approve" in said
    assert not (run.parent / "reviewed_copy.csv").exists()


def test_the_list_shows_every_text_in_80_columns(
    allocate: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert allocate("copy", "review", run, "--edit", "1", HOOK).code == 0
    shown = allocate("copy", "review", run, "--list", "--no-color").out
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("(template)") == len(texts(run)) - 1
    assert HOOK in " ".join(shown.split())
    assert "\x1b" not in shown


# What can be reviewed


def test_texts_that_were_written_for_a_solved_plan(allocate: Any, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    assert allocate("init", shop).code == 0
    assert allocate("solve", shop, "--out", shop / "plan").code == 0
    refused = allocate("copy", "review", shop / "plan", "--list")
    assert refused.code == 3
    assert "allocate copy RUN --out DIR" in refused.err
    assert allocate("copy", shop / "plan", "--out", shop / "texts").code == 0
    assert allocate("copy", "review", shop / "texts", "--edit", "1", HOOK).code == 0
    assert HOOK in (shop / "texts" / "messages.csv").read_text(encoding="utf-8")
    assert "no run here" in allocate("copy", "review", shop, "--list").err


def test_labels_that_a_spreadsheet_would_run_come_back_as_they_were(allocate: Any, tiny: Any) -> None:
    tiny.replace("coupons.csv", "C2,", "=C2,")
    tiny.replace("scores.csv", "C2,", "=C2,")
    users = "user_id,tier\nu1,\uff1dcmd\nu2,NA\nu3,-1+2\nu4,none\n"
    tiny.write(users=users).replace("campaign.toml", "[copy]", '[copy]\nsegment_by = "tier"')
    assert allocate("run", tiny.path, "--out", tiny.path / "out").code == 0
    raw = (tiny.path / "out" / "copy.csv").read_text(encoding="utf-8")
    assert not any(cell[:1] in "=+-@\uff1d" for line in raw.splitlines() for cell in line.split(",") if cell)
    listed = allocate("copy", "review", tiny.path / "out", "--json").document["texts"]
    assert {text["coupon_id"] for text in listed} == {"C1", "=C2"}
    for number in range(1, len(listed) + 1):
        done = allocate("copy", "review", tiny.path / "out", "--edit", str(number), HOOK)
        assert done.code == 0, done.err
    after = allocate("copy", "review", tiny.path / "out", "--json").document["texts"]
    assert [(text["coupon_id"], text["segment"]) for text in after] == [
        (text["coupon_id"], text["segment"]) for text in listed
    ]
    assert {text["decision"] for text in after} == {"approved"}
    assert allocate("check", tiny.path).code == 0


def test_texts_of_another_campaign_are_refused(allocate: Any, run: Path) -> None:
    lines = (run / "copy.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "copy.csv").write_text("".join([lines[0], *lines[2:]]), encoding="utf-8")
    assert "not the texts of this run" in allocate("copy", "review", run, "--list").err


def test_a_writer_that_cannot_check_a_hook_is_named(
    allocate: Any, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allocator.plugins.registry.create", lambda group, name, options: object())
    refused = allocate("copy", "review", run, "--list")
    assert refused.code == 7
    assert "'template' cannot be reviewed" in refused.err


def test_a_misspelt_command_is_not_taken_for_a_run(allocate: Any) -> None:
    assert "Did you mean `allocate copy review`" in allocate("copy", "reveiw", "result").err
    assert "review" in allocate("copy", "--help").out
