"""`allocate readout`: what outcomes show, what they cannot, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from support.campaign_folders import Folder, write_tiny
from support.command_line import Command, call_here

USERS = 400
CAMPAIGN = """
[experiment]
holdout = 0.3
explore = 0.05
strata = ["region"]
"""


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("COLUMNS", "200")  # sentences are not cut
    return lambda *arguments: call_here(capsys, *arguments)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of a campaign with an experiment."""
    from cli.main import run

    folder = tmp_path_factory.mktemp("sent")
    shop = write_tiny(folder / "shop")
    users = "".join(f"u{i},{'north' if i % 2 else 'south'}\n" for i in range(USERS))
    scores = "".join(f"u{i},C{j},{3 + (7 * i + 3 * j) % 11 / 4},1\n" for i in range(USERS) for j in (1, 2))
    shop.write(users=f"user_id,region\n{users}", scores=f"user_id,coupon_id,value,cost\n{scores}")
    shop.replace("campaign.toml", "at_most = 6", "at_most = 230")
    config = shop.path / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8") + CAMPAIGN, encoding="utf-8")
    assert run(["solve", str(shop.path), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def outcomes(run: Path, lift: float = 0.3) -> pl.DataFrame:
    """Return outcomes in which a coupon adds `lift` to a rate of 0.2, each conversion worth 40."""
    table = pl.read_csv(run / "assignments.csv")
    rng = np.random.default_rng(1)
    given = table["coupon_id"].is_not_null().to_numpy()
    bought = rng.random(len(table)) < 0.2 + lift * given
    return table.select("user_id", "coupon_id").with_columns(
        sent_at=pl.when(pl.Series(given)).then(pl.lit("2026-06-01T10:00:00Z")),  # nothing was sent at no time
        converted=pl.Series(bought.astype(int)),
        redeemed=pl.Series((bought & given).astype(int)), revenue=pl.Series(40.0 * bought),
        discount=pl.Series(5.0 * (bought & given)), observed_until=pl.lit("2026-06-20T10:00:00Z"),
    )  # fmt: skip


def test_an_effect_is_told_with_its_intervals_and_promises(sent, call, tmp_path):
    outcomes(sent).write_csv(tmp_path / "o.csv")
    told = call("readout", sent, "--outcomes", tmp_path / "o.csv", "--by", "region", "--json").document
    conversion = told["effects"]["conversion"]
    assert conversion["fixed"]["low"] < 0.3 < conversion["fixed"]["high"]
    assert conversion["anytime"]["low"] < conversion["fixed"]["low"] < conversion["estimate"]
    assert conversion["fixed"]["low"] > 0
    assert told["totals"]["conversion"]["estimate"] == pytest.approx(
        conversion["estimate"] * conversion["sent"]
    )
    assert len(told["words"]) == 3
    assert "earned" in told["words"][0]
    assert {part["kind"] for part in told["parts"]} == {"coupon", "channel", "region"}
    assert any("comparisons are told" in note for note in told["notes"])
    promised = {one["what"]: one for one in told["promises"]}
    assert promised["spend"]["realised"] > promised["spend"]["promised"]
    assert any("of 213" in note or "days" in note for note in told["notes"])
    shown = call("readout", sent, "--outcomes", tmp_path / "o.csv")
    assert shown.out.index("earned") < shown.out.index("Effect a user")
    lines = call("readout", sent, "--outcomes", tmp_path / "o.csv", "--csv").out.splitlines()
    assert lines[0].startswith("kind,label,metric,sent,held_out,effect")


def test_no_effect_is_said_to_be_none(sent, call, tmp_path):
    outcomes(sent, lift=0.0).write_csv(tmp_path / "o.csv")
    told = call("readout", sent, "--outcomes", tmp_path / "o.csv", "--json").document
    assert not told["effects"]["conversion"]["fixed"]["low"] > 0
    assert "shows no sure effect" in told["words"][0]


def test_late_files_replace_earlier_rows(sent, call, tmp_path):
    first = outcomes(sent)
    first.with_columns(converted=0, redeemed=0, revenue=0.0, discount=0.0).write_csv(tmp_path / "a.csv")
    late = first.with_columns(observed_until=pl.lit("2026-07-20T10:00:00Z"))
    late.write_csv(tmp_path / "b.csv")
    files = ["--outcomes", tmp_path / "b.csv", "--outcomes", tmp_path / "a.csv"]
    both = call("readout", sent, *files, "--json").document
    alone = call("readout", sent, "--outcomes", tmp_path / "b.csv", "--json").document
    assert both["effects"] == alone["effects"]
    assert any("left out for a later file" in note for note in both["notes"])


def test_what_cannot_be_concluded_is_refused_in_words(sent, call, tmp_path):
    table, arms = outcomes(sent), pl.read_csv(sent / "assignments.csv")["arm"]
    file = tmp_path / "o.csv"

    def refused(frame: pl.DataFrame) -> str:
        frame.write_csv(file)
        told = call("readout", sent, "--outcomes", file, "--json")
        assert told.code == 0
        return " ".join([*told.document["refused"], told.document["words"][0]])

    nothing = table.with_columns(converted=0, redeemed=0, revenue=0.0, discount=0.0)
    assert "nobody converted" in refused(nothing)
    assert "tell nothing of who was held out" in refused(table.filter(arms != "holdout"))
    lopsided = table.filter((arms == "holdout") | (pl.int_range(pl.len()) % 2 == 0))
    assert "Do not rely on this yet: outcomes are known of" in refused(lopsided)


def test_users_who_got_something_else_count_where_chance_put_them(sent, call, tmp_path):
    table = outcomes(sent).with_columns(
        pl.col("coupon_id").fill_null("C1"), sent_at=pl.lit("2026-06-01T10:00:00Z")
    )
    table.write_csv(tmp_path / "o.csv")
    told = call("readout", sent, "--outcomes", tmp_path / "o.csv", "--json").document
    assert any("got something else than was drawn" in note for note in told["notes"])
    assert told["effects"]["conversion"]["held_out"] > 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.lit("x1").alias("user_id"), "the campaign has no such user"),
        (pl.lit("C9").alias("coupon_id"), "the campaign has no such coupon"),
        (pl.lit("u0").alias("user_id"), "stands there twice"),
        (pl.lit(None, pl.String).alias("sent_at"), "a coupon was sent, but not when"),
        (pl.lit("2026-05-01T10:00:00Z").alias("sent_at"), "before the day of the decision"),
        (pl.lit("2026-06-01T09:00:00Z").alias("observed_until"), "observed until before it was sent"),
        (pl.lit(-1.0).alias("revenue"), "revenue"),
        (pl.lit(0).alias("converted"), "there is revenue, but converted is 0"),
    ],
)
def test_rows_that_cannot_be_are_named(sent, call, tmp_path, change, message):
    outcomes(sent).with_columns(change).write_csv(tmp_path / "o.csv")
    refused = call("readout", sent, "--outcomes", tmp_path / "o.csv")
    assert refused.code == 3
    assert message in " ".join(refused.err.split())
    assert "o.csv" in refused.err


def test_a_run_without_chance_or_edited_or_unasked_is_refused(sent, call, tmp_path):
    plain: Folder = write_tiny(tmp_path / "plain")
    assert call("solve", plain.path, "--out", tmp_path / "run", "--quiet").code == 0
    outcomes(sent).write_csv(tmp_path / "o.csv")
    refused = call("readout", tmp_path / "run", "--outcomes", tmp_path / "o.csv")
    assert refused.code == 3
    assert "chance decided nothing" in " ".join(refused.err.split())
    assert call("readout", sent, "--outcomes", tmp_path / "none.csv").code == 3
    assert call("readout", sent, "--outcomes", tmp_path / "o.csv", "--by", "area").code == 3
    assert call("readout", sent, "--outcomes", tmp_path / "o.csv", "--level", "2").code == 3
    kept = (sent / "assignments.csv").read_text(encoding="utf-8")
    (sent / "assignments.csv").write_text(kept.replace("holdout", "plan"), encoding="utf-8")
    edited = call("readout", sent, "--outcomes", tmp_path / "o.csv")
    (sent / "assignments.csv").write_text(kept, encoding="utf-8")
    assert edited.code == 3
    assert "not the file that the run wrote" in " ".join(edited.err.split())
