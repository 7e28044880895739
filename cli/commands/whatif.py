"""`allocate whatif`: scenarios side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument, solve_options

EPILOG = """\b
Examples:
  allocate whatif shop                              the scenarios of campaign.toml
  allocate whatif shop --set total.at_most=45000    one more, from the command line
  allocate whatif shop --drop-coupon C3 --scale uplift=0.5
"""


@click.command("whatif", epilog=EPILOG)
@campaign_argument
@click.option("--set", "changes", multiple=True, metavar="LABEL.KEY=NUMBER", help="Change a limit.")
@click.option("--drop-coupon", "dropped", multiple=True, metavar="COUPON", help="Leave a coupon out.")
@click.option(
    "--scale",
    "scales",
    multiple=True,
    metavar="PREDICTION=FACTOR",
    help="Multiply uplift, conversion, redemption or revenue.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Predictions file or run folder [default: scores.csv].",
)
@solve_options
@output_options
def command(
    folder: Path,
    changes: tuple[str, ...],
    dropped: tuple[str, ...],
    scales: tuple[str, ...],
    predictions: Path | None,
    terminal: Terminal,
    **settings: Any,
) -> None:
    """Solve the campaign in DIR as it is and under each scenario, and compare the plans.

    Options of the command line together make one more scenario. A scenario without a plan is a
    result, not a failure: it is listed with the limits that clash, and the exit code stays 0.
    """
    from allocator.campaign import read_campaign
    from allocator.campaign.run_folder import find_predictions
    from allocator.pipeline import Options
    from allocator.scenario import check_scenarios, compare, solve_scenarios
    from allocator.stages import solve_task
    from cli.render.comparison import comparison_page

    options = Options(**settings)
    campaign = options.apply(read_campaign(folder))
    scenarios = list(campaign.config.scenarios)
    if changes or dropped or scales:
        scenarios.append(_scenario(changes, dropped, scales))
    check_scenarios(campaign, scenarios)
    if not scenarios:
        raise click.UsageError(
            "There are no scenarios: add [[scenarios]] to campaign.toml, "
            "or use --set, --drop-coupon or --scale."
        )
    with terminal.progress() as progress:
        results = solve_scenarios(
            campaign,
            find_predictions(predictions),
            scenarios,
            lambda task, start: solve_task(campaign, task, start, threads=options.threads),
            progress,
        )
    rows = compare(campaign, results)
    terminal.show(comparison_page(rows, campaign.config.currency))
    terminal.emit({"name": campaign.config.name, "currency": campaign.config.currency, "scenarios": rows})


def _scenario(changes: tuple[str, ...], dropped: tuple[str, ...], scales: tuple[str, ...]) -> Any:
    from pydantic import ValidationError

    from allocator.campaign.config import Scenario

    name = ", ".join([*changes, *(f"without {coupon}" for coupon in dropped), *scales])
    table = {
        "name": name,
        "set": _numbers(changes, "--set"),
        "drop_coupons": list(dropped),
        "scale": _numbers(scales, "--scale"),
    }
    try:
        return Scenario.model_validate(table)
    except ValidationError as error:
        wrong = ", ".join(str(detail["loc"][1]) for detail in error.errors())
        raise click.BadParameter(
            f"unknown prediction {wrong}; use uplift, conversion, redemption or revenue", param_hint="--scale"
        ) from error


def _numbers(pairs: tuple[str, ...], option: str) -> dict[str, float]:
    result = {}
    for pair in pairs:
        key, _, text = pair.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        result[key] = number
        if not key or not math.isfinite(number):
            raise click.BadParameter(f"'{pair}' is not NAME=NUMBER", param_hint=option)
    return result
