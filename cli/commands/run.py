"""`allocate run`: the whole job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument, folder_options, plugin_options, solve_options

EPILOG = """\b
Examples:
  allocate run shop                         results go to shop/runs/<date>-<time>
  allocate run shop --out result            into a folder of your choice
  allocate run shop --predictor baseline    with another predictor
  allocate run shop --no-copy --json        no messages, summary as JSON
"""


@click.command("run", epilog=EPILOG)
@campaign_argument
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Run folder [default: DIR/runs/<date>-<time>].",
)
@plugin_options
@solve_options
@folder_options
@output_options
def command(
    folder: Path, out: Path | None, predict: bool | None, copy: bool, terminal: Terminal, **settings: Any
) -> int:
    """Train, predict, solve and write messages for the campaign in DIR.

    An interrupted run continues when it is called again with the same --out and inputs.
    """
    from allocator.runs.options import Options
    from allocator.runs.pipeline import run_campaign
    from cli.render.evaluation import evaluation_page
    from cli.render.summary import summary_page

    out = out or new_run(folder)
    with terminal.progress() as progress:
        result = run_campaign(
            folder, out, options=Options(**settings), predict=predict, copy=copy, progress=progress
        )
    if result.evaluation is not None:
        terminal.show(evaluation_page(result.evaluation))
    terminal.show(summary_page(result.summary, result.texts))
    terminal.emit({**result.summary, "folder": out})
    terminal.say(f"Saved to {out}. Open {out / 'report.html'} in a browser.")
    return finish(result.summary, terminal)


def new_run(folder: Path) -> Path:
    """Return where a run goes if nobody says where."""
    return folder / "runs" / time.strftime("%Y%m%d-%H%M%S")


def finish(summary: dict[str, Any], terminal: Terminal) -> int:
    """Return the exit code of a plan; say so where it is not all that was asked for."""
    from cli.failures import INFEASIBLE, INTERRUPTED, TARGET_MISSED

    if summary["broken_limits"]:
        broken = "; ".join(f"'{label}' by {by:,.6g}" for label, by in summary["broken_limits"].items())
        terminal.say(f"The limits clash, and this plan does not keep all of them: it breaks {broken}.")
    if summary["interrupted"]:
        terminal.say(f"Interrupted: this is the best plan so far, with a gap of {summary['gap']:.2e}.")
        return INTERRUPTED
    if summary["broken_limits"]:
        return INFEASIBLE
    if summary["status"] == "optimal":
        return 0
    terminal.say(
        f"The plan is feasible, but its gap of {summary['gap']:.2e} is larger than asked for: "
        "allow more time (--time-limit) or a larger gap (--gap)."
    )
    return TARGET_MISSED
