"""`allocate init`: start a campaign folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument

EPILOG = """\b
Examples:
  allocate init shop
  allocate solve shop
"""


@click.command("init", epilog=EPILOG)
@campaign_argument
@output_options
def command(folder: Path, terminal: Terminal) -> None:
    """Start a campaign folder DIR from a small example that runs.

    Writes campaign.toml, users.csv, coupons.csv and scores.csv; never writes over a file.
    """
    from allocator.errors import Finding, InputError
    from allocator.files import write_text

    template = sorted(
        (file for file in files("cli").joinpath("templates").iterdir()), key=lambda file: file.name
    )
    taken = [file.name for file in template if (folder / file.name).exists()]
    if taken:
        raise InputError(
            [
                Finding("the file is already there and is not written over", file=str(folder / name))
                for name in taken
            ]
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file in template:
        write_text(folder / file.name, file.read_text(encoding="utf-8"))
    terminal.emit({"folder": folder, "files": [file.name for file in template]})
    terminal.say(f"Wrote {', '.join(file.name for file in template)} to {folder}.")
    terminal.say(f"Next: allocate solve {folder}")
