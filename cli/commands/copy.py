"""`allocate copy`: write the messages of a plan, and what else is done with them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options

COMMANDS = {
    "review": "Read the texts of a run; approve, edit or ban them.",
    "train": "Train the local copy writer on approved hooks.",
}

EPILOG = """\b
Examples:
  allocate solve shop --out result
  allocate copy result --out messages
  allocate copy review messages
"""


class WithCommands(click.Command):
    """The bare form, whose help lists the commands that go with it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command("copy", cls=WithCommands, epilog=EPILOG)
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
def write(run: Path, out: Path, writer: str | None, campaign: Path | None, terminal: Terminal) -> None:
    """Write the messages for the assignments of a finished run RUN."""
    from allocator.runs.copy import write_copy_of_run
    from cli.render.summary import samples_panel

    with terminal.progress() as progress:
        texts, counts = write_copy_of_run(
            run, out, writer=writer, campaign_folder=campaign, progress=progress
        )
    terminal.show(samples_panel(texts))
    terminal.emit({**counts, "folder": out})
    terminal.say(f"Saved to {out}. Next: allocate copy review {out}")


class CopyGroup(click.Group):
    """A group whose bare form, with a run in place of a command, writes the run's messages."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Take the first argument for a command if there is one of that name, else for the run."""
        if args and args[0] in COMMANDS:
            return super().make_context(info_name, args, parent, **extra)
        _suggest(args)
        return write.make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"cli.commands.copy_{cmd_name}").command
        return command


def _suggest(args: Sequence[str]) -> None:
    """Raise UsageError for a misspelt command, which would else be taken for a folder."""
    close = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.7) if args else []
    if close and not Path(args[0]).exists():
        raise click.UsageError(f"There is no run '{args[0]}'. Did you mean `allocate copy {close[0]}`?")


command = CopyGroup("copy", help=write.help, short_help="Write the messages of a finished plan.")
