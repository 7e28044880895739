"""Past sends that contradict themselves are counted and named, and so are propensities that cannot be."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.history_checks import numbered, of_one_moment
from allocator.campaign.propensity_checks import propensity_notes
from allocator.errors import InputError
from support.command_line import Command

HEAD = "user_id,coupon_id,treated,sent_at,propensity,converted,redeemed,revenue,discount\n"
GOOD = "u1,C1,1,2026-01-01,0.5,1,1,50,5\nu2,,0,2026-01-01,0.5,1,0,40,0\n"


def history(tiny: Any, rows: str) -> Any:
    return tiny.write(history=HEAD + GOOD + rows)


def notes_of(folder: Any) -> list[str]:
    return [note for note in read_campaign(folder.path).notes if note.startswith("history.csv")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("u3,C1,1,2026-01-01,0.5,0,1,0,5", "1 row redeemed without an order"),
        ("u3,C1,1,2026-01-01,0.5,0,0,40,0", "1 row with revenue, but no order"),
        ("u3,C1,1,2026-01-01,0.5,1,0,0,0", "1 row with an order, but no revenue"),
        ("u3,C1,1,2026-01-01,0.5,1,1,40,99", "1 row with a discount above the revenue"),
        ("u3,,0,2026-01-01,0.5,1,1,40,5", "1 row of controls that redeemed"),
        ("u3,,0,2026-01-01,0.5,1,0,40,5", "1 row of controls with a discount"),
        ("u3,C1,1,2026-01-01,0.5,1,0,40,5", "1 row with a discount that was not redeemed"),
        ("u3,C1,1,2026-01-01,0.5,1,1,40,0", "1 row redeemed without a discount"),
    ],
)
def test_each_contradiction_is_counted_and_named(tiny: Any, row: str, said: str) -> None:
    notes = notes_of(history(tiny, f"{row}\n"))
    assert any(said in note and "(the first: row 4)" in note for note in notes), notes
    assert any("used as they stand" in note for note in notes)
    assert sum("(the first" in note for note in notes) == 1, notes


def test_what_agrees_is_not_doubted(tiny: Any) -> None:
    assert notes_of(history(tiny, "u3,C2,1,2026-01-02,0.5,0,0,0,0\nu4,,0,2026-01-02,0.5,0,0,0,0\n")) == []
    bare = "user_id,coupon_id,sent_at,converted\nu1,C1,2026-01-01,1\nu2,,2026-01-01,1\nu3,C1,2026-01-01,0\n"
    assert notes_of(tiny.write(history=bare)) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "u1,C1,1,2026-01-01,0.5,1,1,50,5\n",
            "one send stands there again, word for word, 1 time (the first: row 2)",
        ),
        ("u1,C1,1,2026-01-01,0.5,0,0,0,0\n", "one send has different outcomes, 1 time (the first: row 2)"),
        ("u1,C2,1,2026-01-01,0.5,1,0,50,0\n", "one user got several coupons at one moment, 1 time"),
        ("u1,,0,2026-01-01,0.5,1,0,50,0\n", "one user got a coupon and is a control at one moment, 1 time"),
        ("u1,C1,0,2026-01-01,0.5,1,0,50,0\n", "one user got a coupon and is a control at one moment, 1 time"),
    ],
)
def test_what_shares_a_moment_is_named(tiny: Any, row: str, said: str) -> None:
    (note,) = notes_of(history(tiny, row))
    assert said in note


def test_other_moments_and_other_users_share_nothing(tiny: Any) -> None:
    rows = "u1,C2,1,2026-01-01T08:00,0.5,0,0,0,0\nu3,C1,1,2026-01-01,0.5,1,1,50,5\n"
    assert notes_of(history(tiny, rows)) == []


@pytest.mark.parametrize(("file", "column"), [("events", "at"), ("orders", "at"), ("history", "sent_at")])
def test_what_is_after_the_day_of_the_decision_is_said(tiny: Any, file: str, column: str) -> None:
    head, tail = {
        "events": ("user_id,at,kind\n", ",view\n"),
        "orders": ("user_id,at,amount\n", ",9\n"),
        "history": ("user_id,sent_at,coupon_id,converted\n", ",C1,1\n"),
    }[file]
    late, early = f"u1,2026-06-02{tail}", f"u2,2026-06-01T23:00{tail}"
    notes = read_campaign(tiny.write(**{file: head + late + early}).path).notes
    assert f"{file}.csv: 1 row after the day of the decision (2026-06-01) not used" in notes
    with pytest.raises(InputError) as caught:
        read_campaign(tiny.write(**{file: head + late}).path)
    (found,) = caught.value.findings
    assert (found.file, found.column) == (f"{file}.csv", column)


def test_a_row_cannot_have_got_what_had_no_chance(tiny: Any) -> None:
    with pytest.raises(InputError) as caught:
        read_campaign(history(tiny, "u3,C1,1,2026-01-01,0,0,0,0,0\n").path)
    (found,) = caught.value.findings
    assert (found.file, found.row, found.column) == ("history.csv", 4, "propensity")


def test_propensities_that_are_missing_or_cut_are_said(tiny: Any) -> None:
    notes = "\n".join(
        notes_of(history(tiny, "u3,C1,1,2026-01-01,,0,0,0,0\nu4,C2,1,2026-01-01,0.01,0,0,0,0\n"))
    )
    assert "1 of 4 rows state no propensity (0 controls, 1 sends); they count with the median" in notes
    assert "1 row with a propensity below 0.05 (down to 0.01) count as if it were 0.05" in notes


# Propensities against shares: an experiment is drawn, and what is stated of it is right or wrong


def experiment(
    shares: dict[str, float], stated: Any, n: int = 4000, seed: int = 5, named: bool = False
) -> list[str]:
    """Return what is said of past sends by these shares, with propensities ``stated(arm, share)``."""
    rng = np.random.default_rng(seed)
    arms = rng.choice(list(shares), n, p=list(shares.values()))
    treated = np.array([arm != "nothing" for arm in arms])
    coupon = [("C1" if named else None) if arm == "nothing" else arm for arm in arms]
    history = pl.DataFrame(
        {
            "user_id": [f"u{i}" for i in range(n)],
            "coupon_id": pl.Series(coupon, dtype=pl.String),
            "treated": treated,
            "sent_at": [dt.datetime(2026, 1, 1 + i % 20) for i in range(n)],
            "propensity": [stated(arm, shares[arm]) for arm in arms],
        }
    )
    table = numbered(history)
    return propensity_notes(table, of_one_moment(table))


TWO = {"nothing": 0.4, "C1": 0.5, "C2": 0.1}


def test_right_propensities_are_not_doubted() -> None:
    for seed in range(20):
        assert experiment(TWO, lambda arm, share: share, n=400, seed=seed) == []
    assert experiment({"nothing": 0.3, "C1": 0.7}, lambda arm, share: share, named=True) == []


@pytest.mark.parametrize(
    ("shares", "stated", "said"),
    [
        (TWO, lambda arm, share: 1.0, "nothing was left to chance"),
        (TWO, lambda arm, share: 0.1 if arm == "nothing" else 0.9, "nothing 16"),
        ({"nothing": 0.2, "C1": 0.8}, lambda arm, share: 0.8, "Controls would fit with 1 - propensity"),
        (TWO, lambda arm, share: 0.4 if arm == "nothing" else 0.6, "probability of any coupon"),
    ],
)
def test_wrong_propensities_are_named_with_what_they_may_be(shares: Any, stated: Any, said: str) -> None:
    (note,) = experiment(shares, stated)
    assert "do not fit the shares" in note
    assert said in note


def test_a_coupon_that_only_some_waves_had_is_not_doubted() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for day, shares in ((1, {"nothing": 0.5, "C1": 0.5}), (2, {"nothing": 0.5, "C2": 0.5})):
        for i in range(2000):
            arm = rng.choice(list(shares), p=list(shares.values()))
            rows.append((f"u{day}-{i}", None if arm == "nothing" else arm, arm != "nothing", day, 0.5))
    columns = ["user_id", "coupon_id", "treated", "day", "propensity"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    table = numbered(table.with_columns(sent_at=pl.datetime(2026, 1, pl.col("day"))))
    assert propensity_notes(table, of_one_moment(table)) == []


# Every surface says it


def test_check_solve_and_report_say_it(tiny: Any, tmp_path: Any, allocate: Command) -> None:
    history(tiny, "u3,C1,1,2026-01-01,0.5,0,1,0,5\n")
    tiny.replace("campaign.toml", "[copy]", '[predict]\npredictor = "baseline"\n\n[copy]')
    said = "1 row redeemed without an order"
    checked = allocate("check", tiny.path, "--json")
    assert any(said in note for note in checked.document["notes"])
    solved = allocate("solve", tiny.path, "--json", "--out", tmp_path / "out")
    assert any(said in note for note in solved.document["notes"]), solved.err
    assert said in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
