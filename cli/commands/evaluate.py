"""`allocate evaluate`: what past sends say about predictions and plans."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options
from cli.options import FOLDER, campaign_argument

EPILOG = """\b
Examples:
  allocate evaluate shop                                 train, and judge by users it did not see
  allocate evaluate shop --by region --html report.html  by group of users, and as a page
  allocate evaluate shop --plan result                   what a run's plan would have earned
  allocate evaluate shop --model model                   a saved model, on sends that it did not see
"""


@click.command("evaluate", epilog=EPILOG)
@campaign_argument
@click.option("--model", type=FOLDER, help="Judge the model in this folder of `allocate train`.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Judge these predictions: a file of `allocate predict`, or a run folder.",
)
@click.option(
    "--plan",
    "plans",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Value this assignment too: a run folder, or a file with user_id and coupon_id. Repeatable.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Show uplift by this column of users.csv. Repeatable.  [default: what limits group by]",
)
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report as one page, too."
)
@click.option("--predictor", help="Predictor plugin to train; see `allocate plugins`.")
@click.option("--device", help="cpu, cuda or auto.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of everything random.")
@output_options
def command(
    folder: Path,
    model: Path | None,
    predictions: Path | None,
    plans: tuple[Path, ...],
    by: tuple[str, ...],
    html: Path | None,
    terminal: Terminal,
    **settings: Any,
) -> None:
    """Judge predictions and plans on the past sends of the campaign in DIR.

    Unless told otherwise, the campaign's predictor is trained on some users and judged on others: how it
    ranks and sizes uplift, what plans would have earned, and what the history cannot support.
    """
    from allocator.campaign import read_campaign
    from allocator.files import require_page
    from allocator.report.evaluation import write_report
    from allocator.runs.evaluate import evaluate_campaign
    from allocator.runs.options import Options
    from cli.render.evaluation import evaluation_page

    if model is not None and (predictions is not None or settings["predictor"] is not None):
        other = "--predictions" if predictions is not None else "--predictor"
        raise click.UsageError(f"--model and {other} are two things to judge; give one of them.")
    if predictions is not None and settings["predictor"] is not None:
        raise click.UsageError("--predictions and --predictor are two things to judge; give one of them.")
    campaign = Options(**settings).apply(read_campaign(folder))
    if html is not None:
        require_page(html, "--html")
    with terminal.progress() as progress:
        evaluation = evaluate_campaign(
            campaign, model=model, predictions=predictions, plans=plans, by=by or None, progress=progress
        )
    if html is not None:
        write_report(evaluation, campaign, html)
    terminal.show(evaluation_page(evaluation))
    terminal.emit(
        {"campaign": campaign.config.name, "currency": campaign.config.currency, **asdict(evaluation)}
    )
    if html is not None:
        terminal.say(f"Saved to {html}. Open it in a browser.")
