"""`allocate readout`: what a send did, from its outcomes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.options import FOLDER

EPILOG = """\b
Examples:
  allocate readout result --outcomes outcomes.csv
  allocate readout result --outcomes june.csv --outcomes late.csv --by region
  allocate readout result --outcomes outcomes.csv --json | jq .words
"""


@click.command("readout", epilog=EPILOG)
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option(
    "--outcomes", "files", multiple=True, required=True, metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Outcomes, with the columns of outcomes.csv. Repeatable: late files add to earlier ones.",
)  # fmt: skip
@click.option("--by", "groups", multiple=True, metavar="COLUMN", help="User column to tell effects by.")
@click.option(
    "--window", type=float, metavar="DAYS",
    help="Days for which outcomes are watched.  [default: until the last coupon ends]",
)  # fmt: skip
@click.option("--level", type=float, default=0.95, show_default=True, help="Of intervals.")
@click.option("--time-zone", metavar="ZONE", help="Of times that state none, such as Europe/Berlin.")
@click.option("--campaign", type=FOLDER, help="Campaign folder [default: the one RUN was made from].")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print effects by metric, coupon, channel and group as CSV."
)
@output_options
def command(
    run: Path,
    files: tuple[Path, ...],
    groups: tuple[str, ...],
    window: float | None,
    level: float,
    time_zone: str | None,
    campaign: Path | None,
    as_csv: bool,
    terminal: Terminal,
) -> None:
    """Say what the run RUN did: users who got the plan's coupon against those whom chance held out.

    RUN is of a campaign with [experiment]. Three sentences first, then effects with intervals for one look
    and for looking daily, by coupon, channel and group, and what was promised against what came.
    """
    from allocator.files import csv_text
    from allocator.runs.readout import readout_run
    from cli.render.readout import effect_table, readout_page

    if as_csv and terminal.json:
        raise click.UsageError("--csv and --json exclude each other.")
    with terminal.progress():
        found = readout_run(
            run,
            files,
            campaign_folder=campaign,
            groups=groups,
            window=window,
            time_zone=time_zone,
            level=level,
        )
    if as_csv:
        click.echo(csv_text(effect_table(found.readout)), nl=False)
        return
    terminal.show(readout_page(found))
    document = {"name": found.name, "currency": found.currency, "wave": found.wave, "run": run}
    terminal.emit({**document, **asdict(found.readout)})
