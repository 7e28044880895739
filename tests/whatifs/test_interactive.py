"""The what-if prompt: each line changes the plan, and what was done can be undone, named and saved."""

import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from allocator.campaign import read_campaign
from allocator.campaign.config import Scenario
from allocator.errors import InputError
from allocator.runs.stages import solve_task
from allocator.whatif.session import WhatIfSession
from support.paths import ROOT


@pytest.fixture
def type_in(allocate: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a session whose input is piped."""

    def call(folder: Path, *lines: str, arguments: tuple[str, ...] = ()) -> Any:
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
        return allocate("whatif", folder, "--interactive", *arguments)

    return call


def values(text: str) -> list[float]:
    """Return what each plan named `now` is worth."""
    return [float(line.split()[1].replace(",", "")) for line in text.splitlines() if line.startswith("now ")]


def test_each_change_adds_to_those_before_and_can_be_undone(type_in: Any, tiny: Any) -> None:
    outcome = type_in(
        tiny.path,
        "set total.at_most=4",
        "drop-coupon C2",
        "undo",
        "undo",
        "redo",
        "redo",
        "reset",
        "quit",
        "set x=1",
    )
    assert outcome.code == 0, outcome.err
    four, both, four_again, *later = values(outcome.out)
    assert four > both
    assert four_again == four
    assert later == [four, both]
    assert outcome.out.count("base ") >= 8
    assert "set x=1" not in outcome.out


def test_the_plan_is_that_of_the_same_scenario_on_the_command_line(
    type_in: Any, allocate: Any, tiny: Any
) -> None:
    typed = type_in(tiny.path, "set total.at_most=4", "scale value=0.5")
    asked = allocate("whatif", tiny.path, "--set", "total.at_most=4", "--scale", "value=0.5", "--json")
    assert values(typed.out)[-1] == pytest.approx(asked.document["scenarios"][1]["value"])


def test_steps_go_up_and_down_by_the_same(type_in: Any, tiny: Any) -> None:
    outcome = type_in(tiny.path, "step total.at_most 50%", "+", "changes", "-", "-", "changes")
    assert "set total.at_most=12" in outcome.out
    assert outcome.out.rstrip().endswith("set total.at_most=6")


def test_changes_are_saved_as_a_scenario_and_the_file_keeps_its_comments(type_in: Any, tiny: Any) -> None:
    path = tiny.path / "campaign.toml"
    path.write_text(path.read_text() + "# keep me\n")
    outcome = type_in(
        tiny.path, "set total.at_most=4",
        'add-limit kind=floor label="the north" users.region=north at_least=1',
        "coupon C1.inventory=1", "save less, and the north", "reset", "load less, and the north", "changes",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "# keep me" in path.read_text()
    (saved,) = read_campaign(tiny.path).config.scenarios
    assert saved.name == "less, and the north"
    assert saved.set == {"total.at_most": 4}
    assert saved.coupons == {"C1": {"inventory": 1}}
    assert saved.add_limits[0]["users"] == {"region": "north"}
    assert "at_least=1" in outcome.out.rsplit("changes", 1)[1]
    assert values(outcome.out)[-1] == values(outcome.out)[-2]


def test_a_name_is_saved_once_and_nothing_is_not_saved(type_in: Any, tiny: Any) -> None:
    assert "no changes to save" in type_in(tiny.path, "save empty").err
    twice = type_in(tiny.path, "set total.at_most=4", "save less", "save less", "changes")
    assert twice.code == 3
    assert "already a scenario" in twice.err
    assert len(read_campaign(tiny.path).config.scenarios) == 1


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("sett total.at_most=4", 2, "did you mean 'set'"),
        ("set total.at_mots=4", 3, "at_mots"),
        ("redo", 2, "nothing to redo"),
        ("load other", 2, "no scenario 'other'"),
        ("+", 2, "step LABEL.KEY SIZE"),
        ("step nothing.at_most 5", 2, "no limit has a number"),
        ("--set 'total", 2, "cannot read the line"),
        ("why nobody", 3, "no such user"),
    ],
)
def test_a_script_stops_at_the_first_mistake_and_says_which(
    type_in: Any, tiny: Any, line: str, code: int, says: str
) -> None:
    outcome = type_in(tiny.path, "set total.at_most=4", line, "changes")
    assert outcome.code == code
    assert says in outcome.err
    assert "\nset total.at_most=4" not in outcome.out  # what `changes` would have said


def test_a_change_without_a_plan_is_shown_and_can_be_undone(type_in: Any, tiny: Any) -> None:
    outcome = type_in(tiny.path, "add-limit kind=floor label=all at_least=5", "undo", "changes")
    assert outcome.code == 0
    assert "no plan" in outcome.out
    assert outcome.out.rstrip().endswith("Nothing is changed.")


def test_a_session_may_begin_with_a_scenario(type_in: Any, tiny: Any) -> None:
    outcome = type_in(tiny.path, "changes", arguments=("--set", "total.at_most=4"))
    assert outcome.out.rstrip().endswith("set total.at_most=4")


def test_sweeps_prices_and_reasons_are_of_the_plan_as_changed(type_in: Any, tiny: Any) -> None:
    outcome = type_in(
        tiny.path, "drop-coupon C2", "sweep total.at_most=1:4:3", "sensitivity", "why u1", "show", "help"
    )
    assert outcome.code == 0, outcome.err
    after = outcome.out.split("sweep total", 1)[1]
    assert "C2" not in after.split("show", 1)[0]
    assert "break-even" in after
    assert "user u1" in after


def test_it_does_not_mix_with_documents(allocate: Any, tiny: Any) -> None:
    outcome = allocate("whatif", tiny.path, "--interactive", "--json")
    assert outcome.code == 2
    assert "--interactive answers what is typed" in outcome.err


def test_a_stopped_solve_changes_nothing(tiny: Any) -> None:
    campaign = read_campaign(tiny.path)
    session = WhatIfSession(campaign, None, solve_task)

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    session.solve_task = stopped
    with pytest.raises(KeyboardInterrupt):
        session.apply(Scenario(name="now", set={"total.at_most": 4.0}))
    session.solve_task = solve_task
    with pytest.raises(InputError):
        session.apply(Scenario(name="now", set={"totl.at_most": 4.0}))
    assert len(session.rows()) == 1
    assert not session.undo()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a pseudo-terminal")
def test_on_a_terminal_of_80_columns_without_colour(tiny: Any) -> None:
    import pty
    import subprocess

    parent, child = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "whatif", str(tiny.path), "--interactive"],
        stdin=child, stdout=child, stderr=child, cwd=ROOT, env=environment, close_fds=True,
    )  # fmt: skip
    os.close(child)
    shown = _until(parent, "whatif> ", 0)
    for line in ("nonsense", "set total.at_most=4", "quit"):
        os.write(parent, f"{line}\n".encode())
        if line != "quit":
            shown = _until(parent, "whatif> ", shown.count("whatif> "), shown)
    assert process.wait(timeout=30) == 0
    os.close(parent)
    assert "there is no command 'nonsense'" in shown  # and the session goes on
    assert "now " in shown
    assert "\x1b[3" not in shown
    assert max(cell_len(line) for line in shown.splitlines()) <= 80


def _until(stream: int, words: str, times: int, shown: str = "") -> str:
    """Read a terminal until it has shown some words more often than `times`."""
    deadline = time.monotonic() + 60
    while shown.count(words) <= times and time.monotonic() < deadline:
        shown += os.read(stream, 65536).decode("utf-8", "replace")
    return shown
