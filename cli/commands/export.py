"""`allocate export`: the files that a tool imports to send the messages of a run."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.export_options import TOOLS, key_options, named_keys
from cli.options import FOLDER

EPILOG = """\b
Examples:
  allocate export result --for braze
  allocate export result --for klaviyo --email "E-mail" --out for-klaviyo
  allocate export result --for mailchimp --leave-out   also if some have no address
"""


@click.command("export", epilog=EPILOG)
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("--for", "tool", type=click.Choice(TOOLS), required=True, help="The tool that sends.")
@click.option("--out", type=FOLDER, help="New folder for the files.  [default: RUN-TOOL]")
@key_options
@click.option("--copy", type=FOLDER, help="Messages of `allocate copy` in place of the run's own.")
@click.option("--leave-out", is_flag=True, help="Leave out users whom the tool cannot know, and name them.")
@click.option("--as-is", is_flag=True, help="Write cells that a spreadsheet would run as formulas.")
@click.option("--campaign", type=FOLDER, help="Campaign folder [default: the one RUN was made from].")
@output_options
def command(
    run: Path,
    tool: str,
    out: Path | None,
    id: str | None,  # noqa: A002 - the option is --id
    email: str | None,
    phone: str | None,
    copy: Path | None,
    leave_out: bool,
    as_is: bool,
    campaign: Path | None,
    terminal: Terminal,
) -> None:
    """Write the files that a tool imports to send the messages of the finished run RUN.

    One for each channel (and wave), and suppression.csv with those who are to get nothing. Addresses are
    taken from users.csv now, and go into the new folder alone. `allocate outcomes` reads what came of it.
    """
    from allocator.export import export_run
    from cli.render.export import export_page

    folder = out or run.absolute().parent / f"{run.absolute().name}-{tool}"
    exported = export_run(
        run, tool, folder, named=named_keys(id=id, email=email, phone=phone), copy=copy,
        campaign_folder=campaign, leave_out=leave_out, as_is=as_is,
    )  # fmt: skip
    terminal.show(export_page(exported.document))
    terminal.emit(exported.document)
    terminal.say(f"Saved to {folder}. It holds people's addresses: delete it when it is imported.")
