"""The `allocate` command: a thin shell over the API, each command loaded when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "init": "Start a campaign folder from a small example that runs.",
    "check": "Check a campaign folder, or the certificate of a run.",
    "run": "Do everything: train, predict, solve, write messages, save.",
    "train": "Train the predictor on the campaign's history.",
    "predict": "Predict what each coupon does to each user.",
    "solve": "Decide who gets what.",
    "copy": "Write the messages of a finished plan.",
    "export": "Write the files that a tool imports to send them.",
    "outcomes": "Read what a tool tells of the messages it sent.",
    "readout": "Say what a send did, from its outcomes.",
    "whatif": "Set the campaign's scenarios side by side.",
    "report": "Write a finished run as one page, with what-ifs.",
    "evaluate": "Judge predictions and plans on past sends.",
    "explain": "Say why a user gets this coupon and not another.",
    "serve": "Answer solves and decisions over HTTP.",
    "plugins": "List predictors, copy writers and limit kinds.",
    "doctor": "Check that this installation can do its work.",
}

EXAMPLES = """\b
Examples:
  allocate init shop              start from a small example
  allocate check shop             find mistakes in it
  allocate solve shop             decide from ready scores
  allocate run shop --out result  train, predict, solve, write messages
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of a campaign's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for a misspelt one."""
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" Commands: {', '.join(COMMANDS)}."
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="allocate", prog_name="allocate")
def group() -> None:
    """Decide which customer gets which coupon so that a fixed budget earns the most.

    Data goes to standard output, messages to standard error. Exit codes: 0 ok, 1 bug, 2 usage,
    3 bad data, 4 infeasible limits, 5 gap or time target missed (the best plan is still written),
    7 plugin, 130 interrupted.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of its outcome."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from cli import failures

    arguments = list(sys.argv[1:] if args is None else args)
    try:
        outcome = group.main(arguments, prog_name="allocate", standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) else 0
    except BrokenPipeError:
        # The reader of our output has gone; so that Python does not complain on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except click.ClickException as error:
        return failures.misused(error, arguments)
    except (KeyboardInterrupt, click.Abort):
        return failures.interrupted(arguments)
    except Exception as error:
        return failures.report(error, arguments)


if __name__ == "__main__":
    main()
