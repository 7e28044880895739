"""The public surface: names, import cost, and the boundaries between packages."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import allocator
from support.paths import DOCS, ROOT
from support.public_surface import MODULES, RECORD, surface

HOW_TO = """The public surface of allocator has changed:

{changes}

If that is meant: run `python tests/support/public_surface.py`, name what is new in
docs/reference/public.md, say in CHANGELOG.md what callers have to do, and raise the version (in
pyproject.toml and allocator) as that page promises."""


def test_the_public_surface_is_the_recorded_one():
    recorded = RECORD.read_text(encoding="utf-8").splitlines()
    changes = [
        line
        for line in difflib.unified_diff(
            recorded, surface().splitlines(), "recorded", "found", n=0, lineterm=""
        )
        if not line.startswith("@@")
    ]
    assert not changes, HOW_TO.format(changes="\n".join(changes))


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_docstring_and_a_line_in_the_docs(module):
    package = importlib.import_module(module)
    text = (DOCS / "reference" / "public.md").read_text(encoding="utf-8")
    section = text.partition(f"## `{module}`\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| (.+) \|$", section, flags=re.M)
    named = [name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(package.__all__)
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), f"{name} has no docstring"


def test_the_version_is_stated_once_and_has_a_place_in_the_changelog():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert allocator.__version__ == project["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", allocator.__version__)
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert headings[0] == "Unreleased" or headings[0].startswith(allocator.__version__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = allocator.nothing


def test_import_is_light_silent_and_changes_nothing():
    code = """
import logging, os, signal, sys, threading, warnings
import numpy  # which sets filters of its own
def state():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    loggers = [logging.root.level, *logging.root.handlers, *logging.getLogger("allocator").handlers]
    streams = sys.excepthook, sys.stdout, sys.stderr, os.getcwd(), dict(os.environ)
    numbers = numpy.get_printoptions(), numpy.geterr()
    return handlers, loggers, streams, numbers, threading.active_count(), list(warnings.filters)
before = state()
import allocator, allocator.online
changed = state() != before
light = {"allocator", "numpy", *sys.stdlib_module_names}
heavy = {name.partition(".")[0] for name in sys.modules} - light
print(changed, sorted(name for name in heavy if not name.startswith(("_", "site"))))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False []\n"
    assert done.stderr == ""


@pytest.mark.parametrize("package", ["predictors", "copygen", "cli"])
def test_other_packages_import_light_too(package):
    heavy = "{'torch', 'transformers', 'sklearn', 'ortools'}"
    code = f"import sys, {package}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("first", ["cvxpy", "highspy", "ortools.math_opt.python.mathopt", "torch"])
def test_the_solver_libraries_live_in_one_process_in_any_order(first):
    code = (
        f"import {first}\n"
        "from allocator import Budget, Problem, solve\n"
        "problem = Problem([[3.0, 5.0], [4.0, 2.0]], {'cost': [[1.0, 2.0], [1.0, 2.0]]})\n"
        "methods = ('convex', 'exact', 'decomposition')\n"
        "print([solve(problem, [Budget(2)], method=method).objective for method in methods])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[7.0, 7.0, 7.0]\n", done.stderr
    assert done.stderr == ""


def test_each_package_is_typed_and_nothing_stray_is_packaged():
    for package in ("allocator", "predictors", "copygen", "cli"):
        assert (ROOT / package / "py.typed").is_file()
    top = {
        path.name
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and not path.name.startswith((".", "__"))
    }
    assert not top & {"allocator", "predictors", "copygen", "cli"}


def test_no_file_speaks_of_a_machine():
    words = ("/work/", "/root/", "pypi.org", "/opt/wheels")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if (
            path.suffix in {".py", ".md", ".toml", ".txt", ".csv", ".svg"}
            and path != Path(__file__)
            and path.is_file()
        ):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in words if word in text], name
