"""Fixtures that several test files share: campaigns to spoil, and the command line in and out of process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "examples" / "starter"
FILES = ("campaign.toml", "users.csv", "coupons.csv", "history.csv", "events.csv", "scores.csv")
NUMBERS = count()


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)


def copy_starter(target: Path) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(STARTER / name, target / name)
    return target


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """A copy of the starter campaign that a test may spoil."""
    return copy_starter(tmp_path / "starter")


@pytest.fixture(scope="module")
def shared_starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the starter campaign that no test changes."""
    return copy_starter(tmp_path_factory.mktemp("campaign") / "starter")


CAMPAIGN = """\
schema = 1
name = "tiny"
currency = "USD"
as_of = 2026-06-01

[[limits]]
kind = "budget"
label = "total"
at_most = 6

[copy]
writer = "template"
"""
USERS = "user_id,region,age\nu1,north,31\nu2,south,45\nu3,north,28\nu4,south,60\n"
COUPONS = "coupon_id,kind,value,code,ends_at\nC1,percent,10,TEN,2026-12-31\nC2,amount,5,FIVE,2026-12-31\n"
SCORES = """\
user_id,coupon_id,value,cost
u1,C1,3,1
u1,C2,5,3
u2,C1,2,1
u2,C2,4,2
u3,C1,1,1
u3,C2,6,3
u4,C1,2,2
u4,C2,1,1
"""


@pytest.fixture(autouse=True, scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep hooks of models out of the user's own cache."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOCATE_COPY_CACHE", str(folder / "shared"))
        yield folder


@pytest.fixture(autouse=True)
def own_cache(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the hooks of another."""
    monkeypatch.setenv("ALLOCATE_COPY_CACHE", str(caches / f"test-{next(NUMBERS)}"))


@pytest.fixture(autouse=True, scope="session")
def plain_pages() -> Iterator[None]:
    """Let a run's page have tables only, which saves half a second a run; test_report.py draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "vl_convert", None)
        yield


@dataclass(frozen=True)
class Folder:
    """A small campaign folder, spoilt by writing files anew or replacing text in them."""

    path: Path

    def write(self, **files: str | bytes | None) -> "Folder":
        for stem, content in files.items():
            path = self.path / f"{stem}.{'toml' if stem == 'campaign' else 'csv'}"
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def replace(self, file: str, old: str, new: str) -> "Folder":
        path = self.path / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return self


@pytest.fixture
def tiny(tmp_path: Path) -> Folder:
    """A campaign of four users and two coupons with scores; its best plan is worth 13."""
    folder = Folder(tmp_path / "tiny")
    folder.path.mkdir()
    return folder.write(campaign=CAMPAIGN, users=USERS, coupons=COUPONS, scores=SCORES)


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run the real command line in a process of its own."""

    def call(*arguments: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            timeout=timeout,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def allocate(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process."""
    from cli.main import run

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
