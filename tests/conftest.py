"""Fixtures that several test files share: campaigns to spoil, and the command line in and out of process."""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.campaign_folders import Folder, copy_starter, write_tiny
from support.command_line import Command, call_apart, call_here

NUMBERS = count()


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """A copy of the starter campaign that a test may spoil."""
    return copy_starter(tmp_path / "starter")


@pytest.fixture(scope="module")
def shared_starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the starter campaign that no test changes."""
    return copy_starter(tmp_path_factory.mktemp("campaign") / "starter")


@pytest.fixture
def tiny(tmp_path: Path) -> Folder:
    """A campaign of four users and two coupons with scores; its best plan is worth 13."""
    return write_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def command() -> Command:
    """Run the real command line in a process of its own."""
    return call_apart


@pytest.fixture
def allocate(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process."""
    return partial(call_here, capsys)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server of the test file's own."""
    from support.postgres_server import postgres_server

    with postgres_server() as running:
        yield running


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
    """Let a run's page have tables only, which saves half a second a run; tests/pages draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "vl_convert", None)
        yield
