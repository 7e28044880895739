"""`allocate whatif`: scenarios side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument, solve_options
from cli.scenario_options import ScenarioCommand, scenarios_of

EPILOG = """\b
Examples:
  allocate whatif shop                              the scenarios of campaign.toml
  allocate whatif shop --set total.at_most=45000    one more, from the command line
  allocate whatif shop --only --drop-coupon C3 --scale value=0.5
  allocate whatif shop --scenario "less" --set total.at_most=45000 \\
                       --scenario "less, worse" --with "less" --scale uplift=0.5
  allocate whatif shop --add-limit 'kind=floor label="the north" users.region=north at_least=400'
  allocate whatif shop --risk pessimistic           what caution costs, where errors are known
  allocate whatif shop --csv > scenarios.csv        one figure a row
"""


@click.command("whatif", cls=ScenarioCommand, epilog=EPILOG)
@campaign_argument
@click.option("--only", is_flag=True, help="Leave the scenarios of campaign.toml out.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Predictions file or run folder [default: scores.csv].",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV table, one figure a row, and nothing else.")
@solve_options
@output_options
def command(
    folder: Path,
    parts: list[dict[str, Any]],
    only: bool,
    predictions: Path | None,
    as_csv: bool,
    terminal: Terminal,
    **settings: Any,
) -> None:
    """Solve the campaign in DIR as it is and under each scenario, and compare the plans.

    Changes given here make one more scenario, or several, each after its own --scenario NAME. A
    scenario without a plan is a result, not a failure: it is listed with the limits that clash, and
    the exit code stays 0.
    """
    from allocator.campaign import read_campaign
    from allocator.campaign.run_folder import csv_text, find_predictions
    from allocator.comparison import compare, comparison_table
    from allocator.pipeline import Options
    from allocator.scenario import check_scenarios, solve_scenarios
    from allocator.stages import solve_task
    from cli.render.comparison import comparison_page

    if as_csv and terminal.json:
        raise click.UsageError("--csv and --json exclude each other.")
    options = Options(**settings)
    campaign = options.apply(read_campaign(folder))
    of_file = campaign.config.scenarios
    scenarios = [*([] if only else of_file), *scenarios_of(parts, of_file)]
    check_scenarios(campaign, scenarios)
    if not scenarios:
        raise click.UsageError(
            "There are no scenarios: add [[scenarios]] to campaign.toml, "
            "or use --set, --add-limit, --drop-limit, --drop-coupon, --scale or --risk."
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
    if as_csv:
        click.echo(csv_text(comparison_table(rows)), nl=False)
        return
    terminal.show(comparison_page(rows, campaign.config.currency))
    terminal.emit({"name": campaign.config.name, "currency": campaign.config.currency, "scenarios": rows})
