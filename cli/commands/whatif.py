"""`allocate whatif`: scenarios side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument, solve_options
from cli.scenario_options import ScenarioCommand, scenarios_of
from cli.sweep_options import sweep_options

if TYPE_CHECKING:
    import polars as pl
    from rich.console import RenderableType

    from allocator.campaign import Campaign
    from allocator.campaign.config import Scenario
    from allocator.campaign.task import Task
    from allocator.plugins.predictions import Predictions
    from allocator.runs.options import Options
    from allocator.solution import Solution
    from allocator.whatif.frontier import Sweep
    from allocator.whatif.scenario import Predict
    from allocator.whatif.verdict import Units

EPILOG = """\b
Examples:
  allocate whatif shop                              the scenarios of campaign.toml
  allocate whatif shop --set total.at_most=45000    this, and nothing else
  allocate whatif shop --set total.at_most=-10%     a tenth less than campaign.toml says
  allocate whatif shop --drop-coupon C3 --scale value=0.5 --details
  allocate whatif shop --scenario "less" --set total.at_most=45000 \\
                       --scenario "less, worse" --with "less" --scale uplift=0.5
  allocate whatif shop --add-limit 'kind=floor label="the north" users.region=north at_least=400'
  allocate whatif shop --predictions result --coupon C3.value=10 --objective margin=0.3
  allocate whatif shop --predictions result --add-coupon 'coupon_id=C9 kind=percent value=12'
  allocate whatif shop --risk pessimistic           what caution costs, where errors are known
  allocate whatif shop --csv > scenarios.csv        one figure a row
  allocate whatif shop --sweep total.at_most=200:800:13 --floor 1
  allocate whatif shop --sweep total.at_most=-50%:+50%:5
  allocate whatif shop --interactive                type changes, see the plan after each
  allocate whatif shop --html whatif.html           the same as a page, with charts
  allocate whatif shop --sensitivity                how far prices hold, what coupons may cost
  allocate whatif shop --sweep total.at_most=200:800:5 --sweep "sms capacity.at_most=100:300:5"
