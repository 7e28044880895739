"""What `allocate check` says of a campaign whose tables a test replaces."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.campaign_folders import CAMPAIGN, Folder
from support.command_line import Command

Content = str | bytes | Callable[[Path], object]


@pytest.fixture
def check(tiny: Folder, allocate: Command) -> Callable[..., str]:
    """Replace the users, or other tables, and return what `allocate check` says of them."""

    def say(files: Mapping[str, Content], more: str = "", drop: tuple[str, ...] = ("users",)) -> str:
        for name in drop:
            (tiny.path / f"{name}.csv").unlink()
        for name, content in files.items():
            if callable(content):
                content(tiny.path / name)
            else:
                (tiny.path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        tiny.write(campaign=CAMPAIGN + more)
        outcome = allocate("check", tiny.path, "--json")
        assert outcome.code in (0, 3), outcome.err
        assert "Traceback" not in outcome.err
        if outcome.code == 0:
            return "accepted"
        said = []
        for finding in outcome.document["findings"]:
            row, column = finding["row"], finding["column"]
            place = (finding["file"] or "") + (f":{row}" if row is not None else "")
            place += f", {column}" if column is not None else ""
            said.append(f"{place}: {finding['message']} [{finding['found']}] [{finding['expected']}]")
        return "\n".join(said)

    return say
