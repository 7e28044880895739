"""`allocate train`: train the predictor and keep it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument

EPILOG = """\b
Examples:
  allocate train shop --out model
  allocate train shop --out model --predictor baseline
"""


@click.command("train", epilog=EPILOG)
@campaign_argument
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the trained predictor.",
)
@click.option("--predictor", help="Predictor plugin; see `allocate plugins`.")
@click.option("--device", help="cpu, cuda or auto.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of everything random.")
@output_options
def command(folder: Path, out: Path, terminal: Terminal, **settings: Any) -> None:
    """Train the predictor of the campaign in DIR on its history and evaluate it on held-out rows."""
    from allocator.campaign import read_campaign
    from allocator.files import require_new
    from allocator.runs.models import save_model
    from allocator.runs.options import Options
    from allocator.runs.stages import train_campaign
    from cli.render.evaluation import evaluation_page

    campaign = Options(**settings).apply(read_campaign(folder))
    require_new(out)
    with terminal.progress() as progress:
        predictor, evaluation = train_campaign(campaign, progress)
    save_model(out, campaign, predictor, evaluation)
    terminal.show(evaluation_page(evaluation))
    terminal.emit({**asdict(evaluation), "folder": out})
    terminal.say(f"Saved to {out}. Next: allocate predict {folder} --model {out} --out predictions.parquet")
