"""The command line as a program: help, exit codes, streams, JSON, terminals."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT

COMMANDS = [
    "init",
    "check",
    "run",
    "train",
    "predict",
    "solve",
    "copy",
    "whatif",
    "report",
    "explain",
    "plugins",
    "doctor",
]
HEAVY = {
    "torch",
    "transformers",
    "ortools",
    "cvxpy",
    "numba",
    "sklearn",
    "highspy",
    "polars",
    "scipy",
    "altair",
    "vl_convert",
}
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def plan(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of `allocate solve`; no test changes it."""
    from cli.main import run

    out = tmp_path_factory.mktemp("plans") / "plan"
    assert run(["solve", str(shared_starter), "--out", str(out), "--quiet", "--json"]) == 0
    return out


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_that_name_the_command(allocate: Any, name: str) -> None:
    outcome = allocate(name, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"  allocate {name}" in outcome.out
    assert "--json" in outcome.out
    assert outcome.err == ""


def test_help_lists_every_command_and_exit_code(allocate: Any) -> None:
    outcome = allocate("--help")
    assert outcome.code == 0
    assert all(f"\n  {name} " in outcome.out for name in COMMANDS)
    assert all(f"{code} " in outcome.out for code in (0, 1, 2, 3, 4, 5, 7, 130))


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys, cli.main as m\n"
        f"for name in [None, *{COMMANDS}]:\n"
        "    assert m.run([name, '--help'] if name else ['--help']) == 0\n"
        f"print('loaded:', *sorted(sys.modules.keys() & {HEAVY}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_the_version_is_that_of_the_package(command: Any) -> None:
    outcome = command("--version")
    assert outcome.code == 0
    assert re.fullmatch(r"allocate, version \d+\.\d+\.\d+\S*\n", outcome.out)


# Usage


@pytest.mark.parametrize(
    ("word", "suggestion"), [("solv", "'solve'"), ("wahtif", "'whatif'"), ("xyz", "Commands:")]
)
def test_an_unknown_command_suggests_one(allocate: Any, word: str, suggestion: str) -> None:
    outcome = allocate(word)
    assert outcome.code == 2
    assert suggestion in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["solve"],
        ["solve", "x", "--nope"],
        ["solve", "x", "--gap", "-1"],
        ["solve", "x", "--gap", "nan"],
        ["solve", "x", "--time-limit", "0"],
        ["solve", "x", "--threads", "0"],
        ["solve", "x", "--method", "luck"],
        ["solve", "x", "--seed", "-1"],
        ["train", "x"],
        ["predict", "x", "--model", "m"],
        ["explain", "x"],
        ["copy", "x"],
    ],
)
def test_wrong_usage_is_exit_2_on_standard_error(allocate: Any, arguments: list[str]) -> None:
    outcome = allocate(*arguments)
    assert outcome.code == 2
    assert "Error:" in outcome.err
    assert outcome.out == ""
    document = allocate(*arguments, "--json").document
    assert document["exit_code"] == 2


# JSON


