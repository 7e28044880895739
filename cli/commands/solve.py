"""`allocate solve`: only the allocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.commands.run import finish
from cli.console import Terminal, output_options
from cli.options import campaign_argument, folder_options, solve_options

EPILOG = """\b
Examples:
  allocate solve shop                             from shop/scores.csv
  allocate solve shop --predictions p.parquet     from predictions
  allocate solve shop --least-violation           the best of bad plans where limits clash
  allocate solve shop --json | jq .objective
"""


@click.command("solve", epilog=EPILOG)
@campaign_argument
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Save a run folder here.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Predictions file, or a run folder that has one [default: scores.csv].",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "cpu", "torch", "ray"]),
    default="auto",
    show_default=True,
    help="Where passes over the data run: this machine's cores, a torch device, a Ray cluster.",
)
@click.option("--device", "solve_device", help="Torch device, such as cuda; asks for engine torch.")
@click.option(
    "--least-violation",
    is_flag=True,
    help="Where limits clash, write the plan that breaks them least (exit code 4 all the same).",
)
@solve_options
@folder_options
@output_options
def command(
    folder: Path,
    out: Path | None,
    predictions: Path | None,
    terminal: Terminal,
    **settings: Any,
) -> int:
    """Decide who gets what for the campaign in DIR.

    Uses scores.csv, or predictions of `allocate predict` or of a run. Ctrl-C while it solves keeps the
    best plan so far; a second one stops.
    """
    from allocator.runs.options import Options
    from allocator.runs.pipeline import run_campaign
    from cli.render.summary import summary_page

    with terminal.progress() as progress:
        result = run_campaign(
            folder,
            out,
            options=Options(**settings, keep_interrupted=True),
            predictions=predictions,
            predict=False,
            copy=False,
            progress=progress,
        )
    terminal.show(summary_page(result.summary, None))
    terminal.emit({**result.summary, "folder": out})
    if out is not None:
        terminal.say(f"Saved to {out}. Next: allocate copy {out}")
    else:
        terminal.say("Nothing was saved; --out FOLDER keeps the assignments.")
    return finish(result.summary, terminal)
