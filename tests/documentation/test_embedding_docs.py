"""The pages on embedding work as written: every command, every Python block, and the image's recipe."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from allocator.service.keys import PREFIX
from support.markdown import blocks
from support.paths import DOCS, ROOT, STARTER
from support.services import served

HOWTO = DOCS / "howto"
PAGES = sorted(
    [*HOWTO.glob("embedding*.md"), DOCS / "reference" / "public.md", DOCS / "concepts" / "threat_model.md"]
)
CLIENT = ROOT / "examples" / "embedding" / "http_client.py"
JQ = 'jq() { python -c "import json, sys; print(json.load(sys.stdin)[\\"${2#.}\\"])"; }\n'


def commands(page: Path) -> list[str]:
    """Return the commands of a page, those of several lines in one piece."""
    found: list[str] = []
    for line in "\n".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> "):
            found[-1] += "\n" + line[2:]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere_and_every_python_block_is_python(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("name", ["embedding_library.md", "embedding_online.md"])
def test_the_first_python_block_runs(name, capsys):
    exec(compile(blocks(HOWTO / name, "python")[0], name, "exec"), {})
    assert capsys.readouterr().out


def test_the_gallery_lists_every_example():
    text = (HOWTO / "embedding.md").read_text(encoding="utf-8")
    there = {path.name for path in CLIENT.parent.iterdir() if path.suffix in (".py", ".ipynb")}
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", text, flags=re.M)) == there


@pytest.fixture
def service(tmp_path):
    """A service as the page on HTTP starts it, and the key of its caller."""
    shutil.copytree(STARTER, tmp_path / "campaigns" / "shop")
    made = subprocess.run(
        [sys.executable, "-m", "cli", "serve", "--new-key", "crm"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    (tmp_path / "keys.txt").write_text(made.stdout)
    key = re.search(rf"{PREFIX}\S+", made.stderr)[0]
    options = ["--keys", str(tmp_path / "keys.txt"), "--campaigns", str(tmp_path / "campaigns")]
    with served(tmp_path / "data", *options) as running:
        running.ready(key)
        yield running.url, key


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_of_the_page_on_http_works(service, tmp_path):
    url, key = service
    lines = commands(HOWTO / "embedding_http.md")
    assert [line for line in lines if line.startswith("allocate")] == [
        "allocate serve --new-key crm > keys.txt",
        "allocate serve --keys keys.txt --campaigns campaigns --data data",
    ]
    asked = [line for line in lines if not line.startswith(("allocate", "export", "docker"))]
    assert len(asked) >= 15
    script = "set -eo pipefail\n" + JQ + "\n".join(asked).replace("http://localhost:8000", url)
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"KEY": key, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "NO_PROXY": "*"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    replayed = re.findall(r'"replayed": ?(\w+)', done.stdout)
    assert replayed == ["false", "true"]
    assert json.loads((tmp_path / "plan.json").read_text())["certificate"]["valid"]


def test_the_client_solves_decides_and_settles_and_says_what_is_wrong(service, tmp_path):
    url, key = service
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0  # what callers send is for nobody else

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, CLIENT, *arguments], capture_output=True, text=True, check=False
        )

    for _ in range(2):  # once more is the same
        done = run(url, key)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            "plan: worth 10, 3 of 3 users",
            "visit-0: SHIP, worth 4 after the limits' prices",
            "visit-1: SHIP, worth 4 after the limits' prices",
            "visit-0: the coupon is used",
            "total: 6 of 6 used or held",
        ]
    refused = run(url, "wrong")
    assert refused.returncode == 1
    assert "Give a key this service knows" in refused.stderr


# The image, as far as it can be checked without an engine to build it


RECIPE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", RECIPE, flags=re.M)


def test_the_image_starts_the_service_with_options_that_exist(monkeypatch):
    from cli.commands.serve import command
    from cli.main import main  # noqa: F401  (what `allocate` is)

    entry, default = (json.loads(instructions(name)[-1]) for name in ("ENTRYPOINT", "CMD"))
    assert entry[:2] == ["allocate", "serve"]
    with click.Context(command) as context:
        command.parse_args(context, [*entry[2:], *default, "--keys", str(ROOT / "README.md")])
    assert context.params["host"] == "0.0.0.0"
    assert str(context.params["data"]) in json.loads(instructions("VOLUME")[0])
    assert f"{context.params['port']}" in instructions("EXPOSE")[0]
    assert f":{context.params['port']}/readyz" in instructions("HEALTHCHECK")[0]
    assert instructions("USER")[-1] not in ("root", "0")


def test_what_the_image_copies_is_there_and_nothing_else_is_sent():
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert left_out[0] == "*"  # all but what is named after it
    kept = {line.removeprefix("!") for line in left_out[1:] if line.startswith("!")}
    for line in instructions("COPY"):
        *sources, _ = [word for word in shlex.split(line) if not word.startswith("--chown")]
        if sources[0].startswith("--from"):
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.rstrip("/") in kept, source


def test_what_the_image_installs_needs_no_torch():
    (extras,) = re.findall(r"\.\[([\w,]+)\]", RECIPE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    for extra in extras.split(","):
        wanted += [Requirement(text) for text in project["optional-dependencies"][extra]]
    assert {"fastapi", "uvicorn", "psycopg"} <= {requirement.name for requirement in wanted}
    found: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        if requirement.name.lower() in found:
            continue
        found.add(requirement.name.lower())
        for text in importlib.metadata.requires(requirement.name) or []:
            needed = Requirement(text)
            extras_of = {"", *requirement.extras}
            if needed.marker is None or any(needed.marker.evaluate({"extra": name}) for name in extras_of):
                wanted.append(needed)
    heavy = {"torch", "transformers", "scikit-learn", "ray", "accelerate", "altair"}
    assert not heavy & found
    assert len(found) > 30