"""


@click.command("whatif", cls=ScenarioCommand, epilog=EPILOG)
@campaign_argument
@click.option("--only", is_flag=True, help="Leave the scenarios of campaign.toml out.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Predictions file or run folder [default: scores.csv].",
)
@click.option(
    "--model",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of `allocate train` that predicts coupons with other terms [default: the run's own].",
)
@sweep_options("Solve for a range of a bound and show what it earns; twice for a map over two bounds.")
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Say how far the plan's prices hold and what its coupons may cost, without another solve.",
)
@click.option(
    "-i", "--interactive", is_flag=True, help="Keep the campaign in memory and try changes, one a line."
)
@click.option(
    "--details",
    is_flag=True,
    help="Show every change of every plan, and the scenarios of campaign.toml, too.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV table, one figure a row, and nothing else.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer as one page, too."
)
@solve_options
@output_options
def command(
    folder: Path,
    parts: list[dict[str, Any]],
    only: bool,
    predictions: Path | None,
    model: Path | None,
    sweeps: tuple[Sweep, ...],
    floor: float | None,
    sensitivity: bool,
    interactive: bool,
    details: bool,
    as_csv: bool,
    html: Path | None,
    terminal: Terminal,
    **settings: Any,
) -> int | None:
    """Solve the campaign in DIR as it is and under each scenario, and compare the plans.

    The verdict on what is asked here comes first, or on each scenario of campaign.toml if nothing is; all
    of them with all that they change on --details, --json, --csv and --html.

    Changes given here make one more scenario, or several, each after its own --scenario NAME. A
    scenario without a plan is a result, not a failure: it is listed with the limits that clash, and
    the exit code stays 0. With --sweep the plans of a whole range are drawn instead, of the campaign or
    of the one scenario given here.
    """
    from allocator.campaign import read_campaign
    from allocator.campaign.predictions import find_predictions
    from allocator.files import require_page
    from allocator.runs.new_coupons import coupon_predictor
    from allocator.runs.options import Options

    if as_csv and terminal.json:
        raise click.UsageError("--csv and --json exclude each other.")
    if floor is not None and len(sweeps) != 1:
        raise click.UsageError("--floor is found along one --sweep.")
    if html is not None:
        require_page(html, "--html")
    options = Options(**settings)
    with terminal.progress() as progress:
        campaign = options.apply(read_campaign(folder, progress=progress))
    of_file = campaign.config.scenarios
    asked = scenarios_of(parts, of_file)
    predict = coupon_predictor(predictions, campaign.config, model)
    job = _Job(campaign, find_predictions(predictions), predict, options, as_csv, html, terminal)
    if interactive:
        if sweeps or sensitivity or as_csv or html or terminal.json:
            raise click.UsageError(
                "--interactive answers what is typed; leave --sweep, --json and the like out."
            )
        return job.interactive(asked)
    if not sweeps and not sensitivity:
        every = details or as_csv or html is not None or terminal.json or not asked
        job.compare([*(of_file if every and not only else []), *asked], bool(asked), details)
        return None
    if len(asked) > 1 or (sweeps and sensitivity):
        raise click.UsageError(
            "--sweep and --sensitivity exclude each other, and each is of the campaign or of one --scenario."
        )
    scenario = asked[0] if asked else None
    if sweeps:
        job.sweep(sweeps, floor, scenario)
    else:
        job.sensitivity(scenario)
    return None


@dataclass(frozen=True)
class _Job:
    """A campaign to change, and how to answer."""

    campaign: Campaign
    predictions: Predictions | None
    predict: Predict | None
    options: Options
    as_csv: bool
    html: Path | None
    terminal: Terminal

    def compare(self, scenarios: list[Scenario], asked: bool, details: bool) -> None:
        """Set plans beside the base plan; `asked`: all or some of them on the command line."""
        from allocator.report.whatif import render_scenarios
        from allocator.whatif.comparison import compare, comparison_table
        from allocator.whatif.scenario import check_scenarios, solve_scenarios
        from cli.render.comparison import answer_page, comparison_page

        check_scenarios(self.campaign, scenarios)
        if not scenarios:
            raise click.UsageError(
                "There are no scenarios: add [[scenarios]] to campaign.toml, or use --set, --add-limit, "
                "--drop-limit, --coupon, --add-coupon, --drop-coupon, --scale, --objective or --risk."
            )
        with self.terminal.progress() as progress:
            results = solve_scenarios(
                self.campaign, self.predictions, scenarios, self._solve, progress, self.predict
            )
        rows = compare(self.campaign, results)
        page = comparison_page(rows, self._units) if details else answer_page(rows, self._units, asked=asked)
        self._answer(
            page, {"scenarios": rows}, lambda: comparison_table(rows),
            lambda: render_scenarios(rows, self.campaign.config.name, self._units, cautions=self._cautions),
        )  # fmt: skip

    def sweep(self, sweeps: Sequence[Sweep], floor: float | None, scenario: Scenario | None) -> None:
        """Trace what a range of a bound earns."""
        from allocator.report.whatif import render_frontier
        from allocator.whatif.frontier import frontier_table, trace_frontier
        from cli.render.frontier import frontier_page

        with self.terminal.progress() as progress:
            frontier = trace_frontier(
                self.campaign, self.predictions, sweeps, self._solve,
                scenario=scenario, floor=floor, progress=progress, predict=self.predict,
            )  # fmt: skip
        name, under = self.campaign.config.name, None if scenario is None else scenario.name
        self._answer(
            frontier_page(frontier, self._units), asdict(frontier), lambda: frontier_table(frontier),
            lambda: render_frontier(frontier, name, self._units, under, cautions=self._cautions),
        )  # fmt: skip

    def sensitivity(self, scenario: Scenario | None) -> None:
        """Say how far the prices of one plan hold."""
        from allocator.campaign.task import build_task
        from allocator.report.whatif import render_sensitivity
        from allocator.whatif.scenario import build_scenario, change_campaign, check_scenarios
        from allocator.whatif.sensitivity import check_prices_hold, sensitivity, sensitivity_table
        from cli.render.sensitivity import sensitivity_page

        with self.terminal.progress():
            campaign = self.campaign
            if scenario is None:
                task = build_task(campaign, self.predictions)
            else:
                check_scenarios(campaign, [scenario])
                task = build_scenario(campaign, self.predictions, scenario, None, self.predict)
                campaign = change_campaign(campaign, scenario)
            fair = campaign.config.objective.fairness is not None
            check_prices_hold(task.problem, task.limits, fair=fair)
            found = sensitivity(self._solve(campaign, task, None), self.options.threads)
        name, under = self.campaign.config.name, None if scenario is None else scenario.name
        self._answer(
            sensitivity_page(found, self._units), asdict(found), lambda: sensitivity_table(found),
            lambda: render_sensitivity(found, name, self._units, under, cautions=self._cautions),
        )  # fmt: skip

    def interactive(self, scenarios: Sequence[Scenario]) -> int:
        """Answer changes one by one, beginning with those of one scenario if it is given."""
        from rich.console import Group

        from allocator.whatif.session import NOW, WhatIfSession
        from cli.render.reach import caution_lines
        from cli.whatif_prompt import Prompt

        if len(scenarios) > 1:
            raise click.UsageError("An interactive session begins with one scenario at most.")
        with self.terminal.progress():
            session = WhatIfSession(self.campaign, self.predictions, self._solve, self.predict)
            for scenario in scenarios:
                session.apply(scenario.model_copy(update={"name": NOW}))
        self.terminal.show(Group(*caution_lines(self._cautions)))
        return Prompt(session, self.terminal, self._units).run()

    @cached_property
    def _cautions(self) -> tuple[str, ...]:
        from allocator.campaign.reach import cautions_of

        return cautions_of(self.campaign)

    @property
    def _units(self) -> Units:
        from allocator.whatif.verdict import Units

        return Units(self.campaign.config.currency, self.campaign.config.objective.maximize)

    def _solve(self, campaign: Campaign, task: Task, start: Solution | None) -> Solution:
        from allocator.runs.stages import solve_task

        return solve_task(campaign, task, start, threads=self.options.threads)

    def _answer(
        self,
        page: RenderableType,
        document: dict[str, Any],
        table: Callable[[], pl.DataFrame],
        html: Callable[[], str],
    ) -> None:
        from rich.console import Group

        from allocator.files import csv_text, write_text
        from cli.render.reach import caution_lines

        if self.html is not None:
            write_text(self.html, html())
            self.terminal.say(f"Saved to {self.html}. Open it in a browser.")
        if self.as_csv:
            click.echo(csv_text(table()), nl=False)
            return
        config, cautions = self.campaign.config, self._cautions
        self.terminal.show(Group(page, *caution_lines(cautions)))
        self.terminal.emit(
            {"name": config.name, "currency": config.currency, "cautions": cautions, **document}
        )
