"""Commands of the pages about one's own files and about sending run as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.table_forms import write_book
from cli.main import run
from support.markdown import blocks
from support.paths import DOCS
from support.sent_runs import make_run
from support.tool_results import WRITERS, Happened

SENT = "2026-06-02T09:00:00+00:00"
STORY = [Happened("sent", "u1", SENT), Happened("opened", "u1", "2026-06-03T09:00:00+00:00")]


def commands(page: str) -> list[list[str]]:
    shown = "\n".join(blocks(DOCS / "howto" / page, "console"))
    return [shlex.split(line)[1:] for line in re.findall(r"^\$ (allocate .*?)$", shown, flags=re.M)]


def sent(folder: Path) -> None:
    """Make a run, and what tools tell of it."""
    make_run(folder)
    for tool, place in (("braze", "currents"), ("salesforce", "extract")):
        (folder / place).mkdir()
        WRITERS[tool](folder / place, STORY)
    (folder / "filled.csv").write_text(f"user_id,coupon_id,sent_at,converted\nu1,C1,{SENT},1\nu5,,{SENT},0\n")


def exported(folder: Path) -> None:
    """Write a shop's exports."""
    (folder / "exports").mkdir()
    (folder / "exports" / "customers_export.csv").write_text(
        "Customer ID,First Name,Email,Accepts Email Marketing,Total Spent,Total Orders\n"
        "'7001,Ann,ann@example.com,yes,120.50,3\n'7002,Bob,bob@example.com,no,0.00,0\n"
    )
    (folder / "exports" / "orders_export.csv").write_text(
        "Name,Email,Financial Status,Paid at,Total,Discount Amount,Created at,Lineitem name\n"
        "#1001,ann@example.com,paid,2026-03-04 10:15:00 +0100,40.50,0.00,2026-03-04 10:14:00 +0100,Tea\n"
    )
    header = ["Name", "Value", "Value Type", "Times Used In Total", "Usage Limit Per Code", "Status"]
    write_book(
        folder / "exports" / "discounts.xlsx",
        {"Sheet1": [header, ["TEN", -10, "percentage", 4, 50, "Active"]]},
    )


@pytest.mark.parametrize(
    ("page", "prepare", "least"), [("sending.md", sent, 6), ("starting.md", exported, 1)]
)
def test_every_command_runs_as_written(
    page: str, prepare: Callable[[Path], None], least: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    lines = commands(page)
    assert len(lines) >= least
    for line in lines:
        assert run(line) == 0, f"{shlex.join(line)}\n{capsys.readouterr().err}"


def test_every_tool_and_every_file_is_on_the_page() -> None:
    from allocator.export import TOOLS
    from allocator.export.tool import OF_CHANNEL

    page = (DOCS / "howto" / "sending.md").read_text(encoding="utf-8")
    reference = (DOCS / "reference" / "sending.md").read_text(encoding="utf-8")
    for tool in TOOLS.values():
        assert f"`{tool.name}`" in page
        assert f"{{sent-columns}} {tool.name}\n" in reference
    for channel in OF_CHANNEL:
        assert f"`{channel}.csv`" in page


def test_known_exports_are_many_and_each_names_its_source() -> None:
    from allocator.campaign.columns.exports import exports

    assert len(exports()) >= 25
    assert all(url.startswith("https://") for export in exports() for url in export.sources)
    assert all(export.sources for export in exports())