def parsed_elsewhere(text: str) -> Any:
    """Parse with another program, which takes one document and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "json.tool"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_json_is_one_document_that_another_program_reads(
    command: Any, shared_starter: Path, plan: Path
) -> None:
    facts = parsed_elsewhere(command("check", shared_starter, "--json").out)
    assert facts["users"] == 1200
    solved = command("solve", shared_starter, "--json")
    assert solved.code == 0
    assert parsed_elsewhere(solved.out)["objective"] > 0
    scenarios = parsed_elsewhere(command("whatif", shared_starter, "--json").out)["scenarios"]
    assert [row["name"] for row in scenarios] == [
        "base",
        "budget -10%",
        "no beauty coupon",
        "half the uplift",
    ]
    assert parsed_elsewhere(command("check", plan, "--json").out)["valid"] is True


def test_json_of_the_other_commands(allocate: Any, plan: Path) -> None:
    plugins = allocate("plugins", "--json").document["plugins"]
    assert {"baseline", "dr-learner", "template", "budget"} <= {plugin["name"] for plugin in plugins}
    assert all(plugin["summary"] for plugin in plugins)
    checks = allocate("doctor", "--json").document["checks"]
    wanted = {"solve (decomposition)", "solve (exact)", "solve (convex)", "kept hooks"}
    assert wanted <= {check["name"] for check in checks}
    explained = allocate("explain", plan, "--user", "u0001", "--json").document
    assert explained["user_id"] == "u0001"
    assert len(explained["coupons"]) == 6


def test_quiet_prints_only_the_result(allocate: Any, shared_starter: Path) -> None:
    outcome = allocate("solve", shared_starter, "--quiet")
    assert outcome.err == ""
    assert "summer-starter" in outcome.out
    outcome = allocate("solve", shared_starter, "--quiet", "--json")
    assert outcome.err == ""
    assert outcome.document["name"] == "summer-starter"


def test_a_quiet_error_is_still_said(allocate: Any) -> None:
    outcome = allocate("solve", "nowhere", "--quiet")
    assert outcome.code == 3
    assert "no such folder" in outcome.err


# Exit codes


def test_infeasible_limits_are_named(allocate: Any, tiny: Any) -> None:
    floor = '[[limits]]\nkind = "floor"\nlabel = "spend it"\nat_least = 7\nmeasure = "cost"\n'
    tiny.replace("campaign.toml", "at_most = 6\n", f"at_most = 6\n{floor}")
    outcome = allocate("solve", tiny.path, "--json")
    assert outcome.code == 4
    assert set(outcome.document["labels"]) == {"total", "spend it"}
    assert outcome.document["exit_code"] == 4
    assert "'spend it'" in outcome.err


def test_a_missed_gap_still_gives_the_plan(allocate: Any, starter: Path, tmp_path: Path) -> None:
    short = ["--gap", "0", "--time-limit", "0.3"]
    outcome = allocate("solve", starter, *short, "--out", tmp_path / "out", "--json")
    assert outcome.code == 5
    assert outcome.document["status"] != "optimal"
    assert outcome.document["assigned"] > 0
    assert "--time-limit" in outcome.err
    assert allocate("check", tmp_path / "out").code == 0


@pytest.mark.parametrize("option", ["--predictor", "--writer"])
def test_an_unknown_plugin_is_exit_7_and_the_installed_are_listed(
    allocate: Any, starter: Path, tmp_path: Path, option: str
) -> None:
    other = ["--writer", "template"] if option == "--predictor" else ["--no-predict"]
    outcome = allocate("run", starter, "--out", tmp_path / "out", option, "nobody", *other, "--json")
    assert outcome.code == 7
    assert "'nobody'" in outcome.document["message"]
    assert ("baseline" if option == "--predictor" else "template") in outcome.err
    assert not (tmp_path / "out").exists()


def test_options_that_a_plugin_does_not_know_are_exit_3(allocate: Any, tiny: Any) -> None:
    tiny.replace("campaign.toml", '"template"', '"template"\noptions = { colour = 3 }')
    outcome = allocate("run", tiny.path, "--out", tiny.path / "out")
    assert outcome.code == 3
    assert "colour" in outcome.err


def test_ctrl_c_is_exit_130_and_the_run_continues(starter: Path, tmp_path: Path, command: Any) -> None:
    arguments = ["run", starter, "--out", tmp_path / "out", "--predictor", "baseline", "--writer", "template"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("train"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "continues where it stopped" in err
    assert "Traceback" not in err
    assert command(*arguments).code == 0


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_reader_that_leaves_early_is_no_error(starter: Path, flags: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "solve", str(starter), *flags],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(60) in (0, 1)
    process.stderr.close()
    assert "Traceback" not in err
    assert "This is a bug" not in err


def test_a_folder_that_cannot_be_written_is_no_bug(allocate: Any, tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    outcome = allocate("solve", tiny.path, "--out", tmp_path / "file" / "out")
    assert outcome.code == 3
    assert "This is a bug" not in outcome.err


# Terminals


def on_terminal(*arguments: object, columns: int = 80, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run on a pseudo-terminal, as a person does; return the exit code and all that was drawn."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        cwd=ROOT, stdout=theirs, stderr=theirs, stdin=theirs,
        env={**clean, "TERM": "xterm-256color", **(env or {})},
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    return process.wait(60), drawn.decode()


def test_a_terminal_gets_colour_and_progress(shared_starter: Path) -> None:
    code, drawn = on_terminal("solve", shared_starter)
    assert code == 0
    assert f"{ESCAPE}[1m" in drawn
    assert "read campaign" in drawn


@pytest.mark.parametrize(("flags", "env"), [(["--no-color"], {}), ([], {"NO_COLOR": "1"})])
def test_no_colour_means_no_escape_codes(shared_starter: Path, flags: list[str], env: dict[str, str]) -> None:
    code, drawn = on_terminal("solve", shared_starter, "--quiet", *flags, env=env)
    assert code == 0
    assert "summer-starter" in drawn
    assert ESCAPE not in drawn
    code, drawn = on_terminal("solve", "nowhere", "--quiet", *flags, env=env)
    assert code == 3
    assert ESCAPE not in drawn


def test_a_pipe_gets_no_animation_and_no_colour(command: Any, shared_starter: Path) -> None:
    outcome = command("solve", shared_starter)
    assert ESCAPE not in outcome.out + outcome.err
    assert "\r" not in outcome.out + outcome.err
    assert "read campaign ...\n" in outcome.err
    steps = [line for line in outcome.err.splitlines() if line.endswith("...")]
    assert len(steps) == len(set(steps))


@pytest.mark.parametrize(
    ("columns", "name"), [(80, "solve"), (80, "whatif"), (40, "solve"), (40, "explain"), (10, "whatif")]
)
def test_narrow_terminals_are_served(shared_starter: Path, plan: Path, columns: int, name: str) -> None:
    arguments = [plan, "--user", "u0001"] if name == "explain" else [shared_starter]
    code, drawn = on_terminal(name, *arguments, "--quiet", "--no-color", columns=columns)
    assert code == 0
    lines = drawn.replace("\r", "").split("\n")
    assert max(len(line) for line in lines) <= columns
    assert ("…" in drawn) <= (columns < 80)


def test_text_from_files_is_not_markup(allocate: Any, tiny: Any) -> None:
    """Square brackets and emoji codes in labels are shown as they are."""
    tiny.replace("users.csv", "region", "[/] :smile:").replace("users.csv", "north", "[red]n[/red]")
    limit = '[[limits]]\nkind = "parity"\nlabel = "[bold]fair"\nby = "[/] :smile:"\ntolerance = 0.9\n'
    tiny.replace("campaign.toml", "[copy]", limit + "[copy]")
    outcome = allocate("solve", tiny.path, "--gap", "0.01")
    assert outcome.code == 0, outcome.err
    assert "By [/] :smile:" in outcome.out
    assert "[red]n[/red]" in outcome.out
    assert "[bold]fair[" in outcome.out
    assert allocate("explain", "[/x]", "--user", "[/y]").code == 3


def test_the_start_is_quick(command: Any) -> None:
    began = time.perf_counter()
    assert command("--help").code == 0
    assert time.perf_counter() - began < 3
