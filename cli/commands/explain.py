"""`allocate explain`: why this coupon."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from cli.console import Terminal, output_options

EPILOG = """\b
Examples:
  allocate explain result --user U17
"""


@click.command("explain", epilog=EPILOG)
@click.argument("run", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@click.option("--user", required=True, help="The user_id.")
@click.option(
    "--campaign",
    type=click.Path(file_okay=False, path_type=Path),
    help="Campaign folder [default: the one RUN was made from].",
)
@output_options
def command(run: Path, user: str, campaign: Path | None, terminal: Terminal) -> None:
    """Say why a user gets this coupon and not another, or nothing, in a finished run RUN."""
    from allocator.explain import explain_user
    from allocator.runs import open_run
    from cli.render.explanation import explanation_page

    opened = open_run(run, campaign)
    explanation = explain_user(opened.task, opened.prices, opened.assigned, user)
    terminal.show(explanation_page(explanation))
    terminal.emit(asdict(explanation))
