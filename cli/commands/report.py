"""`allocate report`: a run as one page, with what-ifs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import Terminal, output_options
from cli.sweep_options import sweep_options

if TYPE_CHECKING:
    from allocator.whatif.frontier import Sweep

EPILOG = """\b
Examples:
  allocate report result --out plan.html
  allocate report result --out plan.html --scenarios
  allocate report result --out plan.html --sweep total.at_most=200:800:13 --floor 1
"""


@click.command("report", epilog=EPILOG)
@click.argument("folder", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The page.")
@click.option("--scenarios", is_flag=True, help="Solve the scenarios of campaign.toml, too.")
@sweep_options("Draw what a range of a bound earns, too; any number of them.")
@click.option(
    "--campaign",
    "source",
    type=click.Path(file_okay=False, path_type=Path),
    help="Campaign folder [default: the one RUN was made from].",
)
@click.option("--threads", type=click.IntRange(min=1), help="Worker threads; no plan depends on it.")
@output_options
def command(
    folder: Path,
    out: Path,
    scenarios: bool,
    sweeps: tuple[Sweep, ...],
    floor: float | None,
    source: Path | None,
    threads: int | None,
    terminal: Terminal,
) -> None:
    """Write the plan of the finished run RUN as one page that needs no network.

    Every run has such a page, report.html. This one also says how far prices hold and what coupons may
    cost, and solves what-ifs where asked.
    """
    from allocator.report.drawing import can_draw
    from allocator.runs.report import report_run

    if floor is not None and not sweeps:
        raise click.UsageError("--floor is found along a --sweep.")
    with terminal.progress() as progress:
        document = report_run(
            folder, out, campaign_folder=source, scenarios=scenarios,
            sweeps=[[sweep] for sweep in sweeps], floor=floor, threads=threads, progress=progress,
        )  # fmt: skip
    terminal.emit(document)
    if not can_draw():
        terminal.say("The page has no charts: pip install 'allocate[report]' brings what draws them.")
    terminal.say(f"Saved to {out}. Open it in a browser.")
