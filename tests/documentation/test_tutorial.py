"""The tutorial: its commands work as written, one after the other, and the check says what the page shows."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import run
from support.markdown import blocks
from support.paths import DOCS

FOLDER = DOCS / "tutorial"
QUICK = 'options = { folds = 2, candidates = ["constant", "s-logistic"] }\n'


def steps() -> list[tuple[str, list[str]]]:
    """Return the commands of the page in order, each with the lines that it shows."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks(FOLDER / "index.md", "console")).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


@pytest.mark.slow
def test_every_command_of_the_tutorial_works_in_turn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("make_export.py", "prepare.py", "campaign.toml"):
        shutil.copy(FOLDER / name, tmp_path)
    settings = Path("campaign.toml").read_text()
    Path("campaign.toml").write_text(re.sub(r"options = .*\n", QUICK, settings))
    checks = []
    for command, shown in steps():
        program, *arguments = shlex.split(command)
        if program == "python":
            subprocess.run([sys.executable, *arguments], check=True)
        elif program != "allocate":
            done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
            assert done.stdout.splitlines() == shown
        else:
            code, printed = run(arguments), capsys.readouterr()
            if arguments == ["check", "shop"]:
                checks.append(code)
                lines = [line.rstrip() for line in (printed.out + printed.err).splitlines()]
                assert shown == [line for line in lines if not line.endswith(" ...")]
            else:
                assert code == 0, f"{command}\n{printed.err}"
    assert checks == [3, 0]
    assert Path("plan.html").is_file()
