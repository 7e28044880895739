"""`allocate predict`: predictions of a trained predictor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument

EPILOG = """\b
Examples:
  allocate predict shop --model model --out predictions.parquet
  allocate solve shop --predictions predictions.parquet
"""


@click.command("predict", epilog=EPILOG)
@campaign_argument
@click.option(
    "--model",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of `allocate train`.",
)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A .parquet or .csv file."
)
@click.option("--device", help="cpu, cuda or auto.")
@output_options
def command(folder: Path, model: Path, out: Path, device: str | None, terminal: Terminal) -> None:
    """Predict conversion, uplift, redemption and cost for every user and coupon of the campaign in DIR."""
    from rich.console import Group

    from allocator.campaign import read_campaign
    from allocator.campaign.prediction_parts import write_prediction_parts
    from allocator.files import require_table
    from allocator.runs.models import cautions_of_model, load_model
    from allocator.runs.stages import predict_in_parts
    from cli.render.predictions import PredictionFacts, predictions_table
    from cli.render.reach import caution_lines

    require_table(out)
    campaign = read_campaign(folder)
    predictor, name = load_model(model, device or campaign.config.predict.device)
    cautions = cautions_of_model(model)
    found = PredictionFacts()
    with terminal.progress() as progress:
        parts = (
            replace(part, cautions=cautions) for part in predict_in_parts(predictor, campaign, name, progress)
        )
        write_prediction_parts(found.watch(parts), out)
    facts = found.rows()
    terminal.show(predictions_table(facts))
    terminal.show(Group(*caution_lines(cautions)))
    terminal.emit({"file": out, "coupons": facts, "notes": list(found.notes), "cautions": list(cautions)})
    for note in found.notes:
        terminal.say(f"Note: {note}")
    if cautions and out.suffix != ".parquet":
        terminal.say("A CSV has no place for what makes its predictions doubtful; a .parquet file keeps it.")
    terminal.say(f"Saved to {out}. Next: allocate solve {folder} --predictions {out}")
