"""`allocate copy`: write the messages of a plan."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import Terminal, output_options

EPILOG = """\b
Examples:
  allocate solve shop --out result
  allocate copy result --out messages
"""


@click.command("copy", epilog=EPILOG)
@click.argument("run", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="New folder for copy.csv and messages.",
)
@click.option("--writer", help="Copy writer plugin; see `allocate plugins`.")
@click.option(
    "--campaign",
    type=click.Path(file_okay=False, path_type=Path),
    help="Campaign folder [default: the one RUN was made from].",
)
@output_options
def command(run: Path, out: Path, writer: str | None, campaign: Path | None, terminal: Terminal) -> None:
    """Write the messages for the assignments of a finished run RUN."""
    from allocator.runs import write_copy_of_run
    from cli.render.summary import samples_panel

    with terminal.progress() as progress:
        texts, counts = write_copy_of_run(
            run, out, writer=writer, campaign_folder=campaign, progress=progress
        )
    terminal.show(samples_panel(texts))
    terminal.emit({**counts, "folder": out})
    terminal.say(f"Saved to {out}.")
