"""A finished run, which each test has a copy of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.sent_runs import make_run


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("finished")).parent


@pytest.fixture
def result(_finished: Path, tmp_path: Path) -> Path:
    """A finished run that a test may spoil, with its campaign beside it."""
    shutil.copytree(_finished, tmp_path / "work")
    return tmp_path / "work" / "result"
